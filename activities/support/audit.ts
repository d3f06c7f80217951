import { EVENT_STREAM } from '../../db/platform/event-stream'
import { auditDatabase, type Check, checkOf } from '../../db/support/invariant'
import {
  findUncommitted,
  type KnownAttempt,
  listOpenOrders,
  listPaidKeys,
  type OrderWithWorkflow,
  readAttemptsByKey,
  readCarts,
  readOrdersWithWorkflow,
  type StoredCart,
  sumLedger,
} from '../../db/support/invariant/outside'
import type { OrderId } from '../../domain/ids'
import { holdsMoney, isUnresolved } from '../../domain/payment'
import type { Charge, PaymentProvider } from '../../providers/payment/provider'
import { withHeartbeat } from '../heartbeat'
import type { ActivityDeps } from '../deps'

export type AuditActivities = ReturnType<typeof createAuditActivities>

export interface Audit {
  /** Nothing is in flight: the checks that only hold at rest say something. */
  readonly settled: boolean
  readonly checks: readonly Check[]
}

const BATCH_SIZE = 500
/** A cache and a stream may be large; this much of each is looked at. */
const CARTS_MAX = 2_000
const EVENTS_MAX = 100_000
const ORDERS_MAX = 2_000
/** How long an order may go without its workflow (the sweep brings it back), or a workflow stay after its order's end. */
const GRACE_SECONDS = 30

