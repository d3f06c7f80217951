import { isGrpcServiceError } from '@temporalio/client'
import { z } from 'zod'
import { readRepairs } from '../../db/support/attention'
import { readLedger } from '../../db/payment/ledger'
import { type Order, type OrderAttempt, type OrderEvent, readEvents } from '../../db/order/read'
import type { EventType } from '../../domain/events'
import type { RoutingScore } from '../../domain/inventory'
import { type Currency, formatMajor } from '../../domain/money'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import type { ApiDeps } from '../deps'
import { timestamp } from '../http/schemas'

/** All that happened to an order, told as one list: rows first, then what its workflow did. */

export const timelineEntry = z
  .strictObject({
    at: timestamp,
    kind: z.enum(['event', 'workflow', 'payment', 'ledger', 'repair']),
    title: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'TimelineEntry' })
type TimelineEntry = z.input<typeof timelineEntry>

const HISTORY_MS = 4_000

/** `complete` is false when Temporal could not be asked. */
export async function readTimeline(
  order: Order,
  deps: ApiDeps,
): Promise<{ entries: TimelineEntry[]; complete: boolean }> {
  const [events, ledger, repairs, steps] = await Promise.all([
    eventEntries(order, deps),
    ledgerEntries(order, deps),
    repairEntries(order, deps),
    workflowEntries(order, deps),
  ])
  const entries = [...events, ...order.attempts.map(attemptEntry), ...ledger, ...repairs, ...(steps ?? [])]
  return { entries: entries.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)), complete: steps !== null }
}

async function eventEntries({ id, currency }: Order, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const events = await readEvents(pool, id)
  return events.map(({ createdAt, type, seq, from, to, data }) => {
    const words = wordsOf(type, data, currency) ?? goodsInWords(type, data)
    return {
      at: createdAt.toISOString(),
      kind: 'event',
      title: words ?? (to ? `${type} (${from ?? 'new'} → ${to})` : type),
      data: { type, seq, ...data, ...(isAmount(data['amount']) && { amount: { amount: data['amount'], currency } }) },
    }
  })
}

/** What happened to money, as support tells it; null for other events. */
function wordsOf(
  type: string,
  { amount, failure_code, status }: OrderEvent['data'],
  currency: Currency,
): string | null {
  if (!isAmount(amount) || !Object.hasOwn(MONEY_WORDS, type)) return null
  const money = `${currency} ${formatMajor({ amount, currency })}`
  return MONEY_WORDS[type as keyof typeof MONEY_WORDS](money, String(failure_code ?? status))
}

const MONEY_WORDS = {
  'payment.requested': (money) => `${money} is to be authorized by another payment`,
  'payment.authorized': (money) => `${money} was authorized`,
  'payment.received': (money) => `${money} came by a payment that pays for nothing: it goes back`,
  'payment.capture_requested': (money) => `${money} is to be captured`,
  'payment.captured': (money) => `${money} was captured`,
  'payment.capture_failed': (money, code) => `${money} could not be captured: ${code}`,
  'payment.refund_requested': (money) => `${money} is to be refunded`,
  'payment.refunded': (money) => `${money} was refunded`,
  'payment.refund_failed': (money, code) => `${money} could not be refunded: ${code}`,
  'payment.released': (money) => `${money} of the authorization was let go`,
  'payment.voided': (money) => `The whole authorization, ${money}, was let go`,
  'payment.disputed': (money) => `The customer's bank takes ${money} back: a dispute`,
  'payment.dispute_closed': (money, outcome) => `The dispute about ${money} was ${outcome}`,
  'order.units_cancelled': (money) => `Units worth ${money} were cancelled`,
} as const satisfies Partial<Record<EventType, (money: string, code: string) => string>>

/** What happened to goods, as support tells it; null for other events. */
function goodsInWords(type: string, data: OrderEvent['data']): string | null {
  if (!Object.hasOwn(GOODS_WORDS, type)) return null
  return GOODS_WORDS[type as keyof typeof GOODS_WORDS](data as unknown as GoodsData)
}

interface GoodsData {
  readonly shipment_id: string
  readonly warehouse_id: string
  readonly replaces?: string
  readonly lines: UnitsData
  readonly short?: UnitsData
  readonly units: UnitsData
  readonly carrier: string
  readonly service: string
  readonly tracking_number: string
  readonly code: string
  readonly routes: readonly (RoutingScore & { readonly warehouse_id: string })[]
}
type UnitsData = readonly { readonly sku: string; readonly quantity: number }[]

