import { WorkflowNotFoundError } from '@temporalio/client'
import { z } from 'zod'
import { readRepairs } from '../../db/support/attention'
import { readLedger } from '../../db/payment/ledger'
import { readEvents, readOrder } from '../../db/order/read'
import type { OrderId } from '../../domain/ids'
import { formatMajor } from '../../domain/money'
import { checkoutWorkflowId } from '../../domain/workflow-id'
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

const HISTORY_MS = 2_000

/** `complete` is false when Temporal could not be asked. */
export async function readTimeline(
  orderId: OrderId,
  deps: ApiDeps,
): Promise<{ entries: TimelineEntry[]; complete: boolean }> {
  const [events, payments, ledger, repairs, steps] = await Promise.all([
    eventEntries(orderId, deps),
    paymentEntries(orderId, deps),
    ledgerEntries(orderId, deps),
    repairEntries(orderId, deps),
    workflowEntries(orderId, deps),
  ])
  const entries = [...events, ...payments, ...ledger, ...repairs, ...(steps ?? [])]
  return { entries: entries.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)), complete: steps !== null }
}

async function eventEntries(orderId: OrderId, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const events = await readEvents(pool, orderId)
  return events.map(({ createdAt, type, seq, from, to, data }) => ({
    at: createdAt.toISOString(),
    kind: 'event',
    title: to ? `${type} (${from ?? 'new'} → ${to})` : type,
    data: { seq, ...data },
  }))
}

async function paymentEntries(orderId: OrderId, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const order = await readOrder(pool, orderId)
  return (order?.attempts ?? []).map((attempt) => ({
    at: new Date(attempt.createdAt).toISOString(),
    kind: 'payment',
    title: `Payment attempt ${attempt.attempt} by ${attempt.provider} was asked for (now ${attempt.status})`,
    data: {
      payment_id: attempt.id,
      status: attempt.status,
      outcome: attempt.outcome,
      decline_code: attempt.declineCode,
    },
  }))
}

async function ledgerEntries(orderId: OrderId, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const entries = await readLedger(pool, orderId)
  return entries.map(({ createdAt, operation, account, amount, currency, paymentId }) => ({
    at: createdAt.toISOString(),
    kind: 'ledger',
    title: `${operation}: ${amount > 0 ? 'debit' : 'credit'} ${account} ${formatMajor({ amount: Math.abs(amount), currency })} ${currency}`,
    data: { payment_id: paymentId, operation, account, amount, currency },
  }))
}

async function repairEntries(orderId: OrderId, { pool }: ApiDeps): Promise<TimelineEntry[]> {
  const repairs = await readRepairs(pool, orderId)
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

/** Null when Temporal does not answer; a checkout whose history is past its retention has no steps. */
async function workflowEntries(orderId: OrderId, { temporal, log }: ApiDeps): Promise<TimelineEntry[] | null> {
  try {
    const handle = temporal.workflow.getHandle(checkoutWorkflowId(orderId))
    const history = await temporal.withDeadline(Date.now() + HISTORY_MS, () => handle.fetchHistory())
    return (history.events ?? []).flatMap(stepOf)
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return []
    log.debug({ err: error, order_id: orderId }, 'the history of an order could not be read')
    return null
  }
}

type HistoryEvent = NonNullable<
  Awaited<ReturnType<ReturnType<ApiDeps['temporal']['workflow']['getHandle']>['fetchHistory']>>['events']
>[number]

/** What a person would call a step; the engine's own bookkeeping is left out. */
function stepOf(event: HistoryEvent): TimelineEntry[] {
  const title = titleOf(event)
  if (title === null) return []
  const seconds = Number(event.eventTime?.seconds ?? 0)
  const at = new Date(seconds * 1_000 + Math.floor((event.eventTime?.nanos ?? 0) / 1e6)).toISOString()
  return [{ at, kind: 'workflow', title, data: { event_id: Number(event.eventId) } }]
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
  if (event.workflowTaskFailedEventAttributes?.failure)
    return `The workflow's code failed: ${event.workflowTaskFailedEventAttributes.failure.message ?? ''}`
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
