import { sum } from '../../domain/money'
import type { RefusedLine } from './buyer'
import { pounds } from './figure'
import { type BoughtOrder, computeMoney, type UnitsBySku } from './money'
import type { Decision } from './support'
import type { Moved, ToldOrder, ToldParcel, ToldStock } from './tellers'
import { add, type ShownShipment } from './warehouse'

/** What was played, and what all those tell who know of it. */
export interface Story {
  readonly orders: readonly BoughtOrder[]
  readonly refused: readonly RefusedLine[]
  /** Units by SKU that were cancelled, by the id of the order. */
  readonly cancelled: ReadonlyMap<string, UnitsBySku>
  /** Pence that were taken in advance, and that were given as goodwill, by the id of the order. */
  readonly advance: ReadonlyMap<string, number>
  readonly goodwill: ReadonlyMap<string, number>
  /** By the id of the parcel that was lost or came back. */
  readonly decisions: ReadonlyMap<string, Decision>
  /** Units by SKU that people have received, and have not found. */
  readonly received: UnitsBySku
  readonly missed: UnitsBySku
  readonly told: ReadonlyMap<string, ToldOrder>
  readonly parcels: ReadonlyMap<string, ToldParcel>
  readonly stock: ToldStock
}

const NOTHING: UnitsBySku = new Map()
const LEFT = new Set(['shipped', 'delivered', 'lost', 'returned'])
const ENDED = new Set(['delivered', 'completed', 'cancelled'])
const GONE_ASTRAY = new Set(['lost', 'returned'])

/** One sentence for each difference between what was computed and what anybody tells. */
export function orderDifferencesOf(story: Story): string[] {
  return [
    ...story.orders.flatMap((order) => {
      const told = story.told.get(order.id)
      if (!told) return [`invoice ${order.invoice}: nobody knows the order ${order.id}`]
      return [...moneyOf(order, told, story), ...goodsOf(order, told, story)].map(
        (what) => `invoice ${order.invoice}: ${what}`,
      )
    }),
    ...parcelDifferencesOf(story),
    ...stockDifferencesOf(story),
  ]
}

type Caused = Pick<Story, 'cancelled' | 'advance' | 'decisions' | 'goodwill'>

/** What staff gave back, in pence. */
function givenBack({ id }: BoughtOrder, { decisions, goodwill }: Caused): number {
  const parcels = [...decisions.values()].filter(({ shipment }) => shipment.order_id === id)
  return sum(parcels.map(({ refunded }) => refunded)) + (goodwill.get(id) ?? 0)
}

/** What the order's money must have come to. */
export function computedOf(order: BoughtOrder, told: Moved, story: Caused): Moved & { readonly cancelled: number } {
  const { cancelled, captured, net } = computeMoney(order, {
    cancelled: story.cancelled.get(order.id) ?? NOTHING,
    advance: story.advance.get(order.id) ?? 0,
    givenBack: givenBack(order, story),
  })
  // Which of two captures came first, only the order knows; then ledger and provider have to say the same.
  const taken = captured ?? told.captured
  return { cancelled, captured: taken, refunded: taken - net }
}

const TELLERS = ['order', 'ledger', 'provider'] as const

function moneyOf(order: BoughtOrder, told: ToldOrder, story: Story): string[] {
  const computed = computedOf(order, told.order, story)
  const differ = (what: string, who: string, happened: number, expected: number): string[] =>
    happened === expected ? [] : [`${what} ${pounds(happened)} by the ${who}, not ${pounds(expected)}`]
  return [
    ...differ('costs', 'order', told.total, order.total),
    ...differ('cancelled', 'order', told.cancelled, computed.cancelled),
    ...TELLERS.flatMap((who) => [
      ...differ('captured', who, told[who].captured, computed.captured),
      ...differ('refunded', who, told[who].refunded, computed.refunded),
    ]),
  ]
}

function goodsOf(order: BoughtOrder, told: ToldOrder, { cancelled, decisions }: Story): string[] {
  const expected = cancelled.get(order.id) ?? NOTHING
  const isAll = order.lines.every(({ sku, quantity }) => expected.get(sku) === quantity)
  const arrived = arrivedOf(told.shipments)
  const lines = told.lines.flatMap(({ sku, quantity, ...line }) => {
    const gone = expected.get(sku) ?? 0
    return [
      ...(line.cancelled === gone ? [] : [`${line.cancelled} × ${sku} cancelled, not ${gone}`]),
      ...(line.shipped === quantity - gone ? [] : [`${line.shipped} × ${sku} sent, not ${quantity - gone}`]),
      ...(line.delivered === (arrived.get(sku) ?? 0)
        ? []
        : [`${line.delivered} × ${sku} delivered, not ${arrived.get(sku) ?? 0}`]),
    ]
  })
  const astray = told.shipments.filter(({ status }) => GONE_ASTRAY.has(status))
  return [
    ...lines,
    ...(isAll !== (told.status === 'cancelled') || !ENDED.has(told.status) ? [`it is ${told.status}`] : []),
    ...astray
      .filter(({ id }) => !decisions.has(id))
      .map(({ id, status }) => `nobody has decided about ${status} ${id}`),
    ...told.shipments
      .filter(({ status }) => !LEFT.has(status) && status !== 'cancelled')
      .map(({ id, status }) => `${id} is ${status}`),
  ]
}

