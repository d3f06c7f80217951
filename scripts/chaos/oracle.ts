import type { Pool } from '../../db/pool'
import type { History } from './buyer'
import type { Answer, ReceivedAnswer } from './client'
import { judgeGoods } from './goods-oracle'
import { judgeMoney, type OrderRow } from './money-oracle'
import { longestCalm, type Outage } from './outage'
import { type JournalCharge, readCharges } from './sandbox'

/** Once its order is accepted a request gets no 5xx any more; so much later the process knew. */
const ACCEPTED_MS = 1_500
/** A charge that is sent at the end of its hold is on its way so long. */
const ON_ITS_WAY_MS = 2_500
/** An approval so shortly before the end of the hold may come too late. */
const APPROVAL_MARGIN_MS = 1_000
/** Who waits for the provider asks it again at least so often. */
const ASKED_WITHIN_MS = 6_000
/** Outcomes that a key keeps. */
const KEPT = new Set([201, 402, 409])
const NOT_OUTCOMES = new Set([
  'payment_in_progress',
  'checkout_in_progress',
  'request_in_progress',
  'cart_closed',
  'cart_locked',
  'checkout_expired',
  'too_many_attempts',
])

export interface OracleDeps {
  readonly pool: Pool
  readonly sandbox: string
  readonly carrier: string
  /** When the provider was broken. */
  readonly outages: readonly Outage[]
}

/** Compares what a buyer was told with what became true. Returns what does not agree. */
export async function judge(history: History, deps: OracleDeps): Promise<string[]> {
  const orders = await readOrders(history.cartId, deps.pool)
  const charges = (await Promise.all(orders.map((order) => readCharges(deps.sandbox, order.id)))).flat()
  const keys = await readKeys(history, deps.pool)
  const faults = [
    ...judgeOrders(history, orders, charges),
    ...judgeApproval(history, orders, deps),
    ...judgeAnswers(history, { orders, charges, keys }),
    ...judgeFailures(history, keys),
    ...judgeHolds(charges),
    ...(await judgeReplays(history, keys)),
    ...(await judgeCart(history, orders)),
    ...(await judgeWon(history, orders, { charges, ...deps })),
  ]
  if (faults.length === 0) return []
  const who = `${history.plan.script} with ${history.plan.method}, ${history.cartId}`
  return [...faults.map((fault) => `${who}: ${fault}`), ...(await tellStory(history, deps.pool))]
}

/** What happened to the buyer's orders and when, for whoever has to find out why. */
async function tellStory({ cartId, approved, client, staff }: History, pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ at: Date; what: string }>(
    `with bought as (select * from orders where cart_id = $1)
     select at, what
     from (
       select e.created_at as at, concat_ws(' ', e.type, e.from_status, '→', e.to_status, e.data) as what
       from order_event e join bought o on o.id = e.order_id
       union all
       select c.created_at, concat_ws(' ', c.key, c.amount, c.cause, c.status, c.failure_code, 'last changed', c.updated_at)
       from capture c join bought o on o.id = c.order_id
       union all
       select l.created_at, concat_ws(' ', l.key, l.shipment_id, l.status, l.failure_code, 'last changed', l.updated_at)
       from label l join bought o on o.id = l.order_id
       union all
       select m.created_at, concat_ws(' ', 'command', m.kind, m.shipment_id, m.state, m.code, 'ended', m.ended_at)
       from order_command m join bought o on o.id = m.order_id
       union all
       select t.received_at, concat_ws(' ', 'tracking', t.type, t.shipment_id, 'tries', t.tries, 'done', t.done_at)
       from tracking_event t join label l on l.tracking_number = t.tracking_number join bought o on o.id = l.order_id
       union all
       select r.created_at, concat_ws(' ', r.key, r.amount, r.cause, r.status, r.failure_code, 'last changed', r.updated_at)
       from refund r join bought o on o.id = r.order_id
       union all
       select i.received_at, concat_ws(' ', 'webhook', i.type, i.payment_key, 'tries', i.tries, 'done', i.done_at)
       from inbox i join bought o on i.payment_key like o.id || '%'
       union all
       select o.cancel_wanted_at, 'cancel wanted' from bought o where o.cancel_wanted_at is not null
       union all
       select o.updated_at, concat_ws(' ', o.id, o.status, o.cancel_reason, 'restarts', o.restarts) from bought o
     ) as story
     order by at`,
    [cartId],
  )
  const told = [...client.received, ...staff.received].map((one) => ({ at: new Date(one.at), what: describe(one) }))
  const bank = approved
    ? [{ at: new Date(approved.at), what: `approved, held until ${new Date(approved.holdUntil).toISOString()}` }]
    : []
  return [...rows, ...told, ...bank]
    .sort((a, b) => a.at.getTime() - b.at.getTime())
    .map(({ at, what }) => `  ${at.toISOString()} ${what}`)
}

