import { Goods } from '../../domain/fulfillment/goods'
import type { CommandBook, GoodsLine, GoodsOrder, LabelBook, ShipmentBook } from '../../domain/fulfillment/rows'
import type { Units } from '../../domain/fulfillment/shipment'
import type { MessageBook } from '../../domain/fulfillment/warehouse-messages'
import type { OrderId, ShipmentId } from '../../domain/ids'
import type { Books } from '../../domain/payment/books'
import { newId } from '../id'
import { moveOrderStock } from '../inventory/order-stock'
import { inBooks } from '../payment/books'
import { clearTold } from '../payment/work'
import { type Pool, type Tx, withTransaction } from '../pool'
import { statement } from '../sql'
import { planShipments } from './plan'

/**
 * The goods of one order, from its rows and back. Whoever changes shipments, labels or what an order still sends does so in
 * here: the order is locked first, then its payments, so that goods and money decide by what is true.
 */

export interface GoodsWork {
  /** The payment provider takes multiples of so many minor units of the currency. */
  stepOf(provider: string, currency: string): number
  /** The order's workflow itself does it, and hears what is left to do. */
  readonly isLed?: boolean
}

/** Lets `work` decide about the goods of an order, and about its money, and saves both in one transaction. */
export async function withGoods<T>(
  pool: Pool,
  orderId: OrderId,
  context: GoodsWork,
  work: (goods: Goods, books: Books, tx: Tx) => T,
): Promise<Awaited<T>> {
  return withTransaction(pool, (tx) => inGoods(tx, orderId, context, work))
}

/** {@link withGoods}, in a transaction that is open. What is not in shipments yet is put into some first. */
export async function inGoods<T>(
  tx: Tx,
  orderId: OrderId,
  context: GoodsWork,
  work: (goods: Goods, books: Books, tx: Tx) => T,
): Promise<Awaited<T>> {
  return inBooks(tx, orderId, async (books) => {
    const goods = await loadGoods(tx, orderId, context)
    const before = snapshotOf(goods)
    const result = await work(goods, books, tx)
    await saveGoods(tx, goods, before, context)
    return result
  })
}

async function loadGoods(tx: Tx, orderId: OrderId, { stepOf, isLed = false }: GoodsWork): Promise<Goods> {
  let stored = await readStored(tx, orderId)
  // Whoever asks for something has locked the order: what it wrote is read here, or it tells the workflow after this.
  if (isLed && stored.isTold) await clearTold(tx, orderId)
  if (stored.mustPlan) {
    await planShipments(tx, [orderId])
    stored = await readStored(tx, orderId)
  }
  const {
    order,
    lines,
    shipments,
    labels,
    commands,
    messages,
    backOrders,
    now,
    returnWindowDays,
    shortPick,
    providers,
    currency,
  } = stored
  return new Goods(
    {
      order: withTimes(order, ['lookAt', 'deliveredAt', 'completesAt', 'shortAskAt']),
      lines,
      shipments: shipments.map((one) =>
        withTimes(one, ['dueAt', 'askAt', 'releasedAt', 'leftAt', 'expectedAt', 'shippedAt', 'endedAt', 'settledAt']),
      ),
      labels: labels.map((one) => withTimes(one, ['voidSentAt', 'checkAt', 'leftAt'])),
      commands,
      messages,
      backOrders,
    },
    {
      now,
      returnWindowDays,
      shortPick,
      step: Math.max(1, ...providers.map((provider) => stepOf(provider, currency))),
      newIds: {
        shipment: () => newId('shipment'),
        label: () => newId('label'),
        command: () => newId('command'),
        message: () => newId('warehouseMessage'),
      },
    },
  )
}

