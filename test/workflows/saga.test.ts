import { auditDatabase } from '../../db/support/invariant'
import type { OrderId } from '../../domain/ids'
import { CHECKOUT_STEPS } from '../../workflows/checkout'
import type { CheckoutInput } from '../../workflows/contract'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
import type { Buyer } from '../support/shop'
import { until } from '../support/wait'
import { type Disturbance, DISTURBANCES, type Plan } from './saga/disturbed'

/**
 * Each step of the checkout's table fails, loses its answer, runs twice and is undone twice or too early, on real Postgres
 * and a real provider. The steps come from the table: one that is added is tried here by itself.
 */
let rig: CheckoutWorker
const plans = new Map<OrderId, Plan>()
beforeAll(async () => {
  rig = await startCheckoutWorker({
    env: { CHECKOUT_WAIT_MS: '1000' },
    workflows: { workflowsPath: require.resolve('./saga/disturbed') },
    activities: { takePlan },
  })
}, 60_000)
afterAll(() => rig?.stop(), 30_000)

/** One run is disturbed, the next one is not. */
async function takePlan({ orderId }: CheckoutInput): Promise<Plan | null> {
  const plan = plans.get(orderId) ?? null
  plans.delete(orderId)
  return plan
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
    const { orderId, buyer } = await begin({ step, disturbance })
    await runUntil('confirmed', orderId)
    await expectConfirmed(orderId, buyer.sku)
  })
})

describe('an order whose undo came first', () => {
  it.each(REVERSIBLE)('%s does nothing any more', async (step) => {
    const { orderId, buyer } = await begin({ step, disturbance: 'undo runs before do' })
    await until(
      'nothing more is tried',
      () => buyer.state(orderId),
      ({ state }) => ['cancelled', 'expired', 'ready_for_payment'].includes(state),
    )
    await buyer.cancel(orderId)
    await runUntil('cancelled', orderId)
    await expectUndone(orderId, buyer.sku)
  })
})

describe('an order that is cancelled while its payment waits', () => {
  const disturbances = about('undo').filter((name) => name !== 'undo runs before do')
  it.each(pairs(REVERSIBLE, disturbances))('%s: %s', async (step, disturbance) => {
    const { orderId, buyer } = await begin({ step, disturbance }, 'pm_card_authenticationRequired')
    await buyer.stateBecomes(orderId, 'requires_action')
    await buyer.cancel(orderId)
    await runUntil('cancelled', orderId)
    await expectUndone(orderId, buyer.sku)
  })
})

/** An order that is accepted, and whose workflow has been started. */
async function begin(plan: Plan, method?: string): Promise<{ orderId: OrderId; buyer: Buyer & { sku: string } }> {
  const buyer = await rig.shop.buyerOf({ stock: 3 })
  const orderId = await buyer.acceptOnly(method)
  plans.set(orderId, plan)
  await rig.orders.startCheckout({ orderId, number: 'disturbed' })
  return { orderId, buyer }
}

/** A run that failed is followed by another, as the sweep would start it. */
async function runUntil(status: 'confirmed' | 'cancelled', orderId: OrderId): Promise<void> {
  await until(
    `${orderId} is ${status}`,
    async () => {
      const { body } = await rig.shop.order(orderId)
      if (body.status === status) return null
      if (!(await rig.orders.isCheckoutOpen(orderId))) await rig.orders.startCheckout({ orderId, number: 'again' })
      return body
    },
    (order) => order === null,
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
  await until(
    'nothing is held at the provider',
    () => rig.shop.chargeStates(orderId),
    (states) => states.every((state) => state === 'voided'),
  )
  expect(await rig.shop.stock(sku)).toEqual({ on_hand: 3, reserved: 0, available: 3 })
  await expectInvariants()
}

/** No relay runs here. */
const NEEDS_A_RELAY = 'every_event_is_published'

async function expectInvariants(): Promise<void> {
  const { checks } = await auditDatabase(rig.api.database.pool)
  expect(checks.filter(({ ok, name }) => !ok && name !== NEEDS_A_RELAY)).toEqual([])
}