/** Compares what Postgres, the providers, Redis and Temporal say. Reads only. */
export function createAuditActivities({ pool, redis, providers, orders }: ActivityDeps) {
  /** May be repeated. Throws while something cannot be asked. */
  async function audit(): Promise<Audit> {
    const workflows = await auditWorkflows()
    const outside = await Promise.all([auditCharges(), auditCarts(), auditStream()])
    const { checks, inFlight } = await auditDatabase(pool)
    return {
      settled: inFlight === 0 && workflows.atWork === 0,
      checks: [...checks, ...outside.flat(), ...workflows.checks],
    }
  }

  async function auditCharges(): Promise<Check[]> {
    const wrong: string[] = []
    const missing: string[] = []
    const sums: string[] = []
    const holding = new Map<string, number>()
    for (const name of providers.names) {
      const provider = providers.get(name) as PaymentProvider
      const seen = new Set<string>()
      const chargeSums = new Map<string, number>()
      for (let cursor: string | null = null; ; ) {
        const page = await provider.list(cursor)
        const attempts = new Map(
          (
            await readAttemptsByKey(
              pool,
              page.charges.map((charge) => charge.key),
            )
          ).map((attempt) => [attempt.key, attempt]),
        )
        for (const charge of page.charges) {
          const attempt = attempts.get(charge.key)
          const fault = faultOf(charge, attempt)
          if (fault !== null) wrong.push(`${charge.key}: ${fault}`)
          if (!takesMoney(charge)) continue
          seen.add(charge.key)
          holding.set(charge.orderId, (holding.get(charge.orderId) ?? 0) + 1)
          if (attempt && !attempt.hasCase) addTo(chargeSums, charge)
        }
        cursor = page.nextCursor
        if (cursor === null) break
      }
      missing.push(...(await listMissing(name, seen)))
      sums.push(...differences(chargeSums, await sumLedger(pool, name)))
    }
    const twice = [...holding]
      .filter(([, count]) => count > 1)
      .map(([orderId, count]) => `${orderId}: ${count} charges`)
    return [
      checkOf('an_order_is_charged_once', 'always', twice),
      checkOf('charges_agree_with_the_payments', 'at_rest', wrong),
      checkOf('payments_are_known_to_the_provider', 'at_rest', missing),
      checkOf('ledger_agrees_with_the_provider', 'at_rest', sums),
    ]
  }

  async function listMissing(provider: string, seen: ReadonlySet<string>): Promise<string[]> {
    const missing: string[] = []
    for (let after = ''; ; ) {
      const keys = await listPaidKeys(pool, provider, after, BATCH_SIZE)
      missing.push(...keys.filter((key) => !seen.has(key)))
      if (keys.length < BATCH_SIZE) return missing
      after = keys.at(-1) as string
    }
  }

  /** A cached cart is a copy of a row: never newer, and with the same version the same. */
  async function auditCarts(): Promise<Check[]> {
    const violations: string[] = []
    let looked = 0
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', 'cart:{*}', 'COUNT', 200)
      cursor = next
      looked += keys.length
      const cached = await Promise.all(keys.map((key) => redis.hget(key, 'json')))
      const ids = keys.map((key) => key.slice('cart:{'.length, -1))
      const rows = new Map((await readCarts(pool, ids)).map((row) => [row.id as string, row]))
      ids.forEach((id, index) => {
        const fault = faultOfCopy(cached[index] ?? null, rows.get(id))
        if (fault !== null) violations.push(`${id}: ${fault}`)
      })
    } while (cursor !== '0' && looked < CARTS_MAX)
    return [checkOf('carts_in_redis_are_copies', 'at_rest', violations)]
  }

  async function auditStream(): Promise<Check[]> {
    const disordered: string[] = []
    const uncommitted: string[] = []
    const last = new Map<string, number>()
    let from = '-'
    for (let looked = 0; looked < EVENTS_MAX; looked += BATCH_SIZE) {
      const entries = await redis.xrange(EVENT_STREAM, from, '+', 'COUNT', BATCH_SIZE)
      const events = entries.map(([, fields]) => JSON.parse(fields[3] ?? '{}') as StreamedEvent)
      for (const { aggregate, seq } of events) {
        const before = last.get(aggregate) ?? 0
        if (seq <= before) disordered.push(`${aggregate}: #${seq} after #${before}`)
        last.set(aggregate, seq)
      }
      const ofOrders = events.filter((event) => event.aggregate.startsWith('order_'))
      uncommitted.push(...(await findUncommitted(pool, ofOrders)))
      if (entries.length < BATCH_SIZE) break
      from = `(${entries.at(-1)?.[0]}`
    }
    return [
      checkOf('events_are_delivered_in_order', 'always', disordered),
      checkOf('only_committed_events_are_delivered', 'always', uncommitted),
    ]
  }

  /** An open order has its open workflow, and only an order at work has one; the expiry workflows always run. */
  async function auditWorkflows(): Promise<{ atWork: number; checks: Check[] }> {
    const [open, failing, stopped] = await Promise.all([
      orders.listRunning(),
      orders.listFailing(),
      orders.listStoppedExpiry(),
    ])
    const standings = new Map<OrderId, OrderWithWorkflow>()
    const known = [...open, ...failing.map(({ orderId }) => orderId)]
    for (const standing of await readOrdersWithWorkflow(pool, known)) standings.set(standing.orderId, standing)
    const leftOver: OrderId[] = []
    let atWork = 0
    for (const orderId of open) {
      const standing = standings.get(orderId)
      if (standing?.hasCase) continue
      if (standing?.atWork) atWork++
      else if ((standing?.quietSeconds ?? Infinity) > GRACE_SECONDS && (await orders.isCheckoutOpen(orderId)))
        leftOver.push(orderId)
    }
    const alone: OrderId[] = []
    for (const { orderId, quietSeconds } of await listOpenOrders(pool, ORDERS_MAX)) {
      if (quietSeconds < GRACE_SECONDS || open.has(orderId)) continue
      if (!(await orders.isCheckoutOpen(orderId))) alone.push(orderId)
    }
    return {
      atWork,
      checks: [
        checkOf('open_orders_have_their_workflow', 'at_rest', alone),
        checkOf('ended_orders_leave_no_workflow', 'at_rest', leftOver),
        checkOf(
          'failing_workflows_wait_for_a_person',
          'at_rest',
          failing
            .filter(({ orderId }) => standings.get(orderId)?.hasCase === false)
            .map(({ workflowId }) => workflowId),
        ),
        checkOf('expiry_runs', 'at_rest', stopped),
      ],
    }
  }

  return { audit: () => withHeartbeat(audit) }
}

