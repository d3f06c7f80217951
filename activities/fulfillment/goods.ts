import { inGoods, withGoods } from '../../db/fulfillment/goods'
import { withTransaction } from '../../db/pool'
import { endCancels, replaceParcel, rerouteShipment } from '../../db/fulfillment/reroute'
import { readLabel } from '../../db/fulfillment/label'
import { advance } from '../../domain/fulfillment/advance'
import type { Goods } from '../../domain/fulfillment/goods'
import { cancelParcel } from '../../domain/fulfillment/cancelling'
import { decideLabel as decideLabelOf } from '../../domain/fulfillment/labels'
import { decideShipment } from '../../domain/fulfillment/parcel-decisions'
import { decideShort as decideShortOf } from '../../domain/fulfillment/picking'
import { workOf, type FulfillmentWork } from '../../domain/fulfillment/work'
import { hasLeft } from '../../domain/fulfillment/shipment'
import type { LabelId, OrderId, ShipmentId } from '../../domain/ids'
import type { Books } from '../../domain/payment/books'
import type { ActivityDeps } from '../deps'
import type { PaymentDeps } from '../payment/charge'

/** What every effect on goods needs. */
export type FulfillmentDeps = PaymentDeps & Pick<ActivityDeps, 'carriers' | 'fraud' | 'warehouses'>

/** What is to be done, and whether the order's money has anything to do for it. */
export interface GoodsToDo extends FulfillmentWork {
  readonly hasClaimedMoney: boolean
}

/** Does all that can be done now with the goods of an order without asking anybody outside, and says what is left. */
export function advanceGoods(deps: FulfillmentDeps, { orderId }: { orderId: OrderId }): Promise<GoodsToDo> {
  return advanceAfter(deps, orderId, () => undefined)
}

/** {@link advanceGoods}, once `step` is done, in one transaction. */
export function advanceAfter(
  deps: FulfillmentDeps,
  orderId: OrderId,
  step: (goods: Goods) => void,
): Promise<GoodsToDo> {
  const steps = { ...stepsOf(deps), isLed: true }
  return withTransaction(deps.pool, async (tx) => {
    const { mustEnd, ...todo } = await inGoods(tx, orderId, steps, (goods, books) => {
      step(goods)
      const mustEnd = goods.commands.some(({ kind, shipmentId }) => kind === 'cancel' && shipmentId !== null)
      return { ...advanced(goods, books), mustEnd }
    })
    if (!mustEnd) return todo
    await endCancels(tx, orderId, steps)
    const left = await inGoods(tx, orderId, steps, advanced)
    return { ...left, hasClaimedMoney: todo.hasClaimedMoney || left.hasClaimedMoney }
  })
}

function advanced(goods: Goods, books: Books): GoodsToDo {
  const asked = countRefused(books)
  advance(goods, books)
  // By the rows as well: who claimed it before may have died, or nobody listened.
  const isUnsent = books.captures.some(({ status, atWork, wasSent }) => status === 'pending' && atWork && !wasSent)
  return { ...workOf(goods), hasClaimedMoney: isUnsent || books.events.length > 0 || countRefused(books) !== asked }
}

/** How many refused captures wait for a person. */
function countRefused({ captures }: Books): number {
  return captures.filter(({ status, atWork }) => status === 'failed' && atWork).length
}

/** A person has decided about a label that its carrier refused to sell, or to take back. */
export async function decideLabel(
  deps: FulfillmentDeps,
  { labelId, decision }: { labelId: LabelId; decision: 'retry' | 'leave' },
): Promise<void> {
  const label = await readLabel(deps.pool, labelId)
  if (label)
    await withGoods(deps.pool, label.orderId, stepsOf(deps), (goods) => decideLabelOf(goods, labelId, decision))
}

/** What a person may decide about a parcel: wait on; send the units from elsewhere, or anew; not send them; it is settled. */
export type ParcelDecision = 'wait' | 'reroute' | 'cancel' | 'settled'

/**
 * A person has decided about a parcel that is lost, came back or does not move. What cannot be done (any more), for lack of stock
 * say, leaves it as it was.
 */
export async function decideParcel(
  deps: FulfillmentDeps,
  { orderId, shipmentId, decision }: { orderId: OrderId; shipmentId: ShipmentId; decision: ParcelDecision },
): Promise<void> {
  const steps = stepsOf(deps)
  if (decision === 'reroute') {
    const left = await withGoods(deps.pool, orderId, steps, (goods) => hasLeft(goods.shipment(shipmentId).status))
    const move = left ? replaceParcel : rerouteShipment
    await withTransaction(deps.pool, async (tx) => void (await move(tx, { orderId, shipmentId }, steps)))
    return
  }
  await withGoods(deps.pool, orderId, steps, (goods, books) => {
    if (decision === 'cancel') cancelParcel(goods, shipmentId, books)
    else decideShipment(goods, shipmentId, decision)
  })
}

/** A person has decided about units that were not on their shelves, and wait for stock. */
export async function decideShort(
  deps: FulfillmentDeps,
  { orderId, decision }: { orderId: OrderId; decision: Exclude<ParcelDecision, 'reroute'> },
): Promise<void> {
  await withGoods(deps.pool, orderId, stepsOf(deps), (goods, books) => decideShortOf(goods, decision, books))
}

/** Of some currencies providers take no single minor units. */
export function stepsOf({ providers }: Pick<FulfillmentDeps, 'providers'>) {
  return { stepOf: (provider: string, currency: string) => providers.get(provider)?.amountStep(currency) ?? 1 }
}
