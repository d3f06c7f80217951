import { randomUUID } from 'node:crypto'
import { addLines, hashToken, insertCart } from '../../db/cart/cart'
import { acceptOrder } from '../../db/checkout'
import { type GoodsWork, withGoods } from '../../db/fulfillment/goods'
import { pickShipment, replaceParcel, rerouteShipment } from '../../db/fulfillment/reroute'
import { newId } from '../../db/id'
import { confirmOrder } from '../../db/order/confirm'
import { placeOrder } from '../../db/order/place'
import { type Pool, withTransaction } from '../../db/pool'
import { auditDatabase } from '../../db/support/invariant'
import { advance as advanceGoods } from '../../domain/fulfillment/advance'
import type { Goods } from '../../domain/fulfillment/goods'
import { claimLabel, takeLabel } from '../../domain/fulfillment/labels'
import { wantToShip } from '../../domain/fulfillment/leaving'
import { pack } from '../../domain/fulfillment/picking'
import type { ShipmentBook } from '../../domain/fulfillment/rows'
import type { TrackingType, Units } from '../../domain/fulfillment/shipment'
import { observe } from '../../domain/fulfillment/tracking'
import type { OrderId, PaymentId, ShipmentId, Sku, WarehouseId } from '../../domain/ids'
import type { Books } from '../../domain/payment/books'
import { seedProducts } from './catalog'
import { seenCharge } from './seen'

export interface SoldOrder {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly skus: readonly Sku[]
}

/** One line of an order: where its units are taken from, and who sells them. At 500 each, 83 of it tax. */
export interface SoldLine {
  /** Units by warehouse. */
  readonly from: readonly (readonly [warehouseId: WarehouseId, quantity: number])[]
  readonly seller?: string
  /** Units that lie there beside those, by warehouse. */
  readonly spare?: readonly (readonly [warehouseId: WarehouseId, quantity: number])[]
}

const [PRICE, TAX] = [500, 83]
const [FEE, FEE_TAX] = [99, 16]
export const ONE_STEP: GoodsWork = { stepOf: () => 1 }

