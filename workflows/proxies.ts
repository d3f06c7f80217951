import {
  ActivityCancellationType,
  type ActivityOptions,
  CancellationScope,
  condition,
  isCancellation,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
  sleep,
} from '@temporalio/workflow'
import type { AuditActivities } from '../activities/support/audit'
import type { CheckoutActivities } from '../activities/checkout/checkout'
import type { ExpiryActivities } from '../activities/checkout/expiry'
import type { FulfillmentActivities } from '../activities/fulfillment'
import type { ImportActivities } from '../activities/import'
import type { PaymentActivities } from '../activities/payment'
import type { ReconciliationActivities } from '../activities/payment/reconciliation'
import type { SearchActivities } from '../activities/search'
import type { RecommendationActivities } from '../activities/recommendation'
import type { SupportActivities } from '../activities/support/attention'
import type { AttentionCase } from '../domain/support'
import type { OrderActivity } from './contract'

/**
 * The only timeouts and retry policies of activities. A proxy calls the activity of its name in `activities/index.ts`.
 *
 * What must succeed for an order is an {@link OrderStep}, which nobody can call: `Intervention` runs it, so that what keeps
 * failing becomes a case (`test/workflows/proxies.test.ts`).
 */
const QUICK: LocalActivityOptions = {
  startToCloseTimeout: '5s',
  retry: { maximumAttempts: 2, initialInterval: '100ms' },
}
/** One try of at most the provider's timeout and a little: no answer is an answer here. */
const ONE_TRY: LocalActivityOptions = { startToCloseTimeout: '4s', retry: { maximumAttempts: 1 } }

/** The local activity of this workflow that was called last. */
let last: Promise<unknown> = Promise.resolve()

/**
 * Local activities of one workflow run one after another. Two that ran side by side would end one by one, but when their
 * history is replayed both ends come at once: what goes on after them then happens in another order, and the workflow can
 * never follow its own history again.
 */
function inTurn<Activities extends object>(activities: Activities): Activities {
  return new Proxy(activities, {
    get(_, name) {
      const activity = Reflect.get(activities, name) as (input: unknown) => Promise<unknown>
      return (input: unknown) => {
        const run = last.then(() => activity(input))
        underWay++
        last = run.then(ended, ended)
        return run
      }
    },
  })
}

/** How many local activities were called and have not ended. */
let underWay = 0
const ended = (): void => {
  underWay--
}

/**
 * Waits until `isSo`; false: the time was over first. Goes on only while no local activity is under way: what comes while one
 * is (a signal, a timer, the end of another activity) comes before its end, but when the history is replayed together with it.
 * What both of them set off would happen in another order then.
 * @param summary what the timer is for, as its row in the Web UI says
 */
export async function untilSo(isSo: () => boolean, withinMs?: number, summary?: string): Promise<boolean> {
  const timer = new CancellationScope()
  let isOver = false
  if (withinMs !== undefined)
    void timer
      .run(() => sleep(withinMs, summary === undefined ? {} : { summary }))
      .then(
        () => {
          isOver = true
        },
        () => undefined,
      )
  let isAsked = false
  await condition(() => {
    // The first time it is asked at once, in the middle of what goes on.
    const answer = isAsked && underWay === 0 && (isSo() || isOver)
    isAsked = true
    return answer
  })
  timer.cancel()
  return isSo()
}

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

type OrderActivities = CheckoutActivities & PaymentActivities & FulfillmentActivities & SupportActivities

/** A step that is tried without end, in an activity of its own, which support sees pending with its summary. */
export interface OrderStep<Input, Result> {
  readonly name: OrderActivity
  /** Tries it without end. For `Intervention` alone. */
  readonly patient: (input: Input) => Promise<Result>
}

/** A step on our own side: it is tried inside the workflow task first (no event, no queue), and then without end. */
export interface OwnStep<Input, Result> extends OrderStep<Input, Result> {
  /** Tries it twice. For `Intervention` alone. */
  readonly quick: (input: Input) => Promise<Result>
  /** The case that it becomes, and what it waits for, in words for support. */
  readonly code: Extract<AttentionCase, 'step_failing' | 'undo_failed'>
  readonly waitsFor: string
}

