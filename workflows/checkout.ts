import { allHandlersFinished, CancellationScope, condition, isCancellation } from '@temporalio/workflow'
import type { Placed } from '../activities/checkout/checkout'
import type { CancelResult } from '../activities/payment/cancel'
import type { ChargeResult, SeenCharge } from '../activities/payment/charge'
import type { PaymentId } from '../domain/ids'
import { Checkout, type OpenAttempt, startTimer } from './checkout-state'
import type { CheckoutInput } from './contract'
import { formatTime, type StepEnd } from './intervention'
import {
  cancelCharge,
  cancelOrder,
  charge,
  confirm,
  lookUpCharge,
  lookUpChargeAgain,
  place,
  recordDecision,
  retryCharge,
  startNextAttempt,
} from './proxies'
import { Saga, type Steps } from './saga'
import { returnLateMoney } from './settlement'

/**
 * The saga: what each step does and what undoes it. The undo is registered before its step runs, and undos run in reverse.
 * A test takes the steps from here, and fails, repeats and reorders each (`test/workflows/saga.test.ts`).
 *
 * Order: place → charge, once per attempt → confirm; when nothing is due, place → confirm. Undone: the charge, then the order.
 *
 * Outside of the table: `startNextAttempt` cancels the charge that another one supersedes; `paidAfterAll`
 * looks the charge up at the deadline, and cancels it unless it paid; `returnLateMoney` settles afterwards what could not be cancelled in time; and
 * `place` itself cancels a pending order that it refuses, that the buyer wants cancelled, or that is older than a hold lasts.
 */
export const CHECKOUT_STEPS = {
  /** Price, reserve, mark the attempt as sent (commit 2) · cancel the order, which gives its stock back. */
  place: { do: runPlace, undo: cancelUnpaidOrder },
  /** Take the money under the attempt's key · cancel the charge by that key, or leave it to `returnLateMoney` when patience ends. */
  charge: { do: chargeAttempt, undo: cancelAttempt },
  /** Payment, ledger, stock, cart (commit 3) · nothing: the order has won. */
  confirm: { do: runConfirm, undo: null },
} satisfies Steps<Checkout>

type CheckoutSteps = typeof CHECKOUT_STEPS
type CheckoutSaga = Saga<Checkout, CheckoutSteps>

/** What became of a checkout; the rows say more. */
export interface CheckoutEnd {
  readonly outcome: 'confirmed' | 'cancelled' | 'over'
}

/** Sells one accepted order, or puts everything back. */
export async function checkout(input: CheckoutInput): Promise<CheckoutEnd> {
  return runCheckout(input, CHECKOUT_STEPS)
}

/** A checkout of these steps: a test exchanges one for another that fails. */
export async function runCheckout({ orderId }: CheckoutInput, steps: CheckoutSteps): Promise<CheckoutEnd> {
  const checkout = new Checkout(orderId)
  const outcome = await sell(checkout, new Saga(steps, checkout))
  checkout.hold.stop()
  checkout.messages.answerAll()
  checkout.intervention.show(
    outcome === 'confirmed' ? 'The order is paid and confirmed.' : 'The checkout is over; the order says why.',
  )
  await condition(allHandlersFinished)
  return { outcome }
}

async function sell(checkout: Checkout, saga: CheckoutSaga): Promise<CheckoutEnd['outcome']> {
  try {
    const placed = await saga.run('place', null)
    if (placed.outcome === 'over') return 'over'
    if (placed.outcome === 'given_up') return await endUnplaced(checkout, saga)
    checkout.begin(placed)
    if (placed.cancelWanted) return await endAsWanted(checkout, saga)
    const isPaid = placed.due === 0 ? await saga.run('confirm', null) : await collect(checkout, saga)
    return isPaid ? 'confirmed' : await endUnpaid(checkout, saga)
  } catch (error) {
    if (!isCancellation(error)) throw error
    checkout.messages.cancel('merchant')
    return await CancellationScope.nonCancellable(() => endUnpaid(checkout, saga))
  }
}

