import { createHash } from 'node:crypto'
import {
  type Client,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
  WorkflowUpdateFailedError,
  type WorkflowUpdateHandle,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client'
import { z } from 'zod'
import {
  closeCase,
  listOpenCases,
  type OpenCase,
  readCasesOfRepair,
  readOpenCases,
  recordRepair,
  type RepairedCase,
} from '../../db/support/attention'
import { type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import { acceptDifference, acceptUnknownCharge } from '../../db/payment/difference'
import { withTransaction } from '../../db/pool'
import { type Order, readOrder } from '../../db/order/read'
import { resetRestarts } from '../../db/order/sweep'
import { describeQueue, moveRun } from '../../deployment'
import {
  ATTENTION_CASES,
  type AttentionCase,
  type CaseAtHand,
  choicesInWords,
  isClosedByDecision,
  repairChoices,
  repairInWords,
  repairsOf,
  takesRepair,
} from '../../domain/support'
import { DomainError } from '../../domain/errors'
import { plightOf } from '../../domain/fulfillment/shipment'
import { type ApiKeyId, isId, type OrderId } from '../../domain/ids'
import { isOpen, isOver, needsSettlement, orderLabel } from '../../domain/order'
import {
  checkoutStart,
  fulfillmentStart,
  REPAIR_UPDATES,
  settlementStart,
  TASK_QUEUES,
  WORKFLOWS,
} from '../../workflows/contract'
import { fulfillmentWorkflowId } from '../../domain/workflow-id'
import { listPageFrom, readCursor, wholeList } from '../http/pagination'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, money, orNull, pathId, timestamp } from '../http/schemas'
import { readTimeline, timelineEntry } from '../order/timeline'
import { isTemporalUnavailable } from '../http/temporal'
import { workflowUrl } from '../order/workflow-link'

const attentionCase = z
  .strictObject({
    order_id: idOf('order').nullable().meta({ description: 'null: it is about no order of ours' }),
    number: z.string().nullable(),
    case: z.enum(Object.keys(ATTENTION_CASES) as [AttentionCase, ...AttentionCase[]]),
    title: z.string(),
    step: z.string().nullable(),
    object: z.string().nullable().meta({
      description:
        'the payment, capture, refund, label or shipment that it is about, or the order whose units wait for stock; null: the whole order',
    }),
    detail: z.string().nullable().meta({ description: 'figures and reasons, in words' }),
    since: timestamp,
    at_stake: orNull(money),
    allowed_repairs: z.array(z.string()),
    choices: z
      .array(z.strictObject({ action: z.string(), outcome: z.string().nullable(), when: z.string() }))
      .meta({ description: 'what a person may do, and when it is right' }),
    workflow: z.strictObject({ id: z.string(), url: z.string() }),
  })
  .meta({ id: 'AttentionCase' })

const getAttention = defineRoute({
  method: 'get',
  path: '/v1/admin/attention',
  tag: 'Support',
  summary: 'List the cases that wait for a person, oldest first',
  caller: { admin: 'support', access: 'read' },
  query: listPageQuery,
  answers: { 200: listPageOf(attentionCase).meta({ id: 'AttentionPage' }) },
  example: { answer: 200 },
}).handle(async ({ query }, deps) => {
  const after = readCursor(query.cursor, isCaseId) ?? 0
  const cases = await listOpenCases(deps.pool, { limit: query.limit + 1, after })
  return {
    status: 200,
    body: listPageFrom(cases, query.limit, {
      keyOf: (open) => open.id,
      present: (open) => presentCase(open, deps),
    }),
  }
})

function presentCase(open: OpenCase, deps: ApiDeps): z.input<typeof attentionCase> {
  const { orderId, number, code, step, object, detail, since, atStake, currency, workflowId } = open
  return {
    order_id: orderId,
    number,
    case: code,
    title: ATTENTION_CASES[code].title,
    step,
    object,
    detail,
    since: since.toISOString(),
    at_stake: atStake === null || currency === null ? null : { amount: atStake, currency },
    allowed_repairs: [...repairsOf(atHand(open))],
    choices: repairChoices(atHand(open)).map((choice) => ({
      action: choice.repair,
      outcome: choice.outcome ?? null,
      when: choice.when,
    })),
    workflow: { id: workflowId, url: workflowUrl(workflowId, deps) },
  }
}

function atHand({ code, step, orderStatus, parcel }: OpenCase): CaseAtHand {
  const plight = parcel && plightOf({ ...parcel, isOver: orderStatus !== null && isOver(orderStatus) })
  return { code, step, isOver: orderStatus === 'cancelled', plight }
}

function isCaseId(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

const getTimeline = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/timeline',
  tag: 'Support',
  summary: 'Read all that happened to an order, as one list',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  answers: {
    200: z
      .strictObject({
        data: z.array(timelineEntry),
        has_more: z.boolean(),
        next_cursor: z.string().nullable(),
        workflow_steps: z.enum(['included', 'unavailable']),
      })
      .meta({ id: 'Timeline' }),
  },
  example: { answer: 200 },
}).handle(async ({ params }, deps) => {
  const order = await readOrder(deps.pool, params.id)
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  const { entries, complete } = await readTimeline(order, deps)
  return {
    status: 200,
    body: { ...wholeList(entries), workflow_steps: complete ? 'included' : 'unavailable' },
  }
})

