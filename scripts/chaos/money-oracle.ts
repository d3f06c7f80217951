import type { Pool } from '../../db/pool'
import type { History } from './buyer'
import { backAt, type Outage } from './outage'
import type { ReceivedAnswer } from './client'
import type { JournalCharge } from './sandbox'

export interface OrderRow {
  readonly id: string
  readonly status: string
  readonly total: number
  /** The value of what will not be delivered, and its units. */
  readonly cancelled: number
  readonly cancelledUnits: number
  readonly shippedUnits: number
  readonly units: number
  readonly cancelledAt: Date | null
  /** It was confirmed, whatever became of it. */
  readonly hasWon: boolean
  readonly lines: Readonly<Record<string, number>> | null
}

/** Money of a cancelled order goes back so long after the provider can be asked. */
const GIVEN_BACK_MS = 60_000

interface Move {
  readonly id: string
  readonly requestId: string
  readonly kind: 'capture' | 'refund'
  readonly key: string
  readonly amount: number
  readonly status: string
  readonly cause: string
  readonly retries: string | null
  readonly failureCode: string | null
  /** A person gave it back in another way: the provider knows nothing of it. */
  readonly elsewhere: boolean
}

export interface Books {
  readonly order: OrderRow
  readonly charges: readonly JournalCharge[]
  readonly moves: readonly Move[]
}

/** Compares what staff and the buyer were told of the money of a confirmed order with the provider's journal. */
export async function judgeMoney(
  history: History,
  { order, charges }: { order: OrderRow; charges: readonly JournalCharge[] },
  { pool, outages }: { pool: Pool; outages: readonly Outage[] },
): Promise<string[]> {
  const books = { order, charges, moves: await readMoves(order.id, pool) }
  const told = [...history.staff.received, ...history.client.received].filter(
    ({ request }) => request.method === 'POST' && request.path.includes(`/orders/${order.id}/`),
  )
  const faults = [
    ...told.filter(({ status }) => status === 500).map((one) => `${nameOf(one)} → 500`),
    ...judgeCommands(told, books),
    ...judgeKeys(books),
    ...judgeRefusals(books),
    ...judgeSums(told, books),
    ...judgeCancels(told, books),
    ...judgeGivenBack(books, backAt(outages)),
  ]
  return faults.map((fault) => `${order.id}: ${fault}`)
}

/** Each command that was accepted made one capture or refund, and each that was refused made none. */
function judgeCommands(told: readonly ReceivedAnswer[], { moves }: Books): string[] {
  return (['capture', 'refund'] as const).flatMap((kind) => {
    // What a parcel takes it would take by itself.
    const answers = told.filter(({ request }) => request.path.endsWith(`/${kind}s`) && !isForParcel(request.body))
    const accepted = answers.filter(({ status }) => status === 201 || status === 202)
    const idsOf = (key: string | undefined): Set<unknown> =>
      new Set(accepted.filter(({ request }) => request.key === key).map(({ body }) => body['id']))
    const keys = new Set(accepted.map(({ request }) => request.key))
    const ids = new Set(accepted.map(({ body }) => body['id']))
    const asked = moves.filter((move) => move.kind === kind && move.cause === 'staff' && move.retries === null)
    const made = new Set(asked.map(({ requestId }) => requestId))
    return [
      ...[...keys].filter((key) => idsOf(key).size > 1).map((key) => `one key made ${idsOf(key).size} ${kind}s`),
      ...(ids.size === keys.size ? [] : [`${keys.size} commands made ${ids.size} ${kind}s`]),
      ...(made.size === ids.size ? [] : [`${ids.size} ${kind}s were accepted, ${made.size} are there`]),
      ...accepted.flatMap(({ body }) => judgeAnswer(body, kind, moves)),
    ]
  })
}

function isForParcel(body: unknown): boolean {
  return (body as { shipment_id?: string } | undefined)?.shipment_id !== undefined
}

