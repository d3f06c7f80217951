import type { PaymentDeps } from '../../../activities/payment/charge'
import { startNextAttempt } from '../../../activities/payment/next-attempt'
import { keepReference, readAttempt, readRequestedAttempt } from '../../../db/payment/attempt'
import { readSettings } from '../../../config'
import type { Pool } from '../../../db/pool'
import { AttemptOver, type PaymentProvider } from '../../../providers/payment/provider'
import { StripeProvider } from '../../../providers/payment/stripe/provider'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'
import type { ProviderCall } from '../../support/provider-proxy'
import { seenCharge } from '../../support/seen'
import { startStripeStub } from '../../support/stripe-stub'
import { until } from '../../support/wait'

let effects: PaymentEffects
let activities: PaymentEffects['activities']
let run: PaymentEffects['run']
let placed: PaymentEffects['placed']
let shop: PaymentEffects['shop']
beforeAll(async () => {
  effects = await startPaymentEffects()
  ;({ activities, run, placed, shop } = effects)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

const THREE_D_SECURE = 'pm_card_authenticationRequired'
const isCancel = ({ path }: ProviderCall): boolean => path.endsWith('/cancel')

const read = ({ attempt }: PlacedByBuyer) => readAttempt(effects.stack.database.pool, attempt.paymentId)

/** Workers were away for so long. */
const holdEnds = ({ orderId }: PlacedByBuyer) =>
  effects.stack.database.pool.query(`update orders set hold_expires_at = now() - interval '1 second' where id = $1`, [
    orderId,
  ])

async function approved(order: PlacedByBuyer): Promise<void> {
  await shop.decide((await order.buyer.state(order.orderId)).action.url, 'approve')
}

/** An order whose card waits for approval, and whose buyer tries another one while the provider does not answer. */
async function superseded(silence: 'late' | 'lost'): Promise<PlacedByBuyer> {
  const order = await placed(THREE_D_SECURE)
  const { orderId, buyer, attempt } = order
  const { paymentId } = attempt
  expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting' })
  expect((await buyer.pay(orderId, 'pm_card_visa')).status).toBe(202)
  if (silence === 'late') effects.proxy.keepBack(orderId, isCancel)
  else effects.proxy.fail(orderId, isCancel)
  const next = { orderId, current: paymentId, supersedes: paymentId }
  expect(await run(activities.startNextAttempt, next)).toEqual({ outcome: 'refused', attempt: 2 })
  return order
}

/** An order whose charge is pending, and cannot be cancelled until it is paid: soon. */
async function uncancellable(): Promise<PlacedByBuyer> {
  const order = await placed('pm_sandbox_late')
  const { paymentId } = order.attempt
  const { pool } = effects.stack.database
  await pool.query(`update payment set expires_at = now() where id = $1`, [paymentId])
  expect(await run(activities.charge, { paymentId })).toEqual({ outcome: 'waiting', status: 'pending' })
  return order
}

/** A try that has read what is asked for, and goes on later with that. */
function depsThatRead(requested: Awaited<ReturnType<typeof readRequestedAttempt>>): PaymentDeps {
  const { stack, providers } = effects
  const pool = Object.create(stack.database.pool) as Pool
  pool.query = ((given: { name?: string }) =>
    given.name === 'payment.requested'
      ? Promise.resolve({ rows: requested ? [requested] : [] })
      : stack.database.pool.query(given as never)) as Pool['query']
  return { pool, providers, settings: readSettings(stack.stack.env) }
}

/** The provider's id of the charge, once it is paid. */
async function paidLate({ orderId }: PlacedByBuyer): Promise<string> {
  const isPaid = ([state]: string[]) => state === 'authorized'
  await until('it is paid', () => shop.chargeStates(orderId), isPaid)
  const [charge] = await shop.charges(orderId)
  return charge?.id ?? ''
}

describe('a cancellation that the provider has not answered', () => {
  it('may still arrive: what is approved meanwhile pays for nothing, and the buyer may pay again', async () => {
    const order = await superseded('late')
    const { orderId, attempt, buyer } = order
    const { paymentId } = attempt
    await approved(order)
    expect(await run(activities.lookUpCharge, { paymentId })).toEqual({ outcome: 'unknown' })
    await expect(run(activities.retryCharge, { paymentId })).rejects.toThrow('503')
    expect(await run(activities.recordDecision, { paymentId, happened: true })).toEqual({ outcome: 'unknown' })
    expect(await read(order)).toMatchObject({ status: 'requires_action', cancelling: true })

    await effects.proxy.release(orderId)
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
    expect(await run(activities.lookUpCharge, { paymentId })).toEqual({ outcome: 'dead' })
    expect(await read(order)).toMatchObject({ status: 'voided', outcome: 'superseded' })
    expect(await buyer.state(orderId)).toMatchObject({ state: 'ready_for_payment' })
  })

  it('is finished by the next look-up once the provider answers, whichever asks', async () => {
    for (const ask of [
      activities.charge,
      activities.retryCharge,
      activities.lookUpCharge,
      activities.lookUpChargeAgain,
    ]) {
      const order = await superseded('lost')
      await approved(order)
      effects.proxy.heal(order.orderId)
      expect(await shop.chargeStates(order.orderId)).toEqual(['authorized'])
      expect(await run(ask, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'dead' })
      expect(await shop.chargeStates(order.orderId)).toEqual(['voided'])
    }
  })

  it('may still arrive when a later one is refused: what is paid then is cancelled, and pays for nothing', async () => {
    const order = await uncancellable()
    const { orderId, attempt } = order
    const { paymentId } = attempt
    let cancels = 0
    effects.proxy.keepBack(orderId, (call) => isCancel(call) && ++cancels === 1)
    const stop = { paymentId, keepIfPaid: true, reason: 'expired' } as const
    await expect(run(activities.cancelCharge, stop)).rejects.toThrow('503')
    expect(await run(activities.lookUpCharge, { paymentId })).toEqual({ outcome: 'waiting', status: 'pending' })
    await expect(run(activities.cancelCharge, stop)).rejects.toThrow('cannot cancel charge')
    expect(cancels).toBe(3)
    expect(await read(order)).toMatchObject({ cancelling: true, status: 'pending' })

    const paid = seenCharge({ paymentId, reference: await paidLate(order) })
    expect(await run(activities.confirm, { orderId, paid })).toBe(false)
    expect(await run(activities.cancelCharge, stop)).toEqual({ outcome: 'dead' })
    await effects.proxy.release(orderId)
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
    expect(await read(order)).toMatchObject({ status: 'voided', outcome: 'expired' })
  })

  it('cannot undo what was captured: the attempt pays', async () => {
    const order = await uncancellable()
    const { orderId, attempt } = order
    const { paymentId } = attempt
    effects.proxy.fail(orderId, isCancel)
    const stop = { paymentId, keepIfPaid: true, reason: 'expired' } as const
    await expect(run(activities.cancelCharge, stop)).rejects.toThrow('503')
    await shop.atProvider(`${await paidLate(order)}/capture`, {})
    effects.proxy.heal(orderId)
    const result = await run(activities.cancelCharge, stop)
    if (result.outcome !== 'paid') throw new Error(result.outcome)
    expect(await run(activities.confirm, { orderId, paid: { paymentId, ...result.charge } })).toBe(true)
  })

  it('may undo what was captured in part only: nothing is confirmed, and all goes back once the order is over', async () => {
    const order = await placed('pm_sandbox_timeout_after_charge')
    const { orderId, attempt } = order
    const { paymentId } = attempt
    expect(await run(activities.charge, { paymentId })).toEqual({ outcome: 'unknown' })
    effects.proxy.fail(orderId, isCancel)
    const stop = { paymentId, keepIfPaid: false, reason: 'expired' } as const
    await expect(run(activities.cancelCharge, stop)).rejects.toThrow('503')
    effects.proxy.heal(orderId)
    const [charge] = await shop.charges(orderId)
    await shop.atProvider(`${charge?.id}/capture`, { amount: 300, final: false })
    await expect(run(activities.cancelCharge, { ...stop, keepIfPaid: true })).rejects.toThrow('may be cancelled')
    expect(await run(activities.lookUpCharge, { paymentId })).toEqual({ outcome: 'unknown' })
    expect(await run(activities.recordDecision, { paymentId, happened: true })).toEqual({ outcome: 'unknown' })
    await run(activities.cancelOrder, { orderId, reason: 'expired' })
    await run(activities.resolveCharge, { paymentId })
    expect(await effects.inBooks(order, ({ refunds }) => structuredClone(refunds))).toMatchObject([
      { amount: 300, cause: 'late' },
    ])
    expect(await read(order)).toMatchObject({ releasing: true })
  })
})

describe('an attempt whose hold is over', () => {
  it('is never sent: it is ended, and its key is dead', async () => {
    for (const ask of [activities.charge, activities.retryCharge]) {
      const order = await placed()
      await holdEnds(order)
      expect(await run(ask, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'dead' })
      expect(await shop.chargeStates(order.orderId)).toEqual([])
      expect(await read(order)).toMatchObject({ status: 'voided', outcome: 'expired' })
    }
  })

  it('is looked up first: what was charged in time counts', async () => {
    const order = await placed('pm_sandbox_timeout_after_charge')
    const { paymentId } = order.attempt
    expect(await run(activities.charge, { paymentId })).toEqual({ outcome: 'unknown' })
    await holdEnds(order)
    expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'paid' })
  })

  it('begins no other one', async () => {
    const order = await placed('pm_card_chargeDeclined')
    const { orderId, attempt, buyer } = order
    expect(await run(activities.charge, { paymentId: attempt.paymentId })).toEqual({ outcome: 'declined' })
    expect((await buyer.pay(orderId, 'pm_card_visa')).status).toBe(202)
    await holdEnds(order)
    const next = { orderId, current: attempt.paymentId, supersedes: null }
    expect(await run(activities.startNextAttempt, next)).toEqual({ outcome: 'refused', attempt: 2 })
    expect(await shop.chargeStates(orderId)).toEqual(['declined'])
  })
})