/** Units by SKU of parcels that arrived. */
function arrivedOf(shipments: readonly ShownShipment[]): Map<string, number> {
  return unitsIn(shipments.filter(({ status }) => status === 'delivered'))
}

function unitsIn(shipments: readonly ShownShipment[]): Map<string, number> {
  const units = new Map<string, number>()
  for (const { sku, quantity } of shipments.flatMap(({ lines }) => lines)) add(units, sku, quantity)
  return units
}

/** The shop and its carrier know the same parcels, and the same of each; no label is left that nobody uses. */
function parcelDifferencesOf({ told, parcels, decisions }: Story): string[] {
  const sent = [...told.values()].flatMap(({ shipments }) => shipments).filter(({ status }) => LEFT.has(status))
  const numbers = new Set(sent.map(({ tracking_number: number }) => number))
  return [
    ...sent.flatMap(({ id, status, tracking_number: number }) => {
      const parcel = parcels.get(number ?? '')
      if (!parcel?.wasHandedOver) return [`${id} is ${status}, and its carrier does not have it`]
      return parcel.last === status ? [] : [`${id} is ${status}, and ${parcel.last ?? 'nothing'} by its carrier`]
    }),
    ...[...parcels]
      .filter(([number, { status }]) => status === 'live' && !numbers.has(number))
      .map(([number, { orderId }]) => `parcel ${number} of ${orderId} has a label that nobody uses`),
    ...[...decisions.values()]
      .filter(({ shipment }) => !GONE_ASTRAY.has(parcels.get(shipment.tracking_number ?? '')?.last ?? ''))
      .map(({ shipment }) => `${shipment.id} was taken for ${shipment.status}, and its carrier says otherwise`),
  ]
}

/** What left the books of the warehouses is what was sent, and what was not found; what came is what was received. */
function stockDifferencesOf({ told, stock, received, missed }: Story): string[] {
  const shipments = [...told.values()].flatMap((order) => order.shipments)
  const sent = unitsIn(shipments.filter(({ status }) => LEFT.has(status)))
  const differ = (what: string, moved: UnitsBySku, expected: UnitsBySku, sign: 1 | -1): string[] =>
    [...new Set([...moved.keys(), ...expected.keys()])]
      .map((sku) => ({ sku, units: sign * (moved.get(sku) ?? 0), wanted: expected.get(sku) ?? 0 }))
      .filter(({ units, wanted }) => units !== wanted)
      .map(({ sku, units, wanted }) => `${sku}: ${units} units ${what} by the stock's movements, not ${wanted}`)
  return [
    ...differ('sent', stock.shipment, sent, -1),
    ...differ('missed', stock.short_pick, missed, -1),
    ...differ('received', stock.receipt, received, 1),
  ]
}

/** How many units of each SKU can be sold again, or still, once all is over. */
export function leftOverOf(
  spare: UnitsBySku,
  { cancelled, received, missed, told }: Pick<Story, 'cancelled' | 'received' | 'missed' | 'told'>,
): Map<string, number> {
  const left = new Map(spare)
  for (const units of cancelled.values()) for (const [sku, quantity] of units) add(left, sku, quantity)
  for (const [sku, quantity] of received) add(left, sku, quantity)
  for (const [sku, quantity] of missed) add(left, sku, -quantity)
  const again = [...told.values()].flatMap(({ shipments }) => shipments).filter(({ replaces }) => replaces !== null)
  for (const [sku, quantity] of unitsIn(again.filter(({ status }) => status !== 'cancelled'))) add(left, sku, -quantity)
  return left
}

/** Sums of all orders, as computed and as each one tells them. */
export function describeMoney(story: Story): string {
  const all = story.orders.flatMap((order) => {
    const told = story.told.get(order.id)
    return told ? [{ told, computed: computedOf(order, told.order, story) }] : []
  })
  const row = (name: string, of: (moved: Moved) => number): string =>
    name.padEnd(12) +
    [sum(all.map(({ computed }) => of(computed))), ...TELLERS.map((who) => sum(all.map(({ told }) => of(told[who]))))]
      .map((amount) => pounds(amount).padStart(18))
      .join('')
  const cancelled = [sum(all.map(({ computed }) => computed.cancelled)), sum(all.map(({ told }) => told.cancelled))]
  return [
    `Money of ${all.length} orders`,
    ''.padEnd(12) + ['computed', ...TELLERS].map((name) => name.padStart(18)).join(''),
    row('captured', ({ captured }) => captured),
    row('refunded', ({ refunded }) => refunded),
    row('net', ({ captured, refunded }) => captured - refunded),
    'cancelled'.padEnd(12) + cancelled.map((amount) => pounds(amount).padStart(18)).join(''),
  ].join('\n')
}

/** What became of parcels. */
export function describeParcels({ told, decisions, missed, received }: Story): string {
  const shipments = [...told.values()].flatMap((order) => order.shipments)
  const counts = new Map<string, number>()
  for (const { status } of shipments) add(counts, status, 1)
  const of = (decision: string): number => [...decisions.values()].filter((one) => one.decision === decision).length
  const statuses = [...counts].map(([status, count]) => `${count} ${status}`).join(', ')
  return [
    `${shipments.length} shipments: ${statuses || 'none'}.`,
    `Of the lost and returned ${of('replaced')} were sent once more, ${of('refunded')} were refunded.`,
    `${sum([...missed.values()])} units were not found, ${sum([...received.values()])} were received.`,
  ].join('\n')
}
