import { EVENT_STREAM } from '../../db/platform/event-stream'
import { auditDatabase, type Check, checkOf } from '../../db/support/invariant'
import {
  findUncommitted,
  type KnownAttempt,
  listOpenOrders,
  listPaidKeys,
  listPaymentsAtWork,
  type OrderWithWorkflow,
  readCarts,
  readKnownAttempts,
  readOrdersWithWorkflow,
  type StoredCart,
  sumLedger,
} from '../../db/support/invariant/outside'
import type { OrderId } from '../../domain/ids'
import { sum } from '../../domain/money'
import { type AttemptStatus, isUnresolved } from '../../domain/payment/attempt'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import type { Charge, ChargeState, PaymentProvider } from '../../providers/payment/provider'
import { withHeartbeat } from '../heartbeat'
import type { ActivityDeps } from '../deps'

export type AuditActivities = ReturnType<typeof createAuditActivities>

export interface Audit {
  /** Nothing is in flight: the checks that only hold at rest say something. */
  readonly settled: boolean
  readonly checks: readonly Check[]
}

const BATCH_SIZE = 500
/** Every charge there is: this is the full comparison; the one of each night begins where the last one ended. */
const BEGINNING = new Date(0).toISOString()
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
    const faults: ChargeFaults = { twice: new Set(), wrong: [], missing: [], sums: [] }
    const payers = new Map<string, string>()
    for (const name of providers.names) await compareCharges(name, payers, faults)
    return [
      checkOf('an_order_is_charged_once', 'always', [...faults.twice]),
      checkOf('charges_agree_with_the_payments', 'at_rest', faults.wrong),
      checkOf('payments_are_known_to_the_provider', 'at_rest', faults.missing),
      checkOf('ledger_agrees_with_the_provider', 'at_rest', faults.sums),
    ]
  }

  /** `payers`: of each order the charge that pays for it, as far as the providers were read. */
  async function compareCharges(name: string, payers: Map<string, string>, faults: ChargeFaults): Promise<void> {
    const provider = providers.get(name) as PaymentProvider
    const seen = new Set<string>()
    const chargeSums = new Map<string, number>()
    for (let cursor: string | null = null; ; ) {
      const page = await provider.list(BEGINNING, cursor)
      const attemptOf = await findAttempts(name, page.charges)
      for (const charge of page.charges) {
        const attempt = attemptOf(charge)
        const fault = faultOf(charge, attempt)
        if (fault !== null) faults.wrong.push(`${charge.key ?? charge.reference}: ${fault}`)
        if (holdsMoney(charge) && !attempt?.isUnwanted) {
          // The same charge is listed again when it changes meanwhile.
          const payer = payers.get(charge.orderId) ?? charge.reference
          if (payer !== charge.reference) faults.twice.add(`${charge.orderId}: ${payer} and ${charge.reference}`)
          payers.set(charge.orderId, payer)
        }
        if (!attempt) continue
        if (tookMoney(charge.state)) seen.add(attempt.key)
        if (!attempt.hasCase) addTo(chargeSums, charge)
      }
      cursor = page.nextCursor
      if (cursor === null) break
    }
    faults.missing.push(...(await listMissing(name, seen)))
    faults.sums.push(...differences(chargeSums, await sumLedger(pool, name)))
  }

  /** The attempt behind each of these charges: by our key, or where the provider does not know of one, by its own id. */
  async function findAttempts(
    provider: string,
    charges: readonly Charge[],
  ): Promise<(charge: Charge) => KnownAttempt | undefined> {
    const attempts = await readKnownAttempts(pool, {
      provider,
      keys: charges.flatMap(({ key }) => key ?? []),
      references: charges.flatMap(({ key, reference }) => (key === null ? reference : [])),
    })
    const byKey = new Map(attempts.map((attempt) => [attempt.key, attempt]))
    const byReference = new Map(attempts.map((attempt) => [attempt.reference, attempt]))
    return ({ key, reference }) => (key === null ? byReference.get(reference) : byKey.get(key))
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

  /**
   * An open order has its open workflow, and only an order at work has one; whatever is to be done with money is somebody's
   * work; the expiry workflows always run.
   */
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
      else if (standing?.mayRun) continue
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
        checkOf('money_at_work_has_its_workflow', 'at_rest', await listUnattended()),
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

  /** Payments with something to do that no workflow does: not that of the confirmed order, not their own, not the checkout. */
  async function listUnattended(): Promise<string[]> {
    const unattended: string[] = []
    for (const { orderId, paymentId, quietSeconds } of await listPaymentsAtWork(pool, ORDERS_MAX)) {
      if (quietSeconds < GRACE_SECONDS) continue
      const owners = [fulfillmentWorkflowId(orderId), settlementWorkflowId(paymentId), checkoutWorkflowId(orderId)]
      if (!(await isAnyOpen(owners))) unattended.push(`${paymentId} of ${orderId}`)
    }
    return unattended
  }

  async function isAnyOpen(workflowIds: readonly string[]): Promise<boolean> {
    for (const workflowId of workflowIds) if (await orders.isOpen(workflowId)) return true
    return false
  }

  return { audit: () => withHeartbeat(audit) }
}

