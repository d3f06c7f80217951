import { z } from 'zod'
import { inGoods } from '../../db/fulfillment/goods'
import { listShipments, readCommand, readLiveLabel, readShipment } from '../../db/fulfillment/read'
import { cancelShipment, pickShipment } from '../../db/fulfillment/reroute'
import { findWarehouse } from '../../db/inventory/warehouse'
import type { StoredShipment } from '../../db/order/shipment'
import { forgetKey, withIdempotency } from '../../db/platform/idempotency'
import type { Db, Pool, Tx } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import { addCommand } from '../../domain/fulfillment/commands'
import type { Goods, StepOutcome } from '../../domain/fulfillment/goods'
import { claimLabel } from '../../domain/fulfillment/labels'
import { handOver } from '../../domain/fulfillment/leaving'
import { pack } from '../../domain/fulfillment/picking'
import { type CommandKind, type CommandState, SHIPMENT_STATUSES } from '../../domain/fulfillment/shipment'
import type { Books } from '../../domain/payment/books'
import { type CommandId, isId, type ShipmentId, skuKey, type WarehouseId } from '../../domain/ids'
import { isOver } from '../../domain/order'
import type { ApiDeps } from '../deps'
import { listPageFrom, readCursor } from '../http/pagination'
import { invalid } from '../http/problem'
import { headersOf } from '../http/replay'
import { type AdminCaller, type AnswerOf, defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, pathId, units } from '../http/schemas'
import { commandBody, presentCommand, presentStaffShipment, shipmentShape } from '../order/answer'
import { MOVES_WAIT_MS, requireOrder } from '../payment/amount'
import { awaitMove, tellOwner } from '../payment/owner'
import { box } from './box'

/** Shipments and their steps: what a warehouse does, and tells. */

const shipmentAnswer = z
  .strictObject({ ...shipmentShape, command: commandBody.optional() })
  .meta({ id: 'ShipmentAnswer', description: 'a shipment; with `command` while what was asked for is not done' })

const STEP_REFUSALS = ['invalid_state', 'request_in_progress'] as const
const ANSWERS = {
  200: shipmentAnswer,
  404: ['not_found'],
  409: STEP_REFUSALS,
} as const
/** Of a step that takes a body: another one may come under the same key. */
const ANSWERS_TO_A_BODY = { ...ANSWERS, 422: ['idempotency_key_reused'] } as const

const step = {
  method: 'post',
  tag: 'Shipments',
  caller: { admin: 'orders', access: 'write' },
  params: pathId('shipment'),
} as const

const getShipments = defineRoute({
  method: 'get',
  path: '/v1/admin/shipments',
  tag: 'Shipments',
  summary: 'List shipments, newest first',
  caller: { admin: 'orders', access: 'read' },
  query: listPageQuery.extend({
    status: z.enum(SHIPMENT_STATUSES).optional(),
    warehouse_id: idOf('warehouse').optional(),
    order_id: idOf('order').optional(),
  }),
  answers: { 200: listPageOf(shipmentAnswer).meta({ id: 'ShipmentPage' }) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool, settings }) => {
  await requireKnown(query.warehouse_id, pool)
  const filter = {
    status: query.status ?? null,
    warehouseId: query.warehouse_id ?? null,
    orderId: query.order_id ?? null,
    limit: query.limit + 1,
    before: readCursor(query.cursor, isShipmentId),
  }
  const shipments = await listShipments(pool, filter)
  return {
    status: 200,
    body: listPageFrom(shipments, query.limit, {
      keyOf: ({ id }) => id,
      present: (shipment) => presentStaffShipment(shipment, settings),
    }),
  }
})

const getShipment = defineRoute({
  method: 'get',
  path: '/v1/admin/shipments/{id}',
  tag: 'Shipments',
  summary: 'Read a shipment',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('shipment'),
  answers: { 200: shipmentAnswer, 404: ['not_found'] },
}).handle(async ({ params }, deps) => ({ status: 200, body: await answerOf(params.id, deps) }))