/** "all of it from wh_…, 460 km away, priority 2" */
function routeInWords({ warehouse_id, distance_km, priority, is_whole }: GoodsData['routes'][number]): string {
  const away = distance_km === null ? 'in the country' : `${Math.round(distance_km)} km away`
  return `${is_whole ? 'all of it' : 'a part'} from ${warehouse_id}, ${away}, priority ${priority}`
}

/** "2 × 85123A, 1 × 22423" */
function unitsInWords(units: UnitsData): string {
  return units.map(({ sku, quantity }) => `${quantity} × ${sku}`).join(', ')
}

const GOODS_WORDS = {
  'inventory.reserved': ({ routes }) => `Stock was reserved: ${routes.map(routeInWords).join('; ')}`,
  'shipment.allocated': ({ shipment_id, warehouse_id, lines, replaces }) =>
    `${warehouse_id} is to send ${unitsInWords(lines)} as ${shipment_id}${replaces ? `, in the place of ${replaces}` : ''}`,
  'shipment.picked': ({ shipment_id, short }) =>
    `${shipment_id} was picked${short ? `; not found: ${unitsInWords(short)}` : ''}`,
  'shipment.packed': ({ shipment_id }) => `${shipment_id} was packed`,
  'shipment.reopened': ({ shipment_id }) => `${shipment_id} is packed anew: some of its units were cancelled`,
  'shipment.labelled': ({ shipment_id, carrier, service, tracking_number }) =>
    `${shipment_id} has a label of ${carrier}, ${service}: ${tracking_number ?? 'no tracking number'}`,
  'shipment.label_refused': ({ shipment_id, code }) => `The carrier sells no label for ${shipment_id}: ${code}`,
  'shipment.label_voided': ({ shipment_id }) => `A label of ${shipment_id} was taken back`,
  'shipment.left_unasked': ({ shipment_id }) => `${shipment_id} has left, and nobody had asked for it to be sent`,
  'shipment.released': ({ shipment_id }) => `${shipment_id} may leave: its money is there`,
  'shipment.refused': ({ shipment_id, code }) => `The warehouse refuses ${shipment_id}: ${code}`,
  'shipment.kept': ({ shipment_id }) => `${shipment_id} stays: its money could not be taken`,
  'shipment.shipped': ({ shipment_id, lines }) => `${shipment_id} has left with ${unitsInWords(lines)}`,
  'shipment.delivered': ({ shipment_id }) => `${shipment_id} was delivered`,
  'shipment.lost': ({ shipment_id }) => `The carrier has lost ${shipment_id}`,
  'shipment.returned': ({ shipment_id }) => `${shipment_id} came back`,
  'shipment.settled': ({ shipment_id }) => `${shipment_id} was settled with the customer: nobody waits for it any more`,
  'shipment.cancelled': ({ shipment_id }) => `${shipment_id} will not be sent`,
  'order.back_ordered': ({ units }) => `No warehouse has ${unitsInWords(units)}: the order waits for stock`,
} as const satisfies Partial<Record<EventType, (data: GoodsData) => string>>

function isAmount(value: unknown): value is number {
  return typeof value === 'number'
}

function attemptEntry(attempt: OrderAttempt): TimelineEntry {
  return {
    at: new Date(attempt.createdAt).toISOString(),
    kind: 'payment',
    title: `Payment attempt ${attempt.attempt} by ${attempt.provider} was asked for (now ${attempt.status})`,
    data: {
      payment_id: attempt.id,
      status: attempt.status,
      outcome: attempt.outcome,
      decline_code: attempt.declineCode,
    },
  }
}

async function ledgerEntries({ id }: Order, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const entries = await readLedger(pool, id)
  return entries.map(({ createdAt, operation, account, amount, currency, paymentId }) => ({
    at: createdAt.toISOString(),
    kind: 'ledger',
    title: `${operation}: ${amount > 0 ? 'debit' : 'credit'} ${account} ${formatMajor({ amount: Math.abs(amount), currency })} ${currency}`,
    data: { payment_id: paymentId, operation, account, amount: { amount, currency } },
  }))
}

async function repairEntries({ id }: Order, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const repairs = await readRepairs(pool, id)
  return repairs.map(({ createdAt, action, step, object, outcome, reasonCode, note, actor, acceptedAt }) => ({
    at: createdAt.toISOString(),
    kind: 'repair',
    title: `${action}${step ? ` of ${step}` : ''} by ${actor}${acceptedAt ? '' : ' (not accepted)'}`,
    data: {
      action,
      step,
      object,
      outcome,
      reason_code: reasonCode,
      note,
      accepted_at: acceptedAt?.toISOString() ?? null,
    },
  }))
}