it('a provider that does not let us in is silent at the end of the hold: the stock does not wait for another key', async () => {
  const order = await placed()
  const { paymentId } = order.attempt
  effects.proxy.fail(order.orderId, () => true, 401)
  await expect(run(activities.retryCharge, { paymentId })).rejects.toThrow()
  expect(await run(activities.lookUpChargeAgain, { paymentId })).toEqual({ outcome: 'unknown' })
})

it('an attempt that is asked for while the workflow looks is not taken for one that was begun: it comes by itself', async () => {
  const { orderId } = await effects.accepted()
  // The look for what is asked for came too early.
  const next = { orderId, current: null, supersedes: null }
  expect(await startNextAttempt(depsThatRead(null), next)).toEqual({ outcome: 'none' })
})

it('an attempt that another try of the same step has begun meanwhile is begun, not refused', async () => {
  const order = await placed('pm_card_chargeDeclined')
  const { orderId, buyer, attempt } = order
  expect(await run(activities.charge, { paymentId: attempt.paymentId })).toEqual({ outcome: 'declined' })
  expect((await buyer.pay(orderId, 'pm_card_visa')).status).toBe(202)
  const requested = await readRequestedAttempt(effects.stack.database.pool, orderId)
  const next = { orderId, current: attempt.paymentId, supersedes: null }
  const begun = await run(activities.startNextAttempt, next)
  expect(begun).toMatchObject({ outcome: 'started', attempt: { attempt: 2 } })
  // It was given up after it had read what is asked for, and goes on now.
  expect(await startNextAttempt(depsThatRead(requested), next)).toMatchObject({
    outcome: 'started',
    attempt: { attempt: 2 },
  })
})