interface StoredGoods {
  readonly now: Date
  readonly mustPlan: boolean
  /** The order's workflow was told that there is something to do, and has not read since. */
  readonly isTold: boolean
  readonly returnWindowDays: number
  readonly shortPick: 'back_order' | 'cancel'
  readonly currency: string
  /** Of the payments that pay for the order. */
  readonly providers: readonly string[]
  readonly order: GoodsOrder
  readonly lines: GoodsLine[]
  readonly shipments: ShipmentBook[]
  readonly labels: LabelBook[]
  readonly commands: CommandBook[]
  readonly messages: MessageBook[]
  readonly backOrders: Units[]
}

async function readStored(tx: Tx, orderId: OrderId): Promise<StoredGoods> {
  const { rows } = await tx.query<StoredGoods>(READ({ orderId }))
  const stored = rows[0]
  if (!stored) throw new Error(`There is no order ${orderId}`)
  return stored
}

/** Postgres writes times of JSON with an offset; here all are written alike, so that they sort as text. */
function withTimes<T extends object, Field extends keyof T>(row: T, fields: readonly Field[]): T {
  const times = fields.map((field) => [
    field,
    row[field] === null ? null : new Date(row[field] as string).toISOString(),
  ])
  return { ...row, ...Object.fromEntries(times) }
}

const READ = statement(
  'goods.read',
  `
    select now() as now, o.planned_at is null and o.status in ('confirmed', 'processing', 'on_hold') as "mustPlan",
           o.work_told as "isTold",
           settings.return_window_days as "returnWindowDays", settings.short_pick as "shortPick", o.currency,
           array(select distinct provider from payment where order_id = o.id and outcome = 'completed') as providers,
           json_build_object('id', o.id, 'status', o.status, 'heldFrom', o.held_from, 'heldFor', o.held_for, 'total', o.total,
             'tax', o.tax, 'addressVersion', o.address_version, 'fulfillmentStatus', o.fulfillment_status,
             'cancelReason', o.cancel_reason, 'lookAt', o.look_at, 'deliveredAt', o.delivered_at,
             'completesAt', o.completes_at, 'shortAskAt', o.short_ask_at) as "order",
           coalesce((
             select json_agg(json_build_object('sku', sku, 'quantity', quantity, 'total', total, 'tax', tax,
                      'cancelled', cancelled, 'shipped', shipped, 'delivered', delivered) order by position)
             from order_line where order_id = o.id
           ), '[]') as lines,
           coalesce((
             select json_agg(json_build_object('id', s.id, 'number', number, 'warehouseId', warehouse_id,
                      'operation', operation, 'status', status, 'replaces', replaces, 'boxes', boxes,
                      'isLeaving', is_leaving, 'captureId', capture_id, 'dueAt', due_at, 'askAt', ask_at,
                      'needsDecision', needs_decision, 'releasedAt', released_at, 'leftAt', left_at,
                      'trouble', trouble, 'expectedAt', expected_at, 'shippedAt', shipped_at, 'endedAt', ended_at,
                      'settledAt', settled_at,
                      'lines', coalesce((select json_agg(json_build_object('sku', sku, 'quantity', quantity) order by sku)
                                from shipment_line where shipment_id = s.id), '[]')) order by number)
             from shipment s
             where s.order_id = o.id
           ), '[]') as shipments,
           coalesce((
             select json_agg(json_build_object('id', id, 'shipmentId', shipment_id, 'number', number, 'key', key,
                      'carrier', carrier, 'service', service, 'addressVersion', address_version, 'status', status,
                      'atWork', at_work, 'wasSent', sent_at is not null, 'reference', reference,
                      'trackingNumber', tracking_number, 'trackingUrl', tracking_url, 'documentUrl', document_url, 'cost', cost,
                      'currency', currency, 'failureCode', failure_code, 'voidSentAt', void_sent_at, 'checkAt', check_at,
                      'leftAt', left_at) order by number)
             from label where order_id = o.id
           ), '[]') as labels,
           coalesce((
             select json_agg(json_build_object('id', id, 'shipmentId', shipment_id, 'kind', kind, 'state', state, 'code', code,
                      'detail', detail, 'actor', actor) order by id)
             from order_command where order_id = o.id and state = 'pending'
           ), '[]') as commands,
           coalesce((
             select json_agg(json_build_object('id', id, 'shipmentId', shipment_id, 'number', number, 'key', key, 'kind', kind,
                      'revision', revision, 'lines', lines, 'state', state, 'wasSent', sent_at is not null) order by number)
             from warehouse_message where order_id = o.id
           ), '[]') as messages,
           coalesce((
             select json_agg(json_build_object('sku', sku, 'quantity', quantity) order by sku)
             from back_order where order_id = o.id
           ), '[]') as "backOrders"
    from orders o, store_settings settings
    where o.id = :orderId`,
)

