import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, Client } from './client'
import type { MoneyScript, Step } from './matrix'
import type { Random } from './random'
import { closeDisputes, openDisputes } from './sandbox'

/** An order that is paid and confirmed, and whoever does something about it. */
export interface PaidOrder {
  readonly id: string
  /** Pence. */
  readonly total: number
  readonly line: { readonly sku: string; readonly quantity: number }
  /** When its authorization has to be renewed, in milliseconds since 1970; null: not while anybody looks. */
  readonly renewAt: number | null
  readonly random: Random
  /** Of the staff; what it was told the oracle reads. */
  readonly staff: Client
  readonly adminKey: string
  readonly sandbox: string
  cancelAsCustomer(): Promise<unknown>
  /** Tells that the order now comes to these steps. */
  reached(...steps: Step[]): Promise<void>
}

const POLL_MS = 200
/** Also when everything was killed on a busy machine. */
const PATIENCE_MS = 60_000
/** A renewal that has not come so long after its time has lost its workflow: the next command brings that back. */
const RENEWAL_MS = 12_000
const JUST_BEFORE_MS = 150

/** What happens to the money of an order. Nobody expects to be let: what is refused must have had no effect. */
export const MONEY_SCRIPTS: Readonly<Record<MoneyScript, (order: PaidOrder) => Promise<void>>> = {
  async capture_in_parts(order) {
    const first = order.random.whole(1, order.total - 1)
    await order.reached('capture')
    await decided(order, await capture(order, first))
    await decided(order, await capture(order, order.total - first))
    await capture(order, 1)
  },

  async capture_and_refund(order) {
    await decided(order, await capture(order, order.total))
    const part = order.random.whole(1, order.total)
    await order.reached('refund')
    await Promise.all([refund(order, { amount: part }), refund(order, { amount: part })])
    await refund(order, { all: true })
    await refund(order, { amount: 1 })
  },

  async cancel_authorized(order) {
    await order.reached('cancel', 'void')
    await cancelWhole(order)
    await cancelWhole(order)
  },

  async cancel_captured(order) {
    await decided(order, await capture(order, order.random.whole(1, order.total)))
    await order.reached('cancel', 'void', 'refund')
    await cancelWhole(order)
  },

  async cancel_lines(order) {
    await order.reached('cancel')
    await cancelUnits(order, 1)
    const { total, cancelled } = await totals(order)
    await decided(order, await capture(order, total - cancelled))
    await cancelUnits(order, 1)
    await cancelUnits(order, order.line.quantity)
  },

  async dispute(order) {
    await decided(order, await capture(order, order.random.whole(1, order.total)))
    // One that is refused at first is taken when somebody has decided so: before, there is nothing to dispute.
    await standing(order, ({ payment_status }) => payment_status !== 'authorized')
    await order.reached('dispute')
    await openDisputes(order.sandbox, order.id)
    await standing(order, ({ payment_status }) => payment_status === 'disputed')
    await capture(order, 1)
    await closeDisputes(order.sandbox, order.id, order.random.pick(['won', 'lost']))
    await standing(order, ({ status }) => status !== 'on_hold')
    await refund(order, { all: true })
  },

  async renew(order) {
    const isPartly = order.random.next() < 0.5
    if (isPartly) await decided(order, await capture(order, order.random.whole(1, order.total - 1)))
    await delay(Math.max(0, (order.renewAt ?? 0) - JUST_BEFORE_MS - Date.now()))
    await order.reached('reauthorize')
    const renewed = (body: Answer['body']): boolean => (body['payments'] as unknown[]).length > 1
    await standing(order, renewed, RENEWAL_MS).catch(() => undefined)
    const { total, captured } = await totals(order)
    await decided(order, await capture(order, total - captured))
  },

  async race(order) {
    const { random, total, line } = order
    const [one, other] = [random.whole(1, total), random.whole(1, total)]
    const twice = randomUUID()
    const acts = [
      () => capture(order, one),
      () => capture(order, other),
      () => capture(order, total, twice),
      () => capture(order, total, twice),
      () => cancelUnits(order, 1),
      () => cancelUnits(order, random.whole(1, line.quantity)),
      () => refund(order, { amount: random.whole(1, one) }),
      () => refund(order, { all: true }),
      () => cancelWhole(order),
    ]
    await order.reached('capture', 'refund', 'cancel')
    await Promise.all(shuffled(acts, random).map((act) => act()))
  },
}

function capture(order: PaidOrder, amount: number, key = randomUUID()): Promise<Answer> {
  return command(order, 'captures', { amount }, key)
}

function refund(order: PaidOrder, what: { amount: number } | { all: true }): Promise<Answer> {
  return command(order, 'refunds', { ...what, reason_code: 'chaos' })
}

function cancelUnits(order: PaidOrder, quantity: number): Promise<Answer> {
  const lines = [{ sku: order.line.sku, quantity }]
  return command(order, 'cancel', { reason_code: 'chaos', lines })
}

/** By the buyer or by staff. */
async function cancelWhole(order: PaidOrder): Promise<void> {
  if (order.random.next() < 0.5) await order.cancelAsCustomer()
  else await command(order, 'cancel', { reason_code: 'chaos' })
}

function command({ id, staff, adminKey }: PaidOrder, what: string, body: object, key = randomUUID()): Promise<Answer> {
  return staff.send({ method: 'POST', path: `/v1/admin/orders/${id}/${what}`, adminKey, key, body })
}

/** Waits for what the provider says about a capture. */
async function decided({ id: orderId, staff, adminKey }: PaidOrder, { status, body }: Answer): Promise<void> {
  if (status !== 201) return
  const path = `/v1/admin/orders/${orderId}/captures/${String(body['id'])}`
  await reads(staff, { path, adminKey }, (capture) => capture['status'] !== 'pending', PATIENCE_MS)
}

/** Waits until the order stands so. */
function standing(
  { id, staff, adminKey }: PaidOrder,
  isSo: (order: Answer['body']) => boolean,
  patienceMs = PATIENCE_MS,
): Promise<Answer['body']> {
  return reads(staff, { path: `/v1/admin/orders/${id}`, adminKey }, isSo, patienceMs)
}

async function totals(order: PaidOrder): Promise<{ total: number; captured: number; cancelled: number }> {
  const { totals } = (await standing(order, () => true)) as { totals: Record<string, { amount: number }> }
  const of = (name: string): number => totals[name]?.amount ?? 0
  return { total: of('total'), captured: of('captured'), cancelled: of('cancelled') }
}

async function reads(
  client: Client,
  request: { readonly path: string; readonly adminKey: string },
  isSo: (body: Answer['body']) => boolean,
  patienceMs: number,
): Promise<Answer['body']> {
  for (const deadline = Date.now() + patienceMs; ; await delay(POLL_MS)) {
    const { body } = await client.send({ method: 'GET', ...request })
    if (isSo(body)) return body
    if (Date.now() > deadline) throw new Error(`${request.path} stays ${JSON.stringify(body).slice(0, 500)}`)
  }
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map((value) => ({ value, turn: random.next() }))
    .sort((a, b) => a.turn - b.turn)
    .map(({ value }) => value)
}