function judgeAnswer(body: ReceivedAnswer['body'], kind: Move['kind'], moves: readonly Move[]): string[] {
  const own = moves.filter((move) => move.requestId === body['id'])
  if (own.length === 0) return [`${kind} ${String(body['id'])} was acknowledged and is gone`]
  // A refund that succeeded may fail at the bank; a capture never does.
  const isKept = kind === 'refund' || body['status'] !== 'succeeded' || own.some(({ status }) => status === 'succeeded')
  return isKept ? [] : [`${kind} ${String(body['id'])} was told to have succeeded and is ${own[0]?.status}`]
}

/** What succeeded is in the journal once, under its key and with its amount, and nothing else is. */
function judgeKeys({ charges, moves }: Books): string[] {
  const journal = charges.flatMap(({ captures, refunds }) => [
    ...captures.map((one) => ({ ...one, kind: 'capture' as const })),
    ...refunds.map((one) => ({ ...one, kind: 'refund' as const })),
  ])
  const done = journal.filter(({ status }) => status === 'succeeded')
  const faults = moves.flatMap(({ kind, key, amount, status, cause, elsewhere }) => {
    // The provider took it as it authorized: it knows of no key.
    if (elsewhere || cause === 'authorization') return []
    const there = done.filter((one) => one.kind === kind && one.key === key)
    const wanted = status === 'succeeded' ? 1 : 0
    if (there.length !== wanted) return [`${key} is ${status}, the provider did it ${there.length} times`]
    return there.some((one) => one.amount !== amount)
      ? [`${key} is of ${amount}, at the provider of another amount`]
      : []
  })
  const keys = new Set(moves.map(({ key }) => key))
  const strange = done.filter(({ key }) => key !== null && !keys.has(key))
  return [...faults, ...strange.map(({ key }) => `the provider did ${key}, which nobody asked for`)]
}

/** Our own bounds come first: the provider never has to refuse what is more than there is. */
function judgeRefusals({ moves }: Books): string[] {
  return moves
    .filter(({ failureCode }) => failureCode === 'amount_exceeds_available')
    .map(({ key, amount }) => `the provider had to refuse ${key} of ${amount}: it is more than there was`)
}

/** Nothing is taken or kept beyond what is owed, and what is owed was not let go before anybody cancelled or captured. */
function judgeSums(told: readonly ReceivedAnswer[], { order, charges, moves }: Books): string[] {
  const owed = order.total - order.cancelled
  const { captured, refunded, disputed, authorized } = sumsOf(charges)
  const elsewhere = sum(moves.filter(({ elsewhere }) => elsewhere).map(({ amount }) => amount))
  const kept = captured - refunded - elsewhere
  const returned = moves.filter(({ cause, status }) => (cause === 'cancel' || cause === 'late') && status !== 'failed')
  const taken = captured - sum(returned.map(({ amount }) => amount))
  const beyond = taken - owed
  const isAllSent = order.shippedUnits > 0 && order.shippedUnits + order.cancelledUnits === order.units
  const live = charges.filter(({ status }) => status === 'authorized')
  const isUntouched = told.every(({ request }) => !/\/(?:captures|refunds|cancel)$/.test(request.path))
  return [
    ...(live.length > 1 ? [`${live.length} charges are authorized at once`] : []),
    ...(captured + authorized > order.total
      ? [`${captured} captured, ${authorized} authorized of ${order.total}`]
      : []),
    ...(beyond > 0 && kept - disputed > 0 ? [`${beyond} captured beyond the ${owed} that are owed`] : []),
    ...(isAllSent && taken !== owed ? [`all of it has left, ${taken} of ${owed} were captured for it`] : []),
    ...(owed === 0 && authorized > 0 ? [`nothing is owed, ${authorized} are authorized`] : []),
    ...(order.status === 'cancelled' && kept > disputed ? [`it is cancelled, ${kept - disputed} are kept`] : []),
    ...(isUntouched && owed > 0 && captured + authorized < owed
      ? [`${owed} are owed, ${captured} captured and ${authorized} authorized`]
      : []),
  ]
}