/** Each row as text, to see which of them changed. */
type Snapshot = ReadonlyMap<string, string>

function rowsOf({ order, lines, shipments, labels, commands, messages, backOrders }: Goods): [string, object][] {
  return [
    [order.id, order],
    ['lines', lines],
    ['back orders', backOrders],
    ...[...shipments, ...labels, ...commands, ...messages.rows].map((row): [string, object] => [row.id, row]),
  ]
}

interface Before {
  readonly rows: Snapshot
  /** What a person was asked about. */
  readonly asked: ReadonlySet<string>
}

function snapshotOf(goods: Goods): Before {
  return { rows: new Map(rowsOf(goods).map(([id, row]) => [id, JSON.stringify(row)])), asked: askedAbout(goods) }
}

function askedAbout({ shipments, order }: Goods): ReadonlySet<string> {
  const asked = shipments.filter(({ needsDecision }) => needsDecision).map(({ id }): string => id)
  return new Set(order.shortAskAt === null ? asked : [...asked, `${order.id} ${order.shortAskAt}`])
}

/**
 * A person is asked about something else than before. The order's workflow opens and closes the case, and has to look even when
 * whoever changed it dies before telling it.
 */
function asksElse(goods: Goods, { asked }: Before): boolean {
  const now = askedAbout(goods)
  return now.size !== asked.size || [...now].some((id) => !asked.has(id))
}

async function saveGoods(tx: Tx, goods: Goods, before: Before, { isLed = false }: GoodsWork): Promise<void> {
  const changed = new Set(
    rowsOf(goods)
      .filter(([id, row]) => before.rows.get(id) !== JSON.stringify(row))
      .map(([, row]) => row),
  )
  if (changed.size === 0 && goods.events.length === 0) return
  const orderId = goods.order.id
  const of = <T extends object>(rows: readonly T[]): T[] => rows.filter((row) => changed.has(row))
  await moveOrderStock(tx, orderId, goods.stock)
  const shipments = of(goods.shipments)
  if (shipments.length > 0) await tx.query(SAVE_SHIPMENTS({ orderId, rows: JSON.stringify(shipments) }))
  const labels = of(goods.labels)
  if (labels.length > 0) await tx.query(SAVE_LABELS({ orderId, rows: JSON.stringify(labels) }))
  const commands = of(goods.commands)
  if (commands.length > 0) await tx.query(SAVE_COMMANDS({ orderId, rows: JSON.stringify(commands) }))
  const messages = of(goods.messages.rows)
  if (messages.length > 0) await tx.query(SAVE_MESSAGES({ orderId, rows: JSON.stringify(messages) }))
  if (changed.has(goods.lines)) await tx.query(SAVE_LINES({ orderId, rows: JSON.stringify(goods.lines) }))
  if (changed.has(goods.backOrders))
    await tx.query(SAVE_BACK_ORDERS({ orderId, rows: JSON.stringify(goods.backOrders) }))
  await tx.query(
    SAVE_ORDER({
      orderId,
      ...pick(goods.order),
      mustLook: !isLed && asksElse(goods, before),
      ids: goods.events.map(() => newId('event')),
      events: JSON.stringify(goods.events),
    }),
  )
}

