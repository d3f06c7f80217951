import type { OrderId } from '../../domain/ids'
import {
  Books,
  type CaptureBook,
  type DisputeBook,
  type OrderMoney,
  type PaymentBook,
  type RefundBook,
} from '../../domain/payment/books'
import { newId } from '../id'
import { type Pool, type Tx, withTransaction } from '../pool'
import { statement } from '../sql'

/**
 * The books of one order, from its rows and back. Whoever changes captures, refunds, disputes, or what of an authorization is
 * left, does so in here: the order is locked first, then its payments, so that the books decide by what is true.
 */

/** Lets `work` decide in the order's books, and saves what it changed, in one transaction. Throws when there is no such order. */
export async function withBooks<T>(
  pool: Pool,
  orderId: OrderId,
  work: (books: Books, tx: Tx) => T,
): Promise<Awaited<T>> {
  return withTransaction(pool, (tx) => inBooks(tx, orderId, work))
}

/** {@link withBooks}, in a transaction that is open. */
export async function inBooks<T>(tx: Tx, orderId: OrderId, work: (books: Books, tx: Tx) => T): Promise<Awaited<T>> {
  const books = await loadBooks(tx, orderId)
  const before = { rows: snapshotOf(books), paymentStatus: books.paymentStatus }
  const result = await work(books, tx)
  await saveBooks(tx, books, before)
  return result
}

async function loadBooks(tx: Tx, orderId: OrderId): Promise<Books> {
  const { rows } = await tx.query<OrderMoney>(LOCK_ORDER({ orderId }))
  const order = rows[0]
  if (!order) throw new Error(`There is no order ${orderId}`)
  const stored = await tx.query<StoredMoney>(LOCK_MONEY({ orderId }))
  const { payments = [], captures = [], refunds = [], disputes = [] } = stored.rows[0] ?? {}
  return new Books(
    { order, payments: payments.map(paymentOf), captures, refunds, disputes },
    { capture: () => newId('capture'), refund: () => newId('refund') },
  )
}

interface StoredMoney {
  readonly payments: PaymentBook[]
  readonly captures: CaptureBook[]
  readonly refunds: RefundBook[]
  readonly disputes: DisputeBook[]
}

/** Postgres writes times of JSON with an offset. */
function paymentOf({ captureBefore, ...payment }: PaymentBook): PaymentBook {
  return { ...payment, captureBefore: captureBefore === null ? null : new Date(captureBefore).toISOString() }
}

const LOCK_ORDER = statement(
  'books.lockOrder',
  `
    select id, total, cancelled, waived, recognized, recognized_tax as "recognizedTax", status = 'on_hold' as "isHeld",
           case when status in ('pending', 'inventory_reserved', 'payment_pending') then 'open'
                when status = 'cancelled' then 'over' else 'won' end as stage
    from orders
    where id = :orderId
    for update`,
)

/** Whoever moves money has locked the order before: what is read here beside the locks is as true as they are. */
const LOCK_MONEY = statement(
  'books.lockMoney',
  `
    with locked as materialized (
      select id, attempt, outcome is not distinct from 'completed' as pays, status, coalesce(amount, 0) as amount, reference, captures_in_parts as "capturesInParts",
             capture_before as "captureBefore", captured, capturing, released, refunded, refunding, disputed, releasing
      from payment
      where order_id = :orderId
      order by attempt
      for update
    )
    select
      (select coalesce(json_agg(locked order by attempt), '[]') from locked) as payments,
      (select coalesce(json_agg(json_build_object('id', id, 'paymentId', payment_id, 'number', number, 'key', key,
                'amount', amount, 'status', status, 'atWork', at_work, 'wasSent', sent_at is not null, 'final', final,
                'cause', cause, 'shipmentId', shipment_id, 'actor', actor, 'reference', reference, 'failureCode', failure_code,
                'retries', retries) order by number), '[]')
       from capture where order_id = :orderId) as captures,
      (select coalesce(json_agg(json_build_object('id', id, 'requestId', request_id, 'paymentId', payment_id, 'number', number,
                'key', key, 'amount', amount, 'status', status, 'atWork', at_work, 'cause', cause, 'reasonCode', reason_code,
                'restock', restock, 'returned', returned, 'returnedTax', returned_tax, 'actor', actor, 'isElsewhere', elsewhere, 'reference', reference, 'failureCode', failure_code, 'retries', retries)
                order by number), '[]')
       from refund where order_id = :orderId) as refunds,
      (select coalesce(json_agg(json_build_object('paymentId', payment_id, 'reference', reference, 'number', number,
                'amount', amount, 'status', status, 'atWork', at_work) order by number), '[]')
       from dispute where order_id = :orderId) as disputes`,
)

