import {
  findLedgerPosition,
  listLedgerPayments,
  listUnmatchedMoves,
  markMatched,
  type MoveId,
  readBookedPayments,
  readPaymentsOfCharges,
} from '../../db/payment/compared'
import { listAccepted, listUnsettledSubjects, type Subject } from '../../db/payment/difference'
import {
  beginReconciliation,
  endReconciliation,
  type ReconciliationCounts,
  type ReconciliationPart,
} from '../../db/payment/reconciliation'
import { withTransaction } from '../../db/pool'
import { closeCase, endCasesAbout, openCase } from '../../db/support/attention'
import type { DifferenceId, ReconciliationId } from '../../domain/ids'
import {
  compareBooks,
  compareCharge,
  compareUnknown,
  findMoved,
  type BookedPayment,
  type ChargedPayment,
} from '../../domain/payment/reconciliation'
import { RUN_RECONCILIATION, UNKNOWN_MONEY } from '../../domain/support'
import { RECONCILIATION_ID } from '../../domain/workflow-id'
import type { Movement, PaymentProvider } from '../../providers/payment/provider'
import { withHeartbeat } from '../heartbeat'
import { examine, matchesOf, type ReconciliationDeps, theirChargeOf } from './examine'

/** How long one call works before it lets the workflow show how far it is: what a kill costs at most. */
const SLICE_MS = 10_000
const LEDGER_PAGE = 1_000
const PAGE = 500
/** The case that a run which could not be made becomes. */
const NOT_MADE = { workflowId: RECONCILIATION_ID, step: RUN_RECONCILIATION, object: null } as const

/** What a slice did. `after`: where the next one goes on; null when there is no more. */
export interface Compared<After> {
  readonly after: After | null
  readonly compared: number
  readonly healed: number
  readonly waiting: number
  /** Payments whose order's workflow was told: they are judged at the end of the run. */
  readonly told: number
}

export interface PartInput {
  readonly part: ReconciliationPart
  readonly after: string | null
}

/** `away`: providers that did not answer in this run. Nothing is asked of them: what is theirs waits for the next run. */
export interface RestInput<After> {
  readonly after: After | null
  readonly away: readonly string[]
}

export type ReconciliationActivities = ReturnType<typeof createReconciliationActivities>