type InputOf<N extends OrderActivity> = Parameters<OrderActivities[N]>[0]
type ResultOf<N extends OrderActivity> = Awaited<ReturnType<OrderActivities[N]>>

const quick = inTurn(proxyLocalActivities<OrderActivities>(QUICK))
const patient = (summary: string) => proxyActivities<OrderActivities>({ ...PATIENT, summary })

function step<N extends OrderActivity>(name: N, summary: string): OrderStep<InputOf<N>, ResultOf<N>> {
  return { name, patient: patient(summary)[name] as OrderStep<InputOf<N>, ResultOf<N>>['patient'] }
}

function ownStep<N extends OrderActivity>(
  name: N,
  { summary, ...told }: { summary: string } & Pick<OwnStep<never, never>, 'code' | 'waitsFor'>,
): OwnStep<InputOf<N>, ResultOf<N>> {
  return { ...step(name, summary), quick: quick[name] as OwnStep<InputOf<N>, ResultOf<N>>['quick'], ...told }
}

const doing = (summary: string, waitsFor: string) => ({ summary, waitsFor, code: 'step_failing' }) as const
const undoing = (summary: string, waitsFor: string) => ({ summary, waitsFor, code: 'undo_failed' }) as const

export const place = ownStep(
  'place',
  doing('Reserve the stock and write down what is to be paid', 'the stock to be reserved'),
)
export const confirm = ownStep('confirm', doing('Confirm the order: it is paid', 'the paid order to be confirmed'))
export const cancelOrder = ownStep(
  'cancelOrder',
  undoing('Cancel the order and give its stock back', 'the stock to be given back'),
)
export const startNextAttempt = ownStep(
  'startNextAttempt',
  doing('Begin the next payment attempt', 'the next payment attempt to begin'),
)
export const skipSync = ownStep(
  'skipSync',
  undoing('Write down that the provider knows', 'it to be written down that the provider knows'),
)
export const readSettlement = ownStep(
  'readSettlement',
  doing('Read what there is to settle', 'what there is to settle to be read'),
)
export const recordDecision = ownStep(
  'recordDecision',
  doing('Write down what support decided about a charge', 'the decision about the charge to be written down'),
)

export const readPaymentWork = ownStep(
  'readPaymentWork',
  doing('Read what is to be done with the money of the order', 'what is to be done with the money to be read'),
)
export const decideCapture = ownStep(
  'decideCapture',
  doing('Write down what support decided about a capture', 'the decision about the capture to be written down'),
)
export const decideRefund = ownStep(
  'decideRefund',
  doing('Write down what support decided about a refund', 'the decision about the refund to be written down'),
)
export const letLapse = ownStep(
  'letLapse',
  doing('Write down that the authorization may lapse', 'it to be written down that the authorization may lapse'),
)
export const settleElsewhere = ownStep(
  'settleElsewhere',
  doing('Write down what support has settled elsewhere', 'it to be written down that support has settled it'),
)
export const skipNews = ownStep(
  'skipNews',
  doing('Write down that support knows the news', 'it to be written down that support knows the news'),
)
export const closeDispute = ownStep(
  'closeDispute',
  doing('Write down that support has dealt with the dispute', 'the end of the dispute to be written down'),
)

export const advanceGoods = ownStep(
  'advanceGoods',
  doing('Do what can be done with the goods of the order', 'the goods of the order to be brought on'),
)
export const decideLabel = ownStep(
  'decideLabel',
  doing('Write down what support decided about a label', 'the decision about the label to be written down'),
)
export const decideParcel = ownStep(
  'decideParcel',
  doing('Carry out what support decided about a parcel', 'the decision about the parcel to be carried out'),
)

