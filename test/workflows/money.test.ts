import { cancelUnits } from '../../db/fulfillment/cancel'
import { withBooks } from '../../db/payment/books'
import { withTransaction } from '../../db/pool'
import { newId } from '../../db/id'
import type { OrderId, PaymentId } from '../../domain/ids'
import type { Books } from '../../domain/payment/books'
import { fulfillmentWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import { BUNDLE_PATH } from '../../workers/bundle'
import { type Repair, REPAIR_UPDATES, type RepairAction } from '../../workflows/contract'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
import { until } from '../support/wait'

/** The money of confirmed orders, with all that is real: rows, workflows, effects and a provider. */
let rig: CheckoutWorker
beforeAll(async () => {
  rig = await startCheckoutWorker({
    env: { ATTENTION_AFTER_SECONDS: '1' },
    workflows: { workflowBundle: { codePath: BUNDLE_PATH } },
  })
}, 60_000)
afterAll(() => rig?.stop(), 30_000)

const BY = newId('apiKey')

interface Paid {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly total: number
  readonly sku: string
}

async function paid(method = 'pm_card_visa'): Promise<Paid> {
  const buyer = await rig.shop.buyerOf({ stock: 3 })
  const { body } = await buyer.checkout({ method })
  await rig.relay(body.id)
  const payments = await withBooks(rig.pool, body.id, (books) => books.payments)
  const [payment] = payments
  return { orderId: body.id, paymentId: payment?.id as PaymentId, total: payment?.amount as number, sku: buyer.sku }
}

/** What staff ask for: a row, and a word to the workflow. */
async function ask<T>({ orderId }: Paid, what: (books: Books) => T): Promise<Awaited<T>> {
  const asked = await withBooks(rig.pool, orderId, what)
  expect(await rig.orders.startFulfillment({ orderId, isOver: false })).toBe(true)
  return asked
}
const capture = (order: Paid, amount: number) =>
  ask(order, (books) => expect(books.claimCapture({ amount, actor: null })).toMatchObject({ amount }))
const refund = (order: Paid, amount: number | 'all') =>
  ask(
    order,
    (books) => void books.claimRefund({ amount, cause: 'staff', reasonCode: null, restock: false, actor: null }),
  )

async function cancel(order: Paid): Promise<void> {
  const how = {
    orderId: order.orderId,
    wanted: null,
    reason: 'customer',
    reasonCode: 'changed_mind',
    actor: null,
    step: 1,
  } as const
  expect(await withTransaction(rig.pool, (tx) => cancelUnits(tx, how))).toEqual({ outcome: 'cancelled' })
  await rig.orders.startFulfillment({ orderId: order.orderId, isOver: true })
}

const moneyBecomes = ({ orderId }: Paid, status: string): Promise<unknown> =>
  until(
    `the money of ${orderId} is ${status}`,
    async () => (await rig.shop.order(orderId)).body.payment_status,
    (is) => is === status,
    20_000,
  )
const closes = (workflowId: string): Promise<unknown> =>
  until(`${workflowId} is closed`, async () => !(await rig.orders.isOpen(workflowId)), undefined, 20_000)

async function chargeOf({ orderId }: Paid) {
  return (await rig.shop.charges(orderId))[0] as unknown as {
    readonly id: string
    readonly status: string
    readonly captured: number
    readonly refunded: number
    readonly refunds: readonly { readonly id: string; readonly status: string }[]
    readonly disputes: readonly { readonly id: string }[]
  }
}

/** The provider's webhook, as the inbox passes it on. */
const tellNews = ({ orderId, paymentId }: Paid, isOver = false) =>
  rig.orders.tellNews({ orderId, paymentId, isOver, pays: true })

const repair = (workflowId: string, action: RepairAction, more: object = {}) =>
  rig.temporal.workflow
    .getHandle(workflowId)
    .executeUpdate(REPAIR_UPDATES[action], { args: [{ reason_code: 'checked', by: BY, ...more } as Repair] })

const noCases = ({ orderId }: Paid): Promise<unknown> =>
  until(
    `no case of ${orderId} is open`,
    () => rig.shop.cases(orderId),
    (cases) => cases.length === 0,
  )

it('captures in two parts, and gives some of it back', async () => {
  const order = await paid()
  await capture(order, 400)
  await moneyBecomes(order, 'partially_captured')
  await capture(order, order.total - 400)
  await moneyBecomes(order, 'captured')
  await refund(order, 150)
  await moneyBecomes(order, 'partially_refunded')
  expect(await chargeOf(order)).toMatchObject({ captured: order.total, refunded: 150 })
})

it('of a cancelled order is let go, and its workflow ends', async () => {
  const order = await paid()
  await cancel(order)
  await closes(fulfillmentWorkflowId(order.orderId))
  expect(await chargeOf(order)).toMatchObject({ status: 'voided' })
  expect((await rig.shop.order(order.orderId)).body).toMatchObject({ status: 'cancelled', payment_status: 'voided' })
  expect(await rig.shop.stock(order.sku)).toMatchObject({ on_hand: 3, reserved: 0 })
})

it('that was captured in part goes back with the order, and the rest is let go', async () => {
  const order = await paid()
  await capture(order, 400)
  await moneyBecomes(order, 'partially_captured')
  await cancel(order)
  await closes(fulfillmentWorkflowId(order.orderId))
  expect(await chargeOf(order)).toMatchObject({ captured: 400, refunded: 400, status: 'refunded' })
  expect((await rig.shop.order(order.orderId)).body).toMatchObject({ status: 'cancelled', payment_status: 'refunded' })
})

it('that the provider refuses to take is a case, and taken once a person says so', async () => {
  const order = await paid('pm_sandbox_capture_refused')
  await capture(order, order.total)
  await rig.shop.waitForCase(order.orderId, 'capture_refused')
  await repair(fulfillmentWorkflowId(order.orderId), 'retryStep')
  await moneyBecomes(order, 'captured')
  await noCases(order)
})

it('that the provider refuses to give back is a case, and given back once a person says so', async () => {
  const order = await paid('pm_sandbox_refund_refused_once')
  await capture(order, order.total)
  await moneyBecomes(order, 'captured')
  await refund(order, 'all')
  await rig.shop.waitForCase(order.orderId, 'refund_refused')
  await repair(fulfillmentWorkflowId(order.orderId), 'retryStep')
  await moneyBecomes(order, 'refunded')
  await noCases(order)
})

it('that a provider takes its time to give back is shown, and is no case', async () => {
  const order = await paid('pm_sandbox_refund_pending')
  await capture(order, order.total)
  await moneyBecomes(order, 'captured')
  await refund(order, 300)
  const { id, refunds } = await until(
    'the provider has it',
    () => chargeOf(order),
    (charge) => charge.refunds.length > 0,
  )
  await rig.shop.atProvider(`${id}/refunds/${refunds[0]?.id}/settle`, { status: 'succeeded' })
  await tellNews(order)
  await moneyBecomes(order, 'partially_refunded')
  expect(await rig.shop.cases(order.orderId)).toEqual([])
})

it('that a bank takes back is a case until a person has dealt with it', async () => {
  const order = await paid()
  await capture(order, order.total)
  await moneyBecomes(order, 'captured')
  const { id } = await chargeOf(order)
  await rig.shop.atProvider(`${id}/dispute`)
  await tellNews(order)
  await rig.shop.waitForCase(order.orderId, 'dispute')
  expect((await rig.shop.order(order.orderId)).body.payment_status).toBe('disputed')
  await repair(fulfillmentWorkflowId(order.orderId), 'resolveStep', { outcome: 'done' })
  await noCases(order)
})

it('that comes back after its order is over belongs to a settlement', async () => {
  const order = await paid('pm_sandbox_refund_fails_later')
  await capture(order, order.total)
  await moneyBecomes(order, 'captured')
  await cancel(order)
  await closes(fulfillmentWorkflowId(order.orderId))
  await until('it comes back', async () => (await chargeOf(order)).refunds[0]?.status === 'failed')
  await tellNews(order, true)
  await rig.shop.waitForCase(order.orderId, 'refund_refused')
  const settlement = settlementWorkflowId(order.paymentId)
  await repair(settlement, 'resolveStep', { outcome: 'done' })
  await closes(settlement)
  await moneyBecomes(order, 'refunded')
  await noCases(order)
}, 30_000)

it('is taken up again by the sweep when its workflow was ended by hand', async () => {
  const order = await paid()
  await withBooks(rig.pool, order.orderId, (books) => void books.claimCapture({ amount: order.total, actor: null }))
  await rig.temporal.workflow.getHandle(fulfillmentWorkflowId(order.orderId)).terminate()
  expect(await rig.orders.startFulfillment({ orderId: order.orderId, isOver: false })).toBe(true)
  await moneyBecomes(order, 'captured')
}, 30_000)