/** Each row as text, to see which of them changed. */
type Snapshot = ReadonlyMap<string, string>

function rowsOf({ order, payments, captures, refunds, disputes }: Books): [string, object][] {
  return [
    [order.id, order],
    ...payments.map((row): [string, object] => [row.id, row]),
    ...captures.map((row): [string, object] => [row.id, row]),
    ...refunds.map((row): [string, object] => [row.id, row]),
    ...disputes.map((row): [string, object] => [`${row.paymentId}/${row.reference}`, row]),
  ]
}

function snapshotOf(books: Books): Snapshot {
  return new Map(rowsOf(books).map(([id, row]) => [id, JSON.stringify(row)]))
}

interface Before {
  readonly rows: Snapshot
  readonly paymentStatus: Books['paymentStatus']
}

async function saveBooks(tx: Tx, books: Books, before: Before): Promise<void> {
  const changed = new Set(
    rowsOf(books)
      .filter(([id, row]) => before.rows.get(id) !== JSON.stringify(row))
      .map(([, row]) => row),
  )
  const orderId = books.order.id
  const of = <T extends object>(rows: readonly T[]): T[] => rows.filter((row) => changed.has(row))
  if (changed.size === 0 && books.events.length === 0) return
  const { postings } = books
  const [payments, captures, refunds, disputes] = [
    of(books.payments),
    of(books.captures),
    of(books.refunds),
    of(books.disputes),
  ]
  if (payments.length > 0) await tx.query(SAVE_PAYMENTS({ rows: JSON.stringify(payments) }))
  if (captures.length > 0) await tx.query(SAVE_CAPTURES({ orderId, rows: JSON.stringify(captures) }))
  if (refunds.length > 0) await tx.query(SAVE_REFUNDS({ orderId, rows: JSON.stringify(refunds) }))
  if (disputes.length > 0) await tx.query(SAVE_DISPUTES({ orderId, rows: JSON.stringify(disputes) }))
  if (postings.length > 0) await tx.query(POST({ orderId, rows: JSON.stringify(postings) }))
  const isTold = books.events.length > 0 || changed.has(books.order) || books.paymentStatus !== before.paymentStatus
  if (!isTold) return
  await tx.query(
    TELL({
      orderId,
      cancelled: books.order.cancelled,
      waived: books.order.waived,
      recognized: books.order.recognized,
      recognizedTax: books.order.recognizedTax,
      paymentStatus: books.paymentStatus,
      ids: books.events.map(() => newId('event')),
      events: JSON.stringify(books.events),
    }),
  )
}

const SAVE_PAYMENTS = statement(
  'books.savePayments',
  `
    update payment p
    set status = r.status, amount = nullif(r.amount, 0), reference = r.reference, captures_in_parts = r."capturesInParts", capture_before = r."captureBefore",
        captured = r.captured, capturing = r.capturing, released = r.released, refunded = r.refunded,
        refunding = r.refunding, disputed = r.disputed, releasing = r.releasing, updated_at = now(),
        outcome = coalesce(outcome, case when r.pays then 'completed'
          when r.status in ('authorized', 'captured', 'voided', 'refunded') then 'cancelled' end)
    from json_to_recordset(:rows::json) as r (id text, pays boolean, status text, amount bigint, reference text, "capturesInParts" boolean,
      "captureBefore" timestamptz, captured bigint, capturing bigint, released bigint, refunded bigint, refunding bigint,
      disputed bigint, releasing boolean)
    where p.id = r.id`,
)

