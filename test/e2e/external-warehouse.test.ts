import { randomUUID } from 'node:crypto'
import { auditHolds, Parcels, WITHIN_MS } from '../support/parcels'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'
import { WarehouseStub } from '../support/warehouse-stub'

/** Orders that go through a warehouse with a system of its own, which is told by signed messages and tells by signed webhooks. */

let stack: TestStack
let shop: Shop
let parcels: Parcels
let system: WarehouseStub
let warehouse: string
beforeAll(async () => {
  system = await WarehouseStub.start()
  stack = await testStack({ env: { WEBHOOK_ALLOW_PRIVATE: '1', ATTENTION_AFTER_SECONDS: '3' } })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  parcels = new Parcels(shop, stack.stack.file.carrier)
  await parcels.settings({ return_window_days: 0 })
  const body = { name: `X ${randomUUID()}`, country: 'GB', operation: 'external', endpoint: system.url }
  const made = (await shop.admin('post', '/v1/admin/warehouses', body)).body
  warehouse = made.id
  system.secret = made.secret
}, 60_000)
afterAll(async () => {
  await stack?.stop()
  await system?.stop()
}, 30_000)
beforeEach(() => {
  system.status = 204
})

interface Ordered {
  readonly id: string
  readonly total: number
  readonly shipment: string
  readonly sku: string
}

async function ordered(quantity = 2): Promise<Ordered> {
  const sku = await parcels.product({ [warehouse]: quantity })
  const { id, total } = await parcels.paid({ lines: { [sku]: quantity } })
  return { id, total, sku, shipment: await parcels.shipmentOf(id) }
}

/** Waits until the system has heard these of a shipment, and nothing else. */
const hears = (shipment: string, ...types: string[]): Promise<unknown> =>
  until(
    `the warehouse hears ${types.join()}`,
    async () => system.about(shipment),
    (heard) => heard.join() === types.map((type) => `shipment.${type}`).join(),
    WITHIN_MS,
  )

async function tell(shipment: string, type: string, more: object = {}): Promise<{ raw: string; headers: object }> {
  const sent = system.event({ type: `shipment.${type}`, shipment_id: shipment, ...more })
  await tellAgain(sent)
  return sent
}

async function tellAgain(sent: { raw: string; headers: object }): Promise<void> {
  expect(await shop.call('post', `/webhooks/warehouses/${warehouse}`, sent as never)).toMatchObject({ status: 204 })
}

const eventsOf = async (id: string): Promise<string[]> =>
  (await parcels.order(id)).events.map(({ type }: { type: string }) => type)

it('packs at once, lets the parcel leave after the capture, and the order is delivered', async () => {
  const { id, total, shipment, sku } = await ordered()
  await hears(shipment, 'pack')
  expect(await parcels.captures(id)).toEqual([])
  await tell(shipment, 'picked')
  await tell(shipment, 'packed', {
    boxes: [{ weight_grams: 400, length_mm: 100, width_mm: 100, height_mm: 100 }],
  })
  await hears(shipment, 'pack', 'release')
  expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
  expect(await parcels.read(shipment)).toMatchObject({ status: 'labelled' })
  const heard = system.heard.filter(({ body }) => body.shipment_id === shipment)
  expect(heard.every(({ isSigned }) => isSigned)).toBe(true)
  expect(heard[0]?.body).toMatchObject({ revision: 1, lines: [{ sku, quantity: 2 }], label: null })
  const { label } = heard.at(-1)?.body
  expect(label.tracking_number).toBe((await parcels.read(shipment)).tracking_number)
  expect(Buffer.from(label.document, 'base64').toString('latin1')).toMatch(/^%PDF/)
  // Whom it is for stands on the label alone.
  expect(JSON.stringify({ ...heard.at(-1)?.body, label: null })).not.toMatch(/Sample|High St|buyer@/)
  await tell(shipment, 'shipped')
  await parcels.orderBecomes(id, 'completed')
  expect(await shop.cases(id)).toEqual([])
})

