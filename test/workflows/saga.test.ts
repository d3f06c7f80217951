import { auditDatabase } from '../../db/support/invariant'
import type { OrderId } from '../../domain/ids'
import { CHECKOUT_STEPS } from '../../workflows/checkout'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
import type { Buyer } from '../support/shop'
import { until } from '../support/wait'
import { type Disturbance, DISTURBANCES, type Plan } from './saga/disturbed'

/**
 * Each step of the checkout's table fails, loses its answer, runs twice and is undone twice or too early, on real Postgres
 * and a real provider. The steps come from the table: one that is added is tried here by itself.
 */
let rig: CheckoutWorker
let plan: Plan | null = null
beforeAll(async () => {
  rig = await startCheckoutWorker({
    env: { CHECKOUT_WAIT_MS: '2000' },
    workflows: { workflowsPath: require.resolve('./saga/disturbed') },
    activities: { takePlan },
  })
}, 60_000)
afterAll(() => rig?.stop(), 30_000)

/** One run is disturbed, the next one is not. */
async function takePlan(): Promise<Plan | null> {
  const taken = plan
  plan = null
  return taken
}

const STEPS = Object.keys(CHECKOUT_STEPS) as Plan['step'][]
const REVERSIBLE = STEPS.filter((step) => CHECKOUT_STEPS[step].undo !== null)
const about = (what: 'do' | 'undo'): Disturbance[] => DISTURBANCES.filter((name) => name.startsWith(`${what} `))
const pairs = (steps: Plan['step'][], disturbances: Disturbance[]): [Plan['step'], Disturbance][] =>
  steps.flatMap((step) => disturbances.map((name): [Plan['step'], Disturbance] => [step, name]))

it('has a step to disturb, and one that can be undone', () => {
  expect(STEPS.length).toBeGreaterThan(0)
  expect(REVERSIBLE.length).toBeGreaterThan(0)
})

describe('an order that can be paid', () => {
  it.each(pairs(STEPS, about('do')))('%s: %s', async (step, disturbance) => {
    const buyer = await rig.shop.buyerOf({ stock: 3 })
    plan = { step, disturbance }
    await buyer.checkout()
    const orderId = await accepted(buyer)
    await runUntilClosed(orderId)
    await expectConfirmed(orderId, buyer.sku)
  })
})

describe('an order whose undo came first', () => {
  it.each(REVERSIBLE)('%s does nothing any more', async (step) => {
    const buyer = await rig.shop.buyerOf({ stock: 3 })
    plan = { step, disturbance: 'undo runs before do' }
    await buyer.checkout()
    const orderId = await accepted(buyer)
    if ((await buyer.state(orderId)).state !== 'cancelled') await buyer.cancel(orderId)
    await expectUndone(orderId, buyer.sku)
  })
})

describe('an order that is cancelled while its payment waits', () => {
  it.each(
    pairs(
      REVERSIBLE,
      about('undo').filter((name) => name !== 'undo runs before do'),
    ),
  )('%s: %s', async (step, disturbance) => {
    const buyer = await rig.shop.buyerOf({ stock: 3 })
    plan = { step, disturbance }
    const answer = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
    expect(answer.body.state).toBe('requires_action')
    const orderId = answer.body.order_id as OrderId
    await buyer.cancel(orderId)
    await runUntilClosed(orderId)
    await expectUndone(orderId, buyer.sku)
  })
})

async function accepted(buyer: Buyer): Promise<OrderId> {
  return (await buyer.accepted()) as OrderId
}

/** A run that failed is followed by another, as the sweep would start it. */
async function runUntilClosed(orderId: OrderId): Promise<void> {
  const isOpen = async () => ['pending', 'payment_pending'].includes((await rig.shop.order(orderId)).body.status)
  await until(
    `${orderId} is closed`,
    async () => {
      if (!(await isOpen())) return true
      if (!(await rig.orders.isCheckoutOpen(orderId))) await rig.orders.startCheckout({ orderId, number: 'again' })
      return false
    },
    Boolean,
    20_000,
  )
}

async function expectConfirmed(orderId: OrderId, sku: string): Promise<void> {
  expect((await rig.shop.order(orderId)).body).toMatchObject({ status: 'confirmed', payment_status: 'authorized' })
  expect(await rig.shop.chargeStates(orderId)).toEqual(['authorized'])
  expect(await rig.shop.stock(sku)).toEqual({ on_hand: 3, reserved: 1, available: 2 })
  await expectInvariants()
}

async function expectUndone(orderId: OrderId, sku: string): Promise<void> {
  await rig.shop.orderBecomes(orderId, 'cancelled', 20_000)
  await until(
    'nothing is held at the provider',
    () => rig.shop.chargeStates(orderId),
    (states) => states.every((state) => state === 'voided'),
  )
  expect(await rig.shop.stock(sku)).toEqual({ on_hand: 3, reserved: 0, available: 3 })
  await expectInvariants()
}

async function expectInvariants(): Promise<void> {
  const { checks } = await auditDatabase(rig.api.database.pool)
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
}
