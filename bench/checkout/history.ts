import { Client } from 'pg'

/**
 * Writes orders of days gone by with their payments, captures, reservations, goods and closed cases, by SQL alone: those with the
 * numbers from `from` up to, but without, `to`. Of ten, one was never paid, one was cancelled and its charge voided, one was sent
 * (every other of those has arrived, and is complete), one was captured and is to be picked, and six are confirmed and hold an
 * authorization that nobody captures for weeks: the units of five of these are to be picked, those of one lie nowhere. None of
 * them is at work.
 */
export async function writeHistory(databaseUrl: string, { from, to }: { from: number; to: number }): Promise<void> {
  const texts = [ORDERS, PAYMENTS, CAPTURES, RESERVATIONS, SHIPMENTS, LABELS, COMMANDS, LOOK_AT, CASES]
  const between = [from, to - 1]
  await run(databaseUrl, [{ text: STOCK }, ...texts.map((text) => ({ text, values: between }))])
}

/**
 * Makes work of some of the first 400 past orders, as a busy shop has it: 40 are open and wait for their buyers, a few are to
 * be settled or captured, of a few the goods are, each in another way, and every other one has a case.
 */
export async function writeWork(databaseUrl: string): Promise<void> {
  await run(
    databaseUrl,
    [OPENED, WAITING, UNRESOLVED, TO_CAPTURE, ...OF_GOODS, WITH_CASE].map((text) => ({ text })),
  )
}

async function run(databaseUrl: string, queries: readonly { text: string; values?: number[] }[]): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    for (const query of queries) await client.query(query)
    // As autovacuum does in time.
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}

/** Something for the reservations to stand on. */
const STOCK = `
  with w as (insert into warehouse (id, name, country) values (${id('wh')}, 'Past', 'GB') on conflict do nothing returning id),
  p as (insert into product (id, slug, title) values (${id('prod')}, 'past', 'Past') on conflict do nothing returning id),
  v as (
    insert into variant (sku, sku_written, product_id, title) select 'PAST', 'PAST', id, 'Past' from p
    returning sku
  )
  insert into stock_level (sku, warehouse_id) select v.sku, w.id from v, w`

const NUMBERED = 'from generate_series($1::int, $2::int) as n'

const ORDERS = `
  insert into orders (id, cart_id, token_hash, status, cancel_reason, payment_status, currency, email, shipping_address,
                      shipping_method, snapshot, cart_version, body_hash, total, created_at, updated_at, confirmed_at, planned_at, cancelled_at)
  select ${id('order')}, ${id('cart')}, '', status, case when status = 'cancelled' then 'expired' end,
         case n % 10 when 0 then 'none' when 1 then 'voided' when 2 then 'captured' when 3 then 'captured' else 'authorized' end,
         'GBP', 'past@example.com', '{}', 'standard', '{}', 1, '', 500, at, at,
         case when status <> 'cancelled' then at end, case when status <> 'cancelled' then at end,
         case when status = 'cancelled' then at end
  ${NUMBERED}
  cross join lateral (
    select case when n % 10 < 2 then 'cancelled' when n % 20 = 2 then 'shipped' when n % 20 = 12 then 'completed'
             else 'confirmed' end as status,
           now() - interval '1 day' - n * interval '1 second' as at
  ) as past`

const PAYMENTS = `
  insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, outcome, reference, captured,
                       created_at, updated_at)
  select ${id('pay')}, ${id('order')}, 1, ${id('order')} || '/charge/1', 'sandbox', 'pm_card_visa', 500, 'GBP', status,
         case status when 'declined' then 'declined' when 'voided' then 'cancelled' else 'completed' end, 'ch_' || n,
         case when status = 'captured' then 500 else 0 end, at, at
  ${NUMBERED}
  cross join lateral (
    select case n % 10 when 0 then 'declined' when 1 then 'voided' when 2 then 'captured' when 3 then 'captured'
           else 'authorized' end as status, now() - interval '1 day' - n * interval '1 second' as at
  ) as past`

const CAPTURES = `
  insert into capture (id, order_id, payment_id, number, key, amount, currency, status, at_work, cause, reference,
                       updated_at)
  select ${id('cap')}, ${id('order')}, ${id('pay')}, 1, ${id('order')} || '/capture/1', 500, 'GBP', 'succeeded', false, 'staff',
         'mv_' || n, now() - interval '1 day'
  ${NUMBERED}
  where n % 10 in (2, 3)`

