import { withHeartbeat } from '../heartbeat'
import { cancelCharge } from './cancel'
import type { PaymentDeps } from './charge'
import { recordDecision, skipSync, syncDecision } from './decision'
import { recordReturn, resolveCharge, returnMoney } from './late-money'
import { startNextAttempt } from './next-attempt'
import { charge, lookUpCharge, lookUpChargeAgain, retryCharge } from './send'
import { readSettlement } from './settlement'

type Effect<I, O> = (deps: PaymentDeps, input: I, signal: AbortSignal) => Promise<O>

export type PaymentActivities = ReturnType<typeof createPaymentActivities>

/** The effects on payments. Each is idempotent on the attempt's key, and looks at the row before it asks the provider. */
export function createPaymentActivities(deps: PaymentDeps) {
  /** What asks the provider more than once, or may wait for it, heartbeats. */
  const long =
    <I, O>(effect: Effect<I, O>) =>
    (input: I) =>
      withHeartbeat((signal) => effect(deps, input, signal))

  return {
    charge: charge.bind(null, deps),
    retryCharge: long(retryCharge),
    lookUpCharge: lookUpCharge.bind(null, deps),
    lookUpChargeAgain: long(lookUpChargeAgain),
    startNextAttempt: long(startNextAttempt),
    cancelCharge: long(cancelCharge),
    resolveCharge: long(resolveCharge),
    returnMoney: long(returnMoney),
    recordReturn: recordReturn.bind(null, deps),
    recordDecision: long(recordDecision),
    syncDecision: long(syncDecision),
    skipSync: skipSync.bind(null, deps),
    readSettlement: readSettlement.bind(null, deps),
  }
}
