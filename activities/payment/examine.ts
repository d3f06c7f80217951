import { setTimeout as delay } from 'node:timers/promises'
import { isGrpcServiceError, ServiceError } from '@temporalio/client'
import {
  isOrder,
  markMatched,
  type MoveId,
  readComparedPayments,
  readPaymentsOfCharges,
} from '../../db/payment/compared'
import { readAttempt } from '../../db/payment/attempt'
import { addDifferences, type Subject, writeDifferences, type WrittenDifference } from '../../db/payment/difference'
import { noteNews } from '../../db/payment/work'
import { isPostgresUnavailable, type Tx, withTransaction } from '../../db/pool'
import { closeCase, openCase, readStanding } from '../../db/support/attention'
import type { OrderId } from '../../domain/ids'
import { isUnresolved } from '../../domain/payment/attempt'
import {
  type ChargedPayment,
  compareBooks,
  comparePayment,
  compareUnknown,
  describeDifference,
  describeUnknown,
  type Difference,
  findMoved,
  incomparable,
  moneyIn,
  movedIn,
  type OurPayment,
  type TheirCharge,
  waiting,
} from '../../domain/payment/reconciliation'
import { UNKNOWN_MONEY } from '../../domain/support'
import { checkoutWorkflowId, RECONCILIATION_ID } from '../../domain/workflow-id'
import {
  type Charge,
  type PaymentProvider,
  ProviderRejected,
  ProviderUnavailable,
} from '../../providers/payment/provider'
import type { ActivityDeps } from '../deps'
import { receiveMoney, seeCharge } from './books'
import { chargeRequestOf, requireAttempt } from './charge'

/** What gave no answer is asked for once more so much later. */
const AGAIN_MS = 1_000

export type ReconciliationDeps = Pick<ActivityDeps, 'pool' | 'providers' | 'settings' | 'orders'>

/**
 * `agrees`: it was only seen at a bad moment; `healed`: our rows were late. `told`: its order's workflow has been told, and
 * has to act before it can be judged. `waits`: it changes right now, and is kept for the next run.
 */
export type Finding = 'agrees' | 'healed' | 'told' | 'waits' | 'differs'

/**
 * Looks at one payment, or one charge that nobody asked for, closely: reads both sides anew, brings our rows up to what the
 * provider shows, and writes down what differs all the same, with its case. May be repeated.
 *
 * @param isLast whoever was told has had the time to act: what differs still, differs
 */
export async function examine(deps: ReconciliationDeps, subject: Subject, isLast: boolean): Promise<Finding> {
  const provider = deps.providers.get(subject.provider)
  if (!provider) return 'waits'
  const ours = await readOurs(deps, subject)
  if (ours && (ours.isRecent || ours.isAtWork)) return wait(deps, ours)
  const compare = () => compareBoth(deps, provider, { subject, ours, isLast })
  try {
    return await compare().catch((error: unknown) => tryAgain(error, provider, compare))
  } catch (error) {
    // The provider rejects what we ask or has no answer to it alone, or our books do not take what it shows: the others are
    // compared all the same.
    if (!(error instanceof Error) || isAboutAll(error)) throw error
    await recordIncomparable(deps, { subject, ours, reason: reasonOf(error) })
    return 'differs'
  }
}

async function compareBoth(
  deps: ReconciliationDeps,
  provider: PaymentProvider,
  { subject, ours, isLast }: { subject: Subject; ours: OurPayment | null; isLast: boolean },
): Promise<Finding> {
  const charge = await readCharge(deps, provider, { subject, ours })
  if (!ours) return examineUnknown(deps, subject, charge)
  const first = comparisonOf(ours, charge)
  if (first.length === 0) return settle(deps, { subject, ours, charge, finding: 'agrees' })

  const healing = charge ? await heal(deps, ours, charge) : 'nothing'
  if (healing === 'told' && !isLast) {
    await record(deps, { subject, orderId: ours.orderId, charge, differences: first, state: 'suspected' })
    return 'told'
  }
  const now = (await readOurs(deps, subject)) ?? ours
  const differences = comparisonOf(now, charge)
  if (differences.length === 0) return settle(deps, { subject, ours: now, charge, finding: 'healed' })
  if (now.isAtWork) return wait(deps, now)
  await record(deps, { subject, orderId: now.orderId, charge, differences, state: 'open' })
  return 'differs'
}

/** Of one charge alone the provider has no answer. */
class NoAnswer extends Error {}

