import { newId } from '../../../db/id'
import { readAttempt } from '../../../db/payment/attempt'
import { claimRenewal, readPaymentWork, readSentRenewal } from '../../../db/payment/work'
import { withTransaction } from '../../../db/pool'
import type { PaymentId } from '../../../domain/ids'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'

let effects: PaymentEffects
beforeAll(async () => {
  effects = await startPaymentEffects()
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

const pool = () => effects.stack.database.pool
const work = async ({ orderId }: PlacedByBuyer) =>
  (await readPaymentWork(pool(), { orderId, paymentId: null }))?.items.map(({ kind }) => kind)
const letLapse = ({ attempt: { paymentId } }: PlacedByBuyer) => effects.run(effects.activities.letLapse, { paymentId })

/** The authorization ends within the hour; its renewal was sent, and its provider never answered. */
async function renewing(): Promise<{ order: PlacedByBuyer; renewalId: PaymentId }> {
  const order = await effects.confirmed()
  const { paymentId } = order.attempt
  await pool().query(
    `update payment set capture_before = now() + interval '1 hour', sent_at = now() - interval '7 days' where id = $1`,
    [paymentId],
  )
  const renewalId = newId('payment')
  await withTransaction(pool(), (tx) => claimRenewal(tx, { paymentId, renewalId, amount: 500 }))
  return { order, renewalId }
}

describe('an authorization that may lapse', () => {
  it('is not renewed any more, also when the order has been cancelled since the renewal was sent', async () => {
    const [lapsing, cancelled] = [await renewing(), await renewing()]
    await effects.cancelled(cancelled.order)
    expect(await work(lapsing.order)).toEqual(['renewal'])
    expect(await work(cancelled.order)).toEqual(['release', 'renewal'])
    for (const { order } of [lapsing, cancelled, lapsing]) await letLapse(order)
    expect(await work(lapsing.order)).toEqual([])
    expect(await work(cancelled.order)).toEqual(['release'])
  })

  it('is not renewed by a try that went on when somebody decided against it', async () => {
    const { order } = await renewing()
    const { paymentId } = order.attempt
    await letLapse(order)
    expect(await effects.run(effects.activities.renewPayment, { paymentId })).toEqual({ outcome: 'renewed' })
    expect(await work(order)).toEqual([])
    expect(await readSentRenewal(pool(), paymentId)).toBeNull()
  })

  it('leaves a renewal that was sent to a settlement, which cancels it at the provider', async () => {
    const { order, renewalId } = await renewing()
    await letLapse(order)
    expect(await readAttempt(pool(), renewalId)).toMatchObject({ status: 'declined', pendingSync: 'cancel' })
    await effects.run(effects.activities.syncDecision, { paymentId: renewalId })
    expect(await readAttempt(pool(), renewalId)).toMatchObject({ status: 'declined', pendingSync: null })
    expect(await effects.shop.chargeStates(order.orderId)).toEqual(['authorized'])
  })
})