/** The steps of a reconciliation. Each goes on after what it is given, and may be repeated from there. */
export function createReconciliationActivities(deps: ReconciliationDeps) {
  const { pool, providers, settings } = deps
  const quietSeconds = settings.RECONCILIATION_QUIET_SECONDS

  async function beginReconciling(): Promise<{ id: ReconciliationId; parts: ReconciliationPart[] }> {
    return withTransaction(pool, (tx) => beginReconciliation(tx, { providers: providers.names, quietSeconds }))
  }

  /** Every movement of money that is old enough: it is one of ours, with the same amount. */
  function compareMovements({ part, after }: PartInput): Promise<Compared<string>> {
    const provider = requireProvider(part)
    return inSlice(after, async (tally, cursor, signal) => {
      const page = await provider.movements(part.since, cursor, signal)
      const old = page.movements.filter(({ at }) => Date.parse(at) <= Date.parse(part.until))
      tally.compared += old.length
      await compareMovementPage(part.provider, old, tally)
      await examineAll(unreadableOf(part, page), tally)
      return old.length < page.movements.length ? null : page.nextCursor
    })
  }

  async function compareMovementPage(provider: string, movements: readonly Movement[], tally: Tally): Promise<void> {
    const charges = movements.map(({ chargeKey, chargeReference }) => ({ key: chargeKey, reference: chargeReference }))
    const payments = await readPaymentsOfCharges(pool, { provider, charges, quietSeconds })
    const suspects = new Suspects()
    const matches = movements.flatMap((movement, index) => {
      const ours = payments[index] ?? null
      const theirs = { ...movement, amount: movement.amount.amount, currency: movement.amount.currency }
      if (!ours) suspects.add({ provider, paymentId: null, chargeReference: movement.chargeReference })
      else if (!findMoved(ours, theirs)) suspects.addPayment(ours)
      return ours && (movement.type === 'capture' || movement.type === 'refund') ? matchesOf(ours, [theirs]) : []
    })
    await markMatched(pool, matches)
    await examineAll(suspects, tally)
  }

  /** Every charge that changed: its sums are those of its payment, in the ledger too. */
  function compareCharges({ part, after }: PartInput): Promise<Compared<string>> {
    const provider = requireProvider(part)
    return inSlice(after, async (tally, cursor, signal) => {
      const page = await provider.list(part.since, cursor, signal)
      tally.compared += page.charges.length
      const payments = await readPaymentsOfCharges(pool, {
        provider: part.provider,
        charges: page.charges,
        quietSeconds,
      })
      const suspects = new Suspects()
      const withoutMoney: string[] = []
      page.charges.forEach((charge, index) => {
        const ours = payments[index]
        const theirs = theirChargeOf(charge)
        const isOld = Date.parse(charge.createdAt) <= Date.parse(part.until)
        if (ours && compareCharge(ours, theirs).length > 0) suspects.addPayment(ours)
        if (ours || !isOld) return
        if (compareUnknown(theirs).length === 0) withoutMoney.push(charge.reference)
        else suspects.add({ provider: part.provider, paymentId: null, chargeReference: charge.reference })
      })
      await endCasesAbout(pool, { step: UNKNOWN_MONEY, objects: withoutMoney })
      const accepted = await listAccepted(pool, {
        provider: part.provider,
        paymentIds: payments.flatMap((payment) => payment?.id ?? []),
        chargeReferences: page.charges.map(({ reference }) => reference),
      })
      for (const subject of accepted) suspects.add(subject)
      await examineAll(suspects, tally)
      await examineAll(unreadableOf(part, page), tally)
      return page.nextCursor
    })
  }

  /** Every payment whose ledger changed: its sums are those of its ledger, and its order keeps what it costs. */
  async function compareLedger({
    since,
    after,
    away,
  }: RestInput<number> & { since: string }): Promise<Compared<number>> {
    return inSlice(after ?? (await findLedgerPosition(pool, new Date(since))), async (tally, position) => {
      const { last, payments: ids } = await listLedgerPayments(pool, { after: position ?? 0, limit: LEDGER_PAGE })
      const suspects = new Suspects(away)
      tally.compared += ids.length
      for (const ours of await readBookedPayments(pool, { ids, quietSeconds }))
        if (compareBooks(ours).length > 0) suspects.addPayment(ours)
      await examineAll(suspects, tally)
      return last
    })
  }

  /** Every capture and refund for which the provider has shown no movement: is it there all the same? */
  function compareMoves({ after, away }: RestInput<MoveId>): Promise<Compared<MoveId>> {
    return inSlice(after, async (tally, behind) => {
      const moves = await listUnmatchedMoves(pool, { after: behind ?? '', limit: PAGE, quietSeconds })
      tally.compared += moves.length
      const ids = [...new Set(moves.map(({ paymentId }) => paymentId))]
      const suspects = new Suspects(away)
      for (const ours of await readBookedPayments(pool, { ids, quietSeconds })) suspects.addPayment(ours)
      await examineAll(suspects, tally)
      return moves.at(-1)?.id ?? null
    })
  }

  /**
   * Looks again at all that was suspected, at what had to wait in this run or in one before, and at every difference that is
   * open: one that is gone is closed.
   */
  function recheckDifferences({ after, away }: RestInput<DifferenceId>): Promise<Compared<DifferenceId>> {
    return inSlice(after, async (tally, behind) => {
      const page = await listUnsettledSubjects(pool, { after: behind ?? '', limit: PAGE })
      const [known, waiting] = [new Suspects(away), new Suspects(away)]
      for (const { kind, subject } of page) if (kind !== 'waiting') known.add(subject)
      for (const { kind, subject } of page) if (kind === 'waiting' && !known.has(subject)) waiting.add(subject)
      tally.compared += page.length
      tally.waiting += waiting.left + known.left
      // The owner of what waited has not been told of anything yet.
      for (const suspects of [known, waiting]) {
        for (const subject of suspects.all()) {
          const finding = await examine(deps, subject, suspects === known)
          tally.count(finding)
          if (finding === 'waits') tally.waiting++
        }
      }
      return page.at(-1)?.id ?? null
    })
  }

  /** Writes the end down. A run that could not be made is a case, until one can. */
  async function endReconciling(
    input: ReconciliationCounts & { id: ReconciliationId; failure: string | null },
  ): Promise<void> {
    await withTransaction(pool, async (tx) => {
      await endReconciliation(tx, input)
      if (input.failure === null) await closeCase(tx, NOT_MADE)
      else await openCase(tx, { ...NOT_MADE, orderId: null, code: 'step_failing', detail: input.failure })
    })
  }

  async function examineAll(suspects: Suspects, tally: Tally): Promise<void> {
    for (const subject of suspects.all()) tally.count(await examine(deps, subject, false))
  }

  function requireProvider({ provider: name }: ReconciliationPart): PaymentProvider {
    const provider = providers.get(name)
    if (!provider) throw new Error(`There is no payment provider ${name} here`)
    return provider
  }

  return {
    beginReconciling,
    compareMovements,
    compareCharges,
    compareLedger,
    compareMoves,
    recheckDifferences,
    endReconciling,
  }
}