const SAVE_CAPTURES = statement(
  'books.saveCaptures',
  `
    insert into capture (id, order_id, payment_id, number, key, amount, currency, status, at_work, sent_at, final, cause, shipment_id,
      actor, reference, failure_code, retries)
    select r.id, :orderId, r."paymentId", r.number, r.key, r.amount, o.currency, r.status, r."atWork",
           case when r."wasSent" then now() end, r.final, r.cause, r."shipmentId", r.actor, r.reference, r."failureCode", r.retries
    from json_to_recordset(:rows::json) as r (id text, "paymentId" text, number int, key text, amount bigint, status text,
      "atWork" boolean, "wasSent" boolean, final boolean, cause text, "shipmentId" text, actor text, reference text, "failureCode" text,
      retries text)
    join orders o on o.id = :orderId
    on conflict (id) do update
    set status = excluded.status, at_work = excluded.at_work, sent_at = coalesce(capture.sent_at, excluded.sent_at),
        final = excluded.final, reference = excluded.reference, failure_code = excluded.failure_code, updated_at = now()`,
)

const SAVE_REFUNDS = statement(
  'books.saveRefunds',
  `
    insert into refund (id, request_id, order_id, payment_id, number, key, amount, currency, status, at_work, cause,
      reason_code, restock, returned, returned_tax, actor, elsewhere, reference, failure_code, retries)
    select r.id, r."requestId", :orderId, r."paymentId", r.number, r.key, r.amount, o.currency, r.status, r."atWork", r.cause,
           r."reasonCode", r.restock, r.returned, r."returnedTax", r.actor, r."isElsewhere", r.reference, r."failureCode", r.retries
    from json_to_recordset(:rows::json) as r (id text, "requestId" text, "paymentId" text, number int, key text,
      amount bigint, status text, "atWork" boolean, cause text, "reasonCode" text, restock boolean, returned bigint, "returnedTax" bigint, actor text,
      "isElsewhere" boolean,
      reference text, "failureCode" text, retries text)
    join orders o on o.id = :orderId
    on conflict (id) do update
    set status = excluded.status, at_work = excluded.at_work, elsewhere = excluded.elsewhere,
        reference = excluded.reference, failure_code = excluded.failure_code, updated_at = now()`,
)

const SAVE_DISPUTES = statement(
  'books.saveDisputes',
  `
    insert into dispute (payment_id, reference, order_id, number, amount, currency, status, at_work)
    select r."paymentId", r.reference, :orderId, r.number, r.amount, o.currency, r.status, r."atWork"
    from json_to_recordset(:rows::json) as r ("paymentId" text, reference text, number int, amount bigint, status text,
      "atWork" boolean)
    join orders o on o.id = :orderId
    on conflict (payment_id, reference) do update
    set status = excluded.status, at_work = excluded.at_work, updated_at = now()`,
)

const POST = statement(
  'books.post',
  `
    insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency)
    select :orderId, r."paymentId", r.operation, r.seq, r.account, r.amount, o.currency
    from json_to_recordset(:rows::json) as r ("paymentId" text, operation text, seq bigint, account text, amount bigint)
    join orders o on o.id = :orderId`,
)

const TELL = statement(
  'books.tell',
  `
    with told as (
      select e.value as event, row_number() over (order by e.ordinality) as n, (:ids::text[])[e.ordinality] as id
      from json_array_elements(:events::json) with ordinality as e
    ),
    counted as (
      update orders
      set cancelled = :cancelled, waived = :waived, recognized = :recognized, recognized_tax = :recognizedTax, payment_status = coalesce(:paymentStatus, payment_status),
          event_seq = event_seq + (select count(*) from told)::int, updated_at = now()
      where id = :orderId
      returning event_seq - (select count(*) from told)::int as before
    )
    insert into order_event (id, order_id, seq, type, data)
    select id, :orderId, before + n, event ->> 'type', (event -> 'data')::jsonb
    from told, counted`,
)