/** Units of a parcel that may be leaving are cancelled later, or never. */
function judgeCancels(told: readonly ReceivedAnswer[], { order }: Books): string[] {
  const cancels = told.filter(
    ({ request, status }) => request.path.endsWith(`/orders/${order.id}/cancel`) && status < 300,
  )
  const unitsByKey = new Map(cancels.map(({ request }) => [request.key, unitsOf(request.body)]))
  const waited = new Set(cancels.filter(({ body }) => isWaiting(body)).map(({ request }) => request.key))
  const { cancelledUnits, shippedUnits, units } = order
  if ([...unitsByKey.values()].includes(null)) {
    const isDone = order.status === 'cancelled' || (shippedUnits > 0 && cancelledUnits + shippedUnits === units)
    return isDone ? [] : [`it was cancelled and is ${order.status}`]
  }
  const most = sum([...unitsByKey.values()].map((quantity) => quantity ?? 0))
  const least = most - sum([...waited].map((key) => unitsByKey.get(key) ?? 0))
  if (least <= cancelledUnits && cancelledUnits <= most) return []
  return [`${least} to ${most} units were cancelled, ${cancelledUnits} are`]
}

function isWaiting(body: ReceivedAnswer['body']): boolean {
  const commands = (body['commands'] ?? []) as { kind: string; state: string }[]
  return commands.some(({ kind, state }) => kind === 'cancel' && state !== 'done')
}

function unitsOf(body: unknown): number | null {
  const { lines } = body as { lines?: { quantity: number }[] }
  return lines ? sum(lines.map(({ quantity }) => quantity)) : null
}

/** The provider was asked in time; what it does with a refund then is its own affair. */
function judgeGivenBack({ order, charges, moves }: Books, providerBackAt: number): string[] {
  if (order.status !== 'cancelled' || order.cancelledAt === null) return []
  const from = Math.max(order.cancelledAt.getTime(), providerBackAt)
  return charges.flatMap(({ key, captured, status, updated_at, captures, refunds }) => {
    const taken = Math.max(from, ...captures.map(({ created_at }) => Date.parse(created_at)))
    const first = refunds.filter((refund) =>
      moves.some((move) => move.key === refund.key && move.cause !== 'staff' && move.retries === null),
    )
    const times = first.map(({ created_at }) => Date.parse(created_at))
    if (captured === 0 && status === 'voided') times.push(Date.parse(updated_at))
    const late = Math.max(0, ...times) - taken
    return late > GIVEN_BACK_MS ? [`the money of ${key} went back ${Math.round(late / 1000)} s later`] : []
  })
}

function sumsOf(charges: readonly JournalCharge[]) {
  return {
    captured: sum(charges.map(({ captured }) => captured)),
    refunded: sum(charges.map(({ refunded }) => refunded)),
    disputed: sum(
      charges.flatMap(({ disputes }) => disputes.filter(({ status }) => status !== 'won').map(({ amount }) => amount)),
    ),
    authorized: sum(
      charges
        .filter(({ status }) => status === 'authorized')
        .map(({ amount, captured, released }) => amount - captured - released),
    ),
  }
}

async function readMoves(orderId: string, pool: Pool): Promise<Move[]> {
  const { rows } = await pool.query<Move>(
    `select id, id as "requestId", 'capture' as kind, key, amount, status, cause, retries,
            failure_code as "failureCode", false as elsewhere
     from capture where order_id = $1
     union all
     select id, request_id, 'refund', key, amount, status, cause, retries, failure_code, exists (
              select from ledger_entry l where l.payment_id = r.payment_id and l.operation = 'refund_elsewhere' and l.seq = r.number)
     from refund r where order_id = $1`,
    [orderId],
  )
  return rows
}

function nameOf({ request }: ReceivedAnswer): string {
  return `${request.method} ${request.path}`
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