const postPick = defineRoute({
  ...step,
  path: '/v1/admin/shipments/{id}/pick',
  summary: 'Units were taken from their shelves',
  description:
    'Fewer than asked: the rest is not there. It leaves the stock of the warehouse, and is taken from another one, waits for the next receipt, or is cancelled, as the settings of the shop say. Until they are packed, units may be counted again; afterwards fewer are 409 `invalid_state`.',
  body: z.strictObject({
    lines: z
      .array(z.strictObject({ sku: z.string().min(1).max(64), quantity: z.int().min(0).max(100_000) }))
      .min(1)
      .max(1_000)
      .optional()
      .meta({ description: 'what was found; left out: all of it; a SKU that is left out: none' }),
  }),
  answers: ANSWERS_TO_A_BODY,
}).handle(async ({ params, body, idempotency }, deps) => {
  const shipment = await requireShipment(params.id, deps)
  const picked = body.lines?.map(({ sku, quantity }) => ({ sku: skuKey(sku), quantity })) ?? null
  const parcel = { orderId: shipment.orderId, shipmentId: params.id, picked }
  const { body: mustTell, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      requireFound(shipment, picked)
      const { outcome, mustTell } = await pickShipment(tx, parcel, stepsOf(deps))
      requireDone(outcome)
      return { status: 200, resource: mustTell }
    },
    async (mustTell) => mustTell,
  )
  if (mustTell) await tell(shipment, deps)
  return { status: 200, body: await answerOf(params.id, deps), headers }
})

const postPack = defineRoute({
  ...step,
  path: '/v1/admin/shipments/{id}/pack',
  summary: 'What was picked was put into boxes',
  body: z.strictObject({
    boxes: z
      .array(box)
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'left out: made from the weights of the units' }),
  }),
  answers: ANSWERS_TO_A_BODY,
}).handle(({ params, body, idempotency }, deps) =>
  stepOf(params.id, { idempotency, decide: (goods) => pack(goods, params.id, body.boxes ?? null) }, deps),
)

const postLabel = defineRoute({
  ...step,
  path: '/v1/admin/shipments/{id}/label',
  summary: 'Buy a label for a packed shipment',
  description:
    'By the carrier and service that fit the shipping method of the order best, unless you name them. 202 while the carrier has not answered: it is asked until it does.',
  body: z.strictObject({
    carrier: z.string().min(1).max(50).optional(),
    service: z.string().min(1).max(100).optional(),
  }),
  answers: {
    ...ANSWERS_TO_A_BODY,
    202: shipmentAnswer,
    409: [...STEP_REFUSALS, 'label_refused', 'order_on_hold'],
  },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const { carrier = null, service = null } = body
  if (carrier !== null && !deps.carriers.names.includes(carrier)) throw unknownCarrier(deps.carriers.names)
  const decide = (goods: Goods): StepOutcome => claimLabel(goods, params.id, { carrier, service })
  return commanded(params.id, { kind: 'label', idempotency, accept: accepting('label', caller, decide, deps) }, deps)
})

const postShip = defineRoute({
  ...step,
  path: '/v1/admin/shipments/{id}/ship',
  summary: 'Hand a labelled shipment over',
  description:
    'Takes its money first: a refused capture is 402, and the parcel stays. 202 while the payment provider has not answered: it leaves once the money is there. Of a parcel that a warehouse with a system of its own was told to let leave, it says that it has left.',
  body: z.strictObject({}),
  answers: { ...ANSWERS, 202: shipmentAnswer, 402: ['capture_failed'], 409: [...STEP_REFUSALS, 'order_on_hold'] },
}).handle(({ params, caller, idempotency }, deps) => {
  const decide = (goods: Goods, books: Books): StepOutcome => handOver(goods, params.id, books)
  return commanded(params.id, { kind: 'ship', idempotency, accept: accepting('ship', caller, decide, deps) }, deps)
})

const postCancel = defineRoute({
  ...step,
  path: '/v1/admin/shipments/{id}/cancel',
  summary: 'Undo a shipment that has not left',
  description:
    'Its label is taken back, and its units go into another shipment: from another warehouse, where one has them. 202 while its money is being taken: it is undone if that fails, else it leaves (`already_shipped`). To cancel units, cancel them at the order.',
  body: z.strictObject({}),
  idempotency: 'required',
  answers: { ...ANSWERS, 202: shipmentAnswer, 409: [...STEP_REFUSALS, 'already_shipped'] },
}).handle(({ params, caller, idempotency }, deps) => {
  const accept = async (tx: Tx, { id: shipmentId, orderId }: StoredShipment): Promise<Accepted> => {
    const outcome = await cancelShipment(tx, { orderId, shipmentId, actor: caller.keyId }, stepsOf(deps))
    if (typeof outcome === 'string') return { commandId: null, mustTell: true }
    if ('refused' in outcome) throw new DomainError(outcome.refused, REFUSALS[outcome.refused])
    return { commandId: outcome.waiting, mustTell: true }
  }
  return commanded(params.id, { kind: 'cancel', idempotency, accept }, deps)
})