/** Settlements of the newest payments are looked for; a cart has no more. */
const SETTLEMENTS_MAX = 20

/** The steps of all workflows that the order may have had. Null when Temporal does not answer. */
async function workflowEntries({ id, attempts }: Order, deps: ApiDeps): Promise<TimelineEntry[] | null> {
  const sent = attempts.filter(({ amount }) => amount !== null).slice(-SETTLEMENTS_MAX)
  const workflowIds = [
    checkoutWorkflowId(id),
    fulfillmentWorkflowId(id),
    ...sent.map((attempt) => settlementWorkflowId(attempt.id)),
  ]
  const deadline = Date.now() + HISTORY_MS
  const steps = await Promise.all(workflowIds.map((workflowId) => stepsOf(workflowId, deadline, deps)))
  return steps.includes(null) ? null : steps.flatMap((entries) => entries ?? [])
}

/** Of gRPC. A history is fetched without the client's own errors. */
const NOT_FOUND = 5

/** Null when Temporal does not answer; a workflow that never was, or whose history is past its retention, has no steps. */
async function stepsOf(
  workflowId: string,
  deadline: number,
  { temporal, log }: ApiDeps,
): Promise<TimelineEntry[] | null> {
  try {
    const handle = temporal.workflow.getHandle(workflowId)
    const history = await temporal.withDeadline(deadline, () => handle.fetchHistory())
    return (history.events ?? []).flatMap((event) => stepOf(event, workflowId))
  } catch (error) {
    if (isGrpcServiceError(error) && error.code === NOT_FOUND) return []
    log.debug({ err: error, workflow_id: workflowId }, 'a history could not be read')
    return null
  }
}

type HistoryEvent = NonNullable<
  Awaited<ReturnType<ReturnType<ApiDeps['temporal']['workflow']['getHandle']>['fetchHistory']>>['events']
>[number]

/** What a person would call a step; the engine's own bookkeeping is left out. */
function stepOf(event: HistoryEvent, workflowId: string): TimelineEntry[] {
  const title = titleOf(event)
  if (title === null) return []
  const seconds = Number(event.eventTime?.seconds ?? 0)
  const at = new Date(seconds * 1_000 + Math.floor((event.eventTime?.nanos ?? 0) / 1e6)).toISOString()
  const kind = workflowId.slice(0, workflowId.indexOf('-'))
  const data = { workflow_id: workflowId, event_id: Number(event.eventId) }
  return [{ at, kind: 'workflow', title: `${kind}: ${title}`, data }]
}

function titleOf(event: HistoryEvent): string | null {
  if (event.workflowExecutionStartedEventAttributes) return 'The workflow began'
  if (event.activityTaskScheduledEventAttributes)
    return `Step ${event.activityTaskScheduledEventAttributes.activityType?.name} began`
  if (event.activityTaskCompletedEventAttributes) return 'A step was done'
  if (event.activityTaskFailedEventAttributes)
    return `A step failed: ${event.activityTaskFailedEventAttributes.failure?.message ?? ''}`
  if (event.markerRecordedEventAttributes?.markerName === 'core_local_activity')
    return `Quick step ${markerType(event)} was done`
  if (event.timerStartedEventAttributes) return 'A timer was set'
  if (event.timerFiredEventAttributes) return 'A timer fired'
  if (event.workflowExecutionSignaledEventAttributes)
    return `Signal ${event.workflowExecutionSignaledEventAttributes.signalName}`
  const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.name
  if (update) return `Update ${update} accepted`
  // Without a failure it was only cut off, by a termination.
  const failure = event.workflowTaskFailedEventAttributes?.failure
  // News came while the task was worked on: it is done again.
  if (failure) return failure.message === 'UnhandledCommand' ? null : `The workflow's code failed: ${failure.message}`
  if (event.workflowExecutionCompletedEventAttributes) return 'The workflow ended'
  if (event.workflowExecutionFailedEventAttributes) return 'The workflow failed'
  const terminated = event.workflowExecutionTerminatedEventAttributes
  if (terminated) return `The workflow was terminated${terminated.reason ? `: ${terminated.reason}` : ''}`
  if (event.workflowExecutionCanceledEventAttributes) return 'The workflow was cancelled'
  return null
}

function markerType(event: HistoryEvent): string {
  const data = event.markerRecordedEventAttributes?.details?.['data']?.payloads?.[0]?.data
  try {
    return (JSON.parse(Buffer.from(data ?? []).toString()) as { activity_type?: string }).activity_type ?? ''
  } catch {
    return ''
  }
}