/** Once more, a little later. Throws {@link NoAnswer} when the provider answers, but not to this. */
async function tryAgain<T>(error: unknown, provider: PaymentProvider, compare: () => Promise<T>): Promise<T> {
  if (!(error instanceof ProviderUnavailable)) throw error
  await delay(AGAIN_MS)
  try {
    return await compare()
  } catch (again) {
    if (!(again instanceof ProviderUnavailable)) throw again
    // Throws when it does not answer to anything.
    await provider.movements(new Date().toISOString(), null)
    throw new NoAnswer(again.message)
  }
}

/** Whoever is away, or does not let us in, is so for all subjects: they are compared again later. */
function isAboutAll(error: unknown): boolean {
  if (error instanceof ProviderRejected) return error.code === 'not_allowed'
  return error instanceof ProviderUnavailable || isPostgresUnavailable(error) || isFromTemporal(error)
}

/** Its client wraps what came from the connection. */
function isFromTemporal(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof ServiceError || isGrpcServiceError(cause)) return true
  return false
}

function reasonOf(error: Error): string {
  return error instanceof ProviderRejected ? error.code : error.message
}

/** What is known to differ stays as it is: it could not be looked at. */
async function recordIncomparable(
  { pool }: ReconciliationDeps,
  { subject, ours, reason }: { subject: Subject; ours: OurPayment | null; reason: string },
): Promise<void> {
  const orderId = ours?.orderId ?? null
  const reference = subject.paymentId === null ? subject.chargeReference : (ours?.reference ?? null)
  const difference = incomparable(ours, ours?.id ?? reference ?? subject.provider)
  await withTransaction(pool, async (tx) => {
    const differences = [difference]
    const found = await addDifferences(tx, { subject, orderId, chargeReference: reference, differences, state: 'open' })
    for (const each of found) await openDifference(tx, orderId, each, `The reason is \`${reason}\`.`)
  })
}

/** What was never sent has no charge to be compared with. */
function comparisonOf(ours: OurPayment, charge: Charge | null): Difference[] {
  return ours.status === 'requested' ? compareBooks(ours) : comparePayment(ours, charge && theirChargeOf(charge))
}

async function examineUnknown(deps: ReconciliationDeps, subject: Subject, charge: Charge | null): Promise<Finding> {
  const differences = charge ? compareUnknown(theirChargeOf(charge)) : []
  const orderId = charge && (await isOrder(deps.pool, charge.orderId)) ? (charge.orderId as OrderId) : null
  await record(deps, { subject, orderId, charge, differences, state: 'open' })
  return differences.length === 0 ? 'agrees' : 'differs'
}

/** The provider may not list it any more when the next run comes: that one finds it in this row. */
async function wait({ pool }: ReconciliationDeps, ours: OurPayment): Promise<Finding> {
  const { id: paymentId, orderId, provider, reference: chargeReference } = ours
  const subject = { provider, paymentId }
  const differences = [waiting(ours)]
  await withTransaction(pool, (tx) =>
    addDifferences(tx, { subject, orderId, chargeReference, differences, state: 'suspected' }),
  )
  return 'waits'
}

async function settle(
  deps: ReconciliationDeps,
  found: { subject: Subject; ours: OurPayment; charge: Charge | null; finding: Finding },
): Promise<Finding> {
  const { subject, ours, charge, finding } = found
  await record(deps, { subject, orderId: ours.orderId, charge, differences: [], state: 'open' })
  if (charge) await markMatched(deps.pool, matchesOf(ours, movedIn(theirChargeOf(charge))))
  return finding
}

/** Our captures and refunds that these movements are of, and that were not known to be. */
export function matchesOf(
  ours: ChargedPayment,
  movements: readonly Parameters<typeof findMoved>[1][],
): { id: MoveId; movement: string }[] {
  return movements.flatMap((movement) => {
    const found = findMoved(ours, movement)
    return found && 'movement' in found && found.movement === null
      ? [{ id: found.id, movement: movement.reference }]
      : []
  })
}

/** The differences and their cases in one transaction: neither is there without the other. */
async function record(
  { pool }: ReconciliationDeps,
  about: {
    subject: Subject
    orderId: OrderId | null
    charge: Charge | null
    differences: readonly Difference[]
    state: 'suspected' | 'open'
  },
): Promise<void> {
  const { subject, orderId, charge, differences, state } = about
  await withTransaction(pool, async (tx) => {
    const written = { subject, orderId, chargeReference: charge?.reference ?? null, differences, state }
    const { found, gone } = await writeDifferences(tx, written)
    for (const difference of found)
      if (!(await isKnownCase(tx, { orderId, difference, charge }))) await openDifference(tx, orderId, difference)
    for (const { id, kind } of gone) await closeCase(tx, { workflowId: RECONCILIATION_ID, step: kind, object: id })
  })
}

