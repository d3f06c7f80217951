import {
  ActivityCancellationType,
  type ActivityOptions,
  isCancellation,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow'
import type { AuditActivities } from '../activities/support/audit'
import type { CheckoutActivities } from '../activities/checkout/checkout'
import type { ExpiryActivities } from '../activities/checkout/expiry'
import type { ImportActivities } from '../activities/import'
import type { PaymentActivities } from '../activities/payment'
import type { SearchActivities } from '../activities/search'
import type { RecommendationActivities } from '../activities/recommendation'
import type { SupportActivities } from '../activities/support/attention'
import type { OrderActivity } from './contract'

/**
 * The only timeouts and retry policies of activities. A proxy calls the activity of its name in `activities/index.ts`. A
 * quick step runs inside the workflow task first (no event, no queue); when that
 * fails it becomes an activity of its own, which support sees pending with its summary, and is tried without end.
 */
const QUICK: LocalActivityOptions = {
  startToCloseTimeout: '5s',
  retry: { maximumAttempts: 2, initialInterval: '100ms' },
}
/** One try of at most the provider's timeout and a little: no answer is an answer here. */
const ONE_TRY: LocalActivityOptions = { startToCloseTimeout: '4s', retry: { maximumAttempts: 1 } }

const PATIENT: ActivityOptions = {
  // A try that is given up may still end later: every effect tolerates that.
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  startToCloseTimeout: '20s',
  heartbeatTimeout: '5s',
  retry: { initialInterval: '500ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
}
/** Long work that reports how far it is: taken over at once when its worker dies. */
const LONG: ActivityOptions = {
  startToCloseTimeout: '6h',
  heartbeatTimeout: '5s',
  retry: { initialInterval: '1s', backoffCoefficient: 1, maximumInterval: '1s' },
}

type OrderActivities = CheckoutActivities & PaymentActivities & SupportActivities

const quick = proxyLocalActivities<OrderActivities>(QUICK)
const patient = (summary: string) => proxyActivities<OrderActivities>({ ...PATIENT, summary })

/** Quick first, then patient under this summary. */
function step<N extends OrderActivity>(name: N, summary: string): OrderActivities[N] {
  const fast = quick[name] as (input: never) => Promise<unknown>
  const slow = patient(summary)[name] as (input: never) => Promise<unknown>
  return (async (input: never) => {
    try {
      return await fast(input)
    } catch (error) {
      if (isCancellation(error)) throw error
      return slow(input)
    }
  }) as unknown as OrderActivities[N]
}

export const place = step('place', 'Reserve the stock and write down what is to be paid')
export const confirm = step('confirm', 'Confirm the order: it is paid')
export const cancelOrder = step('cancelOrder', 'Cancel the order and give its stock back')
export const startNextAttempt = step('startNextAttempt', 'Begin the next payment attempt')
export const openCase = step('openCase', 'Write the case into the attention list')
export const closeCase = step('closeCase', 'Close the case in the attention list')
export const recordRepair = step('recordRepair', 'Write down who repaired what')
export const skipSync = step('skipSync', 'Write down that the provider knows')
export const readSettlement = step('readSettlement', 'Read what there is to settle')
export const recordDecision = step('recordDecision', 'Write down what support decided about a charge')

/** The first try to charge, or to ask: what it does not learn is unknown, never an error. */
export const { charge, lookUpCharge } = proxyLocalActivities<PaymentActivities>(ONE_TRY)
export const retryCharge = patient(
  'Ask the payment provider what became of the charge, and send it again if it knows nothing',
).retryCharge
/** Silence of the provider is an answer here too, but nothing else is: tried until somebody could ask. */
export const lookUpChargeAgain = patient(
  'Ask the payment provider once more before the stock goes back',
).lookUpChargeAgain
export const cancelCharge = patient('Cancel the charge at the payment provider').cancelCharge
export const resolveCharge = patient('Find out whether money came for an order that is over').resolveCharge
export const syncDecision = patient('Tell the payment provider what was decided about the charge').syncDecision

export const readPaymentWork = step('readPaymentWork', 'Read what is to be done with the money of the order')
export const decideCapture = step('decideCapture', 'Write down what support decided about a capture')
export const decideRefund = step('decideRefund', 'Write down what support decided about a refund')
export const settleElsewhere = step('settleElsewhere', 'Write down that support has settled it elsewhere')
export const closeDispute = step('closeDispute', 'Write down that support has dealt with the dispute')

/** What moves money that is held: the first try fails when the provider does not answer it. */
export const moveOnce = proxyLocalActivities<PaymentActivities>(ONE_TRY)
export const movePatiently = {
  capturePayment: patient('Take the money that was asked for').capturePayment,
  refundPayment: patient('Give the money back').refundPayment,
  releasePayment: patient('Let go what was authorized and is not needed').releasePayment,
  refreshPayment: patient('Ask the payment provider what is new').refreshPayment,
} as const

export const sweep = proxyActivities<ExpiryActivities>({
  ...PATIENT,
  startToCloseTimeout: '60s',
  summary: 'Release due holds, restart orphaned checkouts',
}).sweep

export const importLines = proxyActivities<ImportActivities>({
  ...LONG,
  summary: 'Import lines of the file',
}).importLines
export const endImportJob = proxyActivities<ImportActivities>({
  ...LONG,
  summary: 'Delete the uploaded file and end the import',
}).endImportJob

const indexing = (summary: string) => proxyActivities<SearchActivities>({ ...LONG, summary })
export const prepareIndex = indexing('Make the index that is to be filled').prepareIndex
export const fillIndex = indexing('Fill the new index from Postgres').fillIndex
export const swapIndex = indexing('Let searches use the new index').swapIndex
export const abandonIndex = indexing('Throw the new index away').abandonIndex

export const runAudit = proxyActivities<AuditActivities>({ ...LONG, summary: 'Check every invariant' }).audit

const nightly = (summary: string) => proxyActivities<RecommendationActivities>({ ...LONG, summary })
export const countSales = nightly('Count what was sold, day by day').countSales
export const rankVelocity = nightly('Write down how well each product sells').rankVelocity
export const gatherOrders = nightly('Gather which products were bought together').gatherOrders
export const gatherFeatures = nightly('Gather what products are like').gatherFeatures
export const recommendProducts = nightly('Find what goes with each product').recommendProducts
export const rankCategories = nightly('Rank the bestsellers of each category').rankCategories
export const forgetGathered = nightly('Forget what was gathered').forgetGathered
