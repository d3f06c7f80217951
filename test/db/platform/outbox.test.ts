import { addLines, insertCart, hashToken } from '../../../db/cart/cart'
import { createCategory, deleteCategory, updateCategory } from '../../../db/catalog/category-tree'
import { createProduct, updateProduct } from '../../../db/catalog/product'
import { newId } from '../../../db/id'
import { serveBackOrders } from '../../../db/inventory/back-order'
import { holdCart, releaseCartHold } from '../../../db/inventory/reservation'
import { adjustStock } from '../../../db/inventory/stock'
import { acceptOrder } from '../../../db/checkout'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { cancelOrder } from '../../../db/order/cancel'
import { confirmOrder } from '../../../db/order/confirm'
import { changeAddress } from '../../../db/order/address'
import { holdOrder, resumeOrder } from '../../../db/order/hold'
import { placeOrder, refuseOrder } from '../../../db/order/place'
import { type AttemptChange, changeAttempt, requestAttempt, startAttempt } from '../../../db/payment/attempt'
import { withBooks } from '../../../db/payment/books'
import { type OutboxRow, readRow } from '../../../db/platform/outbox'
import { withTransaction } from '../../../db/pool'
import { EVENT_VERSIONS, type EventType, type HoldfastEvent } from '../../../domain/events'
import { advance as advanceGoods } from '../../../domain/fulfillment/advance'
import { cancelUnits as cancelUnitsOf } from '../../../domain/fulfillment/cancelling'
import { answerVoid, claimLabel, refuseLabel } from '../../../domain/fulfillment/labels'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { pack } from '../../../domain/fulfillment/picking'
import { decideShipment } from '../../../domain/fulfillment/parcel-decisions'
import { hear, type WarehouseNews } from '../../../domain/fulfillment/warehouse-news'
import type { CartId, OrderId, PaymentId, ShipmentId, Sku, WarehouseId } from '../../../domain/ids'
import type { Books, MoveAnswer, SeenPayment } from '../../../domain/payment/books'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements } from '../../support/goods-statements'
import { seenCharge, seenPayment } from '../../support/seen'
import { ADDRESS } from '../../support/shop'

const SKU = 'EVENT-1'

let database: TestDatabase
let warehouseId: WarehouseId
let rows: OutboxRow[]
beforeAll(async () => {
  database = await testDatabase()
  warehouseId = await seedProducts(database.pool, [{ sku: SKU, title: 'Cup', prices: { GBP: 500 }, stock: 100 }])
  await writeEveryEvent()
  const found = await database.pool.query<OutboxRow>(
    'select id, event_id as "eventId", aggregate, seq, type, payload, created_at as "createdAt" from outbox order by id',
  )
  rows = found.rows
})
afterAll(() => database.drop())

const CAPTURE = { payment_id: 'string', capture_id: 'string', amount: 'number' } as const
const SHIPMENT = { shipment_id: 'string' } as const
const LABEL = { ...SHIPMENT, label_id: 'string' } as const
const REFUND = { payment_id: 'string', refund_id: 'string', amount: 'number' } as const