/** Asks a person about a difference that is open. */
async function openDifference(
  tx: Tx,
  orderId: OrderId | null,
  difference: WrittenDifference,
  reason?: string,
): Promise<void> {
  if (difference.state !== 'open') return
  const { id: object, kind: step } = difference
  const detail = [describeDifference(difference), ...(reason === undefined ? [] : [reason])].join(' ')
  const code = 'reconciliation_difference'
  await openCase(tx, { orderId, code, workflowId: RECONCILIATION_ID, step, object, detail })
}

/** A webhook of a charge that nobody asked for may have come before: one case is enough, also when a person has closed it. */
async function isKnownCase(
  tx: Tx,
  { orderId, difference, charge }: { orderId: OrderId | null; difference: Difference; charge: Charge | null },
): Promise<boolean> {
  const { kind, object } = difference
  if (kind !== 'unknown_charge' || orderId === null || !charge) return false
  const detail = describeUnknown(theirChargeOf(charge))
  const asked = { orderId, workflowId: checkoutWorkflowId(orderId), step: UNKNOWN_MONEY, object, detail }
  return (await readStanding(tx, asked)) !== null
}

async function readOurs({ pool, settings }: ReconciliationDeps, subject: Subject): Promise<OurPayment | null> {
  const quietSeconds = settings.RECONCILIATION_QUIET_SECONDS
  if (subject.paymentId !== null) {
    const [payment] = await readComparedPayments(pool, { ids: [subject.paymentId], quietSeconds })
    return payment ?? null
  }
  const { provider, chargeReference } = subject
  const charges = [{ key: null, reference: chargeReference }]
  const [charged] = await readPaymentsOfCharges(pool, { provider, charges, quietSeconds })
  const [payment] = charged ? await readComparedPayments(pool, { ids: [charged.id], quietSeconds }) : []
  return payment ?? null
}

/** The charge as it is now; null when the provider has none. */
async function readCharge(
  { pool }: ReconciliationDeps,
  provider: PaymentProvider,
  { subject, ours }: { subject: Subject; ours: OurPayment | null },
): Promise<Charge | null> {
  if (ours) {
    const attempt = await readAttempt(pool, ours.id)
    return attempt?.sentAt ? provider.find(chargeRequestOf(attempt)) : null
  }
  if (subject.paymentId !== null) return null
  // Nobody here asked for it: its own id is all there is to ask by.
  return provider.read(subject.chargeReference)
}

/**
 * Brings our rows up to what the provider shows: by the order's workflow while that waits for this attempt, else in the
 * order's books. What the books then ask for is carried out by whoever owns the order's money.
 */
async function heal(deps: ReconciliationDeps, ours: OurPayment, charge: Charge): Promise<'told' | 'seen' | 'nothing'> {
  const { id: paymentId, orderId, status, currency } = ours
  const theirs = theirChargeOf(charge)
  if (theirs.currency !== currency || theirs.orderId !== orderId) return 'nothing'
  if (isUnresolved(status)) {
    await tellOwner(deps, ours)
    return 'told'
  }
  const attempt = await requireAttempt(deps, paymentId)
  // A run that is killed before it has told anybody finds nothing to tell afterwards: the sweep finds this.
  await noteNews(deps.pool, paymentId)
  if (NEVER_HELD.has(status) && moneyIn(theirs) > 0) await receiveMoney(deps, attempt, charge)
  else await seeCharge(deps, attempt, charge)
  await tellOwner(deps, ours)
  return 'seen'
}

/** Fulfillment of what pays, or renews what does; of what does not, the checkout as long as that is at work, else settlement. */
async function tellOwner({ orders }: ReconciliationDeps, { orderId, id, pays, order }: OurPayment): Promise<void> {
  const news = { orderId, paymentId: id }
  if (pays) return orders.tellNews({ ...news, isOver: order.stage === 'over', pays })
  if (await orders.tellCheckout(news)) return
  // The sweep takes up an open order whose checkout is gone.
  if (order.stage === 'open') return
  await orders.tellSettlement(news)
}

const NEVER_HELD: ReadonlySet<string> = new Set(['declined', 'failed', 'voided'])

/** A charge in the words of the comparison. */
export function theirChargeOf(charge: Charge): TheirCharge {
  const { reference, key, orderId, amount, state, captured, released, refunded, captures, refunds, disputes } = charge
  return {
    ...{ reference, key, orderId, captured, released, refunded, captures, refunds, disputes },
    amount: amount.amount,
    currency: amount.currency,
    isAuthorized: state === 'authorized',
  }
}
