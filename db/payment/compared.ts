import type { CaptureId, PaymentId, RefundId } from '../../domain/ids'
import type { BookedPayment, ChargedPayment, OurPayment } from '../../domain/payment/reconciliation'
import type { Db } from '../pool'
import { statement } from '../sql'

/** Our side of a reconciliation, in pages. Each statement finds its rows by an index: none reads what is over and done with. */

/** What names a charge: our key of it, where the provider says one, and its own id. */
export interface ChargeName {
  readonly key: string | null
  readonly reference: string
}

const PAYMENT = `
  p.id, p.order_id as "orderId", p.provider, p.key, p.reference, p.currency, p.status, coalesce(p.amount, 0) as amount,
  p.captured, p.released, p.refunded, p.refunding, p.disputed,
  coalesce(p.outcome = 'completed', p.renews is not null) as pays,
  case when p.refunded = 0 then 0 else (
    select coalesce(sum(e.amount), 0)::bigint
    from ledger_entry e
    where e.payment_id = p.id and e.operation = 'refund_elsewhere' and e.account = 'refunds_payable') end as elsewhere,
  p.updated_at > now() - make_interval(secs => :quietSeconds) as "isRecent",
  exists (select from payment w where w.order_id = p.order_id and w.releasing)
    or exists (select from capture w where w.order_id = p.order_id and w.at_work and w.status = 'pending')
    or exists (select from refund w where w.order_id = p.order_id and w.at_work and w.status = 'pending') as "isAtWork"`
const STAGE = `
    'stage', case when o.status in ('pending', 'inventory_reserved', 'payment_pending') then 'open'
                  when o.status in ('cancelled', 'completed') then 'over' else 'won' end,
    'wasConfirmed', o.confirmed_at is not null`
const MOVES = `
  (select coalesce(json_agg(json_build_object('id', c.id, 'key', c.key, 'reference', c.reference, 'amount', c.amount,
            'status', c.status, 'cause', c.cause, 'movement', c.movement)), '[]')
   from capture c where c.payment_id = p.id) as captures,
  (select coalesce(json_agg(json_build_object('id', r.id, 'key', r.key, 'reference', r.reference, 'amount', r.amount,
            'status', r.status, 'movement', r.movement, 'isElsewhere', exists (
              select from ledger_entry e
              where e.payment_id = p.id and e.operation = 'refund_elsewhere' and e.seq = r.number))), '[]')
   from refund r where r.payment_id = p.id) as refunds,
  (select coalesce(json_agg(json_build_object('reference', d.reference, 'amount', d.amount, 'status', d.status)), '[]')
   from dispute d where d.payment_id = p.id) as disputes`
const BOOKS = `
  (select json_build_object(
            'authorized', coalesce(sum(amount) filter (where account = 'authorized'), 0),
            'clearing', coalesce(sum(amount) filter (where account = 'psp_clearing'), 0),
            'payable', coalesce(-sum(amount) filter (where account = 'refunds_payable'), 0),
            'disputed', coalesce(sum(amount) filter (where account in ('disputed', 'dispute_losses')), 0))
   from ledger_entry where payment_id = p.id) as ledger,
  json_build_object(${STAGE},
    'owed', case when o.status = 'cancelled' then 0 else o.total - o.cancelled - o.waived end,
    'kept', (select sum(q.captured - q.refunded - q.refunding - q.disputed) from payment q where q.order_id = o.id)
      - coalesce((
        select sum(f.amount)
        from refund f
        where f.order_id = o.id and f.status = 'failed' and (f.cause in ('cancel', 'late') or f.at_work)
          and not exists (select from refund again where again.order_id = o.id and again.retries = f.id)), 0)) as "order"`

/** Of each of these charges the payment that asked for it; null where there is none. */
export async function readPaymentsOfCharges(
  db: Db,
  { provider, charges, quietSeconds }: { provider: string; charges: readonly ChargeName[]; quietSeconds: number },
): Promise<(ChargedPayment | null)[]> {
  const rows = JSON.stringify(charges.map(({ key, reference }, n) => ({ n, key, reference })))
  const found = await db.query<ChargedPayment & { n: number }>(OF_CHARGES({ provider, rows, quietSeconds }))
  const byNumber = new Map(found.rows.map(({ n, ...payment }) => [n, payment]))
  return charges.map((_, n) => byNumber.get(n) ?? null)
}

const OF_CHARGES = statement(
  'compared.ofCharges',
  `
    select w.n, ${PAYMENT}, ${MOVES}, json_build_object(${STAGE}) as "order"
    from json_to_recordset(:rows::json) as w (n int, key text, reference text)
    cross join lateral (
      select * from payment where key = w.key and provider = :provider
      union all
      select * from payment where reference = w.reference and provider = :provider
      limit 1
    ) p
    join orders o on o.id = p.order_id` as const,
)

interface Wanted {
  readonly ids: readonly PaymentId[]
  readonly quietSeconds: number
}

