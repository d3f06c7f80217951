import type { ShipmentId } from '../ids'
import { sum } from '../money'
import { valueOfUnits } from '../order'
import type { Books, CaptureBook, MoveStatus } from '../payment/books'
import type { Goods, StepRefusal } from './goods'
import type { GoodsLine, ShipmentBook } from './rows'
import { isInside } from './shipment'
import { countOf } from './units'

/** What parcels are worth, what is captured before they leave, and what they have earned then. All in minor units. */

/** Somebody wants the money of a parcel taken before it is to leave. `nothing_due`: what was captured covers it. */
export function captureFor(
  goods: Goods,
  id: ShipmentId,
  books: Books,
): CaptureBook | 'nothing_due' | 'held' | 'nothing_authorized' | StepRefusal {
  const shipment = goods.shipment(id)
  if (!isInside(shipment.status) || shipment.replaces !== null || !goods.isAlive) return { refused: 'invalid_state' }
  const claim = claimCapture(goods, shipment, books)
  if (claim === 'waiting') return 'nothing_due'
  // Where it is refused the parcel does not ask for it once more by itself.
  if (typeof claim !== 'string') shipment.captureId = claim.id
  return claim
}

/** For all that has left, for those that wait for their capture, and for this one. */
export function claimCapture(goods: Goods, shipment: ShipmentBook, books: Books): ReturnType<Books['claimShipment']> {
  const leaving = goods.originals.filter((each) => each.id === shipment.id || isGoing(each, books))
  const covers = worthWith(goods, leaving)
  return books.claimShipment({ shipmentId: shipment.id, covers, step: goods.context.step })
}

/** What has been captured covers all that has left, and this parcel. */
export function isCovered(goods: Goods, shipment: ShipmentBook, books: Books): boolean {
  const gone = goods.originals.filter(
    ({ id, status, releasedAt }) => id === shipment.id || (isInside(status) && releasedAt !== null),
  )
  return books.captured >= Math.min(worthWith(goods, gone), books.owed)
}

/** Whether it cannot be stopped now: it is on its way out, or somebody has its money taken. */
export function isLocked(shipment: ShipmentBook, books: Books): boolean {
  return isGoing(shipment, books) || (isInside(shipment.status) && isClaimed(shipment, books, 'pending'))
}

/** It was sent for, and its money claimed; or it was released, or has left without that. */
function isGoing(shipment: ShipmentBook, books: Books): boolean {
  if (isInside(shipment.status) && (shipment.releasedAt !== null || shipment.leftAt !== null)) return true
  const status = shipment.isLeaving ? captureOf(shipment, books)?.status : undefined
  return status === 'pending' || status === 'succeeded'
}

/** Whether a capture that was claimed for this parcel is so far. */
export function isClaimed({ id }: ShipmentBook, { captures }: Books, status: MoveStatus): boolean {
  return captures.some((capture) => capture.shipmentId === id && capture.status === status)
}

/** What was claimed for it, or what was tried again in its place. */
export function captureOf({ captureId }: ShipmentBook, { captures }: Books): CaptureBook | undefined {
  let capture = captures.find(({ id }) => id === captureId)
  for (;;) {
    const again = capture && captures.find(({ retries }) => retries === capture?.id)
    if (!again) return capture
    capture = again
  }
}

/** Its units have left: what they cost is earned, the fee with the first of them. */
export function recognize(goods: Goods, shipment: ShipmentBook, books: Books): void {
  const { lines } = goods
  const isFirst = lines.every(({ shipped }) => shipped === 0)
  const before = shippedValue(lines)
  for (const line of lines) line.shipped += countOf(shipment.lines, line.sku)
  const after = shippedValue(lines)
  books.recognize({
    shipmentNumber: shipment.number,
    goods: after.value - before.value,
    goodsTax: after.tax - before.tax,
    fee: isFirst ? feeOf(goods) : 0,
    feeTax: isFirst ? goods.order.tax - sum(lines.map(({ tax }) => tax)) : 0,
  })
}

function shippedValue(lines: readonly GoodsLine[]): { value: number; tax: number } {
  return {
    value: valueOf(lines, ({ shipped }) => shipped),
    tax: valueOf(
      lines,
      ({ shipped }) => shipped,
      ({ tax }) => tax,
    ),
  }
}

/** What all that has left is worth, together with these parcels and the fee. */
function worthWith(goods: Goods, parcels: readonly ShipmentBook[]): number {
  const countIn = (line: GoodsLine): number => sum(parcels.map(({ lines }) => countOf(lines, line.sku)))
  return feeOf(goods) + valueOf(goods.lines, (line) => line.shipped + countIn(line))
}

/** The value of units of the order, the first `count` of each line, or the tax in it. */
function valueOf(
  lines: readonly GoodsLine[],
  count: (line: GoodsLine) => number,
  of: (line: GoodsLine) => number = ({ total }) => total,
): number {
  return sum(lines.map((line) => valueOfUnits({ total: of(line), quantity: line.quantity }, 1, count(line))))
}

/** What shipping costs, its tax inside: what the lines do not say of the total. */
function feeOf({ order, lines }: Goods): number {
  return order.total - sum(lines.map(({ total }) => total))
}
