import type { DifferenceId, OrderId, PaymentId, ReconciliationId } from '../../domain/ids'
import type { Difference, DifferenceKind } from '../../domain/payment/reconciliation'
import { newId } from '../id'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

/** In what our books and a provider differ, as the runs of the reconciliation found it. */

/** What is looked at: a payment of ours, or a charge of a provider that none of them asked for. */
export type Subject =
  | { readonly provider: string; readonly paymentId: PaymentId }
  | { readonly provider: string; readonly paymentId: null; readonly chargeReference: string }

export interface WrittenDifference extends Difference {
  readonly id: DifferenceId
  readonly state: 'suspected' | 'open' | 'accepted' | 'gone'
}

interface SeenDifferences {
  readonly subject: Subject
  readonly orderId: OrderId | null
  /** The provider's id of the charge, where it is known. */
  readonly chargeReference: string | null
  readonly differences: readonly Difference[]
  readonly state: 'suspected' | 'open'
}

/**
 * Writes down all in which a subject differs now. One that is known is the same row: an open one stays open, and one that a
 * person has accepted stays so while its figures do. What is not among them any more is gone, and would be new if it came
 * again. Returns those that are there, and those that have gone.
 */
export async function writeDifferences(
  tx: Tx,
  seen: SeenDifferences,
): Promise<{ found: WrittenDifference[]; gone: WrittenDifference[] }> {
  const found = await addDifferences(tx, seen)
  const about = { ...nameOf(seen), kept: found.map(({ id }) => id) }
  const gone = await tx.query<WrittenDifference>(GONE(about))
  await tx.query(FORGET_SUSPECTED(about))
  return { found, gone: gone.rows }
}

/** {@link writeDifferences} of a subject that could not be compared as a whole: what else is known of it stays. */
export async function addDifferences(tx: Tx, seen: SeenDifferences): Promise<WrittenDifference[]> {
  const { orderId, differences, state } = seen
  if (differences.length === 0) return []
  const ids = differences.map(() => newId('difference'))
  const rows = JSON.stringify(differences)
  const written = await tx.query<WrittenDifference>(WRITE({ ...nameOf(seen), orderId, state, ids, rows }))
  return written.rows
}

function nameOf({ subject, chargeReference }: Pick<SeenDifferences, 'subject' | 'chargeReference'>) {
  const { provider, paymentId } = subject
  return { provider, paymentId, reference: paymentId === null ? subject.chargeReference : chargeReference }
}

const WRITTEN = `d.id, d.kind, d.object, d.ours, d.theirs, d.currency, d.state` as const
const ABOUT =
  `(d.payment_id = :paymentId::text or d.provider = :provider and d.charge_reference = :reference::text)` as const

const IS_STILL_ACCEPTED = `(d.state = 'accepted' and d.ours = excluded.ours and d.theirs = excluded.theirs)` as const

const WRITE = statement(
  'difference.write',
  `
    insert into reconciliation_difference as d (id, provider, kind, object, payment_id, charge_reference, order_id, ours, theirs,
      currency, state)
    select (:ids::text[])[r.n], :provider, r.value ->> 'kind', r.value ->> 'object', :paymentId, :reference, :orderId,
           (r.value ->> 'ours')::bigint, (r.value ->> 'theirs')::bigint, r.value ->> 'currency', :state
    from json_array_elements(:rows::json) with ordinality as r (value, n)
    on conflict (provider, kind, object) do update
    set ours = excluded.ours, theirs = excluded.theirs, currency = excluded.currency, last_seen = now(),
        payment_id = excluded.payment_id, charge_reference = excluded.charge_reference, order_id = excluded.order_id,
        first_seen = case when d.state = 'gone' then now() else d.first_seen end,
        state = case when ${IS_STILL_ACCEPTED} then 'accepted' when d.state = 'open' then 'open' else excluded.state end,
        closed_at = case when ${IS_STILL_ACCEPTED} then d.closed_at end,
        accepted_by = case when ${IS_STILL_ACCEPTED} then d.accepted_by end,
        reason_code = case when ${IS_STILL_ACCEPTED} then d.reason_code end,
        note = case when ${IS_STILL_ACCEPTED} then d.note end
    returning ${WRITTEN}` as const,
)

const GONE = statement(
  'difference.gone',
  `
    update reconciliation_difference d
    set state = 'gone', closed_at = now()
    where ${ABOUT} and d.state in ('open', 'accepted') and d.id <> all (:kept::text[])
    returning ${WRITTEN}` as const,
)

/** It was only late. */
const FORGET_SUSPECTED = statement(
  'difference.forgetSuspected',
  `delete from reconciliation_difference d where ${ABOUT} and d.state = 'suspected' and d.id <> all (:kept::text[])` as const,
)

/** Those of these payments and charges of which a person has accepted a difference: once they agree, that is over. */
export async function listAccepted(
  db: Db,
  of: { provider: string; paymentIds: readonly PaymentId[]; chargeReferences: readonly string[] },
): Promise<Subject[]> {
  const { rows } = await db.query<{ paymentId: PaymentId | null; chargeReference: string }>(ACCEPTED({ ...of }))
  return rows.map(({ paymentId, chargeReference }) => toSubject({ provider: of.provider, paymentId, chargeReference }))
}