const RESERVATIONS = `
  insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state, expires_at)
  select ${id('rsv')}, 'hard', ${id('order')}, 'PAST', ${id('wh', '0')}, 1,
         case when n % 10 < 2 then 'expired' when n % 10 = 2 then 'shipped' else 'committed' end, now() - interval '1 day'
  ${NUMBERED}`

const SHIPMENTS = `
  insert into shipment (id, order_id, number, warehouse_id, status, due_at, ask_at, created_at, updated_at)
  select ${id('shp')}, ${id('order')}, 1, ${id('wh')}, status, case when status <> 'delivered' then now() + interval '2 days' end,
         case when status = 'shipped' then now() + interval '2 hours' end, now() - interval '1 day', now() - interval '1 day'
  ${NUMBERED}
  cross join lateral (
    select case n % 20 when 2 then 'shipped' when 12 then 'delivered' else 'allocated' end as status
  ) as parcel
  where n % 10 >= 2 and n % 10 <> 5`

const LABELS = `
  insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status, at_work, sent_at, reference,
                     tracking_number, updated_at)
  select ${id('lbl')}, ${id('shp')}, ${id('order')}, 1, ${id('order')} || '/label/1', 'sandbox', 'standard', 1, 'live', false, now(),
         'lb_' || n, n::text, now() - interval '1 day'
  ${NUMBERED}
  where n % 10 = 2`

const COMMANDS = `
  insert into order_command (id, order_id, shipment_id, kind, state, created_at, ended_at)
  select ${id('cmd')}, ${id('order')}, ${id('shp')}, 'ship', 'done', now() - interval '1 day', now() - interval '1 day'
  ${NUMBERED}
  where n % 10 = 2`

const LOOK_AT = `
  update orders o set look_at = s.due_at
  ${NUMBERED} join shipment s on s.id = ${id('shp')}
  where o.id = s.order_id and s.due_at is not null`

/** One order of a hundred has had one. */
const CASES = `
  insert into attention (order_id, code, workflow_id, step, object, closed_at)
  select ${id('order')}, 'provider_unreachable', 'checkout-' || ${id('order')}, 'retryCharge', ${id('pay')}, now()
  ${NUMBERED}
  where n % 100 = 0`

const SOME = 'from generate_series(0, 399) as n'

const OPENED = `
  update orders o set status = 'payment_pending', confirmed_at = null, hold_expires_at = now()
  ${SOME} where o.id = ${id('order')} and n % 10 = 5`
const WAITING = `
  update payment p set status = 'requires_action', outcome = null
  ${SOME} where p.id = ${id('pay')} and n % 10 = 5`
const UNRESOLVED = `
  update payment p set status = 'sent'
  ${SOME} where p.id = ${id('pay')} and n % 100 = 0`
const TO_CAPTURE = `
  update capture m set at_work = true, status = 'pending'
  ${SOME} where m.id = ${id('cap')} and n % 100 = 3`
/** A label to be bought, a parcel on its way out, one that a person has to decide about, and one that somebody ought to have looked at. */
const OF_GOODS = [
  `update shipment s set status = 'packed' ${SOME} where s.id = ${id('shp')} and n % 200 = 4`,
  `insert into label (id, shipment_id, order_id, number, key, address_version)
   select ${id('lbl')}, ${id('shp')}, ${id('order')}, 1, ${id('order')} || '/label/1', 1 ${SOME} where n % 200 = 4`,
  `update shipment s set status = 'labelled', is_leaving = true ${SOME} where s.id = ${id('shp')} and n % 200 = 6`,
  `update shipment s set needs_decision = true ${SOME} where s.id = ${id('shp')} and n % 200 = 7`,
  `update orders o set look_at = now() - interval '1 hour' ${SOME} where o.id = ${id('order')} and n % 200 = 8`,
]
const WITH_CASE = `
  insert into attention (order_id, code, workflow_id, step, object)
  select ${id('order')}, 'provider_unreachable', 'checkout-' || ${id('order')}, 'retryCharge', ${id('pay')}
  ${SOME} where n % 20 = 5 or n % 200 in (0, 3)`

/** A valid id made of a number, which for a thing that is there once is 0. */
function id(prefix: string, number = prefix === 'wh' || prefix === 'prod' ? '0' : 'n'): string {
  return `'${prefix}_' || lpad(${number}::text, 26, '0')`
}
