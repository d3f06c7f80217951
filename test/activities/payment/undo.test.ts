import { beginCancel } from '../../../db/payment/attempt'
import { receiveEvent, takeDueEvents } from '../../../db/payment/inbox'
import { chargeKey } from '../../../domain/payment/attempt'
import {
  type AcceptedByBuyer,
  type PaymentEffects,
  type PlacedByBuyer,
  startPaymentEffects,
} from '../../support/payment-effects'
import { seenCharge } from '../../support/seen'
import type { Shop } from '../../support/shop'
import type { TestStack } from '../../support/stack'

let effects: PaymentEffects
let stack: TestStack
let shop: Shop
let activities: PaymentEffects['activities']
let run: PaymentEffects['run']
let accepted: PaymentEffects['accepted']
let placed: PaymentEffects['placed']
beforeAll(async () => {
  effects = await startPaymentEffects()
  ;({ stack, shop, activities, run, accepted, placed } = effects)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

const cancelCharge = (order: PlacedByBuyer) =>
  run(activities.cancelCharge, { paymentId: order.attempt.paymentId, keepIfPaid: false, reason: 'customer' })

const authorizeLate = ({ orderId }: AcceptedByBuyer, amount: number) =>
  effects.providers.get('sandbox')?.authorize(
    {
      key: chargeKey(orderId, 1),
      orderId,
      amount: { amount, currency: 'GBP' },
      method: 'pm_card_visa',
      returnUrl: null,
      expiresAt: null,
      requestedAt: new Date().toISOString(),
      reference: null,
    },
    async () => true,
  )

describe('the undo of a charge', () => {
  it('after a lost answer: what was charged is voided', async () => {
    const order = await placed('pm_sandbox_timeout_after_charge')
    expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'unknown' })
    expect(await shop.chargeStates(order.orderId)).toEqual(['authorized'])
    expect(await cancelCharge(order)).toEqual({ outcome: 'dead' })
    expect(await cancelCharge(order)).toEqual({ outcome: 'dead' })
    expect(await shop.chargeStates(order.orderId)).toEqual(['voided'])
  })

  it('before a late do: nothing can be charged under that key any more', async () => {
    const order = await placed()
    expect(await cancelCharge(order)).toEqual({ outcome: 'dead' })
    expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'dead' })
    expect(await authorizeLate(order, 1_000)).toMatchObject({ state: 'voided' })
    expect(await shop.chargeStates(order.orderId)).toEqual([])
  })
})

describe('a charge that is being cancelled', () => {
  it('pays for nothing any more, though it looks paid: the cancellation may still arrive', async () => {
    const order = await placed('pm_card_authenticationRequired')
    const { orderId, attempt } = order
    const { paymentId } = attempt
    expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting' })
    // Its worker stops here, before the cancellation or after.
    expect(await beginCancel(stack.database.pool, paymentId)).toEqual({ reference: expect.any(String) })
    await shop.decide((await order.buyer.state(orderId)).action.url, 'approve')
    const [charge] = await shop.charges(orderId)
    const paid = seenCharge({ paymentId, reference: charge?.id ?? '' })
    expect(await run(activities.confirm, { orderId, paid })).toBe(false)
    expect(await run(activities.cancelCharge, { paymentId, keepIfPaid: true, reason: 'expired' })).toEqual({
      outcome: 'dead',
    })
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
  })

  it('may pay after all once the provider has refused to cancel it', async () => {
    const { orderId, attempt } = await placed('pm_sandbox_late')
    const { paymentId } = attempt
    expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting', status: 'pending' })
    const stop = { paymentId, keepIfPaid: true, reason: 'expired' } as const
    await expect(run(activities.cancelCharge, stop)).rejects.toThrow('cannot cancel charge')
    const [charge] = await shop.charges(orderId)
    const paid = seenCharge({ paymentId, reference: charge?.id ?? '' })
    expect(await run(activities.confirm, { orderId, paid })).toBe(true)
  })

  it('is told so once it is confirmed: what won stays won', async () => {
    const order = await placed()
    const { orderId, attempt } = order
    const { paymentId } = attempt
    const result = await run(activities.charge, { paymentId })
    if (result.outcome !== 'paid') throw new Error(result.outcome)
    await run(activities.confirm, { orderId, paid: { paymentId, ...result.charge } })
    expect(await beginCancel(stack.database.pool, paymentId)).toBeNull()
    expect(await cancelCharge(order)).toEqual({ outcome: 'money_taken' })
    expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
  })
})

describe('the undo of a placing', () => {
  it('after a lost answer: the stock is given back, once', async () => {
    const { orderId, buyer } = await placed()
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    await run(activities.cancelOrder, { orderId, reason: 'customer' })
    await run(activities.cancelOrder, { orderId, reason: 'customer' })
    expect(await shop.stock(buyer.sku)).toMatchObject({ on_hand: 3, reserved: 0 })
  })

  it('before a late do: the order stays cancelled and reserves nothing', async () => {
    const { orderId, buyer } = await accepted()
    await run(activities.cancelOrder, { orderId, reason: 'expired' })
    expect(await run(activities.place, { orderId })).toEqual({ outcome: 'over' })
    expect(await shop.stock(buyer.sku)).toMatchObject({ on_hand: 3, reserved: 0 })
  })
})

describe('settlement of an order that has won', () => {
  it('gives nothing back, and no event from the provider asks for it', async () => {
    const { orderId, attempt } = await placed()
    const { paymentId, key } = attempt
    const result = await run(activities.charge, { paymentId })
    if (result.outcome !== 'paid') throw new Error(result.outcome)
    await run(activities.confirm, { orderId, paid: { paymentId, ...result.charge } })

    const { pool } = stack.database
    await receiveEvent(pool, {
      provider: 'sandbox',
      eventId: 'evt_late',
      type: 'charge.updated',
      chargeReference: result.charge.reference,
      chargeKey: key,
      orderId,
      state: 'authorized',
    })
    await pool.query(
      `update inbox set due_at = now() + interval '50 milliseconds', done_at = null where payment_key = $1`,
      [key],
    )
    // The event may become due between the two statements that look at it.
    for (let look = 0; look < 40; look++)
      expect((await takeDueEvents(pool, 100)).filter((due) => due.orderId === orderId)).toEqual([])

    await run(activities.resolveCharge, { paymentId })
    await run(activities.releasePayment, { paymentId })
    await run(activities.refreshPayment, { paymentId })
    expect(await run(activities.readPaymentWork, { orderId, paymentId })).toMatchObject({ items: [] })
    expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
    expect((await shop.order(orderId)).body).toMatchObject({ status: 'confirmed', payment_status: 'authorized' })
  })
})
