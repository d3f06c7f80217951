import { setTimeout as delay } from 'node:timers/promises'
import type { OrderWorkflows } from '../../activities/deps'
import type { Settings } from '../../config'
import {
  forgetTracking,
  receiveTracking,
  type SilentShipment,
  takeDueTracking,
  takeSilentShipments,
  TRACKING_CHANNEL,
  type TrackingOwner,
  type TrackingRow,
} from '../../db/fulfillment/tracking'
import type { Pool } from '../../db/pool'
import type { OrderId, ShipmentId } from '../../domain/ids'
import { isOver } from '../../domain/order'
import type { Log } from '../../log'
import type { Carriers } from '../../providers/carrier'
import { unmatchedTracking } from '../metrics'
import { listen } from './bell'

const BATCH = 200
const IDLE_MS = 500
const AFTER_FAILURE_MS = 1_000
/** Shipments that are worked on at a time: others need the pool's connections too. */
const CONCURRENCY = 4
/** Parcels that are taken to be asked about. */
const ASKED = 32
const ASK_IDLE_MS = 1_000
/** How long an event may wait for its label: the label's row is written within seconds, if at all. */
const UNMATCHED_DAYS = 14

/**
 * Takes events into the shipment whose parcel they are of, and ends those that it took in the same transaction
 * (`endTracking`). What it leaves comes again later. Again without harm. `tell`: the order's workflow has something to do;
 * `needsPerson`: for a person to look at it, also that of an order that is over begins again.
 */
export type ApplyTracking = (
  pool: Pool,
  input: { orderId: OrderId; shipmentId: ShipmentId; events: readonly TrackingRow[] },
) => Promise<{ tell: boolean; needsPerson: boolean }>

export interface TrackingDeps {
  readonly settings: Pick<Settings, 'DATABASE_URL'>
  readonly pool: Pool
  readonly carriers: Pick<Carriers, 'get'>
  readonly orders: Pick<OrderWorkflows, 'startFulfillment'>
  readonly apply: ApplyTracking
  readonly log: Log
}

/**
 * Books what carriers tell, and asks those that say nothing, until `signal` is aborted. Processes may share it: rows are
 * taken, not read.
 */
export async function runTracking(deps: TrackingDeps, signal: AbortSignal): Promise<void> {
  await Promise.all([bookEvents(deps, signal), askSilent(deps, signal)])
}

async function bookEvents(deps: TrackingDeps, signal: AbortSignal): Promise<void> {
  const bell = listen(deps.settings, TRACKING_CHANNEL, signal)
  const untold = new Map<OrderId, Untold>()
  while (!signal.aborted) {
    try {
      const due = await takeDueTracking(deps.pool, BATCH)
      await endUnmatched(deps, due)
      await inTurns([...ownedBy(due).values()], CONCURRENCY, (events) => bookOne(deps, events, untold))
      await tellAll(deps, untold, signal)
      if (due.length < BATCH) await bell.wait(IDLE_MS)
    } catch (error) {
      deps.log.warn({ err: error }, 'events of carriers wait: they will be taken again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/** An order whose workflow has yet to hear, and whether nothing of it is to begin again. */
interface Untold {
  readonly orderId: OrderId
  readonly isOver: boolean
}

interface OwnedEvents {
  readonly owner: TrackingOwner
  readonly events: readonly TrackingRow[]
}

function ownedBy(due: readonly TrackingRow[]): Map<ShipmentId, OwnedEvents> {
  const owned = new Map<ShipmentId, OwnedEvents>()
  for (const event of due) {
    const { owner } = event
    if (owner === null) continue
    owned.set(owner.shipmentId, { owner, events: [...(owned.get(owner.shipmentId)?.events ?? []), event] })
  }
  return owned
}

/** One shipment that cannot be booked holds up no other: its events are due again. */
async function bookOne(
  { pool, apply, log }: TrackingDeps,
  { owner, events }: OwnedEvents,
  untold: Map<OrderId, Untold>,
): Promise<void> {
  const { orderId, shipmentId, orderStatus } = owner
  try {
    const { tell, needsPerson } = await apply(pool, { orderId, shipmentId, events })
    if (tell) untold.set(orderId, { orderId, isOver: isOver(orderStatus) && !needsPerson })
  } catch (error) {
    log.warn(
      { err: error, order_id: orderId, shipment_id: shipmentId },
      'what a carrier told waits: it will be taken again',
    )
  }
}

/** Who cannot be told now is told in a later round. What a killed process has not told, the sweep finds in the rows. */
async function tellAll(
  { orders, log }: TrackingDeps,
  untold: Map<OrderId, Untold>,
  signal: AbortSignal,
): Promise<void> {
  const failures: unknown[] = []
  await inTurns([...untold.values()], CONCURRENCY, async (order) => {
    try {
      await orders.startFulfillment(order)
      untold.delete(order.orderId)
    } catch (error) {
      failures.push(error)
    }
  })
  if (failures.length === 0) return
  log.warn(
    { err: failures[0], orders: failures.length },
    'workflows have not heard of their parcels: they will be told again',
  )
  await pause(AFTER_FAILURE_MS, signal)
}

/** Events whose label has not come in two weeks are of no parcel of ours. */
async function endUnmatched({ pool, log }: TrackingDeps, due: readonly TrackingRow[]): Promise<void> {
  const eldest = Date.now() - UNMATCHED_DAYS * 86_400_000
  const lost = due.filter(({ owner, receivedAt }) => owner === null && receivedAt.getTime() < eldest)
  await forgetTracking(pool, lost)
  for (const { carrier, eventId } of lost) {
    unmatchedTracking.inc({ carrier })
    log.warn({ carrier, event_id: eventId }, 'a carrier told of a parcel that is none of ours')
  }
}

async function askSilent(deps: TrackingDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const silent = await takeSilentShipments(deps.pool, ASKED)
      await inTurns(silent, CONCURRENCY, (shipment) => askOne(deps, shipment, signal))
      if (silent.length < ASKED) await pause(ASK_IDLE_MS, signal)
    } catch (error) {
      deps.log.warn({ err: error }, 'carriers are not asked about their parcels: it will be tried again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/** A carrier that does not answer, or is left alone for a while, is asked again when the shipment is due. */
async function askOne(
  { pool, carriers, log }: TrackingDeps,
  { carrier: name, trackingNumber, reference, shipmentId }: SilentShipment,
  signal: AbortSignal,
): Promise<void> {
  const about = { carrier: name, shipment_id: shipmentId }
  const carrier = carriers.get(name)
  if (!carrier) return log.warn(about, 'a parcel is with a carrier that this installation does not know any more')
  try {
    // Whoever shipped it may have died before the carrier was told.
    if (carrier.handOver && reference !== null) await carrier.handOver(reference, signal)
    const events = await carrier.track(trackingNumber, signal)
    if (events === null) return log.warn(about, 'a carrier does not know a parcel that it has')
    await receiveTracking(pool, name, events)
  } catch (error) {
    log.warn({ err: error, ...about }, 'a carrier could not be asked about a parcel: it will be asked again')
  }
}

/** Some at a time. */
async function inTurns<T>(list: readonly T[], atOnce: number, act: (one: T) => Promise<void>): Promise<void> {
  const left = [...list]
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await act(next)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, worker))
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