function judgeOrders(history: History, orders: readonly OrderRow[], charges: readonly JournalCharge[]): string[] {
  const faults: string[] = []
  const live = orders.filter(isLive)
  if (live.length > 1) faults.push(`the cart has ${live.length} live orders`)
  for (const order of orders) {
    const holding = charges.filter((charge) => charge.reference === order.id && holdsMoney(charge))
    if (!order.hasWon && order.status !== 'cancelled') faults.push(`${order.id} is still ${order.status}`)
    if (!order.hasWon && holding.length > 0)
      faults.push(`${order.id} is cancelled, ${holding.map((charge) => charge.key).join(', ')} keeps money`)
    if (order.hasWon && !history.isSent && order.status !== 'confirmed' && order.status !== 'cancelled')
      faults.push(`${order.id} is ${order.status}`)
    if (order.hasWon && !sameLines(history.lines, order.lines))
      faults.push(`${order.id} sold other lines than were in the cart`)
  }
  return faults
}

/** An approval pays, unless the provider was silent from then on until the stock had to go back. */
function judgeApproval(
  { approved, cancelAsked }: History,
  orders: readonly OrderRow[],
  { outages }: OracleDeps,
): string[] {
  if (!approved || cancelAsked || orders.some(isLive)) return []
  const isInTime = approved.at < approved.holdUntil - APPROVAL_MARGIN_MS
  const end = Math.max(approved.holdUntil, ...orders.map(({ cancelledAt }) => cancelledAt?.getTime() ?? 0))
  const silent = longestCalm(outages, { from: approved.at, to: end }) < Math.min(ASKED_WITHIN_MS, end - approved.at)
  return isInTime && !silent ? ['the customer approved the payment in time, the order is cancelled'] : []
}

const isLive = ({ hasWon, status }: OrderRow): boolean => hasWon || status !== 'cancelled'

function judgeAnswers(
  history: History,
  { orders, charges, keys }: { orders: readonly OrderRow[]; charges: readonly JournalCharge[]; keys: Keys },
): string[] {
  const faults: string[] = []
  for (const told of history.client.received) {
    const what = describe(told)
    if (told.status === 500) faults.push(what)
    if (told.status === 201 && isPurchase(told)) {
      const order = orders.find(({ id }) => id === told.body['id'])
      if (!order?.hasWon) faults.push(`${what}, but the order is ${order?.status ?? 'gone'}`)
    }
    const named = keys.get(told.request.key ?? '')?.orderId
    if (told.body['code'] === 'out_of_stock' && charges.some(({ reference }) => reference === named))
      faults.push(`${what}, but something was charged`)
    if (
      told.status === 200 &&
      told.request.path.endsWith('/cancel') &&
      orders.some(({ status, shippedUnits }) => status !== 'cancelled' && shippedUnits === 0)
    )
      faults.push(`${what}, but the order goes on`)
  }
  for (const orderId of history.orders)
    if (!orders.some((order) => order.id === orderId)) faults.push(`${orderId} was acknowledged and is gone`)
  return faults
}

/** Money is asked for only while the stock is held that it pays for. */
function judgeHolds(charges: readonly JournalCharge[]): string[] {
  return charges.flatMap(({ key, created_at, expires_at }) => {
    const late = expires_at === null ? 0 : Date.parse(created_at) - Date.parse(expires_at)
    return late > ON_ITS_WAY_MS ? [`${key} was charged ${Math.round(late / 1000)} s after its hold`] : []
  })
}

/** A request that was accepted while it ran is never told that it failed. */
function judgeFailures({ client }: History, keys: Keys): string[] {
  return client.received
    .filter(({ status, request, sentAt, at }) => {
      const acceptedAt = keys.get(request.key ?? '')?.storedAt
      return status >= 500 && acceptedAt !== undefined && sentAt < acceptedAt && acceptedAt < at - ACCEPTED_MS
    })
    .map((told) => `${describe(told)}, though its order was accepted`)
}

/** Every key answers once more what it answered first. */
async function judgeReplays({ client, purchases, token }: History, keys: Keys): Promise<string[]> {
  const faults: string[] = []
  for (const purchase of purchases) {
    const before = client.received.filter(({ request }) => request.key === purchase.key).filter(isOutcome)
    // A key that nothing was stored for would buy anew.
    if (before.length === 0 && !keys.has(purchase.key)) continue
    const now = await client.send({ method: 'POST', ...purchase, token })
    const outcomes = new Set([...before, now].filter(isOutcome).map(outcomeOf))
    if (outcomes.size > 1) faults.push(`one key was told ${[...outcomes].join(' and ')}`)
    const orderIds = new Set(
      [...before, now].map(({ body }) => (body['status'] === 'confirmed' ? body['id'] : undefined)).filter(Boolean),
    )
    if (orderIds.size > 1) faults.push(`one key bought ${[...orderIds].join(' and ')}`)
  }
  return faults
}