it('is told twice and out of order, and counts it once', async () => {
  const { id, total, shipment } = await ordered()
  await hears(shipment, 'pack')
  const packed = await tell(shipment, 'packed')
  await Promise.all([tellAgain(packed), tell(shipment, 'picked')])
  await hears(shipment, 'pack', 'release')
  const shipped = await tell(shipment, 'shipped')
  await Promise.all([tellAgain(shipped), tellAgain(packed), tell(shipment, 'shipped')])
  await parcels.orderBecomes(id, 'completed')
  const types = await eventsOf(id)
  for (const step of ['picked', 'packed', 'labelled', 'released', 'shipped'])
    expect(types.filter((type) => type === `shipment.${step}`)).toHaveLength(1)
  expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
})

it('needs no endpoint: it reads what is to be picked, and when a parcel may leave', async () => {
  const body = { name: `X ${randomUUID()}`, country: 'GB', operation: 'external' }
  const made = (await shop.admin('post', '/v1/admin/warehouses', body)).body
  const sku = await parcels.product({ [made.id]: 2 })
  const { id, total } = await parcels.paid({ lines: { [sku]: 2 } })
  const shipment = await parcels.shipmentOf(id)
  const { data } = (await shop.admin('get', `/v1/admin/warehouses/${made.id}/pick-list`)).body
  expect(data).toMatchObject([{ sku, quantity: 2, shipments: [{ id: shipment }] }])
  const say = async (type: string): Promise<void> => {
    const sent = system.event({ type: `shipment.${type}`, shipment_id: shipment }, made.secret)
    expect(await shop.call('post', `/webhooks/warehouses/${made.id}`, sent)).toMatchObject({ status: 204 })
  }
  await say('packed')
  await until(
    'it may leave',
    () => parcels.read(shipment),
    ({ events }) => events.some(({ type }: { type: string }) => type === 'released'),
    WITHIN_MS,
  )
  await say('shipped')
  await parcels.orderBecomes(id, 'completed')
  expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
  expect(await shop.cases(id)).toEqual([])
})

it('is a case when it is silent, and goes on after the repair', async () => {
  const { id, shipment } = await ordered()
  await hears(shipment, 'pack')
  await parcels.hoursPass(id, 73)
  expect(await parcels.caseOf(id, 'fulfillment_stalled')).toMatchObject({ step: 'decideParcel', object: shipment })
  await parcels.repaired(id, { action: 'retryStep' })
  await hears(shipment, 'pack', 'pack')
  await tell(shipment, 'packed')
  await hears(shipment, 'pack', 'pack', 'release')
  await tell(shipment, 'shipped')
  await parcels.orderBecomes(id, 'completed')
})