const getLabel = defineRoute({
  method: 'get',
  path: '/v1/admin/shipments/{id}/label.pdf',
  tag: 'Shipments',
  summary: 'Read the label of a shipment',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('shipment'),
  answers: { 200: { mediaType: 'application/pdf' }, 404: ['not_found'], 503: ['unavailable'] },
}).handle(async ({ params }, { pool, carriers }) => {
  const label = await readLiveLabel(pool, params.id)
  const document = label && (await carriers.get(label.carrier)?.document(label.reference).catch(unavailable))
  if (!document) throw new DomainError('not_found', 'There is no label for this shipment.')
  return {
    status: 200,
    headers: { 'Cache-Control': 'private, no-store' },
    send: (response) => void response.end(document),
  }
})

function unavailable(): never {
  throw new DomainError('unavailable', 'The carrier does not answer.', { dependency: 'carrier' })
}

type Idempotency = Parameters<typeof withIdempotency>[1]

/** A step that is over at once. */
async function stepOf(
  id: ShipmentId,
  { idempotency, decide }: { idempotency: Idempotency; decide: (goods: Goods) => StepOutcome },
  deps: ApiDeps,
): Promise<AnswerOf<typeof ANSWERS>> {
  const shipment = await requireShipment(id, deps)
  const { body: wasStalled, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const resource = await inGoods(tx, shipment.orderId, stepsOf(deps), (goods) => {
        const { needsDecision } = goods.shipment(id)
        requireDone(decide(goods))
        return needsDecision
      })
      return { status: 200, resource }
    },
    async (stalled) => stalled,
  )
  if (wasStalled) await tell(shipment, deps)
  return { status: 200, body: await answerOf(id, deps), headers }
}

interface Command {
  readonly kind: CommandKind
  readonly idempotency: Idempotency
  readonly accept: (tx: Tx, shipment: StoredShipment) => Promise<Accepted>
}

interface Accepted {
  /** Null: it is done. */
  readonly commandId: CommandId | null
  /** The order's workflow has something to do. */
  readonly mustTell: boolean
}

const COMMANDED = { 200: shipmentAnswer, 202: shipmentAnswer } as const

/** A step for which somebody outside is asked: the order's workflow does that. A step that is under way is joined. */
async function commanded(id: ShipmentId, command: Command, deps: ApiDeps): Promise<AnswerOf<typeof COMMANDED>> {
  const shipment = await requireShipment(id, deps)
  const { idempotency } = command
  const { body: accepted, ...answered } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => ({ status: 200, resource: await command.accept(tx, shipment) }),
    async (resource) => resource,
    async ({ commandId }, db) => (await stateOf(commandId, db)) === 'refused',
  )
  const { commandId, mustTell } = accepted
  if (mustTell) await tell(shipment, deps)
  // A cancellation that waits for the money of the parcel is answered at once.
  if (commandId !== null && command.kind !== 'cancel')
    await awaitMove(async () => (await stateOf(commandId, deps.pool)) !== 'pending', MOVES_WAIT_MS)
  const done = commandId === null ? null : await readCommand(deps.pool, commandId)
  if (done?.state === 'refused') {
    await forgetKey(deps.pool, idempotency, accepted)
    throw refusalOf(command.kind, done.code ?? 'refused')
  }
  const status = done?.state === 'pending' ? 202 : 200
  const headers = await headersOf(answered, { status, idempotency }, deps)
  const body = await answerOf(id, deps)
  return done && status === 202
    ? { status, body: { ...body, command: presentCommand(done) }, headers }
    : { status: 200, body, headers }
}

async function stateOf(commandId: CommandId | null, db: Db): Promise<CommandState> {
  return (commandId && (await readCommand(db, commandId))?.state) || 'done'
}