/** What the data of each type consists of; the compiler compares it with the union, the test with what is written. */
const FIELDS: { readonly [Type in EventType]: FieldsOf<Extract<HoldfastEvent, { type: Type }>['data']> } = {
  'order.created': ofOrder({}),
  'inventory.reserved': ofOrder({ routes: 'list' }),
  'order.payment_pending': ofOrder({ total: 'number' }),
  'order.confirmed': ofOrder({}),
  'order.cancelled': ofOrder({ reason: 'string', reason_code: 'string' }),
  'order.held': ofOrder({ cause: 'string', reason_code: 'string' }),
  'order.hold_added': ofOrder({ cause: 'string', reason_code: 'string' }),
  'order.hold_removed': ofOrder({ cause: 'string', reason_code: 'string' }),
  'order.resumed': ofOrder({ cause: 'string', reason_code: 'string' }),
  'order.address_changed': ofOrder({ address_version: 'number' }),
  'order.back_order_served': ofOrder({ warehouse_id: 'string', units: 'list' }),
  'order.units_cancelled': ofOrder({ units: 'list', amount: 'number', reason_code: 'string' }),
  'payment.requested': ofOrder({ payment_id: 'string', amount: 'number' }),
  'payment.requires_action': ofOrder({ payment_id: 'string' }),
  'payment.pending': ofOrder({ payment_id: 'string' }),
  'payment.authorized': ofOrder({ payment_id: 'string', amount: 'number' }),
  'payment.capture_requested': ofOrder(CAPTURE),
  'payment.captured': ofOrder(CAPTURE),
  'payment.capture_failed': ofOrder({ ...CAPTURE, failure_code: 'string' }),
  'payment.declined': ofOrder({ payment_id: 'string', decline_code: 'string' }),
  'payment.failed': ofOrder({ payment_id: 'string' }),
  'payment.voided': ofOrder({ payment_id: 'string', amount: 'number' }),
  'payment.released': ofOrder({ payment_id: 'string', amount: 'number' }),
  'payment.received': ofOrder({ payment_id: 'string', amount: 'number', status: 'string' }),
  'payment.refund_requested': ofOrder(REFUND),
  'payment.refunded': ofOrder(REFUND),
  'payment.refund_failed': ofOrder({ ...REFUND, failure_code: 'string' }),
  'payment.disputed': ofOrder({ payment_id: 'string', amount: 'number' }),
  'payment.dispute_closed': ofOrder({ payment_id: 'string', amount: 'number', status: 'string' }),
  'shipment.allocated': ofOrder({ ...SHIPMENT, warehouse_id: 'string', lines: 'list', replaces: 'string' }),
  'shipment.picked': ofOrder({ ...SHIPMENT, short: 'list' }),
  'shipment.packed': ofOrder(SHIPMENT),
  'shipment.reopened': ofOrder(SHIPMENT),
  'shipment.labelled': ofOrder({ ...LABEL, carrier: 'string', service: 'string', tracking_number: 'string' }),
  'shipment.label_refused': ofOrder({ ...LABEL, code: 'string' }),
  'shipment.label_voided': ofOrder(LABEL),
  'shipment.left_unasked': ofOrder(SHIPMENT),
  'shipment.released': ofOrder(SHIPMENT),
  'shipment.refused': ofOrder({ ...SHIPMENT, code: 'string' }),
  'shipment.kept': ofOrder(SHIPMENT),
  'shipment.shipped': ofOrder({ ...SHIPMENT, lines: 'list' }),
  'shipment.delivered': ofOrder(SHIPMENT),
  'shipment.lost': ofOrder(SHIPMENT),
  'shipment.returned': ofOrder(SHIPMENT),
  'shipment.cancelled': ofOrder({ ...SHIPMENT, reason: 'string' }),
  'shipment.settled': ofOrder(SHIPMENT),
  'order.back_ordered': ofOrder({ units: 'list' }),
  'order.processing': ofOrder({}),
  'order.shipped': ofOrder({}),
  'order.delivered': ofOrder({}),
  'order.completed': ofOrder({}),
  'product.created': { product_id: 'string', version: 'number' },
  'product.updated': { product_id: 'string', version: 'number' },
  'category.created': { category_id: 'string', version: 'number', shown_on: 'list' },
  'category.updated': { category_id: 'string', version: 'number', shown_on: 'list' },
  'category.deleted': { category_id: 'string', version: 'number', shown_on: 'list' },
  'stock.adjusted': { sku: 'string', warehouse_id: 'string', on_hand: 'number' },
  'stock.sold_out': { sku: 'string', warehouse_id: 'string', on_hand: 'number' },
  'stock.back_in_stock': { sku: 'string', warehouse_id: 'string', on_hand: 'number' },
}

type FieldsOf<Data> = { readonly [Field in keyof Data]-?: KindOf<Data[Field]> }
type KindOf<Value> = [Value] extends [string | null | undefined]
  ? 'string'
  : [Value] extends [number | undefined]
    ? 'number'
    : [Value] extends [readonly unknown[] | undefined]
      ? 'list'
      : FieldsOf<Value>

function ofOrder<const Details>(data: Details) {
  return { order_id: 'string', from: 'string', to: 'string', at: 'string', data } as const
}

