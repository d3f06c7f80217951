import { setTimeout as pause } from 'node:timers/promises'
import type { OrderId, PaymentId } from '../../domain/ids'
import { formatMajor, type Money } from '../../domain/money'
import type { CancelReason } from '../../domain/order'
import { type AttemptStatus, holdsMoney, isUnresolved, refundKey } from '../../domain/payment'
import { readOrderToPlace } from '../../db/order/place'
import {
  type Attempt,
  type AttemptToCharge,
  abandonCancel,
  beginCancel,
  changeAttempt,
  completeSync,
  requireSync,
  readAttempt,
  readRequestedAttempt,
  recordLateMoney,
  recordReturn,
  refuseAttempt,
  startAttempt,
} from '../../db/payment/attempt'
import { type Charge, ProviderRejected, ProviderUnavailable } from '../../providers/payment/provider'
import { alive } from '../heartbeat'
import type { ActivityDeps } from '../deps'

/** What the money is known by, once it was seen at the provider. */
export interface SeenCharge {
  readonly status: 'authorized' | 'captured'
  readonly reference: string
}

export type Verdict =
  | { readonly verdict: 'paid'; readonly charge: SeenCharge }
  | { readonly verdict: 'declined' }
  | { readonly verdict: 'dead' }
  | { readonly verdict: 'waiting'; readonly status: 'requires_action' | 'pending' }
  | { readonly verdict: 'mismatch'; readonly charge: SeenCharge; readonly words: string }
  | { readonly verdict: 'unknown' }

/** An attempt as its workflow follows it. */
export interface OpenAttempt {
  readonly paymentId: PaymentId
  readonly attempt: number
  readonly key: string
  status: AttemptStatus
  final: boolean
}

export type Stopped =
  | { readonly fate: 'paid'; readonly charge: SeenCharge }
  | { readonly fate: 'dead' }
  | { readonly fate: 'money' }

/** Once patience is over the provider is asked so often more, so far apart, before its silence counts. */
const ASKED_MORE = 3
const ASK_AGAIN_MS = 1_000

export type PaymentActivities = ReturnType<typeof createPaymentActivities>

