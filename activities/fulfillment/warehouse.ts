import { withGoods } from '../../db/fulfillment/goods'
import { readLiveLabel } from '../../db/fulfillment/read'
import { noteMessageSent, readMessage, type StoredMessage } from '../../db/fulfillment/warehouse-message'
import { endMessage, refuseMessage } from '../../domain/fulfillment/warehouse-news'
import type { WarehouseMessageId } from '../../domain/ids'
import { type WarehouseLabel, WarehouseUnavailable } from '../../providers/warehouse/warehouse'
import { type FulfillmentDeps, stepsOf } from './goods'

/**
 * Tells a warehouse's own system what a row asks for, under the row's key, and writes there what became of it. Throws while the
 * system does not answer. A message that is wanted no more is not sent.
 */
export async function tellWarehouse(
  deps: FulfillmentDeps,
  { messageId }: { messageId: WarehouseMessageId },
  signal?: AbortSignal,
): Promise<void> {
  const message = await requireMessage(deps, messageId)
  const { orderId, endpoint, secret } = message
  if (endpoint === null || secret === null) return skipMessage(deps, { messageId })
  const system = deps.warehouses.at(endpoint)
  if (!system) throw new WarehouseUnavailable(`Nothing here speaks to the warehouse of message ${messageId}`)
  const label = message.kind === 'release' ? await labelOf(deps, message, signal) : null
  if (!(await noteMessageSent(deps.pool, messageId))) return
  const outcome = await system.tell(wordsOf(message, label), { endpoint, secret }, signal)
  await withGoods(deps.pool, orderId, stepsOf(deps), (goods) => {
    if (outcome.outcome === 'refused') refuseMessage(goods, messageId, outcome.code)
    else endMessage(goods, messageId, 'told')
  })
}

/** The warehouse need not hear it from us any more. */
export async function skipMessage(
  deps: FulfillmentDeps,
  { messageId }: { messageId: WarehouseMessageId },
): Promise<void> {
  const { orderId } = await requireMessage(deps, messageId)
  await withGoods(deps.pool, orderId, stepsOf(deps), (goods) => endMessage(goods, messageId, 'withdrawn'))
}

/** What is stuck on the parcel: the warehouse has no other way to know whom it is for. */
async function labelOf(
  { pool, carriers }: FulfillmentDeps,
  { shipmentId, label }: StoredMessage,
  signal?: AbortSignal,
): Promise<WarehouseLabel | null> {
  const bought = await readLiveLabel(pool, shipmentId)
  const document = bought && (await carriers.get(bought.carrier)?.document(bought.reference, signal))
  return label && { ...label, document: document?.toString('base64') ?? null }
}

function wordsOf({ id, key, kind, shipmentId, revision, ...message }: StoredMessage, label: WarehouseLabel | null) {
  const { wave, shippingMethod, lines, createdAt } = message
  return {
    id,
    key,
    type: `shipment.${kind}`,
    shipment_id: shipmentId,
    revision,
    wave,
    shipping_method: shippingMethod,
    lines,
    label,
    at: createdAt.toISOString(),
  } as const
}

async function requireMessage({ pool }: FulfillmentDeps, id: WarehouseMessageId): Promise<StoredMessage> {
  const message = await readMessage(pool, id)
  if (!message) throw new Error(`There is no message ${id}`)
  return message
}