/** What is wrong between providers and us, in words and ids. */
interface ChargeFaults {
  readonly twice: Set<string>
  readonly wrong: string[]
  readonly missing: string[]
  readonly sums: string[]
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
  if (attempt.orderId !== charge.orderId || attempt.amount !== authorizedBy(charge) || attempt.currency !== currency)
    return `${amount} ${currency} for ${charge.orderId}, not ${attempt.amount} ${attempt.currency} for ${attempt.orderId}`
  const [there, here] = [charge.state, stateOf(attempt)]
  const isUndecided = there === 'requires_action' || there === 'pending'
  const isKnown = isUndecided
    ? isUnresolved(attempt.status)
    : tookMoney(here) || tookMoney(there)
      ? there === here
      : true
  if (!isKnown) return `it is ${there}, the payment ${here}`
  if (!tookMoney(there)) return null
  if (attempt.reference !== charge.reference) return `it is ${charge.reference}, the payment says ${attempt.reference}`
  const [told, known] = [figuresOf({ ...charge, ...disputesOf(charge) }), figuresOf(attempt)]
  return told === known ? null : `${told}; the payment says ${known}`
}

/** The state in which the provider should have it: a refund that a person made in another way is unknown there. */
function stateOf({ status, captured, refunded }: KnownAttempt): AttemptStatus {
  return status === 'refunded' && refunded < captured ? 'captured' : status
}

/** Money is set aside, or was taken; perhaps it went back since. */
function tookMoney(state: ChargeState | AttemptStatus): boolean {
  return state === 'authorized' || state === 'captured' || state === 'refunded'
}

/** The account is, or may still be, richer by this charge. */
function holdsMoney({ state, captured, refunded }: Charge): boolean {
  return state === 'authorized' || (state === 'captured' && captured > refunded)
}

/** A provider may take more than it was asked to authorize. */
function authorizedBy({ amount, captured, released }: Charge): number {
  return Math.max(amount.amount, captured + released)
}

function disputesOf({ disputes }: Charge): { disputed: number; lost: number } {
  const [open, lost] = (['open', 'lost'] as const).map((wanted) =>
    sum(disputes.filter(({ status }) => status === wanted).map(({ amount }) => amount)),
  ) as [number, number]
  return { disputed: open + lost, lost }
}

function figuresOf({
  captured,
  released,
  refunded,
  disputed,
  lost,
}: Pick<KnownAttempt, 'captured' | 'released' | 'refunded' | 'disputed' | 'lost'>): string {
  return `${captured} captured, ${released} released, ${refunded} refunded, ${disputed} disputed, ${lost} of it lost`
}

/** By account and currency, as the ledger has them. */
function addTo(chargeSums: Map<string, number>, charge: Charge): void {
  const { state, amount, captured, released, refunded } = charge
  const add = (account: string, value: number): void => {
    const name = `${account} ${amount.currency}`
    chargeSums.set(name, (chargeSums.get(name) ?? 0) + value)
  }
  if (state === 'authorized') add('authorized', amount.amount - captured - released)
  add('psp_clearing', captured - refunded - disputesOf(charge).disputed)
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