/** Makes one attempt after another. True once one has paid and the order is confirmed; false when it has to end unpaid. */
async function collect(checkout: Checkout, saga: CheckoutSaga): Promise<boolean> {
  for (;;) {
    const { attempt } = checkout
    if (attempt && !attempt.final && (await apply(checkout, saga, attempt, await saga.run('charge', attempt))))
      return true
    if (!(await checkout.nextMessage(hasNews))) return false
    if (checkout.messages.attemptRequested && (await takeNextAttempt(checkout, saga))) return true
  }
}

/** Does what an attempt's result asks for. True when the attempt has paid for the order. */
async function apply(
  checkout: Checkout,
  saga: CheckoutSaga,
  attempt: OpenAttempt,
  result: ChargeResult,
): Promise<boolean> {
  if (result.outcome === 'paid') {
    attempt.final = await saga.run('confirm', { paymentId: attempt.paymentId, ...result.charge })
    return attempt.final
  }
  if (result.outcome === 'mismatch') {
    const counts = await decideMismatch(checkout, attempt, result)
    return counts && apply(checkout, saga, attempt, { outcome: 'paid', charge: result.charge })
  }
  if (result.outcome === 'waiting') attempt.status = result.status
  attempt.final = result.outcome === 'declined' || result.outcome === 'dead'
  if (attempt.final || attempt.status === 'requires_action') checkout.messages.answer(attempt.attempt)
  return false
}

/**
 * Another card. An attempt that waits for the customer is cancelled at the provider first; one that cannot be cancelled
 * refuses the new one, and one that turns out to be paid pays for the order: then true.
 */
async function takeNextAttempt(checkout: Checkout, saga: CheckoutSaga): Promise<boolean> {
  const { orderId, messages } = checkout
  messages.attemptRequested = false
  const waiting = checkout.attempt && !checkout.attempt.final ? checkout.attempt : null
  const current = checkout.attempt?.paymentId ?? null
  const input = { orderId, current, supersedes: waiting?.paymentId ?? null }
  const end = await checkout.intervention.runUnless(startNextAttempt, input, { object: null }, () => checkout.mustEnd)
  if (end.by === 'forced') messages.cancel('merchant')
  if (end.by !== 'done') return false
  const next = end.result
  if (next.outcome === 'paid' && waiting)
    return apply(checkout, saga, waiting, { outcome: 'paid', charge: next.charge })
  if (next.outcome === 'cancelled') messages.cancel('customer')
  if (next.outcome === 'refused') messages.answer(next.attempt)
  if (next.outcome === 'started') {
    if (waiting) waiting.final = true
    checkout.attempt = { ...next.attempt, final: false }
    checkout.hold.reset(next.holdMs)
  }
  return false
}

/** It could not be placed, and nobody waits any longer. What an earlier run asked of the provider is settled by the sweep. */
async function endUnplaced(checkout: Checkout, saga: CheckoutSaga): Promise<CheckoutEnd['outcome']> {
  await saga.compensate()
  checkout.messages.answerAll()
  return 'cancelled'
}

/** The cancellation was there before this run, which therefore asks for no money; what an earlier run asked for is cancelled. */
async function endAsWanted(checkout: Checkout, saga: CheckoutSaga): Promise<CheckoutEnd['outcome']> {
  checkout.messages.cancel('customer')
  if (checkout.attempt) saga.registerUndo('charge', checkout.attempt)
  return endUnpaid(checkout, saga)
}

/** Nothing more is taken. What is in flight is looked up; unless it paid, it is cancelled by its key, then the stock goes back. */
async function endUnpaid(checkout: Checkout, saga: CheckoutSaga): Promise<CheckoutEnd['outcome']> {
  const { attempt, messages, orderId } = checkout
  if (attempt && !attempt.final && messages.cancelReason === null && (await paidAfterAll(checkout, saga, attempt)))
    return 'confirmed'
  await saga.compensate()
  messages.answerAll()
  if (attempt && !attempt.final) {
    await returnLateMoney(checkout.intervention, {
      orderId,
      paymentId: attempt.paymentId,
      key: attempt.key,
      code: messages.cancelReason ? 'undo_failed' : 'provider_unreachable',
      patienceMs: 1,
    })
  }
  return 'cancelled'
}

