import { withHeartbeat } from '../heartbeat'
import { advanceGoods, decideLabel, decideParcel, decideShort, type FulfillmentDeps } from './goods'
import { buyLabel, voidLabel } from './label'
import { skipMessage, tellWarehouse } from './warehouse'

type Effect<I, O> = (deps: FulfillmentDeps, input: I, signal: AbortSignal) => Promise<O>

export type FulfillmentActivities = ReturnType<typeof createFulfillmentActivities>

/** The effects on the goods of an order. Each is idempotent on the key of what it is about, and looks at the row before it asks anybody. */
export function createFulfillmentActivities(deps: FulfillmentDeps) {
  /** What asks a carrier or a warehouse, and may wait for it, heartbeats. */
  const long =
    <I, O>(effect: Effect<I, O>) =>
    (input: I) =>
      withHeartbeat((signal) => effect(deps, input, signal))

  return {
    advanceGoods: advanceGoods.bind(null, deps),
    decideLabel: decideLabel.bind(null, deps),
    decideParcel: decideParcel.bind(null, deps),
    decideShort: decideShort.bind(null, deps),
    buyLabel: long(buyLabel),
    voidLabel: long(voidLabel),
    tellWarehouse: long(tellWarehouse),
    skipMessage: skipMessage.bind(null, deps),
  }
}