/** A cart that was not bought is open, and all that was acknowledged is in it. */
async function judgeCart({ client, cartId, token, lines }: History, orders: readonly OrderRow[]): Promise<string[]> {
  const { body } = await client.send({ method: 'GET', path: `/v1/store/carts/${cartId}`, token })
  const bought = orders.some((order) => order.hasWon || order.status !== 'cancelled')
  if (body['state'] !== (bought ? 'bought' : 'open')) return [`the cart is ${String(body['state'])}`]
  const there = body['lines'] as { sku: string; quantity: number }[]
  const same = sameLines(lines, Object.fromEntries(there.map(({ sku, quantity }) => [sku, quantity])))
  return same ? [] : ['the cart has lost a change']
}

async function judgeWon(
  history: History,
  orders: readonly OrderRow[],
  { charges, ...deps }: OracleDeps & { charges: readonly JournalCharge[] },
): Promise<string[]> {
  const judged = orders
    .filter(({ hasWon }) => hasWon)
    .flatMap((order) => {
      const own = charges.filter(({ reference }) => reference === order.id)
      return [judgeMoney(history, { order, charges: own }, deps), judgeGoods(history, order, deps)]
    })
  return (await Promise.all(judged)).flat()
}

/** Nobody reads of anybody else. */
export function judgePrivacy(histories: readonly History[]): string[] {
  return histories.flatMap((history) => {
    const told = JSON.stringify(history.client.received.map(({ body }) => body))
    const others = histories.filter((other) => other !== history && told.includes(other.marker))
    return others.map((other) => `${history.cartId} was told of the buyer of ${other.cartId}`)
  })
}

/** When each key of this buyer was stored, and the order that it names. */
type Keys = ReadonlyMap<string, { readonly orderId: string; readonly storedAt: number }>

async function readKeys({ purchases }: History, pool: Pool): Promise<Keys> {
  const { rows } = await pool.query<{ key: string; orderId: string; createdAt: Date }>(
    `select key, order_id as "orderId", created_at as "createdAt"
     from idempotency
     where key = any ($1::text[]) and order_id is not null`,
    [purchases.map(({ key }) => key)],
  )
  return new Map(rows.map(({ key, orderId, createdAt }) => [key, { orderId, storedAt: createdAt.getTime() }]))
}

async function readOrders(cartId: string, pool: Pool): Promise<OrderRow[]> {
  const { rows } = await pool.query<OrderRow>(
    `select o.id, o.status, o.total, o.cancelled, o.cancelled_at as "cancelledAt", o.confirmed_at is not null as "hasWon",
            (select coalesce(sum(l.cancelled), 0)::int from order_line l where l.order_id = o.id) as "cancelledUnits",
            (select coalesce(sum(l.shipped), 0)::int from order_line l where l.order_id = o.id) as "shippedUnits",
            (select coalesce(sum(l.quantity), 0)::int from order_line l where l.order_id = o.id) as units,
            (select jsonb_object_agg(l.sku_written, l.quantity) from order_line l where l.order_id = o.id) as lines
     from orders o
     where o.cart_id = $1
     order by o.id`,
    [cartId],
  )
  return rows
}

function holdsMoney({ status, captured, refunded }: JournalCharge): boolean {
  return status === 'authorized' || (status === 'captured' && captured > refunded)
}

function isPurchase({ request }: ReceivedAnswer): boolean {
  return request.path.endsWith('/checkout') || request.path.endsWith('/payments')
}

function isOutcome({ status, body }: Answer): boolean {
  return KEPT.has(status) && !NOT_OUTCOMES.has(String(body['code']))
}

function describe({ request, status, body }: ReceivedAnswer): string {
  const path = request.path.replace(/\/[a-z]+_[0-9a-z]{26}/g, '')
  return `${request.method} ${path} → ${status} ${String(body['code'] ?? '')}`
}

function outcomeOf({ status, body }: Answer): string {
  return `${status} ${String(body['code'] ?? '')}`.trim()
}

function sameLines(expected: ReadonlyMap<string, number>, found: Readonly<Record<string, number>> | null): boolean {
  const entries = Object.entries(found ?? {})
  return entries.length === expected.size && entries.every(([sku, quantity]) => expected.get(sku) === quantity)
}