function pick({
  status,
  heldFrom,
  heldFor,
  cancelReason,
  fulfillmentStatus,
  lookAt,
  deliveredAt,
  completesAt,
  shortAskAt,
}: GoodsOrder) {
  return { status, heldFrom, heldFor, cancelReason, fulfillmentStatus, lookAt, deliveredAt, completesAt, shortAskAt }
}

const SAVE_SHIPMENTS = statement(
  'goods.saveShipments',
  `
    with row as (
      select *
      from json_to_recordset(:rows::json) as r (id text, number int, "warehouseId" text, operation text, status text, replaces text, boxes jsonb,
        "isLeaving" boolean, "captureId" text, "dueAt" timestamptz, "askAt" timestamptz, "needsDecision" boolean,
        "releasedAt" timestamptz, "leftAt" timestamptz, trouble text, "expectedAt" timestamptz, "shippedAt" timestamptz, "endedAt" timestamptz, "settledAt" timestamptz,
        lines jsonb)
    ),
    line as (
      select row.id as shipment_id, l.sku, l.quantity
      from row, jsonb_to_recordset(row.lines) as l (sku text, quantity int)
    ),
    gone as (
      delete from shipment_line old
      using row
      where old.shipment_id = row.id and not exists (select from line where line.shipment_id = row.id and line.sku = old.sku)
        and row.status <> 'cancelled'
    ),
    saved as (
      insert into shipment (id, order_id, number, warehouse_id, operation, status, replaces, boxes, is_leaving, capture_id, due_at, ask_at,
        needs_decision, released_at, left_at, trouble, expected_at, shipped_at, ended_at, settled_at)
      select id, :orderId, number, "warehouseId", operation, status, replaces, boxes, "isLeaving", "captureId", "dueAt", "askAt",
             "needsDecision", "releasedAt", "leftAt", trouble, "expectedAt", "shippedAt", "endedAt", "settledAt"
      from row
      on conflict (id) do update
      set status = excluded.status, boxes = excluded.boxes, is_leaving = excluded.is_leaving, capture_id = excluded.capture_id,
          due_at = excluded.due_at, ask_at = excluded.ask_at, needs_decision = excluded.needs_decision,
          released_at = excluded.released_at, left_at = excluded.left_at, trouble = excluded.trouble,
          expected_at = excluded.expected_at, shipped_at = excluded.shipped_at, ended_at = excluded.ended_at, settled_at = excluded.settled_at,
          updated_at = now()
    )
    insert into shipment_line (shipment_id, sku, quantity)
    select shipment_id, sku, quantity from line
    on conflict (shipment_id, sku) do update set quantity = excluded.quantity
    where shipment_line.quantity <> excluded.quantity`,
)

const SAVE_LABELS = statement(
  'goods.saveLabels',
  `
    insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status, at_work, reference,
      tracking_number, tracking_url, document_url, cost, currency, failure_code, void_sent_at, check_at, left_at)
    select r.id, r."shipmentId", :orderId, r.number, r.key, r.carrier, r.service, r."addressVersion", r.status, r."atWork",
           r.reference, r."trackingNumber", r."trackingUrl", r."documentUrl", r.cost, r.currency, r."failureCode",
           r."voidSentAt", r."checkAt", r."leftAt"
    from json_to_recordset(:rows::json) as r (id text, "shipmentId" text, number int, key text, carrier text, service text,
      "addressVersion" int, status text, "atWork" boolean, reference text, "trackingNumber" text, "trackingUrl" text,
      "documentUrl" text, cost bigint, currency text, "failureCode" text, "voidSentAt" timestamptz, "checkAt" timestamptz,
      "leftAt" timestamptz)
    on conflict (id) do update
    set status = excluded.status, at_work = excluded.at_work, reference = coalesce(excluded.reference, label.reference),
        tracking_number = excluded.tracking_number, tracking_url = excluded.tracking_url, document_url = excluded.document_url,
        cost = excluded.cost, currency = excluded.currency, failure_code = excluded.failure_code,
        void_sent_at = excluded.void_sent_at, check_at = excluded.check_at, left_at = excluded.left_at, updated_at = now()`,
)