describe('the outbox', () => {
  it('is written with every type of the union, and with no other', () => {
    expect([...new Set(rows.map(({ type }) => type))].toSorted()).toEqual(Object.keys(EVENT_VERSIONS).toSorted())
  })

  it.each(Object.keys(EVENT_VERSIONS) as EventType[])('tells with %s what the union says', (type) => {
    const told = rows.filter((row) => row.type === type).map(({ payload }) => pathsOf(payload, kindOf))
    expect(Object.assign({}, ...told)).toEqual(pathsOf(FIELDS[type], String))
  })

  it('gives every event to consumers as one of the union, and any other as it is', () => {
    for (const row of rows) {
      const { event, ...asWritten } = readRow(row)
      expect(event).toMatchObject({ type: row.type, data: row.payload })
      expect(asWritten).toEqual(row)
    }
    const unknown = { ...(rows[0] as OutboxRow), type: 'order.invented' }
    expect(readRow(unknown)).toEqual({ ...unknown, event: null })
  })
})

/** Each field by its path, and what `leaf` says of its value. */
function pathsOf(data: unknown, leaf: (value: unknown) => string, path = ''): Record<string, string> {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) return { [path]: leaf(data) }
  return Object.assign({}, ...Object.entries(data).map(([field, value]) => pathsOf(value, leaf, `${path}/${field}`)))
}

/** Null stands for a string: nothing else may be null. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  return value === null ? 'string' : typeof value
}

async function writeEveryEvent(): Promise<void> {
  await writeCatalogEvents()
  await writeStockEvents()
  await refused()
  const [authorized, captured, declined, failed, voided, held, paid] = [
    await placed(),
    await placed(),
    await placed(),
    await placed(),
    await placed(),
    await placed(),
    await placed(),
  ]
  await confirm(authorized, 'authorized')
  await change(captured, { to: 'requires_action', reference: 'ch', actionUrl: 'https://bank.example.com' })
  await change(captured, { to: 'pending', reference: 'ch' })
  await confirm(captured, 'captured')
  await change(declined, { to: 'declined', reference: 'ch', declineCode: 'card_declined' })
  await attemptAgain(declined)
  await change(failed, { to: 'failed', reference: null, outcome: 'cancelled' })
  for (const order of [voided, held, paid]) await cancelOrder(database.pool, { ...order, reason: 'customer' })
  await change(voided, { to: 'voided', reference: 'ch', outcome: 'cancelled' })
  await moneyComesAndGoes(held, seenPayment({ amount: 500 }), { released: 500 })
  const captures = [{ reference: 'ca', key: null, amount: 500 }]
  await moneyComesAndGoes(paid, seenPayment({ amount: 500, state: 'captured', captures }), {})
  await moneyOfTheConfirmed(authorized)
  await goodsOfTheConfirmed()
}

async function writeCatalogEvents(): Promise<void> {
  await withTransaction(database.pool, async (tx) => {
    const variants = [{ sku: 'EVENT-2', prices: [{ amount: 500, currency: 'GBP' }] }]
    const id = await createProduct(tx, { title: 'Saucer', variants })
    await updateProduct(tx, { id, mayChange: () => true, patch: { title: 'Plate' } })
    const category = { id: await createCategory(tx, { title: 'Kitchen' }), mayChange: () => true }
    await updateCategory(tx, { ...category, patch: { title: 'Table' } })
    await deleteCategory(tx, category)
  })
}

/** A cart takes all there is, and gives it back. */
async function writeStockEvents(): Promise<void> {
  const { pool } = database
  await adjustStock(pool, { sku: SKU, warehouseId, setOnHand: 50, reason: 'stocktake', actor: 'key' })
  const { cartId } = await cart()
  const lines = [{ sku: SKU, quantity: 50 }]
  await withTransaction(pool, (tx) => holdCart(tx, { cartId, lines, country: 'GB', seconds: 60 }))
  await releaseCartHold(pool, cartId)
}

interface Order {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly cartId: CartId
  readonly tokenHash: Buffer
}