/** The statements about the goods of an order, each called by hand: no API, no workflow. `pool` is asked for when a test runs. */
export function goodsStatements(pool: () => Pool) {
  async function warehouse(
    operation: ShipmentBook['operation'] = 'manual',
    priority = 100,
    country = 'GB',
  ): Promise<WarehouseId> {
    const id = newId('warehouse')
    await pool().query(
      `insert into warehouse (id, name, country, operation, endpoint, priority) values ($1, $2, $6, $3, $4, $5)`,
      [id, id, operation, operation === 'external' ? 'http://127.0.0.1:1/warehouse' : null, priority, country],
    )
    return id
  }

  /** So many units more lie there. */
  async function stock(sku: Sku, warehouseId: WarehouseId, quantity: number): Promise<void> {
    await pool().query(
      `with level as (
         insert into stock_level (sku, warehouse_id, on_hand) values ($1, $2, $3)
         on conflict (sku, warehouse_id) do update set on_hand = stock_level.on_hand + excluded.on_hand
         returning on_hand)
       insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reason)
       select $1, $2, $3, on_hand, 'adjustment', 'seed' from level`,
      [sku, warehouseId, quantity],
    )
  }

  /** A confirmed order, authorized with all of it: 500 a unit, and a fee of 99. Nothing is planned yet. */
  async function sold(lines: readonly SoldLine[], { capturesInParts = true } = {}): Promise<SoldOrder> {
    const made = lines.map((line) => ({ ...line, sku: `G-${randomUUID().slice(0, 8).toUpperCase()}` as Sku }))
    await seedProducts(
      pool(),
      made.map(({ sku }) => ({ sku, title: sku, prices: { GBP: PRICE }, stock: 0 })),
    )
    for (const { sku, from, spare = [] } of made)
      for (const [warehouseId, quantity] of [...from, ...spare]) await stock(sku, warehouseId, quantity)
    const quantityOf = ({ from }: SoldLine): number => from.reduce((sum, [, quantity]) => sum + quantity, 0)
    const [orderId, paymentId, cartId] = [newId('order'), newId('payment'), newId('cart')]
    const key = { cartId, tokenHash: hashToken(cartId) }
    await insertCart(pool(), { ...key, currency: 'GBP' })
    await addLines(
      pool(),
      key,
      made.map((line) => ({ sku: line.sku, quantity: quantityOf(line) })),
    )
    await acceptOrder(pool(), {
      ...key,
      orderId,
      paymentId,
      cartVersion: 2,
      email: 'a@example.com',
      shippingAddress: { country: 'GB' },
      billingAddress: null,
      shippingMethod: 'standard',
      returnUrl: null,
      expectedTotal: null,
      provider: 'sandbox',
      method: 'pm_card_visa',
      paymentKey: `${orderId}/charge/1`,
      bodyHash: Buffer.alloc(32),
      idempotency: {
        scope: `cart:${key.tokenHash.toString('base64url')}`,
        operation: cartId,
        key: orderId,
        bodyHash: Buffer.alloc(32),
      },
    })
    const units = made.reduce((sum, line) => sum + quantityOf(line), 0)
    await placeOrder(pool(), {
      orderId,
      cartId,
      allocations: made.flatMap(({ sku, from }) =>
        from.map(([warehouseId, quantity]) => ({ sku, warehouseId, quantity })),
      ),
      scores: new Map(),
      lines: made.map((line) => ({
        sku: line.sku,
        skuWritten: line.sku,
        productId: newId('product'),
        title: line.sku,
        sellerId: line.seller ?? 'house',
        quantity: quantityOf(line),
        unitPrice: PRICE,
        discount: 0,
        tax: TAX * quantityOf(line),
        total: PRICE * quantityOf(line),
      })),
      totals: {
        subtotal: PRICE * units,
        discount: 0,
        shipping: FEE,
        tax: TAX * units + FEE_TAX,
        total: PRICE * units + FEE,
      },
      holdSeconds: 60,
    })
    const paid = {
      ...seenCharge({ reference: `ch_${orderId}` }),
      paymentId,
      status: 'authorized',
      capturesInParts,
    } as const
    if ((await confirmOrder(pool(), { orderId, paid })) === null) throw new Error('It was not confirmed')
    return { orderId, paymentId, skus: made.map(({ sku }) => sku) }
  }

  const inGoods = <T>(
    { orderId }: Pick<SoldOrder, 'orderId'>,
    work: (goods: Goods, books: Books) => T,
    from = pool(),
  ) => withGoods(from, orderId, ONE_STEP, work)

  const shipmentsOf = (order: SoldOrder): Promise<ShipmentBook[]> => inGoods(order, ({ shipments }) => [...shipments])

  async function onlyShipment(order: SoldOrder): Promise<ShipmentId> {
    const [shipment, ...others] = await shipmentsOf(order)
    if (!shipment || others.length > 0) throw new Error(`It has ${others.length + 1} shipments`)
    return shipment.id
  }

  const pick = (order: SoldOrder, shipmentId: ShipmentId, picked: readonly Units[] | null = null, from = pool()) =>
    withTransaction(from, (tx) => pickShipment(tx, { orderId: order.orderId, shipmentId, picked }, ONE_STEP))
  const reroute = ({ orderId }: SoldOrder, shipmentId: ShipmentId, from = pool()) =>
    withTransaction(from, (tx) => rerouteShipment(tx, { orderId, shipmentId }, ONE_STEP))
  const replace = ({ orderId }: SoldOrder, shipmentId: ShipmentId, from = pool()) =>
    withTransaction(from, (tx) => replaceParcel(tx, { orderId, shipmentId }, ONE_STEP))

  /** Picked, packed, and with a label that its carrier has sold. */
  async function labelled(order: SoldOrder, id: ShipmentId): Promise<void> {
    await pick(order, id)
    await inGoods(order, (goods) => pack(goods, id, null))
    await inGoods(order, (goods) => claimLabel(goods, id, { carrier: 'sandbox', service: 'standard' }))
    await pool().query(`update label set sent_at = now() where shipment_id = $1 and status = 'claimed'`, [id])
    await inGoods(order, (goods) => {
      for (const { id: label, key, status } of goods.labels)
        if (status === 'claimed')
          takeLabel(goods, label, {
            reference: key,
            trackingNumber: key,
            trackingUrl: null,
            documentUrl: null,
            cost: 350,
            currency: 'GBP',
            expectedAt: null,
          })
    })
  }

  /** All captures that are on their way succeed. */
  const pay = (order: SoldOrder) =>
    inGoods(order, (_, books) => {
      for (const { id, key } of books.captures)
        if (books.sendCapture(id)) books.answerCapture(id, { outcome: 'succeeded', reference: key })
    })
  const advance = (order: SoldOrder, from = pool()) =>
    inGoods(order, (goods, books) => advanceGoods(goods, books), from)

  /** It leaves, its money captured. */
  async function sent(order: SoldOrder, id: ShipmentId): Promise<void> {
    await labelled(order, id)
    await inGoods(order, (goods) => wantToShip(goods, id))
    await advance(order)
    await pay(order)
    await advance(order)
  }

  /** What its carrier tells of the last label of a shipment. */
  const track = (order: SoldOrder, shipmentId: ShipmentId, type: TrackingType) =>
    inGoods(order, (goods, books) => {
      const label = goods.labels.findLast((each) => each.shipmentId === shipmentId)
      return (
        label && observe(goods, label.id, [{ type, happenedAt: new Date().toISOString(), expectedAt: null }], books)
      )
    })

  /** But for the warehouse that products are seeded into, where nothing lies. */
  const levels = async (sku: Sku): Promise<Record<WarehouseId, [onHand: number, reserved: number]>> =>
    Object.fromEntries(
      (
        await pool().query(
          `select warehouse_id, on_hand, reserved from stock_level s join warehouse w on w.id = s.warehouse_id
           where sku = $1 and w.name <> 'Main'`,
          [sku],
        )
      ).rows.map((row) => [row.warehouse_id, [row.on_hand, row.reserved]]),
    )
  const reservations = async ({ orderId }: SoldOrder) =>
    (
      await pool().query<{ warehouse_id: WarehouseId; state: string; quantity: number }>(
        'select warehouse_id, state, quantity from reservation where owner_id = $1 order by state, warehouse_id, quantity',
        [orderId],
      )
    ).rows.map(({ warehouse_id, state, quantity }) => [warehouse_id, state, quantity])
  const movements = async (shipmentId: ShipmentId) =>
    (
      await pool().query<{ delta: number; cause: string }>(
        'select delta, cause from stock_movement where reference = $1 order by id',
        [shipmentId],
      )
    ).rows.map(({ delta, cause }) => [cause, delta])
  /** What the accounts of an order come to. */
  const ledger = async ({ orderId }: SoldOrder): Promise<Record<string, number>> =>
    Object.fromEntries(
      (
        await pool().query<{ account: string; amount: string }>(
          'select account, sum(amount) as amount from ledger_entry where order_id = $1 group by account having sum(amount) <> 0',
          [orderId],
        )
      ).rows.map(({ account, amount }) => [account, Number(amount)]),
    )

  /** What holds always holds. */
  async function isSound(): Promise<void> {
    const { checks } = await auditDatabase(pool())
    expect(checks.filter(({ ok, holds }) => !ok && holds === 'always')).toEqual([])
  }

  return {
    advance,
    inGoods,
    isSound,
    labelled,
    ledger,
    levels,
    movements,
    onlyShipment,
    pay,
    pick,
    replace,
    reroute,
    reservations,
    sent,
    shipmentsOf,
    sold,
    stock,
    track,
    warehouse,
  }
}