it('is a case while its system does not answer, which closes when it does', async () => {
  system.status = 503
  const { id, shipment } = await ordered()
  expect(await parcels.caseOf(id, 'fulfillment_stalled')).toMatchObject({ step: 'tellWarehouse' })
  system.status = 204
  await parcels.hasNoCase(id)
  const heard = system.heard.filter(({ body }) => body.shipment_id === shipment)
  expect(new Set(heard.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  await tell(shipment, 'packed')
  await hears(shipment, 'pack', 'release')
  await tell(shipment, 'shipped')
  await parcels.orderBecomes(id, 'completed')
})

it('is captured, and a case, when a parcel left that was not released', async () => {
  const { id, total, shipment } = await ordered()
  await hears(shipment, 'pack')
  const trackingNumber = `OWN${randomUUID().slice(0, 8)}`
  await tell(shipment, 'shipped', { carrier: 'courier', tracking_number: trackingNumber })
  await parcels.hasLeft(shipment)
  expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
  expect(await parcels.read(shipment)).toMatchObject({ carrier: 'courier', tracking_number: trackingNumber })
  expect(await parcels.caseOf(id, 'fulfillment_stalled')).toMatchObject({ step: 'decideParcel', object: shipment })
  expect(await eventsOf(id)).toEqual(expect.arrayContaining(['shipment.left_unasked', 'shipment.shipped']))
  await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
  expect(system.about(shipment)).toEqual(['shipment.pack'])
})

it('hears of a cancellation before the release, and refuses one afterwards', async () => {
  const before = await ordered()
  await hears(before.shipment, 'pack')
  expect(await parcels.cancel(before.id)).toMatchObject({ status: 200 })
  await hears(before.shipment, 'pack', 'cancel')
  expect(await shop.stock(before.sku)).toMatchObject({ on_hand: 2, reserved: 0 })

  const after = await ordered()
  await hears(after.shipment, 'pack')
  await tell(after.shipment, 'packed')
  await hears(after.shipment, 'pack', 'release')
  expect(await parcels.cancel(after.id)).toMatchObject({ status: 202 })
  await tell(after.shipment, 'shipped')
  await parcels.orderBecomes(after.id, 'completed')
  expect(system.about(after.shipment)).toEqual(['shipment.pack', 'shipment.release'])
})

it('is a case when what was cancelled left all the same', async () => {
  const { id, shipment } = await ordered()
  await hears(shipment, 'pack')
  expect(await parcels.cancel(id)).toMatchObject({ status: 200 })
  await hears(shipment, 'pack', 'cancel')
  await parcels.orderBecomes(id, 'cancelled')
  await tell(shipment, 'shipped')
  expect(await parcels.caseOf(id, 'fulfillment_stalled')).toMatchObject({ object: shipment })
  await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
})

it('packs anew what lost units, and what it packed before counts no more', async () => {
  const { id, shipment, sku } = await ordered()
  await hears(shipment, 'pack')
  expect(await parcels.cancel(id, { lines: [{ sku, quantity: 1 }] })).toMatchObject({ status: 200 })
  await hears(shipment, 'pack', 'pack')
  expect(system.heard.findLast(({ body }) => body.shipment_id === shipment)?.body).toMatchObject({
    revision: 2,
    lines: [{ sku, quantity: 1 }],
  })
  await tell(shipment, 'packed', { revision: 1 })
  expect(await parcels.read(shipment)).toMatchObject({ status: 'allocated' })
  await tell(shipment, 'packed', { revision: 2 })
  await hears(shipment, 'pack', 'pack', 'release')
  await tell(shipment, 'shipped')
  await parcels.orderBecomes(id, 'completed')
})

it('refuses a shipment, which another warehouse then sends', async () => {
  const { id, shipment, sku } = await ordered()
  await hears(shipment, 'pack')
  const other = await parcels.warehouse('manual')
  const body = { sku, warehouse_id: other, set_on_hand: 2, reason: 'stocktake' }
  expect(await shop.admin('post', '/v1/admin/inventory/adjustments', body)).toMatchObject({ status: 200 })
  await tell(shipment, 'refused', { code: 'damaged' })
  expect(await parcels.caseOf(id, 'fulfillment_stalled')).toMatchObject({ object: shipment })
  await parcels.repaired(id, { action: 'reroute' })
  await hears(shipment, 'pack', 'cancel')
  expect(await parcels.shipments(id)).toMatchObject([{ warehouse_id: other, lines: [{ sku, quantity: 2 }] }])
})

it('sends what is there of a short pick, and takes the rest from elsewhere', async () => {
  const { id, shipment, sku } = await ordered()
  const other = await parcels.warehouse('manual')
  const body = { sku, warehouse_id: other, set_on_hand: 2, reason: 'stocktake' }
  expect(await shop.admin('post', '/v1/admin/inventory/adjustments', body)).toMatchObject({ status: 200 })
  await hears(shipment, 'pack')
  await tell(shipment, 'packed', { lines: [{ sku, quantity: 1 }] })
  const [first, second] = await parcels.shipments(id, 2)
  expect([first.lines, second.lines]).toEqual([[{ sku, quantity: 1 }], [{ sku, quantity: 1 }]])
  expect(second.warehouse_id).toBe(other)
  await hears(shipment, 'pack', 'release')
})

it('leaves every invariant whole', () => auditHolds(shop), WITHIN_MS)
