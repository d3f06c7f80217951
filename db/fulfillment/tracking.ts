import { LOST_ASK_DAYS } from '../../domain/fulfillment/patience'
import { isArrival, LEFT_STATUSES, type TrackingType } from '../../domain/fulfillment/shipment'
import type { LabelId, OrderId, ShipmentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'
import { statement } from '../sql'

/**
 * What carriers told us of parcels. A row is kept before it is answered, taken until its shipment has it, and then kept as
 * the history of the shipment.
 */

/** What one carrier told of a parcel. */
export interface ToldTracking {
  /** The carrier's id of it: the same event twice is one. */
  readonly eventId: string
  readonly trackingNumber: string
  readonly type: TrackingType
  /** RFC 3339. */
  readonly happenedAt: string
  readonly detail: string | null
  /** RFC 3339. */
  readonly expectedAt: string | null
}

/** Who listens is told of events that are due at once. */
export const TRACKING_CHANNEL = 'holdfast_tracking'

/**
 * Keeps what is new of it and wakes who listens. What no column can hold is left out: no carrier says it of a parcel of ours.
 * Answers how many were new.
 */
export async function receiveTracking(db: Db, carrier: string, events: readonly ToldTracking[]): Promise<number> {
  const kept = events.map(storable).filter((event) => event !== null)
  if (kept.length === 0) return 0
  const { rows } = await db.query<{ received: number }>(
    RECEIVE({
      carrier,
      ids: kept.map(({ eventId }) => eventId),
      numbers: kept.map(({ trackingNumber }) => trackingNumber),
      types: kept.map(({ type }) => type),
      times: kept.map(({ happenedAt }) => happenedAt),
      details: kept.map(({ detail }) => detail),
      expected: kept.map(({ expectedAt }) => expectedAt),
    }),
  )
  return rows[0]?.received ?? 0
}

const RECEIVE = statement(
  'tracking.receive',
  `
    with received as (
      insert into tracking_event (carrier, event_id, tracking_number, type, happened_at, detail, expected_at)
      select :carrier::text, *
      from unnest(:ids::text[], :numbers::text[], :types::text[], :times::timestamptz[], :details::text[],
                  :expected::timestamptz[])
      on conflict do nothing
      returning 1
    ),
    counted as (select count(*)::int as received from received)
    select received, case when received > 0 then pg_notify('${TRACKING_CHANNEL}', '') end from counted`,
)

const TEXT_MAX = 200

/** As columns can hold it; null where they cannot. */
function storable(event: ToldTracking): ToldTracking | null {
  const happenedAt = timeOf(event.happenedAt)
  if (happenedAt === null || !isId(event.eventId) || !isId(event.trackingNumber)) return null
  const expectedAt = event.expectedAt === null ? null : timeOf(event.expectedAt)
  const detail = event.detail?.replaceAll(/\p{Cc}/gu, ' ').slice(0, TEXT_MAX) ?? null
  return { ...event, happenedAt, expectedAt, detail }
}

function isId(text: string): boolean {
  return text.length > 0 && text.length <= TEXT_MAX && !/\p{Cc}/u.test(text)
}

/** In the one way of writing that Postgres reads as we do; null beyond the years 1 to 9999. */
function timeOf(text: string): string | null {
  const time = Date.parse(text)
  const written = Number.isFinite(time) ? new Date(time).toISOString() : ''
  return /^\d{4}-/.test(written) && !written.startsWith('0000') ? written : null
}

/** An event that {@link takeDueTracking} has taken. */
export interface TrackingRow {
  readonly carrier: string
  readonly eventId: string
  readonly trackingNumber: string
  readonly type: TrackingType
  readonly happenedAt: Date
  readonly detail: string | null
  readonly expectedAt: Date | null
  readonly receivedAt: Date
  /** Whose parcel it is; null: no label has this number, so far. */
  readonly owner: TrackingOwner | null
}

export interface TrackingOwner {
  /** The newest label that has the number. */
  readonly labelId: LabelId
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
  readonly orderStatus: OrderStatus
}

/** An event whose effect is not committed by then is taken again. */
const AGAIN_SECONDS = 2
const AGAIN_SECONDS_MAX = 3_600

/** Takes up to `limit` events that are due. Each is due again, ever more rarely, until {@link endTracking}. */
export async function takeDueTracking(db: Db, limit: number): Promise<TrackingRow[]> {
  const { rows } = await db.query<Omit<TrackingRow, 'owner'> & Partial<TrackingOwner>>(
    TAKE({ limit, againSeconds: AGAIN_SECONDS, againSecondsMax: AGAIN_SECONDS_MAX }),
  )
  return rows.map(({ labelId, orderId, shipmentId, orderStatus, ...event }) => ({
    ...event,
    owner: labelId && orderId && shipmentId && orderStatus ? { labelId, orderId, shipmentId, orderStatus } : null,
  }))
}

/** Two raised to more than this is beyond any interval, and to far more beyond any number. */
const DOUBLINGS_MAX = 12

const TAKE = statement(
  'tracking.due',
  `
    with due as (
      select carrier, event_id
      from tracking_event
      where done_at is null and due_at <= now()
      order by due_at
      limit :limit
      for update skip locked
    ),
    taken as (
      update tracking_event t
      set due_at = now() + make_interval(
            secs => least(:againSecondsMax, :againSeconds * power(2, least(t.tries, ${DOUBLINGS_MAX})))),
          tries = t.tries + 1
      from due
      where t.carrier = due.carrier and t.event_id = due.event_id
      returning t.*
    )
    select t.carrier, t.event_id as "eventId", t.tracking_number as "trackingNumber", t.type, t.happened_at as "happenedAt",
           t.detail, t.expected_at as "expectedAt", t.received_at as "receivedAt", l.id as "labelId", l.order_id as "orderId",
           l.shipment_id as "shipmentId", o.status as "orderStatus"
    from taken t
    left join lateral (
      select id, order_id, shipment_id
      from label
      where carrier = t.carrier and tracking_number = t.tracking_number
      order by created_at desc, id desc
      limit 1
    ) as l on true
    left join orders o on o.id = l.order_id
    order by t.happened_at, t.received_at`,
)

type TrackingKey = Pick<TrackingRow, 'carrier' | 'eventId'>

/** Nothing more has to be done about these events: to be called in the transaction that takes them into their shipment. */
export async function endTracking(db: Db, events: readonly TrackingKey[], shipmentId: ShipmentId): Promise<void> {
  if (events.length > 0) await db.query(END_EVENTS({ ...keysOf(events), shipmentId }))
}

/**
 * Ends events of one shipment that only say that a parcel is on its way, which was known: it has left, and is expected when it was.
 * They stay its history. False, and nothing is done, when any of them may say more.
 */
export async function endProgress(db: Db, events: readonly TrackingRow[]): Promise<boolean> {
  if (events.some(({ type }) => isArrival(type))) return false
  const labels = events.map(({ owner }) => owner?.labelId ?? null)
  const { rowCount } = await db.query(END_PROGRESS({ ...keysOf(events), labels, left: LEFT_STATUSES }))
  return rowCount === events.length
}

const END_PROGRESS = statement(
  'tracking.endProgress',
  `
    with told as (
      select t.carrier, t.event_id, s.id as shipment_id
      from unnest(:carriers::text[], :ids::text[], :labels::text[]) as told (carrier, event_id, label_id)
      join tracking_event t on t.carrier = told.carrier and t.event_id = told.event_id
      join label l on l.id = told.label_id and l.status = 'live'
      join shipment s on s.id = l.shipment_id and s.status = any (:left::text[])
      where t.expected_at is null or t.expected_at = s.expected_at
    )
    update tracking_event t
    set done_at = coalesce(t.done_at, now()), shipment_id = told.shipment_id
    from told
    where t.carrier = told.carrier and t.event_id = told.event_id
      and (select count(*) from told) = cardinality(:ids::text[])`,
)

/** Nobody will ever own these events. One that is told again is kept and tried again. */
export async function forgetTracking(db: Db, events: readonly TrackingKey[]): Promise<void> {
  if (events.length > 0) await db.query(FORGET_EVENTS(keysOf(events)))
}

function keysOf(events: readonly TrackingKey[]) {
  return { carriers: events.map(({ carrier }) => carrier), ids: events.map(({ eventId }) => eventId) }
}

const END_EVENTS = statement(
  'tracking.end',
  `
    update tracking_event t
    set done_at = now(), shipment_id = :shipmentId::text
    from unnest(:carriers::text[], :ids::text[]) as ended (carrier, event_id)
    where t.carrier = ended.carrier and t.event_id = ended.event_id and t.done_at is null`,
)

const FORGET_EVENTS = statement(
  'tracking.forget',
  `
    delete from tracking_event t
    using unnest(:carriers::text[], :ids::text[]) as ended (carrier, event_id)
    where t.carrier = ended.carrier and t.event_id = ended.event_id and t.done_at is null`,
)

/** A parcel whose carrier has said nothing for a while. */
export interface SilentShipment {
  readonly shipmentId: ShipmentId
  readonly orderId: OrderId
  readonly carrier: string
  readonly trackingNumber: string
  /** The carrier's id of the label. */
  readonly reference: string | null
}

const ASK_AGAIN_SECONDS = 30
const ASK_AGAIN_SECONDS_MAX = 43_200

/**
 * Takes up to `limit` shipments whose carrier is to be asked. Each is asked again after half of the time that it has been on
 * its way: soon at first, twice a day in the end. Those that have no label to ask about are asked about no more, nor those that
 * have been lost for long.
 */
export async function takeSilentShipments(db: Db, limit: number): Promise<SilentShipment[]> {
  const { rows } = await db.query<SilentShipment>(
    TAKE_SILENT({
      limit,
      againSeconds: ASK_AGAIN_SECONDS,
      againSecondsMax: ASK_AGAIN_SECONDS_MAX,
      lostDays: LOST_ASK_DAYS,
    }),
  )
  return rows.filter(({ trackingNumber }) => trackingNumber !== null)
}

const TAKE_SILENT = statement(
  'tracking.silent',
  `
    with due as (
      select id
      from shipment
      where ask_at <= now()
      order by ask_at
      limit :limit
      for update skip locked
    ),
    asked as (
      select d.id, l.carrier, l.tracking_number, l.reference
      from due d
      left join label l on l.shipment_id = d.id and l.status = 'live' and l.tracking_number is not null
    )
    update shipment s
    set ask_at = case when a.tracking_number is not null
                       and not (s.status = 'lost' and s.ended_at < now() - make_interval(days => :lostDays)) then now() + make_interval(
          secs => greatest(:againSeconds, least(:againSecondsMax,
            extract(epoch from now() - coalesce(s.shipped_at, s.updated_at))::float8 / 2)))
        end
    from asked a
    where s.id = a.id
    returning s.id as "shipmentId", s.order_id as "orderId", a.carrier, a.tracking_number as "trackingNumber", a.reference`,
)