/** The effects on payments. Each is idempotent on the attempt's key, and looks at the row before it asks the provider. */
export function createPaymentActivities({ pool, providers, settings }: ActivityDeps) {
  const patienceMs = settings.ATTENTION_AFTER_SECONDS * 1000

  /** Idempotent on the attempt's key. No answer within the provider's timeout is `unknown`, and nothing else is. */
  async function charge({ paymentId }: { paymentId: PaymentId }): Promise<Verdict> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return verdictOfFinal(attempt)
    try {
      return await record(attempt, await send(attempt))
    } catch (error) {
      if (error instanceof ProviderUnavailable) return { verdict: 'unknown' }
      throw error
    }
  }

  /** Like `charge`, but throws until the provider has said something. Looks first; what it does not know is sent again. */
  async function settleCharge({ paymentId }: { paymentId: PaymentId }): Promise<Verdict> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return verdictOfFinal(attempt)
    const known = await providerOf(attempt).find(attempt.key)
    return record(attempt, known ?? (await send(attempt)))
  }

  /** Asks what became of an attempt that waits. No answer is `unknown`, as of `charge`. */
  async function lookUp({ paymentId }: { paymentId: PaymentId }): Promise<Verdict> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return verdictOfFinal(attempt)
    try {
      const known = await providerOf(attempt).find(attempt.key)
      return known ? await record(attempt, known) : { verdict: 'unknown' }
    } catch (error) {
      if (error instanceof ProviderUnavailable) return { verdict: 'unknown' }
      throw error
    }
  }

  /** `lookUp`, a few times: one refused connection is not yet the provider's silence. */
  async function askOnceMore({ paymentId }: { paymentId: PaymentId }, signal: AbortSignal): Promise<Verdict> {
    for (let asked = 1; ; asked++) {
      const verdict = await lookUp({ paymentId })
      if (verdict.verdict !== 'unknown' || asked === ASKED_MORE) return verdict
      await pause(ASK_AGAIN_MS, undefined, { signal })
    }
  }

  function send(attempt: Attempt): Promise<Charge> {
    return providerOf(attempt).authorize({
      key: attempt.key,
      orderId: attempt.orderId,
      amount: { amount: attempt.amount, currency: attempt.currency },
      method: attempt.method,
      returnUrl: attempt.returnUrl,
      expiresAt: attempt.expiresAt?.toISOString() ?? null,
    })
  }

  async function record(attempt: Attempt, charge: Charge): Promise<Verdict> {
    const { orderId, id: paymentId } = attempt
    const { reference } = charge
    const words = mismatchOf(attempt, charge)
    switch (charge.state) {
      case 'authorized':
      case 'captured': {
        const seen = { status: charge.state, reference }
        return words ? { verdict: 'mismatch', charge: seen, words } : { verdict: 'paid', charge: seen }
      }
      case 'requires_action':
        await changeAttempt(pool, {
          orderId,
          paymentId,
          change: { to: 'requires_action', reference, actionUrl: charge.actionUrl ?? '' },
        })
        return { verdict: 'waiting', status: 'requires_action' }
      case 'pending':
        await changeAttempt(pool, { orderId, paymentId, change: { to: 'pending', reference } })
        return { verdict: 'waiting', status: 'pending' }
      case 'declined':
        await changeAttempt(pool, {
          orderId,
          paymentId,
          change: { to: 'declined', reference, declineCode: charge.declineCode ?? 'declined' },
        })
        return { verdict: 'declined' }
      case 'voided':
      case 'refunded':
      case 'failed':
        await changeAttempt(pool, {
          orderId,
          paymentId,
          change: { to: charge.state === 'failed' ? 'failed' : 'voided', reference, outcome: 'declined' },
        })
        return { verdict: 'dead' }
    }
  }

  function verdictOfFinal(attempt: Attempt): Verdict {
    if (holdsMoney(attempt.status) && attempt.reference) {
      return {
        verdict: 'paid',
        charge: { status: attempt.status as SeenCharge['status'], reference: attempt.reference },
      }
    }
    return { verdict: attempt.status === 'declined' ? 'declined' : 'dead' }
  }

  /**
   * Begins the attempt that the buyer asked for. The one that waits is cancelled at the provider first; `paid` when it
   * turns out to have succeeded, `refused` when it cannot be cancelled.
   */
  async function startNextAttempt({ orderId, current, supersedes }: StartNextAttempt): Promise<NextAttempt> {
    const requested = await readRequestedAttempt(pool, orderId)
    if (!requested) return startedBefore(orderId, current)
    if (requested.cancelWanted) return { outcome: 'cancelled' }
    if (supersedes) {
      const stopped = await stopQuietly(supersedes)
      if (stopped?.fate === 'paid') return { outcome: 'paid', charge: stopped.charge }
      if (stopped?.fate !== 'dead') {
        await refuseAttempt(pool, requested.paymentId, 'refused')
        return { outcome: 'refused', attempt: requested.attempt }
      }
    }
    const answerSeconds = (settings.PAYMENT_TIMEOUT_MS / 1000) * 2
    const started = await startAttempt(pool, { orderId, paymentId: requested.paymentId, answerSeconds })
    if (started) return { outcome: 'started', attempt: toCharge(requested), holdMs: started.holdMs }
    await refuseAttempt(pool, requested.paymentId, 'expired')
    return { outcome: 'refused', attempt: requested.attempt }
  }

  /** A worker may have died after it began the attempt and before the workflow knew. */
  async function startedBefore(orderId: OrderId, current: PaymentId | null): Promise<NextAttempt> {
    const order = await readOrderToPlace(pool, orderId)
    if (!order?.attempt || order.attempt.paymentId === current) return { outcome: 'none' }
    return { outcome: 'started', attempt: order.attempt, holdMs: order.holdMs ?? 0 }
  }

  async function stopQuietly(paymentId: PaymentId): Promise<Stopped | null> {
    try {
      return await stop(paymentId, { keepIfPaid: true, outcome: 'superseded' })
    } catch (error) {
      if (!(error instanceof NotFinal) && !isNoAnswer(error)) throw error
      // The attempt goes on: what it takes from now on pays for the order.
      await abandonCancel(pool, paymentId)
      return null
    }
  }

  /**
   * The undo of a charge while its order is open: cancelled by its key, which the provider then refuses for ever.
   * With `keepIfPaid` it is looked up first, and left alone when it paid. Throws until it is final one way or the other.
   */
  async function stopCharge({
    paymentId,
    keepIfPaid,
    reason,
  }: {
    paymentId: PaymentId
    keepIfPaid: boolean
    reason: CancelReason
  }): Promise<Stopped> {
    return stop(paymentId, { keepIfPaid, outcome: reason === 'expired' ? 'expired' : 'cancelled' })
  }

  async function stop(
    paymentId: PaymentId,
    { keepIfPaid, outcome }: { keepIfPaid: boolean; outcome: 'expired' | 'cancelled' | 'superseded' },
  ): Promise<Stopped> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return holdsMoney(attempt.status) ? { fate: 'money' } : { fate: 'dead' }
    const provider = providerOf(attempt)
    // Once a cancellation was sent, what is paid now may be cancelled in a moment.
    if (keepIfPaid && !attempt.cancelling) {
      const known = await provider.find(attempt.key)
      if (known && isPaid(known) && !mismatchOf(attempt, known)) return { fate: 'paid', charge: seenOf(known) }
    }
    if (!(await beginCancel(pool, paymentId))) return stop(paymentId, { keepIfPaid, outcome })
    const cancelled = await provider.cancel(attempt.key)
    if (cancelled.outcome === 'refused') {
      await abandonCancel(pool, paymentId)
      if (isPaid(cancelled.charge))
        return keepIfPaid && !mismatchOf(attempt, cancelled.charge)
          ? { fate: 'paid', charge: seenOf(cancelled.charge) }
          : { fate: 'money' }
      throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${cancelled.charge.state}`)
    }
    await changeAttempt(pool, {
      orderId: attempt.orderId,
      paymentId,
      change: { to: 'voided', reference: cancelled.charge?.reference ?? null, outcome },
    })
    return { fate: 'dead' }
  }

  /**
   * What became of an attempt of an order that is over: `dead`, or `money` once payment and ledger show it. Throws until
   * the provider knows.
   */
  async function learnFate({ paymentId }: { paymentId: PaymentId }): Promise<{ fate: 'dead' | 'money' }> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return { fate: owesMoney(attempt) ? 'money' : 'dead' }
    const { orderId } = attempt
    const provider = providerOf(attempt)
    const known = await provider.find(attempt.key)
    if (known && isPaid(known)) {
      await recordLateMoney(pool, { orderId, paymentId, ...seenOf(known) })
      return { fate: 'money' }
    }
    const cancelled = await provider.cancel(attempt.key)
    if (cancelled.outcome === 'refused')
      throw new NotFinal(`Charge ${attempt.key} is ${cancelled.charge.state} and cannot be cancelled yet`)
    await changeAttempt(pool, {
      orderId,
      paymentId,
      change: { to: 'voided', reference: cancelled.charge?.reference ?? null, outcome: 'cancelled' },
    })
    return { fate: 'dead' }
  }

  /** Gives back what an attempt of a cancelled order took: voided by its key, or refunded under one derived from it. */
  async function returnMoney({ paymentId }: { paymentId: PaymentId }): Promise<void> {
    const attempt = await attemptOf(paymentId)
    if (!owesMoney(attempt)) return
    if (attempt.status === 'authorized') await giveAuthorizationBack(attempt)
    else await refundAll(attempt)
    await recordReturn(pool, { orderId: attempt.orderId, paymentId })
  }

  async function giveAuthorizationBack(attempt: Attempt): Promise<void> {
    const cancelled = await providerOf(attempt).cancel(attempt.key)
    if (cancelled.outcome === 'refused')
      throw new NotFinal(`The provider does not void charge ${attempt.key}: it is ${cancelled.charge.state}`)
  }

  async function refundAll(attempt: Attempt): Promise<void> {
    const refund = await providerOf(attempt).refund({
      key: refundKey(attempt.orderId, attempt.attempt),
      reference: attempt.reference ?? '',
      amount: { amount: attempt.amount, currency: attempt.currency },
    })
    if (refund.outcome === 'refused')
      throw new NotFinal(`The provider refuses to refund charge ${attempt.key}: ${refund.reason}`)
    if (refund.outcome === 'pending') throw new NotFinal(`The refund of charge ${attempt.key} is on its way`)
  }

  /**
   * Support says whether a charge happened. One that did not is cancelled by its key all the same, one that did is looked up:
   * a provider that is away still owes its answer, and is asked for it afterwards ({@link squareUp}).
   */
  async function decideAttempt({ paymentId, happened }: { paymentId: PaymentId; happened: boolean }): Promise<Verdict> {
    const attempt = await attemptOf(paymentId)
    if (!isUnresolved(attempt.status)) return verdictOfFinal(attempt)
    if (happened) {
      const charge: SeenCharge = { status: 'authorized', reference: attempt.reference ?? (await referenceOf(attempt)) }
      if (attempt.orderStatus === 'cancelled')
        await recordLateMoney(pool, { orderId: attempt.orderId, paymentId, ...charge })
      return { verdict: 'paid', charge }
    }
    if (!(await beginCancel(pool, paymentId))) return decideAttempt({ paymentId, happened })
    const cancelled = await providerOf(attempt).cancel(attempt.key).catch(nullIfNoAnswer)
    if (cancelled?.outcome !== 'dead') await requireSync(pool, paymentId, 'cancel')
    await changeAttempt(pool, {
      orderId: attempt.orderId,
      paymentId,
      change: { to: 'failed', reference: null, outcome: 'declined' },
    })
    return { verdict: 'dead' }
  }

  async function referenceOf({ id, key, ...attempt }: Attempt): Promise<string> {
    const known = await providerOf(attempt).find(key).catch(nullIfNoAnswer)
    if (known) return known.reference
    await requireSync(pool, id, 'reference')
    return key
  }

  /** What was decided without the provider is made true there. Throws until it is. */
  async function squareUp({ paymentId }: { paymentId: PaymentId }): Promise<void> {
    const attempt = await attemptOf(paymentId)
    if (attempt.pendingSync === 'reference') {
      const known = await providerOf(attempt).find(attempt.key)
      if (!known || (attempt.orderStatus !== 'cancelled' && !isPaid(known)))
        throw new NotFinal(`The provider knows of no payment by charge ${attempt.key}, which was said to be paid`)
      await completeSync(pool, paymentId, known.reference)
    } else if (attempt.pendingSync === 'cancel') {
      await endDead(attempt)
      await completeSync(pool, paymentId, null)
    }
  }

  /** What cannot be cancelled any more because it was captured is refunded. */
  async function endDead(attempt: Attempt): Promise<void> {
    const cancelled = await providerOf(attempt).cancel(attempt.key)
    if (cancelled.outcome !== 'refused') return
    const { charge } = cancelled
    if (charge.state !== 'captured')
      throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${charge.state}`)
    await refundAll({ ...attempt, reference: charge.reference })
  }

  /** A person has squared it up at the provider. */
  async function forgetOwed({ paymentId }: { paymentId: PaymentId }): Promise<void> {
    await completeSync(pool, paymentId, null)
  }

  async function recordReturned({ orderId, paymentId }: { orderId: OrderId; paymentId: PaymentId }): Promise<void> {
    await recordReturn(pool, { orderId, paymentId })
  }

  async function readSettlement({
    paymentId,
  }: {
    paymentId: PaymentId
  }): Promise<{ key: string; patienceMs: number; money: Money; owed: boolean }> {
    const { key, amount, currency, pendingSync } = await attemptOf(paymentId)
    return { key, patienceMs, money: { amount, currency }, owed: pendingSync !== null }
  }

  async function attemptOf(paymentId: PaymentId): Promise<Attempt> {
    const attempt = await readAttempt(pool, paymentId)
    if (!attempt) throw new Error(`There is no payment ${paymentId}`)
    return attempt
  }

  function providerOf(attempt: Pick<Attempt, 'provider'>) {
    const provider = providers.get(attempt.provider)
    if (!provider) throw new Error(`There is no payment provider ${attempt.provider} here`)
    return provider
  }

  return {
    charge,
    lookUp,
    askOnceMore: (input: Parameters<typeof askOnceMore>[0]) => alive((signal) => askOnceMore(input, signal)),
    startNextAttempt: (input: StartNextAttempt) => alive(() => startNextAttempt(input)),
    settleCharge: (input: Parameters<typeof settleCharge>[0]) => alive(() => settleCharge(input)),
    stopCharge: (input: Parameters<typeof stopCharge>[0]) => alive(() => stopCharge(input)),
    learnFate: (input: Parameters<typeof learnFate>[0]) => alive(() => learnFate(input)),
    returnMoney: (input: Parameters<typeof returnMoney>[0]) => alive(() => returnMoney(input)),
    squareUp: (input: Parameters<typeof squareUp>[0]) => alive(() => squareUp(input)),
    decideAttempt: (input: Parameters<typeof decideAttempt>[0]) => alive(() => decideAttempt(input)),
    forgetOwed,
    recordReturned,
    readSettlement,
  }
}

