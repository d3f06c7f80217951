import { readAttempt } from '../../../db/payment/attempt'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'
import type { Shop } from '../../support/shop'
import { until } from '../../support/wait'

let effects: PaymentEffects
let shop: Shop
let activities: PaymentEffects['activities']
let run: PaymentEffects['run']
beforeAll(async () => {
  effects = await startPaymentEffects()
  ;({ shop, activities, run } = effects)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

const attempt = ({ attempt: { paymentId } }: PlacedByBuyer) => readAttempt(effects.stack.database.pool, paymentId)
const resolve = ({ attempt: { paymentId } }: PlacedByBuyer) => run(activities.resolveCharge, { paymentId })
const rows = (order: PlacedByBuyer) =>
  effects.inBooks(order, ({ payments, refunds }) => structuredClone({ payment: payments[0], refunds }))

/** Its charge was made and never heard of; then the order was cancelled. */
async function late(method = 'pm_sandbox_timeout_after_charge'): Promise<PlacedByBuyer & { charge: string }> {
  const order = await effects.placed(method)
  const { orderId } = order
  expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'unknown' })
  await run(activities.cancelOrder, { orderId, reason: 'customer' })
  const [charge] = await shop.charges(orderId)
  return { ...order, charge: charge?.id ?? '' }
}

/** Everything that the rows ask for, once. */
async function settle({ orderId, attempt: { paymentId } }: PlacedByBuyer): Promise<void> {
  const { items } = await run(activities.readPaymentWork, { orderId, paymentId })
  for (const item of items) {
    if (item.kind === 'release') await run(activities.releasePayment, { paymentId })
    if (item.kind === 'refund') await run(activities.refundPayment, { refundId: item.object })
  }
  expect((await run(activities.readPaymentWork, { orderId, paymentId })).items).toEqual([])
}

describe('money of an order that is over', () => {
  it('that is set aside is written down once, and let go', async () => {
    const order = await late()
    await resolve(order)
    await resolve(order)
    expect((await rows(order)).payment).toMatchObject({ status: 'authorized', releasing: true, captured: 0 })
    await settle(order)
    expect(await shop.chargeStates(order.orderId)).toEqual(['voided'])
    expect(await attempt(order)).toMatchObject({ status: 'voided', outcome: 'cancelled' })
  })

  it('that was captured meanwhile goes back, as much as was taken', async () => {
    const order = await late()
    await shop.atProvider(`${order.charge}/capture`, { amount: 300, final: false })
    await resolve(order)
    await resolve(order)
    expect(await rows(order)).toMatchObject({
      payment: { captured: 300, releasing: true },
      refunds: [{ amount: 300, cause: 'late', status: 'pending' }],
    })
    await settle(order)
    expect(await attempt(order)).toMatchObject({ status: 'refunded' })
    const [charge] = await shop.charges(order.orderId)
    expect(charge).toMatchObject({ captured: 300, refunded: 300 })
  })

  it('that was captured and given back at the provider’s pages needs nothing more', async () => {
    const order = await late()
    await shop.atProvider(`${order.charge}/capture`, {})
    await shop.atProvider(`${order.charge}/refunds`, {})
    expect(await shop.chargeStates(order.orderId)).toEqual(['refunded'])
    await resolve(order)
    await resolve(order)
    const { payment, refunds } = await rows(order)
    expect(payment).toMatchObject({ status: 'refunded', refunded: payment?.amount, refunding: 0 })
    expect(refunds).toMatchObject([{ cause: 'provider', status: 'succeeded' }])
    await settle(order)
  })

  it('of another amount than was asked for goes back as it came', async () => {
    const price = 1_111
    effects.proxy.alter(price, { amount: 900 })
    const buyer = await shop.buyerOf({ price, stock: 3 })
    const { body } = await buyer.checkout({ method: 'pm_card_visa' })
    const placed = await run(activities.place, { orderId: body.order_id })
    if (placed.outcome !== 'placed' || !placed.attempt) throw new Error(placed.outcome)
    const order = { buyer, orderId: body.order_id, attempt: placed.attempt } as PlacedByBuyer
    expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toMatchObject({ outcome: 'mismatch' })
    await run(activities.cancelOrder, { orderId: order.orderId, reason: 'merchant' })
    await resolve(order)
    expect((await rows(order)).payment).toMatchObject({ amount: 900, releasing: true })
  })

  it('is its checkout’s while the order is open, whatever is to be told to the provider besides', async () => {
    const order = await effects.placed('pm_sandbox_timeout_after_charge')
    expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'unknown' })
    await resolve(order)
    expect(await attempt(order)).toMatchObject({ status: 'sent', cancelling: false, releasing: false })
    expect(await shop.chargeStates(order.orderId)).toEqual(['authorized'])
  })

  it('that never came cannot come any more', async () => {
    const order = await effects.placed()
    await run(activities.cancelOrder, { orderId: order.orderId, reason: 'customer' })
    await resolve(order)
    await resolve(order)
    expect(await attempt(order)).toMatchObject({ status: 'voided' })
    expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'dead' })
    expect(await shop.chargeStates(order.orderId)).toEqual([])
  })

  it('that is pending is asked about until the provider has decided', async () => {
    const order = await effects.placed('pm_sandbox_late')
    const { paymentId } = order.attempt
    await effects.stack.database.pool.query(
      `update payment set expires_at = now() + interval '1 second' where id = $1`,
      [paymentId],
    )
    expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting' })
    await run(activities.cancelOrder, { orderId: order.orderId, reason: 'expired' })
    await expect(resolve(order)).rejects.toThrow('cannot be cancelled yet')
    await until('it is paid', async () => (await shop.chargeStates(order.orderId))[0] !== 'pending')
    await resolve(order)
    await settle(order)
    expect(['voided', 'refunded']).toContain((await attempt(order))?.status)
  })
})

describe('what a person says while the provider is away', () => {
  const decide = ({ attempt: { paymentId } }: PlacedByBuyer, happened: boolean) =>
    run(activities.recordDecision, { paymentId, happened })
  const sync = ({ attempt: { paymentId } }: PlacedByBuyer) => run(activities.syncDecision, { paymentId })

  it('"it happened", of an order that is over: it is written down, and goes back when the provider is there', async () => {
    const order = await late()
    effects.proxy.fail(order.orderId)
    expect(await decide(order, true)).toMatchObject({ outcome: 'paid' })
    expect(await attempt(order)).toMatchObject({ status: 'authorized', pendingSync: 'reference', releasing: true })
    await expect(sync(order)).rejects.toThrow('503')
    effects.proxy.heal(order.orderId)
    await sync(order)
    expect(await attempt(order)).toMatchObject({ pendingSync: null, reference: order.charge })
    await settle(order)
    expect(await shop.chargeStates(order.orderId)).toEqual(['voided'])
  })

  it('"it did not happen", of one that was captured: the money is written down, and goes back', async () => {
    const order = await late()
    effects.proxy.fail(order.orderId)
    expect(await decide(order, false)).toEqual({ outcome: 'dead' })
    expect(await attempt(order)).toMatchObject({ status: 'failed', pendingSync: 'cancel' })
    await shop.atProvider(`${order.charge}/capture`, {})
    effects.proxy.heal(order.orderId)
    await sync(order)
    await sync(order)
    expect((await rows(order)).refunds).toMatchObject([{ cause: 'late', status: 'pending' }])
    await settle(order)
    expect(await shop.chargeStates(order.orderId)).toEqual(['refunded'])
  })
})
