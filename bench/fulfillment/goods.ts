import { Client } from 'pg'
import { PARCEL_PATIENCE_DAYS, WAREHOUSE_PATIENCE_HOURS } from '../../domain/fulfillment/patience'
import { shipPostings } from '../../domain/payment/ledger'
import { AT, id, NUMBERED, type PaidOrders, TOTAL } from '../payment/history'

/** With which its carrier knows a parcel. */
export interface Parcel {
  readonly reference: string
  readonly trackingNumber: string
}

/**
 * Gives paid orders (`writePaidOrders`) their goods, by SQL alone: one unit, in a warehouse that people run. Without `parcels`
 * all wait to be picked. With them, one for each order, all have left when they were paid, and their carrier has told nothing.
 */
export async function writeGoods(
  databaseUrl: string,
  { from, to, hoursAgo }: PaidOrders,
  parcels: readonly Parcel[] | null,
): Promise<void> {
  const between = [from, to - 1]
  const values = [...between, hoursAgo]
  const queries = [
    { text: STOCK, values: [to - from, to - from - (parcels?.length ?? 0)] },
    { text: LINES(parcels === null ? 0 : 1), values: between },
    { text: SHIPMENTS(parcels === null ? ALLOCATED : SENT), values },
    { text: SHIPMENT_LINES, values: between },
    { text: RESERVATIONS(parcels === null ? 'committed' : 'shipped'), values },
    { text: ORDERS(parcels === null ? IN_PICKING : ON_THEIR_WAY), values: between },
    ...(parcels === null ? [] : sentWith(parcels, values)),
  ]
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

function sentWith(parcels: readonly Parcel[], values: readonly number[]): { text: string; values: unknown[] }[] {
  const [references, numbers] = [
    parcels.map(({ reference }) => reference),
    parcels.map(({ trackingNumber }) => trackingNumber),
  ]
  return [
    { text: MOVEMENTS, values: [...values] },
    { text: LABELS, values: [...values, references, numbers] },
    { text: EARNED, values: [...values] },
  ]
}

const SKU = 'WAITING'
/** A `standard` parcel at home takes so long. */
const DAYS_ON_THE_WAY = 3
/** A parcel that is on its way for a day or more is asked about so often. */
const ASKED_EVERY_HOURS = 12

/** `$1`: received; `$2`: what of it has not left. */
const STOCK = `
  with w as (insert into warehouse (id, name, country) values (${once('wh')}, 'Waiting', 'GB') returning id),
  p as (insert into product (id, slug, title) values (${once('prod')}, 'waiting', 'Waiting') returning id),
  v as (
    insert into variant (sku, sku_written, product_id, title) select '${SKU}', '${SKU}', id, 'Waiting' from p
    returning sku
  ),
  m as (
    insert into stock_movement (sku, warehouse_id, delta, on_hand, cause)
    select v.sku, w.id, $1::int, $1::int, 'adjustment' from v, w
  )
  insert into stock_level (sku, warehouse_id, on_hand, reserved) select v.sku, w.id, $2::int, $2::int from v, w`

const LINES = (shipped: 0 | 1): string => `
  insert into order_line (order_id, position, sku, sku_written, product_id, title, seller_id, quantity, unit_price, total, shipped)
  select ${id('order')}, 1, '${SKU}', '${SKU}', ${once('prod')}, 'Waiting', 'house', 1, ${TOTAL}, ${TOTAL}, ${shipped}
  ${NUMBERED}`

const ALLOCATED = {
  status: 'allocated',
  due: `${AT} + interval '${WAREHOUSE_PATIENCE_HOURS} hours'`,
  askAt: 'null::timestamptz',
  expectedAt: 'null::timestamptz',
  shippedAt: 'null::timestamptz',
}
const EXPECTED_AT = `${AT} + interval '${DAYS_ON_THE_WAY} days'`
const SENT = {
  status: 'shipped',
  due: `${EXPECTED_AT} + interval '${PARCEL_PATIENCE_DAYS} days'`,
  // Its carrier was asked about each at some time in these hours.
  askAt: `now() + interval '${ASKED_EVERY_HOURS} hours' * (n - $1::int + 1) / ($2::int - $1::int + 1)`,
  expectedAt: EXPECTED_AT,
  shippedAt: AT,
}

const SHIPMENTS = ({ status, due, askAt, expectedAt, shippedAt }: typeof ALLOCATED): string => `
  insert into shipment (id, order_id, number, warehouse_id, status, due_at, ask_at, expected_at, shipped_at, created_at, updated_at)
  select ${id('shp')}, ${id('order')}, 1, ${once('wh')}, '${status}', ${due}, ${askAt}, ${expectedAt}, ${shippedAt}, ${AT}, ${AT}
  ${NUMBERED}`

const SHIPMENT_LINES = `insert into shipment_line (shipment_id, sku, quantity) select ${id('shp')}, '${SKU}', 1 ${NUMBERED}`

const RESERVATIONS = (state: 'committed' | 'shipped'): string => `
  insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state, created_at, updated_at)
  select ${id('rsv')}, 'hard', ${id('order')}, '${SKU}', ${once('wh')}, 1, '${state}', ${AT}, ${AT}
  ${NUMBERED}`

const IN_PICKING = `status = 'confirmed'`
const ON_THEIR_WAY = `status = 'shipped', fulfillment_status = 'fulfilled', recognized = o.total`

const ORDERS = (become: string): string => `
  update orders o
  set ${become}, subtotal = o.total, snapshot = '{"${SKU}": {"quantity": 1}}', look_at = s.due_at
  ${NUMBERED}
  join shipment s on s.id = ${id('shp')}
  where o.id = s.order_id`

const MOVEMENTS = `
  insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reference, created_at)
  select '${SKU}', ${once('wh')}, -1, $2::int - n, 'shipment', ${id('shp')}, ${AT}
  ${NUMBERED}
  order by n`

const LABELS = `
  insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status, at_work, sent_at, reference,
                     tracking_number, cost, currency, created_at, updated_at)
  select ${id('lbl')}, ${id('shp')}, ${id('order')}, 1, ${id('order')} || '/label/1', 'sandbox', 'standard', 1, 'live', false, ${AT},
         ($4::text[])[n - $1::int + 1], ($5::text[])[n - $1::int + 1], 290, 'GBP', ${AT}, ${AT}
  ${NUMBERED}`

const POSTINGS = shipPostings({ paymentId: 'pay_', seq: 1, goods: TOTAL, goodsTax: 0, fee: 0, feeTax: 0 })

const EARNED = `
  insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency, created_at)
  select ${id('order')}, ${id('pay')}, 'ship', 1, e.account, e.amount, 'GBP', ${AT}
  ${NUMBERED}
  cross join (values ${POSTINGS.map(({ account, amount }) => `('${account}', ${amount})`).join(', ')}) as e (account, amount)
  order by n`

/** The id of what is there once. */
function once(prefix: string): string {
  return `'${prefix}_${'0'.repeat(26)}'`
}