export const decideShort = ownStep(
  'decideShort',
  doing(
    'Carry out what support decided about units that wait for stock',
    'the decision about units that wait for stock to be carried out',
  ),
)

export const skipMessage = ownStep(
  'skipMessage',
  doing(
    'Write down that the warehouse knows by other means',
    'it to be written down that the warehouse knows by other means',
  ),
)

/** The first try to charge, or to ask: what it does not learn is unknown, never an error. */
export const { charge, lookUpCharge } = inTurn(proxyLocalActivities<PaymentActivities>(ONE_TRY))
export const retryCharge = step(
  'retryCharge',
  'Ask the payment provider what became of the charge, and send it again if it knows nothing',
)
/** Silence of the provider is an answer here too, but nothing else is: tried until somebody could ask. */
export const lookUpChargeAgain = step(
  'lookUpChargeAgain',
  'Ask the payment provider once more before the stock goes back',
)
export const cancelCharge = step('cancelCharge', 'Cancel the charge at the payment provider')
export const resolveCharge = step('resolveCharge', 'Find out whether money came for an order that is over')
export const syncDecision = step('syncDecision', 'Tell the payment provider what was decided about the charge')

/** The first try to move money that is held: it fails when the provider does not answer. */
export const moveOnce = inTurn(proxyLocalActivities<PaymentActivities>(ONE_TRY))
export const capturePayment = step('capturePayment', 'Take the money that was asked for')
export const refundPayment = step('refundPayment', 'Give the money back')
export const releasePayment = step('releasePayment', 'Let go of what was authorized and is not needed')
export const renewPayment = step('renewPayment', 'Authorize anew what is due, before the authorization ends')
export const refreshPayment = step('refreshPayment', 'Ask the payment provider what is new')

/** The first try to ask a carrier for a label, or to tell a warehouse: it fails when they do not answer. */
export const outsideOnce = inTurn(proxyLocalActivities<FulfillmentActivities>(ONE_TRY))
export const buyLabel = step('buyLabel', 'Buy the label of a parcel')
export const voidLabel = step('voidLabel', 'Have the carrier take a label back that nobody uses')
export const tellWarehouse = step('tellWarehouse', "Tell the warehouse's own system of a shipment")

/**
 * What supervision itself writes. It cannot be supervised: a case about it could not be written either. It is tried without
 * end, and staff find the workflow by `NeedsAttention`, which is set before.
 */
export const openCase = unsupervised('openCase', 'Write the case into the attention list')
export const closeCase = unsupervised('closeCase', 'Close the case in the attention list')
export const recordRepair = unsupervised('recordRepair', 'Write down who repaired what')

/** Quick first, then patient. */
function unsupervised<N extends keyof SupportActivities>(
  name: N,
  summary: string,
): (input: InputOf<N>) => Promise<void> {
  const fast = quick[name] as (input: InputOf<N>) => Promise<void>
  const slow = patient(summary)[name] as (input: InputOf<N>) => Promise<void>
  return (input) =>
    fast(input).catch(async (error: unknown) => {
      if (isCancellation(error)) throw error
      await slow(input)
      await untilSo(() => true)
    })
}

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

const reconciling = (summary: string) => proxyActivities<ReconciliationActivities>({ ...LONG, summary })
/** A provider that is away for half an hour ends the run, which then is a case. */
const comparing = (summary: string) =>
  proxyActivities<ReconciliationActivities>({
    ...LONG,
    scheduleToCloseTimeout: '30m',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
    summary,
  })
export const beginReconciling = reconciling('Write down what is to be compared').beginReconciling
export const compareMovements = comparing('Look for each movement of money in our rows').compareMovements
export const compareCharges = comparing('Compare the charges that changed with their payments').compareCharges
export const compareLedger = comparing('Compare the payments that changed with the ledger').compareLedger
export const compareMoves = comparing('Look for captures and refunds at the provider').compareMoves
export const recheckDifferences = comparing('Look again at what differs').recheckDifferences
export const endReconciling = reconciling('Write down what was compared').endReconciling