/** Takes a step for which somebody outside is asked, or joins the one that is under way. */
function accepting(
  kind: CommandKind,
  { keyId }: AdminCaller,
  decide: (goods: Goods, books: Books) => StepOutcome,
  deps: ApiDeps,
): Command['accept'] {
  return (tx, { id, orderId }) =>
    inGoods(tx, orderId, stepsOf(deps), (goods, books) => {
      const outcome = decide(goods, books)
      requireDone(outcome)
      if (outcome === 'done')
        return { commandId: addCommand(goods, kind, { shipmentId: id, detail: null, actor: keyId }).id, mustTell: true }
      const pending = goods.commands.find(
        (each) => each.shipmentId === id && each.kind === kind && each.state === 'pending',
      )
      return { commandId: pending?.id ?? null, mustTell: pending !== undefined }
    })
}

function refusalOf(kind: Command['kind'], code: string): DomainError {
  if (code === 'shipment_cancelled' || code === 'shipment_changed')
    return new DomainError('invalid_state', 'The shipment was changed meanwhile: look at it again.')
  if (code === 'already_shipped') return new DomainError('already_shipped', REFUSALS.already_shipped)
  if (code === 'order_on_hold') return new DomainError('order_on_hold', REFUSALS.order_on_hold)
  if (kind === 'ship') return new DomainError('capture_failed', 'The money of the parcel could not be taken: it stays.')
  return new DomainError('label_refused', 'The carrier does not sell a label for this shipment.', {
    carrier_code: code,
  })
}

const REFUSALS = {
  invalid_state: 'The shipment is not so far, or is over.',
  order_on_hold: 'The order is on hold: nothing is labelled or captured meanwhile.',
  already_shipped: 'The shipment has left.',
} as const

function requireDone(outcome: StepOutcome): void {
  if (typeof outcome !== 'string') throw new DomainError(outcome.refused, REFUSALS[outcome.refused])
}

/** Throws 400 for SKUs that the shipment does not have, and for more than it has of one. */
function requireFound({ lines }: StoredShipment, picked: z.output<typeof units> | null): void {
  const seen = new Set<string>()
  const errors = (picked ?? []).flatMap(({ sku, quantity }, index) => {
    const wanted = lines.find((line) => skuKey(line.sku) === sku)?.quantity
    const at = (field: string, code: string, message: string) => [
      { in: 'body' as const, pointer: `/lines/${index}/${field}`, code, message },
    ]
    if (seen.has(sku)) return at('sku', 'duplicate', 'Send each SKU once.')
    seen.add(sku)
    // What was not there is in it no more.
    if (wanted === undefined && quantity === 0) return []
    if (wanted === undefined) return at('sku', 'unknown', 'The shipment has no such line.')
    return quantity > wanted ? at('quantity', 'too_many', `The shipment has ${wanted} of it.`) : []
  })
  if (errors.length > 0) throw invalid(errors)
}

function unknownCarrier(names: readonly string[]): DomainError {
  const message = `There are these carriers: ${names.join(', ')}.`
  return invalid([{ in: 'body', pointer: '/carrier', code: 'unknown', message }])
}

/** Tells the workflow of the order. What cannot be told now the sweep tells. */
async function tell({ orderId }: StoredShipment, deps: ApiDeps): Promise<void> {
  const { status } = await requireOrder(orderId, deps)
  await tellOwner({ orderId, isOver: isOver(status), paymentIds: [] }, deps)
}

function stepsOf({ providers }: ApiDeps) {
  return { stepOf: (provider: string, currency: string) => providers.get(provider)?.amountStep(currency) ?? 1 }
}

async function answerOf(id: ShipmentId, deps: ApiDeps): Promise<z.input<typeof shipmentAnswer>> {
  return presentStaffShipment(await requireShipment(id, deps), deps.settings)
}

/** Throws 400 for a filter on a warehouse that there is not. */
async function requireKnown(id: WarehouseId | undefined, pool: Pool): Promise<void> {
  if (id === undefined || (await findWarehouse(pool, id))) return
  throw invalid([{ in: 'query', pointer: '/warehouse_id', code: 'unknown', message: 'There is no such warehouse.' }])
}

/** Throws 404. */
async function requireShipment(id: ShipmentId, { pool }: ApiDeps): Promise<StoredShipment> {
  const shipment = await readShipment(pool, id)
  if (!shipment) throw new DomainError('not_found', 'There is no such shipment.')
  return shipment
}

function isShipmentId(value: unknown): value is ShipmentId {
  return typeof value === 'string' && isId('shipment', value)
}

export const shipmentRoutes: readonly Route[] = [
  getShipments,
  getShipment,
  postPick,
  postPack,
  postLabel,
  postShip,
  postCancel,
  getLabel,
]