const repairRequest = z
  .strictObject({
    action: z.enum([
      'retryStep',
      'resolveStep',
      'retryPayment',
      'forceCancel',
      'reroute',
      'cancelShipment',
      'resume',
      'moveToCurrent',
    ]),
    step: z.string().min(1).max(100).optional(),
    object: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'of which payment, capture, refund, label or shipment; needed when several cases fit' }),
    outcome: z.enum(['done', 'not_done']).optional(),
    reason_code: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'Send a short code, such as checked_with_provider.'),
    note: z.string().max(2_000).optional().meta({ description: 'kept with the repair, never sent to the workflow' }),
  })
  .refine(({ action, outcome }) => action !== 'resolveStep' || outcome !== undefined, {
    path: ['outcome'],
    message: 'Say whether it happened: `done` or `not_done`.',
  })
type RepairRequest = z.output<typeof repairRequest>

const repairAccepted = z
  .strictObject({ id: z.string(), order_id: idOf('order'), action: z.string(), case: z.string() })
  .meta({ id: 'RepairAccepted' })

const postRepair = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/repairs',
  tag: 'Support',
  summary: 'Repair an order that waits for a person',
  description:
    '202 once its workflow accepted it. Which repairs a case takes is in `allowed_repairs` of the attention list.',
  caller: { admin: 'support', access: 'write' },
  idempotency: 'required',
  params: pathId('order'),
  body: repairRequest,
  answers: {
    202: repairAccepted,
    404: ['not_found'],
    409: ['repair_not_allowed', 'request_in_progress'],
    422: ['idempotency_key_reused'],
    503: ['no_worker'],
  },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  if (!(await readOrder(deps.pool, params.id))) throw new DomainError('not_found', 'There is no such order.')
  const id = repairId(idempotency)
  const { headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      await recordRepair(tx, { ...audited(id, params.id, body, caller.keyId), accepted: false })
      return { status: 202, resource: id }
    },
    async () => null,
  )
  const repaired = await repair({ id, orderId: params.id, body, by: caller.keyId }, deps)
  await recordRepair(deps.pool, { ...audited(id, params.id, body, caller.keyId), accepted: true })
  return { status: 202, body: { id, order_id: params.id, action: body.action, case: repaired }, headers }
})

/** The same key is the same repair: the workflow takes an update of one id once. */
function repairId(idempotency: IdempotencyScope | null): string {
  const { scope, operation, key } = idempotency as IdempotencyScope
  return `repair-${createHash('sha256').update(`${scope}\n${operation}\n${key}`).digest('hex').slice(0, 32)}`
}

function audited(id: string, orderId: OrderId, body: RepairRequest, actor: ApiKeyId) {
  return {
    id,
    orderId,
    action: body.action,
    step: body.step ?? null,
    object: body.object ?? null,
    outcome: body.outcome ?? null,
    reasonCode: body.reason_code,
    note: body.note ?? null,
    actor,
  }
}

interface RepairInput {
  readonly id: string
  readonly orderId: OrderId
  readonly body: RepairRequest
  readonly by: ApiKeyId
}