export interface StartNextAttempt {
  readonly orderId: OrderId
  /** The attempt that the workflow knows of, over or not. */
  readonly current: PaymentId | null
  /** That attempt when it is not over: it has to end first. */
  readonly supersedes: PaymentId | null
}

export type NextAttempt =
  | { readonly outcome: 'none' }
  /** The buyer has asked for a cancellation meanwhile. */
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'paid'; readonly charge: SeenCharge }
  | { readonly outcome: 'refused'; readonly attempt: number }
  | { readonly outcome: 'started'; readonly attempt: AttemptToCharge; readonly holdMs: number }

/** The provider has not decided yet: a fault only in that it has to be asked again. */
class NotFinal extends Error {
  override readonly name = 'NotFinal'
}

/** Money of an order that has won is nobody's to return here. */
function owesMoney({ orderStatus, status }: Attempt): boolean {
  return orderStatus === 'cancelled' && holdsMoney(status)
}

function isPaid(charge: Charge): boolean {
  return charge.state === 'authorized' || charge.state === 'captured'
}

function seenOf(charge: Charge): SeenCharge {
  return { status: charge.state === 'captured' ? 'captured' : 'authorized', reference: charge.reference }
}

/** What the provider says otherwise than the row, in words for support; null when they agree. */
function mismatchOf(attempt: Attempt, charge: Charge): string | null {
  const { amount, currency } = charge.amount
  if (amount === attempt.amount && currency === attempt.currency && charge.orderId === attempt.orderId) return null
  const asked = `${attempt.currency} ${formatMajor({ amount: attempt.amount, currency: attempt.currency })}`
  const told = `${currency} ${formatMajor({ amount, currency })}`
  return `somebody to decide: for charge \`${attempt.key}\` the order asks ${asked}, the provider says ${told} for \`${charge.orderId}\``
}

/** It is away, or does not let us in: a key that was withdrawn, say. */
function isNoAnswer(error: unknown): boolean {
  return error instanceof ProviderUnavailable || error instanceof ProviderRejected
}

function nullIfNoAnswer(error: unknown): null {
  if (isNoAnswer(error)) return null
  throw error
}

function toCharge({ paymentId, attempt, key }: AttemptToCharge): AttemptToCharge {
  return { paymentId, attempt, key, status: 'sent' }
}
