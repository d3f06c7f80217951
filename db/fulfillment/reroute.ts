import { cancelShipment as undoShipment } from '../../domain/fulfillment/cancelling'
import { addCommand, settle } from '../../domain/fulfillment/commands'
import type { StepOutcome, StepRefusal } from '../../domain/fulfillment/goods'
import { mayReplace, replace } from '../../domain/fulfillment/parcel-decisions'
import { isLocked } from '../../domain/fulfillment/parcel-money'
import { pick, settleShort } from '../../domain/fulfillment/picking'
import { unreplaced } from '../../domain/fulfillment/replacement'
import type { CommandBook } from '../../domain/fulfillment/rows'
import { hasLeft, isInside, type Units } from '../../domain/fulfillment/shipment'
import type { CommandId, OrderId, ShipmentId, WarehouseId } from '../../domain/ids'
import { serveWaiting, takeWhole } from '../inventory/order-stock'
import type { Tx } from '../pool'
import { type GoodsWork, inGoods } from './goods'

/** Units go to another warehouse: stock is taken there and given here in one transaction. */

interface Parcel {
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
}

/**
 * Undoes a shipment that has not left, and gives its units to other shipments: from another warehouse where one has them, else
 * from the same one. What was sent in the place of a lost parcel is sent from there whole, or a person decides about that anew.
 */
export async function rerouteShipment(
  tx: Tx,
  { orderId, shipmentId }: Parcel,
  context: GoodsWork,
): Promise<StepOutcome> {
  const { outcome, warehouseId, replaces } = await inGoods(tx, orderId, context, (goods, books) => {
    const { warehouseId, replaces } = goods.shipment(shipmentId)
    return { outcome: undoShipment(goods, shipmentId, books), warehouseId, replaces }
  })
  if (outcome !== 'done') return outcome
  if (replaces === null) await serve(tx, orderId, [warehouseId, null], context)
  else await replaceAnew(tx, { orderId, shipmentId }, [warehouseId, null], context)
  return outcome
}

/** `waiting`: the money of the parcel is being taken; it is undone if that fails, as the command says in the end. */
export type ShipmentCancel = 'done' | 'unchanged' | { readonly waiting: CommandId } | StepRefusal

/** {@link rerouteShipment}, as far as somebody wants it; a parcel that may be leaving is waited for. */
export async function cancelShipment(
  tx: Tx,
  { orderId, shipmentId, actor }: Parcel & { readonly actor: string },
  context: GoodsWork,
): Promise<ShipmentCancel> {
  const outcome = await rerouteShipment(tx, { orderId, shipmentId }, context)
  if (typeof outcome === 'string') return outcome
  return inGoods(tx, orderId, context, (goods) => {
    if (!goods.isAlive || hasLeft(goods.shipment(shipmentId).status)) return { refused: 'invalid_state' }
    const waiting = goods.commands.find((command) => isCancelOf(command) && command.shipmentId === shipmentId)
    return { waiting: (waiting ?? addCommand(goods, 'cancel', { shipmentId, detail: null, actor })).id }
  })
}

/** Ends the cancellations that waited for parcels: one that stays is undone, one that has left has won. */
export async function endCancels(tx: Tx, orderId: OrderId, context: GoodsWork): Promise<void> {
  const free = await inGoods(tx, orderId, context, (goods, books) => {
    const over = goods.commands.filter(isCancelOf).flatMap((command) => {
      const shipment = goods.shipment(command.shipmentId)
      return isInside(shipment.status) && isLocked(shipment, books) ? [] : [{ command, shipment }]
    })
    for (const { command, shipment } of over) settle(command, hasLeft(shipment.status) ? 'already_shipped' : null)
    return over.filter(({ shipment }) => isInside(shipment.status)).map(({ shipment }) => shipment.id)
  })
  for (const shipmentId of free) await rerouteShipment(tx, { orderId, shipmentId }, context)
}

function isCancelOf(command: CommandBook): command is CommandBook & { readonly shipmentId: ShipmentId } {
  return command.kind === 'cancel' && command.shipmentId !== null && command.state === 'pending'
}

/**
 * Units were taken from their shelves; what is not there is taken from another warehouse, where one has it. Else it waits for
 * the next receipt, or is cancelled, as the shop wants it. `mustTell`: the order's workflow has something to do.
 */
export async function pickShipment(
  tx: Tx,
  { orderId, shipmentId, picked }: Parcel & { readonly picked: readonly Units[] | null },
  context: GoodsWork,
): Promise<{ outcome: StepOutcome; mustTell: boolean }> {
  const { outcome, short, wasStalled, isGivenUp } = await inGoods(tx, orderId, context, (goods) => {
    const shipment = goods.shipment(shipmentId)
    const { needsDecision: wasStalled } = shipment
    const done = pick(goods, shipmentId, picked)
    goods.backOrder(done.short)
    return { ...done, wasStalled, isGivenUp: done.outcome === 'done' && shipment.status === 'cancelled' }
  })
  if (outcome === 'done') await findElsewhere(tx, { orderId, shipmentId }, short, context)
  return { outcome, mustTell: short.length > 0 || wasStalled || isGivenUp }
}

/** What a warehouse did not find is looked for in the others: what its books say of that warehouse is wrong. */
export async function findElsewhere(
  tx: Tx,
  { orderId, shipmentId }: Parcel,
  short: readonly Units[],
  context: GoodsWork,
): Promise<void> {
  const { warehouseId, isGivenUp } = await inGoods(tx, orderId, context, (goods) => {
    const shipment = goods.shipment(shipmentId)
    const isGivenUp = shipment.replaces !== null && shipment.status === 'cancelled'
    return { warehouseId: shipment.warehouseId, isGivenUp }
  })
  if (isGivenUp) await replaceAnew(tx, { orderId, shipmentId }, [warehouseId], context)
  else if (short.length > 0) await serve(tx, orderId, [warehouseId], context)
}

/** Of a replacement that was given up: another one is sent, by each of `tries` from another warehouse. */
async function replaceAnew(
  tx: Tx,
  { orderId, shipmentId }: Parcel,
  tries: readonly (WarehouseId | null)[],
  context: GoodsWork,
): Promise<void> {
  const lost = await inGoods(tx, orderId, context, (goods) => unreplaced(goods, goods.shipment(shipmentId))?.id)
  if (lost === undefined) return
  for (const except of tries)
    if ((await replaceParcel(tx, { orderId, shipmentId: lost }, context, except)) !== 'out_of_stock') return
}

/** What an order waits for is given to it, as far as there is stock, and put into shipments: by each of `tries` another warehouse. */
export async function serve(
  tx: Tx,
  orderId: OrderId,
  tries: readonly (WarehouseId | null)[],
  context: GoodsWork,
): Promise<void> {
  for (const except of tries) await serveWaiting(tx, orderId, except)
  await inGoods(tx, orderId, context, settleShort)
}

/**
 * A lost or returned parcel is sent once more, by new stock, but not from the warehouse `except`. `out_of_stock`: no single
 * warehouse has all of it.
 */
export function replaceParcel(
  tx: Tx,
  { orderId, shipmentId }: Parcel,
  context: GoodsWork,
  except: WarehouseId | null = null,
): Promise<'done' | 'out_of_stock' | 'unchanged'> {
  return inGoods(tx, orderId, context, async (goods) => {
    if (!mayReplace(goods, shipmentId)) return 'unchanged'
    const place = await takeWhole(tx, orderId, goods.shipment(shipmentId).lines, except)
    if (!place) return 'out_of_stock'
    replace(goods, shipmentId, place)
    return 'done'
  })
}
