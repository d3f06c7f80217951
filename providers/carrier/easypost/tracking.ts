import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { TrackingType } from '../../../domain/fulfillment/shipment'
import { InvalidSignature, type TrackingEvent, type WebhookHeaders } from '../carrier'
import type { WireEvent, WireTracker, WireTrackingDetail } from './wire'

/** `pre_transit`: the label exists. `unknown`, `error` and `cancelled` say nothing of the parcel. */
const TYPES: ReadonlyMap<string, TrackingType> = new Map(
  Object.entries({
    in_transit: 'in_transit',
    out_for_delivery: 'out_for_delivery',
    delivered: 'delivered',
    available_for_pickup: 'exception',
    return_to_sender: 'returned',
    failure: 'exception',
  } as const),
)

/** Details that say more than their status. */
const TYPES_BY_DETAIL: ReadonlyMap<string, TrackingType> = new Map(
  Object.entries({
    received_at_origin_facility: 'accepted',
    delayed: 'exception',
    delivery_exception: 'exception',
    transit_exception: 'exception',
    held: 'exception',
    lost: 'lost',
    damaged: 'lost',
  } as const),
)

/** Details end a way only where the status says so too: a parcel that is delivered was not lost. */
const OPEN = new Set(['in_transit', 'failure'])

/** All that a tracker tells, oldest first. Each detail is one event: it has no id of its own, so what it says is its id. */
export function eventsOf(tracker: WireTracker): TrackingEvent[] {
  const known = new Map<string, TrackingEvent>()
  for (const detail of tracker.tracking_details) {
    if (!isDetail(detail)) continue
    const type = typeOf(detail)
    if (type === null) continue
    const eventId = idOf(tracker.tracking_code, detail)
    known.set(eventId, {
      eventId,
      trackingNumber: tracker.tracking_code,
      type,
      happenedAt: new Date(detail.datetime).toISOString(),
      detail: codeIn(detail.status_detail) ?? codeIn(detail.status),
      expectedAt: timeIn(tracker.est_delivery_date),
    })
  }
  return [...known.values()].sort((a, b) => Date.parse(a.happenedAt) - Date.parse(b.happenedAt))
}

export function timeIn(text: string | null): string | null {
  return typeof text === 'string' && Number.isFinite(Date.parse(text)) ? new Date(text).toISOString() : null
}

/** Checks who sent a webhook, and reads what it tells of a parcel. Throws {@link InvalidSignature}. */
export function readWebhook(body: Buffer, headers: WebhookHeaders, secret: string): TrackingEvent[] {
  const signature = headers['x-hmac-signature']
  const expected = Buffer.from(signatureOf(body, secret))
  const given = Buffer.from(typeof signature === 'string' ? signature : '')
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new InvalidSignature('The webhook was not signed by EasyPost')
  const event = eventIn(body)
  if (event === null) throw new InvalidSignature('The webhook is not an event of EasyPost')
  return isTracker(event.result) ? eventsOf(event.result) : []
}

/** As EasyPost's own clients compute it: the secret in the normal form NFKD, the body as it came. */
export function signatureOf(body: Buffer, secret: string): string {
  const digest = createHmac('sha256', Buffer.from(secret.normalize('NFKD'), 'utf8'))
    .update(body)
    .digest('hex')
  return `hmac-sha256-hex=${digest}`
}

function eventIn(body: Buffer): WireEvent | null {
  try {
    const event = JSON.parse(body.toString('utf8')) as Partial<WireEvent> | null
    const isEvent = typeof event?.id === 'string' && typeof event.description === 'string'
    return isEvent && typeof event.result === 'object' && event.result !== null ? (event as WireEvent) : null
  } catch {
    return null
  }
}

function isTracker(result: Partial<WireTracker> | WireEvent['result']): result is WireTracker {
  const { object, tracking_code: code, tracking_details: details } = result as Partial<WireTracker>
  return object === 'Tracker' && typeof code === 'string' && code !== '' && Array.isArray(details)
}

function isDetail(detail: Partial<WireTrackingDetail> | null): boolean {
  const { status, datetime } = detail ?? {}
  return typeof status === 'string' && typeof datetime === 'string' && Number.isFinite(Date.parse(datetime))
}

function typeOf({ status, status_detail: detail }: WireTrackingDetail): TrackingType | null {
  return (OPEN.has(status) ? TYPES_BY_DETAIL.get(detail ?? '') : undefined) ?? TYPES.get(status) ?? null
}

function idOf(code: string, { datetime, status, status_detail, message }: WireTrackingDetail): string {
  const said = JSON.stringify([code, datetime, status, status_detail, message])
  return createHash('sha256').update(said).digest('hex').slice(0, 40)
}

/** A code; what looks like anything else, such as the name of who signed for it, is left out. */
function codeIn(text: string | null): string | null {
  return typeof text === 'string' && /^[a-z][a-z_]{0,59}$/.test(text) ? text : null
}
