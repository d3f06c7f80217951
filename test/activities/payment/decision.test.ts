import { keepReference, readAttempt } from '../../../db/payment/attempt'
import { readNews } from '../../../db/payment/work'
import { seenCharge } from '../../support/seen'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'
import type { Shop } from '../../support/shop'

let effects: PaymentEffects
let shop: Shop
let activities: PaymentEffects['activities']
let run: PaymentEffects['run']
beforeAll(async () => {
  effects = await startPaymentEffects()
  ;({ shop, activities, run } = effects)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

const read = ({ attempt }: PlacedByBuyer) => readAttempt(effects.stack.database.pool, attempt.paymentId)
const sayPaid = ({ attempt: { paymentId } }: PlacedByBuyer) =>
  run(activities.recordDecision, { paymentId, happened: true })
const sync = ({ attempt: { paymentId } }: PlacedByBuyer) => run(activities.syncDecision, { paymentId })

/** An order whose charge was made when nobody listened any more. */
async function unheard(method: string): Promise<PlacedByBuyer> {
  const order = await effects.placed(method)
  effects.proxy.keepBack(order.orderId, ({ method: verb, path }) => verb === 'POST' && path === '/v1/charges')
  expect(await run(activities.charge, { paymentId: order.attempt.paymentId })).toEqual({ outcome: 'unknown' })
  await effects.proxy.release(order.orderId)
  return order
}

describe('a charge that a person has seen paid', () => {
  it('is what the provider says, when it answers', async () => {
    const answers = [
      ['pm_card_visa', { outcome: 'paid', charge: { status: 'authorized' } }, 'sent'],
      ['pm_card_chargeDeclined', { outcome: 'declined' }, 'declined'],
      ['pm_card_authenticationRequired', { outcome: 'waiting', status: 'requires_action' }, 'requires_action'],
      ['pm_sandbox_late', { outcome: 'waiting', status: 'pending' }, 'pending'],
    ] as const
    for (const [method, answer, status] of answers) {
      const order = await unheard(method)
      expect(await sayPaid(order)).toMatchObject(answer)
      expect(await read(order)).toMatchObject({ status, pendingSync: null })
    }
  })

  it('and that was voided at the provider, is dead', async () => {
    const order = await unheard('pm_card_visa')
    const [charge] = await shop.charges(order.orderId)
    await shop.atProvider(`${charge?.id}/void`, {})
    expect(await sayPaid(order)).toEqual({ outcome: 'dead' })
    expect(await read(order)).toMatchObject({ status: 'voided', pendingSync: null })
  })

  it('is paid while the provider knows of none, which then has to show it', async () => {
    const order = await effects.placed()
    const { orderId, attempt } = order
    const { paymentId } = attempt
    const kept = { orderId, paymentId, reference: 'ch_kept' }
    expect(await keepReference(effects.stack.database.pool, kept)).toBe(true)
    expect(await sayPaid(order)).toMatchObject({ outcome: 'paid', charge: { reference: 'ch_kept' } })
    expect(await read(order)).toMatchObject({ pendingSync: 'reference' })
    await expect(sync(order)).rejects.toThrow('has yet to confirm')
    const paid = { paymentId, ...seenCharge({ reference: 'ch_kept' }) }
    expect(await run(activities.confirm, { orderId, paid })).toBe(true)
    await expect(sync(order)).rejects.toThrow('knows of no payment')
  })

  it('teaches what no person knew once the provider shows it: until when, and how often it can be captured', async () => {
    const order = await unheard('pm_sandbox_single_capture')
    const { paymentId } = order.attempt
    effects.proxy.fail(order.orderId)
    const answer = await sayPaid(order)
    if (answer.outcome !== 'paid') throw new Error(answer.outcome)
    expect(await run(activities.confirm, { orderId: order.orderId, paid: { paymentId, ...answer.charge } })).toBe(true)
    expect(await read(order)).toMatchObject({ capturesInParts: true, captureBefore: null })
    effects.proxy.heal(order.orderId)
    await sync(order)
    expect(await read(order)).toMatchObject({
      capturesInParts: false,
      captureBefore: expect.any(Date),
      pendingSync: null,
    })
    expect(await readNews(effects.stack.database.pool, paymentId)).not.toBeNull()
  })
})

describe('a charge whose provider the settings do not name any more', () => {
  const decide = ({ attempt: { paymentId } }: PlacedByBuyer, happened: boolean) => {
    const gone = effects.activitiesWith({ ...effects.providers, get: () => undefined })
    return run(gone.recordDecision, { paymentId, happened })
  }

  it('is what a person says', async () => {
    const [happened, not] = [await effects.placed(), await effects.placed()]
    expect(await decide(happened, true)).toMatchObject({ outcome: 'paid' })
    expect(await read(happened)).toMatchObject({ pendingSync: 'reference' })
    expect(await decide(not, false)).toEqual({ outcome: 'dead' })
    expect(await read(not)).toMatchObject({ status: 'failed', pendingSync: 'cancel', cancelling: true })
  })
})

describe('a charge of an order that is over, which a person has seen paid', () => {
  async function over(method: string): Promise<PlacedByBuyer> {
    const order = await unheard(method)
    await run(activities.cancelOrder, { orderId: order.orderId, reason: 'customer' })
    return order
  }

  it('and which the provider has declined, took nothing', async () => {
    const order = await over('pm_card_chargeDeclined')
    expect(await sayPaid(order)).toEqual({ outcome: 'declined' })
    expect(await read(order)).toMatchObject({ status: 'declined', releasing: false, pendingSync: null })
  })

  it('and which is in another currency at the provider, goes back as what was asked for', async () => {
    const order = await effects.placed()
    const { paymentId } = order.attempt
    expect(await run(activities.charge, { paymentId })).toMatchObject({ outcome: 'paid' })
    await run(activities.cancelOrder, { orderId: order.orderId, reason: 'customer' })
    const known = effects.activitiesFinding(effects.inEuros)
    expect(await run(known.recordDecision, { paymentId, happened: true })).toMatchObject({ outcome: 'paid' })
    expect(await read(order)).toMatchObject({ currency: 'GBP', releasing: true, pendingSync: 'reference' })
  })

  it('and which is on its way, goes back', async () => {
    const order = await over('pm_sandbox_late')
    const [charge] = await shop.charges(order.orderId)
    expect(await sayPaid(order)).toMatchObject({ outcome: 'paid' })
    expect(await read(order)).toMatchObject({ status: 'authorized', releasing: true, pendingSync: 'reference' })
    await sync(order)
    expect(await read(order)).toMatchObject({ reference: charge?.id, pendingSync: null })
  })
})
