import { MockActivityEnvironment } from '@temporalio/testing'
import { createActivities } from '../../../activities'
import type { OrderWorkflows } from '../../../activities/deps'
import type { Placed } from '../../../activities/checkout/checkout'
import { readSettings } from '../../../config'
import { receiveEvent, takeDueEvents } from '../../../db/payment/inbox'
import { beginCancel } from '../../../db/payment/attempt'
import { createRedis, type Redis } from '../../../db/redis'
import type { OrderId } from '../../../domain/ids'
import { chargeKey } from '../../../domain/payment'
import { createPaymentProviders, type PaymentProviders } from '../../../providers/payment'
import { noTaxProvider } from '../../../providers/tax'
import { type Buyer, Shop } from '../../support/shop'
import { type TestStack, testStack } from '../../support/stack'

/** No worker: each effect is called by hand, in the order in which a lost answer or a late message would bring it. */
let stack: TestStack
let shop: Shop
let redis: Redis
let providers: PaymentProviders
let activities: ReturnType<typeof createActivities>
beforeAll(async () => {
  stack = await testStack({ workers: 0, env: { CHECKOUT_WAIT_MS: '1', PAYMENT_TIMEOUT_MS: '1000' } })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  const settings = readSettings(stack.stack.env)
  redis = createRedis(settings)
  providers = createPaymentProviders(settings)
  const orders = {} as OrderWorkflows
  activities = createActivities({
    settings,
    pool: stack.database.pool,
    redis,
    providers,
    tax: noTaxProvider,
    search: { engines: [] },
    orders,
  })
}, 60_000)
afterAll(async () => {
  redis?.disconnect()
  await providers?.close()
  await stack?.stop()
}, 30_000)

const run = <I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> =>
  new MockActivityEnvironment().run(activity, input)

interface Accepted {
  readonly buyer: Buyer & { sku: string }
  readonly orderId: OrderId
}

async function accepted(method = 'pm_card_visa'): Promise<Accepted> {
  const buyer = await shop.buyerOf({ stock: 3 })
  const answer = await buyer.checkout({ method })
  expect(answer.status).toBe(202)
  return { buyer, orderId: answer.body.order_id }
}

async function placed(method?: string): Promise<Accepted & { attempt: NonNullable<Placed['attempt']> }> {
  const order = await accepted(method)
  const result = await run(activities.place, { orderId: order.orderId })
  if (result.outcome !== 'placed' || !result.attempt) throw new Error('It was not placed')
  return { ...order, attempt: result.attempt }
}

const cancelCharge = (order: Awaited<ReturnType<typeof placed>>) =>
  run(activities.cancelCharge, { paymentId: order.attempt.paymentId, keepIfPaid: false, reason: 'customer' })

const authorizeLate = ({ orderId }: Accepted, amount: number) =>
  providers.get('sandbox')?.authorize({
    key: chargeKey(orderId, 1),
    orderId,
    amount: { amount, currency: 'GBP' },
    method: 'pm_card_visa',
    returnUrl: null,
    expiresAt: null,
  })

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
    expect(await beginCancel(stack.database.pool, paymentId)).toBe(true)
    await shop.decide((await order.buyer.state(orderId)).action.url, 'approve')
    const seen = await run(activities.lookUpCharge, { paymentId })
    if (seen.outcome !== 'paid') throw new Error(seen.outcome)
    expect(await run(activities.confirm, { orderId, paid: { paymentId, ...seen.charge } })).toBe(false)
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
    const paid = { paymentId, status: 'authorized', reference: charge?.id ?? '' } as const
    expect(await run(activities.confirm, { orderId, paid })).toBe(true)
  })

  it('is told so once it is confirmed: what won stays won', async () => {
    const order = await placed()
    const { orderId, attempt } = order
    const { paymentId } = attempt
    const result = await run(activities.charge, { paymentId })
    if (result.outcome !== 'paid') throw new Error(result.outcome)
    await run(activities.confirm, { orderId, paid: { paymentId, ...result.charge } })
    expect(await beginCancel(stack.database.pool, paymentId)).toBe(false)
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
      paymentKey: key,
      payload: { order_id: orderId, state: 'authorized' },
    })
    await pool.query(
      `update inbox set due_at = now() + interval '50 milliseconds', done_at = null where payment_key = $1`,
      [key],
    )
    // The event may become due between the two statements that look at it.
    for (let look = 0; look < 40; look++)
      expect((await takeDueEvents(pool, 100)).filter((due) => due.orderId === orderId)).toEqual([])

    expect(await run(activities.resolveCharge, { paymentId })).toEqual({ outcome: 'dead' })
    await run(activities.returnMoney, { paymentId })
    await run(activities.recordReturn, { orderId, paymentId })
    expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
    expect((await shop.order(orderId)).body).toMatchObject({ status: 'confirmed', payment_status: 'authorized' })
  })
})
