import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApi, type TestApi } from '../support/http'
import { auditHolds, Parcels } from '../support/parcels'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** What is asked for while nobody can do it is kept, and done once afterwards, wherever a worker dies in between. */

const faults = join(tmpdir(), `shipping-faults-${randomUUID()}`)
let stack: TestStack
let shop: Shop
let parcels: Parcels
let manual: string
/** An API that cannot reach Temporal: the shop's second. */
let cutOff: TestApi
const CUT_OFF = 1
beforeAll(async () => {
  mkdirSync(faults)
  stack = await testStack({ env: { FAULT_DIR: faults, NODE_ENV: 'test' } })
  cutOff = await startApi({ DATABASE_URL: stack.database.url, TEMPORAL_ADDRESS: '127.0.0.1:1' })
  shop = new Shop({ ...stack, apis: [stack.api, cutOff.url], sandbox: stack.stack.file.sandbox })
  parcels = new Parcels(shop, stack.stack.file.carrier)
  await parcels.settings({ return_window_days: 0 })
  manual = await parcels.warehouse('manual')
}, 180_000)
afterAll(async () => {
  await cutOff?.close()
  await stack?.stop()
  rmSync(faults, { recursive: true, force: true })
}, 60_000)

async function bought(warehouse: string): Promise<{ id: string; sku: string; total: number; shipment: string }> {
  const sku = await parcels.product({ [warehouse]: 1 })
  const { id, total } = await parcels.paid({ lines: { [sku]: 1 } })
  return { id, sku, total, shipment: await parcels.shipmentOf(id) }
}

/** It was sent once: one label, one capture, and its stock left once. */
async function isSentOnce({ id, sku, total }: { id: string; sku: string; total: number }): Promise<void> {
  await parcels.orderBecomes(id, 'completed')
  expect(await parcels.labels(id)).toHaveLength(1)
  expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
  expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: 0 })
  expect(await shop.stock(sku)).toEqual({ on_hand: 0, reserved: 0, available: 0 })
  await parcels.hasNoCase(id)
}

it('without a worker commands are kept, and done once it is back', async () => {
  const one = await bought(manual)
  await parcels.step(one.shipment, 'pick')
  await parcels.step(one.shipment, 'pack')
  await stack.stack.halt('worker-1', 'SIGKILL')
  const label = await parcels.step(one.shipment, 'label')
  expect(label).toMatchObject({ status: 202, body: { status: 'packed', command: { kind: 'label', state: 'pending' } } })
  expect((await parcels.order(one.id)).commands).toMatchObject([{ kind: 'label', state: 'pending' }])
  // Asked again, it joins what is under way.
  const again = await parcels.step(one.shipment, 'label')
  expect(again).toMatchObject({ status: 202, body: { command: { id: label.body.command.id } } })
  await stack.stack.revive('worker-1')
  await parcels.becomes(one.shipment, 'labelled')
  await stack.stack.halt('worker-1', 'SIGTERM')
  expect(await parcels.step(one.shipment, 'ship')).toMatchObject({
    status: 202,
    body: { status: 'labelled', command: { kind: 'ship', state: 'pending' } },
  })
  await stack.stack.revive('worker-1')
  await isSentOnce(one)
}, 180_000)

it('without Temporal commands are kept, and the sweep tells of them', async () => {
  const one = await bought(manual)
  const step = (name: string) =>
    shop.call(
      'post',
      `/v1/admin/shipments/${one.shipment}/${name}`,
      { key: stack.adminKey, body: {}, idempotencyKey: randomUUID() },
      CUT_OFF,
    )
  expect(await step('pick')).toMatchObject({ status: 200 })
  expect(await step('pack')).toMatchObject({ status: 200 })
  expect([200, 202]).toContain((await step('label')).status)
  await parcels.becomes(one.shipment, 'labelled')
  expect([200, 202]).toContain((await step('ship')).status)
  await isSentOnce(one)
}, 180_000)

it('a carrier and a payment provider that are away are asked until they are back', async () => {
  const one = await bought(manual)
  await parcels.step(one.shipment, 'pick')
  await parcels.step(one.shipment, 'pack')
  await stack.stack.halt('carrier', 'SIGKILL')
  expect(await parcels.step(one.shipment, 'label')).toMatchObject({ status: 202 })
  await stack.stack.revive('carrier')
  await parcels.becomes(one.shipment, 'labelled')
  await stack.stack.halt('sandbox', 'SIGKILL')
  expect(await parcels.step(one.shipment, 'ship')).toMatchObject({ status: 202, body: { status: 'labelled' } })
  await stack.stack.revive('sandbox')
  await isSentOnce(one)
}, 180_000)

/** A worker dies right there, once at each. */
const POINTS = {
  label: [
    'advanceGoods.before',
    'advanceGoods.after',
    'label.keepRequest.after',
    'carrier.buyLabel.before',
    'carrier.buyLabel.after',
    'goods.saveLabels.before',
    'buyLabel.after',
  ],
  capture: [
    'goods.saveShipments.before',
    'goods.saveOrder.after',
    'capturePayment.before',
    'provider.capture.before',
    // After that the provider may tell of it first, and nobody asks once more.
    'provider.capture.after',
  ],
  tracking: ['tracking.endProgress.before', 'tracking.endProgress.after', 'tracking.end.before'],
}

it.each(Object.entries(POINTS))(
  'wherever its worker dies around its %s, a parcel has one label, one capture, and leaves once',
  async (_step, points) => {
    const automatic = await parcels.warehouse('automatic')
    const sku = await parcels.product({ [automatic]: 1 })
    for (const point of points) writeFileSync(join(faults, point), '')
    const { id, total } = await parcels.paid({ lines: { [sku]: 1 } })
    await until(
      'it is over',
      () => parcels.order(id),
      ({ status }) => status === 'completed',
      300_000,
    )
    await isSentOnce({ id, sku, total })
    expect(points.filter((point) => existsSync(join(faults, point)))).toEqual([])
  },
  360_000,
)

it('afterwards every invariant holds', () => auditHolds(shop), 90_000)