/** Payments beside their ledger and their order. */
export async function readBookedPayments(db: Db, { ids, quietSeconds }: Wanted): Promise<BookedPayment[]> {
  const { rows } = await db.query<BookedPayment>(BOOKED({ ids, quietSeconds }))
  return rows
}

const BY_ID = `
    from unnest(:ids::text[]) as w (id)
    join payment p on p.id = w.id
    join orders o on o.id = p.order_id` as const

const BOOKED = statement('compared.booked', `select ${PAYMENT}, ${BOOKS} ${BY_ID}` as const)

/** Payments with all that belongs to them. */
export async function readComparedPayments(db: Db, { ids, quietSeconds }: Wanted): Promise<OurPayment[]> {
  const { rows } = await db.query<OurPayment>(WHOLE({ ids, quietSeconds }))
  return rows
}

const WHOLE = statement('compared.whole', `select ${PAYMENT}, ${MOVES}, ${BOOKS} ${BY_ID}` as const)

/**
 * Behind which entry of the ledger those begin that were written at `since` or later. Entries are written in the order of
 * their ids (but for those of transactions at the same time), so it is found in some twenty looks at the primary key.
 */
export async function findLedgerPosition(db: Db, since: Date): Promise<number> {
  let before = 0
  let end = (await db.query<{ last: number | null }>(LAST_ENTRY({}))).rows[0]?.last ?? 0
  while (before < end) {
    const middle = Math.floor((before + end) / 2)
    const next = (await db.query<{ id: number; isOlder: boolean }>(ENTRY_BEHIND({ middle, since }))).rows[0]
    if (next?.isOlder) before = next.id
    else end = middle
  }
  return before
}

const LAST_ENTRY = statement('compared.lastEntry', 'select max(id) as last from ledger_entry')

const ENTRY_BEHIND = statement(
  'compared.entryBehind',
  `
    select id, created_at < :since as "isOlder"
    from ledger_entry
    where id > :middle
    order by id
    limit 1`,
)

/** The payments of the next entries of the ledger behind `after`, each once; `last` is null behind the last one. */
export async function listLedgerPayments(
  db: Db,
  { after, limit }: { after: number; limit: number },
): Promise<{ last: number | null; payments: PaymentId[] }> {
  const { rows } = await db.query<{ last: number | null; payments: PaymentId[] | null }>(
    LEDGER_PAYMENTS({ after, limit }),
  )
  return { last: rows[0]?.last ?? null, payments: rows[0]?.payments ?? [] }
}

const LEDGER_PAYMENTS = statement(
  'compared.ledgerPayments',
  `
    select max(id) as last, array_agg(distinct payment_id::text) as payments
    from (select id, payment_id from ledger_entry where id > :after order by id limit :limit) as page`,
)

export type MoveId = CaptureId | RefundId

/** Captures and refunds that succeeded a while ago, and for which no movement was found yet; by id, behind `after`. */
export async function listUnmatchedMoves(
  db: Db,
  page: { after: MoveId | ''; limit: number; quietSeconds: number },
): Promise<{ id: MoveId; paymentId: PaymentId }[]> {
  const { rows } = await db.query<{ id: MoveId; paymentId: PaymentId }>(UNMATCHED({ ...page }))
  return rows
}

const UNMATCHED = statement(
  'compared.unmatched',
  `
    (select c.id, c.payment_id as "paymentId"
     from capture c
     where c.status = 'succeeded' and c.movement is null and c.id > :after
       and c.updated_at <= now() - make_interval(secs => :quietSeconds)
     order by c.id
     limit :limit)
    union all
    (select r.id, r.payment_id
     from refund r
     where r.status = 'succeeded' and r.movement is null and r.id > :after
       and r.updated_at <= now() - make_interval(secs => :quietSeconds)
       and not exists (
         select from ledger_entry e
         where e.payment_id = r.payment_id and e.operation = 'refund_elsewhere' and e.seq = r.number)
     order by r.id
     limit :limit)
    order by id
    limit :limit`,
)

/** Writes down which movement was found for which capture or refund. */
export async function markMatched(db: Db, found: readonly { id: MoveId; movement: string }[]): Promise<void> {
  if (found.length === 0) return
  await db.query(MATCHED({ rows: JSON.stringify(found) }))
}

const MATCHED = statement(
  'compared.matched',
  `
    with found as (
      select id, movement from json_to_recordset(:rows::json) as f (id text, movement text)
    ),
    captures as (
      update capture set movement = f.movement from found f where capture.id = f.id and capture.movement is null
    )
    update refund set movement = f.movement from found f where refund.id = f.id and refund.movement is null`,
)

/** Whether there is such an order: what a provider was told need not be one of ours. */
export async function isOrder(db: Db, id: string): Promise<boolean> {
  const { rows } = await db.query({ name: 'compared.isOrder', text: 'select from orders where id = $1', values: [id] })
  return rows.length > 0
}