describe('a provider that has to keep its id before money moves', () => {
  /** The sandbox, asked to keep an id first, as those must that cannot be asked by our key. */
  function keepingFirst(before: () => Promise<unknown>) {
    const sandbox = effects.providers.get('sandbox') as PaymentProvider
    const provider = new Proxy(sandbox, {
      get(target, name) {
        if (name !== 'authorize') return (Reflect.get(target, name, target) as () => unknown).bind?.(target)
        return (async (request, keep, signal) => {
          await before()
          if (!(await keep('ch_first'))) throw new AttemptOver('It is over')
          return sandbox.authorize(request, keep, signal)
        }) satisfies PaymentProvider['authorize']
      },
    })
    return effects.activitiesWith({ ...effects.providers, get: () => provider })
  }

  it('goes on while the attempt may pay', async () => {
    const order = await placed()
    const { charge } = keepingFirst(async () => undefined)
    expect(await run(charge, { paymentId: order.attempt.paymentId })).toMatchObject({ outcome: 'paid' })
    expect(await read(order)).toMatchObject({ reference: 'ch_first' })
  })

  it('takes nothing once the hold is over, the attempt is being cancelled, or the order has ended', async () => {
    const { activities: undo } = effects
    const ends: [string, (order: PlacedByBuyer) => Promise<unknown>][] = [
      ['expired', holdEnds],
      [
        'cancelled',
        ({ attempt: { paymentId } }) => run(undo.cancelCharge, { paymentId, keepIfPaid: false, reason: 'customer' }),
      ],
      ['cancelled', ({ orderId }) => run(undo.cancelOrder, { orderId, reason: 'customer' })],
    ]
    for (const [outcome, end] of ends) {
      const order = await placed()
      const { charge } = keepingFirst(() => end(order))
      expect(await run(charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'dead' })
      expect(await shop.chargeStates(order.orderId)).toEqual([])
      expect(await read(order)).toMatchObject({ status: 'voided', outcome, reference: null })
    }
  })

  it('keeps one id and no other', async () => {
    const { orderId, attempt } = await placed()
    const { paymentId } = attempt
    const keep = (reference: string) => keepReference(effects.stack.database.pool, { orderId, paymentId, reference })
    expect([await keep('ch_1'), await keep('ch_1'), await keep('ch_2')]).toEqual([true, true, false])
  })
})

