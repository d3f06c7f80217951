import { randomUUID } from 'node:crypto'
import { auditHolds, Parcels, WITHIN_MS } from '../support/parcels'
import { type ProviderCall, type ProviderProxy, startProviderProxy } from '../support/provider-proxy'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** Cancelling what has not left: whatever the parcel has come to, and whatever happens in the same moment. */

let stack: TestStack
let shop: Shop
let parcels: Parcels
let provider: ProviderProxy
let manual: string
beforeAll(async () => {
  provider = await startProviderProxy()
  stack = await testStack({ env: { SANDBOX_URL: provider.url } })
  provider.target = stack.stack.file.sandbox
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  parcels = new Parcels(shop, stack.stack.file.carrier)
  await parcels.settings({ return_window_days: 0 })
  manual = await parcels.warehouse()
}, 180_000)
afterAll(async () => {
  await stack?.stop()
  await provider?.close()
}, 60_000)

const isCapture = ({ path }: ProviderCall): boolean => path.endsWith('/capture')

interface Parcel {
  readonly id: string
  readonly sku: string
  readonly shipment: string
  readonly total: number
  readonly cancelByCustomer: (key?: string) => Promise<{ status: number; body: any }>
}

/** A paid order of units at 10.00, in one shipment. */
async function parcel({ quantity = 1, method = 'pm_card_visa', word = '' } = {}): Promise<Parcel> {
  const sku = await parcels.product({ [manual]: quantity })
  const { id, buyer, total } = await parcels.paid({ lines: { [sku]: quantity }, method, ...(word && { word }) })
  const cancelByCustomer = (key: string = randomUUID()) =>
    shop.call('post', `/v1/store/orders/${id}/cancel`, {
      token: buyer.token,
      idempotencyKey: key,
      body: {},
    })
  return { id, sku, total, shipment: await parcels.shipmentOf(id), cancelByCustomer }
}

/** The order is cancelled: its stock is free, its money let go, and no label is left. */
async function isUndone({ id, sku, shipment }: Parcel, quantity = 1): Promise<void> {
  expect(await parcels.orderBecomes(id, 'cancelled')).toMatchObject({ actions: [] })
  expect(await parcels.read(shipment)).toMatchObject({ status: 'cancelled' })
  expect(await shop.stock(sku)).toEqual({ on_hand: quantity, reserved: 0, available: quantity })
  await until(
    'its labels are voided',
    () => parcels.labels(id),
    (labels) => labels.every(({ status }) => status === 'voided'),
    WITHIN_MS,
  )
  await until(
    'its money is let go',
    () => shop.chargeStates(id),
    (states) => states.join() === 'voided',
    WITHIN_MS,
  )
  await parcels.hasNoCase(id)
}

describe('before its label, a parcel is undone', () => {
  it.each(['allocated', 'picking', 'packed'])(
    '%s',
    async (status) => {
      const one = await parcel()
      if (status !== 'allocated') await parcels.step(one.shipment, 'pick')
      if (status === 'packed') await parcels.step(one.shipment, 'pack')
      expect(await parcels.read(one.shipment)).toMatchObject({ status })
      expect((await parcels.order(one.id)).actions).toContain('cancel')
      expect([200, 202]).toContain((await parcels.cancel(one.id)).status)
      await isUndone(one)
      expect(await parcels.labels(one.id)).toEqual([])
    },
    90_000,
  )
})

describe('with a live label', () => {
  it('it is undone, and the carrier takes the label back', async () => {
    const one = await parcel()
    await parcels.labelled(one.shipment)
    expect([200, 202]).toContain((await parcels.cancel(one.id)).status)
    await isUndone(one)
    expect(await parcels.labels(one.id)).toMatchObject([{ status: 'voided' }])
  }, 90_000)

  it('it is undone by its customer, once, however often and at once that is asked for', async () => {
    const one = await parcel()
    await parcels.labelled(one.shipment)
    const answers = await Promise.all(Array.from({ length: 5 }, () => one.cancelByCustomer()))
    for (const { status } of answers) expect([200, 202]).toContain(status)
    await isUndone(one)
    const types = (await parcels.order(one.id)).events.map(({ type }: { type: string }) => type)
    expect(types.filter((type: string) => type === 'order.cancelled')).toHaveLength(1)
    expect(await one.cancelByCustomer()).toMatchObject({ status: 200, body: { status: 'cancelled' } })
  }, 90_000)

  it('a stranger cannot', async () => {
    const one = await parcel()
    const stranger = await shop.buyerOf()
    const answer = await shop.call('post', `/v1/store/orders/${one.id}/cancel`, {
      token: stranger.token,
      idempotencyKey: randomUUID(),
      body: {},
    })
    expect(answer.status).toBe(404)
    await parcels.cancel(one.id)
    await isUndone(one)
  }, 90_000)
})

it('a part of the units: the parcel is packed and labelled anew, and pays for what is left', async () => {
  const one = await parcel({ quantity: 3 })
  await parcels.labelled(one.shipment)
  const wanted = { lines: [{ sku: one.sku, quantity: 1 }] }
  const cancelled = await parcels.cancel(one.id, wanted)
  expect([cancelled.status < 300, cancelled.body.held_for]).toEqual([true, []])
  expect(await parcels.read(one.shipment)).toMatchObject({
    status: 'picking',
    lines: [{ sku: one.sku, quantity: 2 }],
    ...{ label_url: null, tracking_number: null, tracking_url: null, carrier: null },
  })
  expect(await shop.stock(one.sku)).toEqual({ on_hand: 3, reserved: 2, available: 1 })
  expect(await parcels.cancel(one.id, { lines: [{ sku: one.sku, quantity: 3 }] })).toMatchObject({
    status: 409,
    body: { code: 'already_shipped', lines: [{ sku: one.sku }] },
  })
  expect(await parcels.step(one.shipment, 'pack')).toMatchObject({ status: 200 })
  await parcels.step(one.shipment, 'label')
  await parcels.becomes(one.shipment, 'labelled')
  await parcels.shipped(one.shipment)
  expect(await parcels.orderBecomes(one.id, 'completed')).toMatchObject({
    lines: [{ quantity: 3, cancelled: 1, shipped: 2, delivered: 2 }],
    totals: { captured: { amount: 2_000 }, cancelled: { amount: 1_000 } },
  })
  expect(await parcels.moneyTaken(one.id)).toEqual({ captured: 2_000, refunded: 0 })
  expect((await parcels.labels(one.id)).map(({ status }) => status === 'voided')).toEqual([true, false])
}, 120_000)