/** At the deadline: paid means confirmed, the stock is still held. A cancellation that comes meanwhile wins. */
async function paidAfterAll(checkout: Checkout, saga: CheckoutSaga, attempt: OpenAttempt): Promise<boolean> {
  const cancelled = await tryToCancel(checkout, attempt, { keepIfPaid: true })
  const result = cancelled ? resultOfCancel(cancelled) : await lookUpAttemptAgain(checkout, attempt)
  return checkout.messages.cancelReason === null && apply(checkout, saga, attempt, result)
}

function resultOfCancel(cancelled: CancelResult): ChargeResult {
  if (cancelled.outcome === 'paid') return { outcome: 'paid', charge: cancelled.charge }
  return { outcome: cancelled.outcome === 'dead' ? 'dead' : 'unknown' }
}

/** While it fails, buyer and staff can cancel the order; the sweep does so when a hold would be over by now. */
async function runPlace({ orderId, intervention, messages }: Checkout): Promise<PlaceResult> {
  const isCancelled = (): boolean => messages.cancelReason !== null
  const end = await intervention.runUnless(place, { orderId }, { object: null }, isCancelled)
  if (end.by === 'done') return end.result
  messages.cancel('merchant')
  return { outcome: 'given_up' }
}

type PlaceResult = Placed | { outcome: 'over' } | { outcome: 'given_up' }

/** Tried until the stock has gone back. */
async function cancelUnpaidOrder({ orderId, intervention, cancelReason: reason }: Checkout): Promise<void> {
  await intervention.run(cancelOrder, { orderId, reason }, { object: null })
}

/**
 * Takes the money under the attempt's key, or asks what became of it. No answer within seconds means unknown.
 *
 * For the first seconds this is a local activity (4 s at most), and the history has nothing of it. If the worker dies then,
 * Temporal gives the workflow task to another worker after 5 s. That one runs `place` again, which finds its rows, and comes
 * here again with the same key: the provider answers with the charge that it has. What was not answered goes on as the
 * regular activity `retryCharge`, which stands in the history. If its worker dies, it begins again elsewhere after 5 s
 * without a heartbeat.
 */
async function chargeAttempt(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const { paymentId } = attempt
  const asked = attempt.status === 'sent' ? charge({ paymentId }) : lookUpCharge({ paymentId })
  const result = await asked.catch(unknownUnlessCancelled)
  return result.outcome === 'unknown' ? chargeUntilAnswered(checkout, attempt) : result
}

/** Whether an attempt that waits is decided, or waits for somebody else. The provider's silence is no news. */
async function hasNews({ paymentId, status }: OpenAttempt): Promise<boolean> {
  const result = await lookUpCharge({ paymentId }).catch(unknownUnlessCancelled)
  return result.outcome !== 'unknown' && !(result.outcome === 'waiting' && result.status === status)
}

function unknownUnlessCancelled(error: unknown): ChargeResult {
  if (isCancellation(error)) throw error
  return { outcome: 'unknown' }
}

async function chargeUntilAnswered(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const { hold, intervention, patienceMs } = checkout
  const waitsFor = `the payment provider to say what became of charge \`${attempt.key}\``
  hold.start()
  intervention.showWaiting(
    `${waitsFor}, which it did not answer in time.`,
    'It is asked again every few seconds. The stock is held.',
  )
  const { paymentId } = attempt
  const end = await intervention.ask(
    retryCharge,
    { paymentId },
    { code: 'provider_unreachable', object: paymentId, waitsFor, patienceMs },
    () => checkout.mustEnd,
  )
  return resultOf(checkout, attempt, end)
}