const SAVE_COMMANDS = statement(
  'goods.saveCommands',
  `
    insert into order_command (id, order_id, shipment_id, kind, state, code, detail, actor, ended_at)
    select r.id, :orderId, r."shipmentId", r.kind, r.state, r.code, r.detail, r.actor, case when r.state <> 'pending' then now() end
    from json_to_recordset(:rows::json) as r (id text, "shipmentId" text, kind text, state text, code text, detail jsonb,
      actor text)
    on conflict (id) do update
    set state = excluded.state, code = excluded.code, ended_at = excluded.ended_at`,
)

const SAVE_MESSAGES = statement(
  'goods.saveMessages',
  `
    insert into warehouse_message (id, order_id, shipment_id, number, key, kind, revision, lines, state)
    select r.id, :orderId, r."shipmentId", r.number, r.key, r.kind, r.revision, r.lines, r.state
    from json_to_recordset(:rows::json) as r (id text, "shipmentId" text, number int, key text, kind text, revision int,
      lines jsonb, state text)
    on conflict (id) do update
    set state = excluded.state, updated_at = now()`,
)

const SAVE_LINES = statement(
  'goods.saveLines',
  `
    update order_line l
    set cancelled = r.cancelled, shipped = r.shipped, delivered = r.delivered
    from json_to_recordset(:rows::json) as r (sku text, cancelled int, shipped int, delivered int)
    where l.order_id = :orderId and l.sku = r.sku
      and (l.cancelled, l.shipped, l.delivered) <> (r.cancelled, r.shipped, r.delivered)`,
)

const SAVE_BACK_ORDERS = statement(
  'goods.saveBackOrders',
  `
    with row as (
      select * from json_to_recordset(:rows::json) as r (sku text, quantity int)
    ),
    gone as (
      delete from back_order old where order_id = :orderId and not exists (select from row where row.sku = old.sku)
    )
    insert into back_order (order_id, sku, quantity, confirmed_at)
    select o.id, row.sku, row.quantity, coalesce(o.confirmed_at, now())
    from row
    join orders o on o.id = :orderId
    on conflict (order_id, sku) do update set quantity = excluded.quantity`,
)

const SAVE_ORDER = statement(
  'goods.saveOrder',
  `
    with told as (
      select e.value as event, row_number() over (order by e.ordinality) as n, (:ids::text[])[e.ordinality] as id
      from json_array_elements(:events::json) with ordinality as e
    ),
    counted as (
      update orders
      set status = :status, held_from = :heldFrom, held_for = :heldFor, cancel_reason = :cancelReason,
          cancelled_at = case when :status = 'cancelled' then coalesce(cancelled_at, now()) end,
          fulfillment_status = :fulfillmentStatus,
          look_at = case when :mustLook then now() else :lookAt::timestamptz end, delivered_at = :deliveredAt, completes_at = :completesAt,
          short_ask_at = :shortAskAt,
          event_seq = event_seq + (select count(*) from told)::int, updated_at = now()
      where id = :orderId
      returning event_seq - (select count(*) from told)::int as before
    )
    insert into order_event (id, order_id, seq, type, from_status, to_status, data)
    select id, :orderId, before + n, event ->> 'type', event ->> 'from', event ->> 'to', (event -> 'data')::jsonb
    from told, counted`,
)

/** The order that a shipment is of; null: there is no such shipment. */
export async function orderOfShipment(pool: Pool, shipmentId: ShipmentId): Promise<OrderId | null> {
  const { rows } = await pool.query<{ orderId: OrderId }>({
    name: 'goods.orderOfShipment',
    text: 'select order_id as "orderId" from shipment where id = $1',
    values: [shipmentId],
  })
  return rows[0]?.orderId ?? null
}