/**
 * Sends the repair to the workflow of the case it fits, or does here what no workflow waits for. Returns the case. If a
 * workflow was ended by hand, its case stays open beside its successor's. The repair then goes to the successor. Fulfillment
 * without one is started for it.
 */
async function repair(input: RepairInput, deps: ApiDeps): Promise<AttentionCase> {
  const { orderId, body } = input
  const cases = await readOpenCases(deps.pool, orderId)
  const fitting = cases.filter((open) => isNamed(open, body) && takesRepair(atHand(open), body))
  const [first] = fitting
  if (!first) {
    // A busy worker may have taken it after an earlier request had given up waiting.
    const before = await readCasesOfRepair(deps.pool, orderId, input.id)
    const done = before.find((one) => isNamed(one, body) && takesRepair({ ...one, isOver: false }, body))
    if (done) return done.code
    throw notAllowed(cases, body)
  }
  if (fitting.some(({ step, object }) => step !== first.step || object !== first.object)) throw ambiguous(fitting)
  if (body.action === 'resume') {
    await resume(orderId, first, deps)
    return first.code
  }
  if (body.action === 'moveToCurrent') {
    await moveToCurrent(first, deps)
    return first.code
  }
  if (isClosedByDecision(first)) {
    await closeByDecision(first, input, deps)
    return first.code
  }
  for (const { code, workflowId } of fitting) {
    if (await sendRepair(workflowId, body.action, input, deps.temporal)) return code
  }
  const isFulfillments = fitting.some(({ workflowId }) => workflowId === fulfillmentWorkflowId(orderId))
  if (isFulfillments && (await startFulfillment(orderId, first, deps)))
    throw new DomainError(
      'no_worker',
      'The workflow of this case had ended, and begins again. Send the repair once more in a moment, with the same Idempotency-Key.',
    )
  throw new DomainError('repair_not_allowed', 'The workflow of this case has ended.')
}

/** No workflow waits for it: a person knows why, which is kept with a difference of the reconciliation. */
async function closeByDecision(
  { workflowId, step, object }: OpenCase,
  { body, by }: RepairInput,
  { pool }: ApiDeps,
): Promise<void> {
  await withTransaction(pool, async (tx) => {
    const accepted = { by, reasonCode: body.reason_code, note: body.note ?? null }
    if (object !== null && isId('difference', object)) await acceptDifference(tx, { id: object, ...accepted })
    else if (object !== null) await acceptUnknownCharge(tx, { chargeReference: object, ...accepted })
    await closeCase(tx, { workflowId, step, object, by: 'person' })
  })
}

function isNamed(open: RepairedCase, { step, object }: RepairRequest): boolean {
  return (step === undefined || step === open.step) && (object === undefined || object === open.object)
}

function notAllowed(cases: readonly OpenCase[], body: RepairRequest): DomainError {
  const { step, object } = body
  const open = cases.map((one) => `${nameOf(one)}: ${choicesInWords(atHand(one))}`)
  const wanted = `${repairInWords(body)}${step ? ` of ${step}` : ''}${object ? ` of ${object}` : ''}`
  const detail =
    open.length === 0
      ? 'Nothing of this order waits for a person.'
      : `${wanted} fits no open case. Open: ${open.join('; ')}.`
  return new DomainError('repair_not_allowed', detail)
}

function ambiguous(fitting: readonly OpenCase[]): DomainError {
  const open = fitting.map(nameOf).join('; ')
  return new DomainError(
    'repair_not_allowed',
    `Several cases fit: say which by \`step\` and \`object\`. Open: ${open}.`,
  )
}

function nameOf({ code, step, object }: OpenCase): string {
  const names = [step && `step ${step}`, object && `object ${object}`].filter(Boolean)
  return `${code}${names.length > 0 ? ` (${names.join(', ')})` : ''}`
}

/** A worker has this long to accept a repair. */
const ACCEPT_MS = 3_000