/** Our own outage may have used up the patience. So the provider is asked once more. */
async function lookUpAttemptAgain(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const { paymentId, key } = attempt
  const end = await checkout.intervention.ask(
    lookUpChargeAgain,
    { paymentId },
    {
      code: 'provider_unreachable',
      object: paymentId,
      waitsFor: `the payment provider to be asked once more about charge \`${key}\``,
      patienceMs: checkout.patienceMs,
    },
    () => checkout.messages.cancelReason !== null,
  )
  return resultOf(checkout, attempt, end)
}

async function resultOf(
  checkout: Checkout,
  { paymentId }: OpenAttempt,
  end: StepEnd<ChargeResult>,
): Promise<ChargeResult> {
  if (end.by === 'done') return end.result
  if (end.by === 'resolved') {
    const decision = { paymentId, happened: end.outcome === 'done' }
    const isCancelled = (): boolean => checkout.messages.cancelReason !== null
    const recorded = await checkout.intervention.runUnless(recordDecision, decision, { object: paymentId }, isCancelled)
    return recorded.by === 'done' ? recorded.result : { outcome: 'unknown' }
  }
  if (end.by === 'forced') checkout.endNow()
  return { outcome: 'unknown' }
}

/** A person says whether a charge that is not what the order asks for pays for it all the same. */
async function decideMismatch(
  checkout: Checkout,
  attempt: OpenAttempt,
  { explanation }: Extract<ChargeResult, { outcome: 'mismatch' }>,
): Promise<boolean> {
  checkout.hold.start()
  const end = await checkout.intervention.supervise(
    {
      step: 'charge',
      code: 'amount_mismatch',
      object: attempt.paymentId,
      waitsFor: `a person to say whether charge \`${attempt.key}\` pays for the order`,
      detail: explanation,
      patienceMs: 1,
    },
    () => CancellationScope.current().cancelRequested,
    () => checkout.mustEnd,
  )
  if (end.by === 'resolved' && end.outcome === 'done') return true
  if (end.by !== 'interrupted') checkout.messages.cancel('merchant')
  return false
}

/** The undo of a charge: tried while patience lasts. A charge that is not final then is settled after the stock has gone back. */
async function cancelAttempt(checkout: Checkout, attempt: OpenAttempt): Promise<void> {
  if (!attempt.final) await tryToCancel(checkout, attempt, { keepIfPaid: false })
}

/**
 * Cancels a charge by its key, or learns that it paid. Null when that could not be done while patience lasted.
 *
 * @param keepIfPaid a charge that has paid is left alone
 */
async function tryToCancel(
  checkout: Checkout,
  attempt: OpenAttempt,
  { keepIfPaid }: { keepIfPaid: boolean },
): Promise<CancelResult | null> {
  if (checkout.isOutOfPatience) return null
  const { intervention, patienceMs } = checkout
  const { paymentId, key } = attempt
  const waitsFor = `the payment provider to cancel charge \`${key}\``
  const timer = startTimer(patienceMs, 'The longest wait for the provider before the stock goes back', () => {
    checkout.isOutOfPatience = true
  })
  intervention.showWaiting(
    `${waitsFor}.`,
    `It is tried until ${formatTime(Date.now() + patienceMs)}; then the stock goes back, and the charge is settled afterwards.`,
  )
  const end = await intervention.ask(
    cancelCharge,
    { paymentId, keepIfPaid, reason: checkout.cancelReason },
    // Longer than the timer: what is not final then becomes a case after the stock has gone back.
    { code: 'undo_failed', object: paymentId, waitsFor, patienceMs: 2 * patienceMs },
    () => checkout.isOutOfPatience,
  )
  timer.cancel()
  if (end.by !== 'done') return null
  attempt.final = end.result.outcome === 'dead'
  return end.result
}

/** @param paid null when nothing was due */
async function runConfirm(
  { orderId, intervention }: Checkout,
  paid: (SeenCharge & { readonly paymentId: PaymentId }) | null,
): Promise<boolean> {
  return intervention.run(confirm, { orderId, paid }, { object: paid?.paymentId ?? null })
}