describe('a charge that Stripe refuses to make', () => {
  const keys = { secretKey: 'sk_test_of_the_stub', webhookSecret: 'whsec_of_the_stub' }

  it('is a decline: the buyer may pay in another way', async () => {
    const stub = await startStripeStub(keys)
    const { secretKey, webhookSecret } = keys
    const webhookSecrets = [webhookSecret]
    const stripe = new StripeProvider({
      publishableKey: null,
      secretKey,
      webhookSecrets,
      url: stub.url,
      timeoutMs: 2_000,
    })
    const { charge } = effects.activitiesWith({ ...effects.providers, get: () => stripe })
    const order = await placed()
    const { paymentId } = order.attempt
    // Stripe takes no less than GBP 0.30.
    const { pool } = effects.stack.database
    await pool.query('update payment set amount = 20, asked = 20 where id = $1', [paymentId])
    expect(await run(charge, { paymentId })).toEqual({ outcome: 'declined' })
    const { rows } = await pool.query('select status, decline_code, outcome from payment where id = $1', [paymentId])
    expect(rows).toEqual([{ status: 'declined', decline_code: 'amount_too_small', outcome: 'declined' }])
    expect((await order.buyer.pay(order.orderId, 'pm_card_visa')).status).toBe(202)
    await stripe.close()
    await stub.stop()
  })
})