describe('while the money of the parcel is being taken', () => {
  /** The provider does not answer its capture. */
  async function leaving(method?: string): Promise<Parcel> {
    const one = await parcel(method === undefined ? {} : { method })
    await parcels.labelled(one.shipment)
    provider.fail(one.id, isCapture)
    expect(await parcels.step(one.shipment, 'ship')).toMatchObject({
      status: 202,
      body: { status: 'labelled', command: { kind: 'ship', state: 'pending', code: null } },
    })
    expect(await parcels.cancel(one.id)).toMatchObject({
      status: 202,
      body: {
        status: 'processing',
        commands: expect.arrayContaining([expect.objectContaining({ kind: 'cancel', state: 'pending' })]),
      },
    })
    return one
  }

  const commandOf = async (id: string): Promise<unknown> =>
    (await parcels.order(id)).commands.find(({ kind }: { kind: string }) => kind === 'cancel')

  it('a cancellation waits, and comes too late once that is there', async () => {
    const one = await leaving()
    expect(await parcels.step(one.shipment, 'cancel')).toMatchObject({
      status: 202,
      body: { command: { shipment_id: one.shipment, kind: 'cancel', state: 'pending' } },
    })
    provider.heal(one.id)
    await parcels.hasLeft(one.shipment)
    expect(await commandOf(one.id)).toMatchObject({ state: 'refused', code: 'already_shipped' })
    expect(await parcels.cancel(one.id, { lines: [{ sku: one.sku, quantity: 1 }] })).toMatchObject({
      status: 409,
      body: { code: 'already_shipped' },
    })
    await parcels.orderBecomes(one.id, 'completed')
    expect(await parcels.moneyTaken(one.id)).toEqual({ captured: one.total, refunded: 0 })
  }, 120_000)

  it('a cancellation is answered at once, and whoever repeats it hears what became of it', async () => {
    const one = await parcel()
    await parcels.labelled(one.shipment)
    let asked = false
    provider.fail(one.id, (call) => isCapture(call) && (asked = true))
    const ship = parcels.step(one.shipment, 'ship')
    await until('its money is asked for', () => asked)
    const key = randomUUID()
    expect(await one.cancelByCustomer(key)).toMatchObject({ status: 202 })
    expect(await one.cancelByCustomer(key)).toMatchObject({ status: 202 })
    provider.heal(one.id)
    await ship
    await parcels.hasLeft(one.shipment)
    expect(await one.cancelByCustomer(key)).toMatchObject({ status: 409, body: { code: 'already_shipped' } })
  }, 120_000)

  it('a cancellation waits, and is done once that is refused', async () => {
    const one = await leaving('pm_sandbox_capture_refused')
    provider.heal(one.id)
    await isUndone(one)
    expect(await commandOf(one.id)).toMatchObject({ state: 'done', code: null })
  }, 120_000)
})

it('captured before it is sent: what is cancelled then is given back', async () => {
  const one = await parcel({ method: 'pm_sandbox_captured_at_once' })
  await parcels.labelled(one.shipment)
  await parcels.cancel(one.id)
  await parcels.orderBecomes(one.id, 'cancelled')
  await until(
    'all of it has gone back',
    () => parcels.moneyTaken(one.id),
    ({ refunded }) => refunded === one.total,
    WITHIN_MS,
  )
  expect(await shop.stock(one.sku)).toMatchObject({ reserved: 0 })
  await until(
    'the order says so',
    () => parcels.order(one.id),
    ({ payment_status }) => payment_status === 'refunded',
    WITHIN_MS,
  )
  expect(await parcels.ledger(one.id)).toEqual({})
}, 120_000)

it('cancel and ship in the same moment: one of them wins, and all agrees with it', async () => {
  for (let round = 0; round < 3; round++) {
    const one = await parcel()
    await parcels.labelled(one.shipment)
    await Promise.all([parcels.step(one.shipment, 'ship'), parcels.cancel(one.id)])
    const { status } = await until(
      'it is decided',
      () => parcels.order(one.id),
      (order) => ['cancelled', 'completed'].includes(order.status),
      WITHIN_MS,
    )
    if (status === 'cancelled') await isUndone(one)
    else expect(await parcels.moneyTaken(one.id)).toEqual({ captured: one.total, refunded: 0 })
  }
}, 180_000)

it('a label that the carrier does not take back is a case, and over once a person accepts that', async () => {
  const one = await parcel({ word: 'sandbox:keeps' })
  await parcels.labelled(one.shipment)
  await parcels.cancel(one.id)
  await parcels.orderBecomes(one.id, 'cancelled')
  expect(await parcels.caseOf(one.id, 'fulfillment_stalled')).toMatchObject({
    step: 'voidLabel',
    allowed_repairs: expect.arrayContaining(['retryStep', 'resolveStep']),
  })
  await parcels.repaired(one.id, { action: 'resolveStep', outcome: 'done' })
}, 120_000)

it('afterwards every invariant holds', () => auditHolds(shop), 90_000)
