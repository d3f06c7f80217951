import { withHeartbeat } from '../heartbeat'
import type { PaymentDeps } from './attempt'
import { cancelCharge } from './cancel'
import { charge, lookUpCharge, lookUpChargeAgain, retryCharge } from './charge'
import { recordDecision, skipSync, syncDecision } from './decision'
import { recordReturn, resolveCharge, returnMoney } from './late-money'
import { startNextAttempt } from './next-attempt'
import { readSettlement } from './settlement'

type Effect<I, O> = (deps: PaymentDeps, input: I, signal: AbortSignal) => Promise<O>

export type PaymentActivities = ReturnType<typeof createPaymentActivities>

/**
 * The effects on payments. Each is idempotent on the attempt's key, and looks at the row before it asks the provider.
 * `short` is one statement, or one question to the provider; what may take longer is `long` and heartbeats.
 */
export function createPaymentActivities(deps: PaymentDeps) {
  const short =
    <I, O>(effect: (deps: PaymentDeps, input: I) => Promise<O>) =>
    (input: I) =>
      effect(deps, input)
  const long =
    <I, O>(effect: Effect<I, O>) =>
    (input: I) =>
      withHeartbeat((signal) => effect(deps, input, signal))

  return {
    charge: short(charge),
    retryCharge: long(retryCharge),
    lookUpCharge: short(lookUpCharge),
    lookUpChargeAgain: long(lookUpChargeAgain),
    startNextAttempt: long(startNextAttempt),
    cancelCharge: long(cancelCharge),
    resolveCharge: long(resolveCharge),
    returnMoney: long(returnMoney),
    recordReturn: short(recordReturn),
    recordDecision: long(recordDecision),
    syncDecision: long(syncDecision),
    skipSync: short(skipSync),
    readSettlement: short(readSettlement),
  }
}