interface StreamedEvent {
  readonly id: string
  readonly aggregate: string
  readonly seq: number
}

/** What is wrong with a charge at rest; null when it agrees with its attempt, or a person has been asked. */
function faultOf(charge: Charge, attempt: KnownAttempt | undefined): string | null {
  if (!attempt) return 'nobody here asked for it'
  if (attempt.hasCase) return null
  const { amount, currency } = charge.amount
  if (attempt.orderId !== charge.orderId || attempt.amount !== amount || attempt.currency !== currency)
    return `${amount} ${currency} for ${charge.orderId}, not ${attempt.amount} ${attempt.currency} for ${attempt.orderId}`
  const undecided = charge.state === 'requires_action' || charge.state === 'pending'
  if (undecided) return isUnresolved(attempt.status) ? null : `it is ${charge.state}, the payment ${attempt.status}`
  if (!takesMoney(charge))
    return holdsMoney(attempt.status) ? `it is ${charge.state}, the payment ${attempt.status}` : null
  if (attempt.status !== charge.state) return `it is ${charge.state}, the payment ${attempt.status}`
  if (attempt.reference !== charge.reference) return `it is ${charge.reference}, the payment says ${attempt.reference}`
  if (attempt.captured !== charge.captured || attempt.refunded !== charge.refunded)
    return `${charge.captured} captured and ${charge.refunded} refunded, not ${attempt.captured} and ${attempt.refunded}`
  return attempt.orderStatus === 'cancelled' ? `it is ${charge.state}, its order is cancelled` : null
}

function takesMoney({ state, captured, refunded }: Charge): boolean {
  return state === 'authorized' || (state === 'captured' && captured > refunded)
}

function addTo(chargeSums: Map<string, number>, { state, amount, captured, refunded }: Charge): void {
  const add = (account: string, value: number): void => {
    const name = `${account} ${amount.currency}`
    chargeSums.set(name, (chargeSums.get(name) ?? 0) + value)
  }
  if (state === 'authorized') add('authorized', amount.amount)
  else add('psp_clearing', captured - refunded)
}

function differences(chargeSums: ReadonlyMap<string, number>, ledger: ReadonlyMap<string, number>): string[] {
  const names = new Set([...chargeSums.keys(), ...ledger.keys()])
  return [...names]
    .filter((name) => (chargeSums.get(name) ?? 0) !== (ledger.get(name) ?? 0))
    .map((name) => `${name}: ${chargeSums.get(name) ?? 0} at the provider, ${ledger.get(name) ?? 0} in the ledger`)
}

interface CachedCart {
  readonly version: number
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[]
}

/** What is wrong with a cached cart; null when it is a copy of its row, an older one perhaps, or has been dropped. */
function faultOfCopy(json: string | null, row: StoredCart | undefined): string | null {
  if (json === null) return null
  const { version, lines } = JSON.parse(json) as CachedCart
  if (!row || version > row.version) return `version ${version} in Redis, ${row?.version ?? 'none'} in Postgres`
  if (version < row.version || quantitiesOf(lines) === quantitiesIn(row.lines)) return null
  return `other lines in Redis than in Postgres at version ${version}`
}

/** Both forms of a cart's lines as one text that can be compared: SKUs without regard to case. */
function quantitiesOf(lines: CachedCart['lines']): string {
  return sorted(lines.map(({ sku, quantity }) => `${sku.toUpperCase()} ${quantity}`))
}

function quantitiesIn(lines: StoredCart['lines']): string {
  return sorted(Object.entries(lines).map(([sku, { quantity }]) => `${sku} ${quantity}`))
}

function sorted(texts: string[]): string {
  return texts.sort((a, b) => (a < b ? -1 : 1)).join('\n')
}