/** Charges of a page that could not be read: each is looked at alone, and is a difference if it cannot be read then. */
function unreadableOf({ provider }: ReconciliationPart, { unreadable }: { unreadable: readonly string[] }): Suspects {
  const suspects = new Suspects()
  for (const chargeReference of unreadable) suspects.add({ provider, paymentId: null, chargeReference })
  return suspects
}

function nameOf(subject: Subject): string {
  return `${subject.provider} ${subject.paymentId ?? subject.chargeReference}`
}

/** What has to be looked at closely, each once. */
class Suspects {
  readonly #subjects = new Map<string, Subject>()
  readonly #left = new Set<string>()
  readonly #away: readonly string[]

  constructor(away: readonly string[] = []) {
    this.#away = away
  }

  add(subject: Subject): void {
    if (this.#away.includes(subject.provider)) this.#left.add(nameOf(subject))
    else this.#subjects.set(nameOf(subject), subject)
  }

  has(subject: Subject): boolean {
    return this.#subjects.has(nameOf(subject)) || this.#left.has(nameOf(subject))
  }

  /** How many were left out, because their provider is away. */
  get left(): number {
    return this.#left.size
  }

  addPayment({ provider, id: paymentId }: ChargedPayment | BookedPayment): void {
    this.add({ provider, paymentId })
  }

  all(): Iterable<Subject> {
    return this.#subjects.values()
  }
}

class Tally {
  compared = 0
  healed = 0
  /** Counted as the differences are looked at again: each has a row there. */
  waiting = 0
  told = 0

  count(finding: Awaited<ReturnType<typeof examine>>): void {
    if (finding === 'healed') this.healed++
    if (finding === 'told') this.told++
  }
}

/** Works page by page until the time of a slice is over; the first page after `after` always. */
function inSlice<After>(
  after: After | null,
  page: (tally: Tally, after: After | null, signal: AbortSignal) => Promise<After | null>,
): Promise<Compared<After>> {
  return withHeartbeat(async (signal) => {
    const tally = new Tally()
    const end = Date.now() + SLICE_MS
    let last = after
    do {
      last = await page(tally, last, signal)
    } while (last !== null && Date.now() < end && !signal.aborted)
    signal.throwIfAborted()
    const { compared, healed, waiting, told } = tally
    return { after: last, compared, healed, waiting, told }
  })
}