const ACCEPTED = statement(
  'difference.accepted',
  `
    select distinct payment_id as "paymentId", charge_reference as "chargeReference"
    from reconciliation_difference
    where state = 'accepted'
      and (payment_id = any (:paymentIds::text[])
        or provider = :provider and charge_reference = any (:chargeReferences::text[]))`,
)

interface SubjectRow {
  readonly provider: string
  readonly paymentId: PaymentId | null
  readonly chargeReference: string
}

function toSubject({ provider, paymentId, chargeReference }: SubjectRow): Subject {
  return paymentId === null ? { provider, paymentId, chargeReference } : { provider, paymentId }
}

export interface UnsettledSubject {
  readonly id: DifferenceId
  /** `waiting`: it was not compared yet. */
  readonly kind: DifferenceKind
  readonly subject: Subject
}

/** Subjects of differences that are suspected or open, newest first: what is written meanwhile is not among those behind `after`. */
export async function listUnsettledSubjects(
  db: Db,
  page: { after: DifferenceId | ''; limit: number },
): Promise<UnsettledSubject[]> {
  const { rows } = await db.query<SubjectRow & { id: DifferenceId; kind: DifferenceKind }>(UNSETTLED({ ...page }))
  return rows.map(({ id, kind, ...subject }) => ({ id, kind, subject: toSubject(subject) }))
}

const UNSETTLED = statement(
  'difference.unsettled',
  `
    select id, kind, provider, payment_id as "paymentId", charge_reference as "chargeReference"
    from reconciliation_difference
    where state in ('suspected', 'open') and (:after = '' or id < :after)
    order by id desc
    limit :limit`,
)

/** A person knows why the two sides differ. Null when this difference is not open. */
export async function acceptDifference(
  tx: Tx,
  accepted: { id: DifferenceId; by: string; reasonCode: string; note: string | null },
): Promise<WrittenDifference | null> {
  const { rows } = await tx.query<WrittenDifference>(ACCEPT({ ...accepted }))
  return rows[0] ?? null
}

const ACCEPT = statement(
  'difference.accept',
  `
    update reconciliation_difference d
    set state = 'accepted', closed_at = now(), accepted_by = :by, reason_code = :reasonCode, note = :note
    where d.id = :id and d.state = 'open'
    returning ${WRITTEN}` as const,
)

/** A person knows why a charge is there that nobody here asked for: the difference, if a run has found it. */
export async function acceptUnknownCharge(
  tx: Tx,
  accepted: { chargeReference: string; by: string; reasonCode: string; note: string | null },
): Promise<void> {
  await tx.query(ACCEPT_UNKNOWN({ ...accepted }))
}

const ACCEPT_UNKNOWN = statement(
  'difference.acceptUnknown',
  `
    update reconciliation_difference
    set state = 'accepted', closed_at = now(), accepted_by = :by, reason_code = :reasonCode, note = :note
    where kind = 'unknown_charge' and object = :chargeReference and state in ('suspected', 'open')`,
)

/** A run looks again at each difference that is open: it saw those that were there at its beginning, or came before its end. */
export const SEEN = `
  d.state <> 'suspected' and d.last_seen >= r.started_at and d.first_seen <= coalesce(r.ended_at, now())` as const

export interface RecordedDifference extends WrittenDifference {
  readonly provider: string
  readonly paymentId: PaymentId | null
  readonly orderId: OrderId | null
  readonly firstSeen: Date
  readonly lastSeen: Date
  readonly closedAt: Date | null
  readonly acceptedBy: string | null
  readonly reasonCode: string | null
  readonly note: string | null
}

const RECORDED = `
  ${WRITTEN}, d.provider, d.payment_id as "paymentId", d.order_id as "orderId", d.first_seen as "firstSeen",
  d.last_seen as "lastSeen", d.closed_at as "closedAt", d.accepted_by as "acceptedBy", d.reason_code as "reasonCode", d.note` as const

/** Differences that a run saw, oldest first, behind the one of the id `after`. */
export async function listDifferences(
  db: Db,
  page: { id: ReconciliationId; after: DifferenceId | ''; limit: number },
): Promise<RecordedDifference[]> {
  const { rows } = await db.query<RecordedDifference>(LIST_DIFFERENCES({ ...page }))
  return rows
}

const LIST_DIFFERENCES = statement(
  'difference.list',
  `
    select ${RECORDED}
    from reconciliation r
    join reconciliation_difference d on ${SEEN}
    where r.id = :id and d.id > :after
    order by d.id
    limit :limit` as const,
)

export async function readDifference(db: Db, id: DifferenceId): Promise<RecordedDifference | null> {
  const { rows } = await db.query<RecordedDifference>(READ_DIFFERENCE({ id }))
  return rows[0] ?? null
}

const READ_DIFFERENCE = statement(
  'difference.read',
  `select ${RECORDED} from reconciliation_difference d where d.id = :id` as const,
)
