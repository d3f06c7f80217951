import { withHeartbeat } from '../heartbeat'
import { closeDispute } from './books'
import { cancelCharge } from './cancel'
import type { PaymentDeps } from './charge'
import { recordDecision, skipSync, syncDecision } from './decision'
import { resolveCharge } from './late-money'
import {
  capturePayment,
  decideCapture,
  decideRefund,
  refreshPayment,
  refundPayment,
  releasePayment,
  settleElsewhere,
  skipNews,
} from './move'
import { startNextAttempt } from './next-attempt'
import { letLapse, renewPayment } from './renewal'
import { charge, lookUpCharge, lookUpChargeAgain, retryCharge } from './send'
import { readSettlement } from './settlement'
import { readPaymentWork } from './work'

type Effect<I, O> = (deps: PaymentDeps, input: I, signal: AbortSignal) => Promise<O>

export type PaymentActivities = ReturnType<typeof createPaymentActivities>

/** The effects on payments. Each is idempotent on the key of what it is about, and looks at the row before it asks the provider. */
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
    recordDecision: long(recordDecision),
    syncDecision: long(syncDecision),
    skipSync: skipSync.bind(null, deps),
    readSettlement: readSettlement.bind(null, deps),
    readPaymentWork: readPaymentWork.bind(null, deps),
    capturePayment: long(capturePayment),
    refundPayment: long(refundPayment),
    releasePayment: long(releasePayment),
    refreshPayment: long(refreshPayment),
    renewPayment: long(renewPayment),
    letLapse: letLapse.bind(null, deps),
    decideCapture: decideCapture.bind(null, deps),
    decideRefund: decideRefund.bind(null, deps),
    settleElsewhere: settleElsewhere.bind(null, deps),
    skipNews: skipNews.bind(null, deps),
    closeDispute: closeDispute.bind(null, deps),
  }
}