/** False when the workflow has ended. */
async function sendRepair(
  workflowId: string,
  action: keyof typeof REPAIR_UPDATES,
  { id, body, by }: RepairInput,
  temporal: Client,
): Promise<boolean> {
  const { step, object, outcome, reason_code } = body
  try {
    const update = await temporal.withDeadline(Date.now() + ACCEPT_MS, () =>
      temporal.workflow.getHandle(workflowId).startUpdate(REPAIR_UPDATES[action], {
        updateId: id,
        args: [{ ...(step && { step }), ...(object && { object }), ...(outcome && { outcome }), reason_code, by }],
        waitForStage: 'ACCEPTED',
      }),
    )
    await refusalOf(update, temporal)
    return true
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError)
      throw new DomainError('repair_not_allowed', error.cause?.message ?? error.message)
    if (error instanceof WorkflowNotFoundError) return false
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isTemporalUnavailable(error)) {
      throw new DomainError(
        'no_worker',
        'No worker took the repair within 3 s. Try again with the same Idempotency-Key once workers run.',
      )
    }
    throw error
  }
}

/** A refusal is an update's result, there at once; what was accepted is done in a moment, or a little later. */
async function refusalOf(update: WorkflowUpdateHandle<void>, temporal: Client): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + ACCEPT_MS, () => update.result())
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw error
  }
}

const START_MS = 3_000

/** Nothing else may start it again for a case that only waits for a person. False when its order is over: its settlements go on. */
async function startFulfillment(orderId: OrderId, { code }: OpenCase, { pool, temporal }: ApiDeps): Promise<boolean> {
  const order = await readOrder(pool, orderId)
  // Of an order that is over the money is for settlements; a parcel of it may still need a person.
  if (!order || (isOver(order.status) && code !== 'fulfillment_stalled')) return false
  await temporal.withDeadline(Date.now() + START_MS, () =>
    temporal.workflow.start(WORKFLOWS.fulfillment, {
      ...fulfillmentStart(orderId),
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  )
  return true
}

/** Sets the counter to 0 and starts a new run from the rows; a hanging run is replaced. */
async function resume(orderId: OrderId, failing: OpenCase, deps: ApiDeps): Promise<void> {
  const order = await readOrder(deps.pool, orderId)
  if (!order) return
  await resetRestarts(deps.pool, orderId)
  const { object, workflowId } = failing
  if (workflowId === fulfillmentWorkflowId(orderId))
    await replace(WORKFLOWS.fulfillment, fulfillmentStart(orderId), deps)
  else if (object !== null && isId('payment', object))
    await replace(WORKFLOWS.settlement, settlementStart({ orderId, paymentId: object }), deps)
  else if (isOpen(order.status)) await replace(WORKFLOWS.checkout, checkoutStart(orderId, orderLabel(order)), deps)
  else await settleAll(order, deps)
  await closeCase(deps.pool, failing)
}

/** Its run goes on with the current build, from where it is: the task that waits is given to a worker of that. */
async function moveToCurrent(stranded: OpenCase, { pool, temporal }: ApiDeps): Promise<void> {
  const isMoved = await temporal.withDeadline(Date.now() + START_MS, async () => {
    const { current, served } = await describeQueue(temporal, TASK_QUEUES.checkout)
    if (current === null || !served.has(current))
      throw new DomainError(
        'no_worker',
        'The current build has no workers either. Start some, or make another build current (`npm run rollout`); then send the repair again with the same Idempotency-Key.',
      )
    return moveRun(temporal, stranded.workflowId, current)
  })
  await closeCase(pool, stranded)
  if (!isMoved) throw new DomainError('repair_not_allowed', 'The workflow of this case has ended.')
}

/** What a checkout had left to do when its order was over. */
async function settleAll({ id: orderId, status: orderStatus, attempts }: Order, deps: ApiDeps): Promise<void> {
  for (const { id: paymentId, status } of attempts) {
    if (needsSettlement(orderStatus, status))
      await replace(WORKFLOWS.settlement, settlementStart({ orderId, paymentId }), deps)
  }
}

async function replace(workflow: string, start: WorkflowStartOptions, { temporal }: ApiDeps): Promise<void> {
  await temporal.withDeadline(Date.now() + START_MS, () =>
    temporal.workflow.start(workflow, { ...start, workflowIdConflictPolicy: 'TERMINATE_EXISTING' }),
  )
}

export const supportRoutes: Route[] = [getAttention, getTimeline, postRepair]