async function cart(): Promise<Pick<Order, 'cartId' | 'tokenHash'>> {
  const key = { cartId: newId('cart'), tokenHash: hashToken(newId('cart')) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  await addLines(database.pool, key, [{ sku: SKU, quantity: 1 }])
  return key
}

async function accepted(): Promise<Order> {
  const order = { ...(await cart()), orderId: newId('order'), paymentId: newId('payment') }
  await acceptOrder(database.pool, {
    ...order,
    cartVersion: 2,
    email: 'a@example.com',
    shippingAddress: { country: 'GB' },
    billingAddress: null,
    shippingMethod: 'standard',
    returnUrl: null,
    expectedTotal: null,
    provider: 'sandbox',
    method: 'pm_card_visa',
    paymentKey: `${order.orderId}/charge/1`,
    bodyHash: Buffer.alloc(32),
    idempotency: { scope: 'test', operation: 'checkout', key: order.orderId, bodyHash: Buffer.alloc(32) },
  })
  return order
}

async function refused(): Promise<void> {
  const { orderId } = await accepted()
  const old = { amount: 500, currency: 'GBP' }
  const refusal = { code: 'price_changed', old_total: old, new_total: { ...old, amount: 600 } } as const
  await refuseOrder(database.pool, { orderId, refusal, prices: {} })
}

async function placed(): Promise<Order> {
  const order = await accepted()
  const line = { sku: SKU, skuWritten: SKU, productId: newId('product'), title: 'Cup', sellerId: 'house', quantity: 1 }
  await placeOrder(database.pool, {
    ...order,
    allocations: [{ sku: SKU, warehouseId, quantity: 1 }],
    scores: new Map([[warehouseId, { distance_km: null, priority: 100, is_whole: true }]]),
    lines: [{ ...line, unitPrice: 500, discount: 0, tax: 0, total: 500 }],
    totals: { subtotal: 500, discount: 0, shipping: 0, tax: 0, total: 500 },
    holdSeconds: 60,
  })
  return order
}

async function change(order: Order, to: AttemptChange): Promise<void> {
  expect(await changeAttempt(database.pool, { ...order, change: to })).toBe(true)
}

async function confirm({ orderId, paymentId }: Order, status: 'authorized' | 'captured'): Promise<void> {
  await confirmOrder(database.pool, { orderId, paid: { ...seenCharge({ reference: 'ch' }), paymentId, status } })
}

async function attemptAgain(order: Order): Promise<void> {
  const paymentId = newId('payment')
  const idempotency = { scope: 'test', operation: 'payments', key: paymentId, bodyHash: Buffer.alloc(32) }
  await requestAttempt(database.pool, { ...order, paymentId, provider: 'sandbox', method: 'pm_card_visa', idempotency })
  await startAttempt(database.pool, { orderId: order.orderId, paymentId, answerSeconds: 1 })
}

/** It arrives when its order is over, and is let go or given back. */
async function moneyComesAndGoes(order: Order, came: SeenPayment, later: Partial<SeenPayment>): Promise<void> {
  await inBooksOf(order, (books) => expect(books.receive(order.paymentId, came)).toBe(true))
  await inBooksOf(order, (books) => books.observe(order.paymentId, { ...came, ...later }))
  await inBooksOf(order, (books) => {
    for (const { id } of books.refunds) books.answerRefund(id, { outcome: 'succeeded', reference: 're' })
  })
}

/** It is held and goes on, to another address, and gets what it waited for. Of two units one is taken, and one cancelled; what was taken is disputed, and goes back after a refusal. */
async function moneyOfTheConfirmed(order: Order): Promise<void> {
  const { orderId, paymentId } = order
  await withTransaction(database.pool, async (tx) => {
    for (const cause of ['dispute', 'staff'] as const) await holdOrder(tx, orderId, { cause, reasonCode: 'look' })
    for (const cause of ['dispute', 'staff'] as const) await resumeOrder(tx, orderId, { cause, reasonCode: 'seen' })
    await changeAddress(tx, { orderId, address: { ...ADDRESS, line1: '2 High St' }, version: 1 })
    await tx.query(
      'insert into back_order (order_id, sku, quantity, confirmed_at) select id, $2, 1, confirmed_at from orders where id = $1',
      [orderId, SKU],
    )
    await serveBackOrders(tx, { warehouseId, skus: [SKU] })
  })
  const capture = (answer: MoveAnswer) =>
    inBooksOf(order, (books) => {
      const claimed = books.claimCapture({ amount: 200, actor: null })
      if ('refused' in claimed) throw new Error(claimed.refused)
      books.answerCapture(claimed.id, answer)
    })
  await capture({ outcome: 'failed', code: 'refused', reference: null })
  await capture({ outcome: 'succeeded', reference: 'ca' })
  const disputes = [{ reference: 'dp', amount: 50, status: 'won' as const }]
  await inBooksOf(order, (books) => books.observe(paymentId, seenPayment({ amount: 500, disputes, released: 100 })))
  await inBooksOf(order, (books) => {
    books.claimRefund({ amount: 10, cause: 'staff', reasonCode: null, restock: false, actor: null })
    for (const { id } of books.refunds) books.answerRefund(id, { outcome: 'failed', code: 'no', reference: null })
  })
  const wanted = [{ sku: SKU as Sku, quantity: 1 }]
  await database.pool.query('update order_line set quantity = 2 where order_id = $1', [orderId])
  await withTransaction(database.pool, (tx) =>
    cancelUnits(tx, { orderId, wanted, reason: 'customer', reasonCode: 'changed_mind', actor: null, step: 1 }),
  )
  await withTransaction(database.pool, (tx) =>
    cancelUnits(tx, { orderId, wanted: null, reason: 'customer', reasonCode: 'changed_mind', actor: null, step: 1 }),
  )
}

function inBooksOf({ orderId }: Order, work: (books: Books) => void): Promise<void> {
  return withBooks(database.pool, orderId, work)
}

/**
 * Of three units one is not on its shelf, and waits. The label is refused, sold, and taken back with a second unit, which is
 * cancelled; then the carrier has the parcel before anybody sends it, its capture is refused first, and it is lost. Its
 * replacement comes back, and is settled; another order arrives, and is complete.
 */
async function goodsOfTheConfirmed(): Promise<void> {
  const {
    advance,
    inGoods,
    labelled,
    onlyShipment,
    pay,
    pick,
    replace,
    sent,
    shipmentsOf,
    sold,
    stock,
    track,
    warehouse,
  } = goodsStatements(() => database.pool)
  const place = await warehouse()
  const order = await sold([{ from: [[place, 3]] }])
  const [sku] = order.skus as [Sku]
  const id = await onlyShipment(order)
  await pick(order, id, [{ sku, quantity: 2 }])
  await inGoods(order, (goods) => {
    pack(goods, id, null)
    claimLabel(goods, id, { carrier: null, service: null })
    for (const { id: label } of goods.labels) refuseLabel(goods, label, 'no_service')
  })
  await labelled(order, id)
  const why = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const
  await inGoods(order, (goods, books) => {
    // What waits is cancelled first.
    cancelUnitsOf(goods, [{ sku, quantity: 2 }], why, books)
    for (const { id: label } of goods.labels) answerVoid(goods, label, { outcome: 'voided' })
  })
  await labelled(order, id)
  await track(order, id, 'in_transit')
  await advance(order)
  await inGoods(order, (goods, books) => {
    for (const capture of books.captures) {
      books.sendCapture(capture.id)
      books.answerCapture(capture.id, { outcome: 'failed', code: 'refused', reference: null })
    }
    advanceGoods(goods, books)
    wantToShip(goods, id)
    advanceGoods(goods, books)
  })
  await pay(order)
  await advance(order)
  await track(order, id, 'lost')
  await stock(sku, place, 1)
  await replace(order, id)
  const replacement = (await shipmentsOf(order)).find(({ replaces }) => replaces === id)?.id as ShipmentId
  await sent(order, replacement)
  await track(order, replacement, 'returned')
  await inGoods(order, (goods) => decideShipment(goods, replacement, 'settled'))
  const other = await sold([{ from: [[place, 1]] }])
  const [shipment] = await shipmentsOf(other)
  await sent(other, shipment?.id as ShipmentId)
  await track(other, shipment?.id as ShipmentId, 'delivered')
  await database.pool.query('update orders set completes_at = now() where id = $1', [other.orderId])
  await advance(other)
  const outside = await sold([{ from: [[await warehouse('external'), 1]] }])
  const theirs = await onlyShipment(outside)
  await labelled(outside, theirs)
  await inGoods(outside, (goods) => void wantToShip(goods, theirs))
  await advance(outside)
  await pay(outside)
  await advance(outside)
  await inGoods(outside, (goods, books) => {
    hear(goods, theirs, { type: 'shipment.refused', code: 'damaged' } as WarehouseNews, books)
  })
  const cancelled = await sold([{ from: [[place, 1]] }])
  await inGoods(cancelled, (goods, books) => cancelUnitsOf(goods, null, why, books))
}
