import { createHash } from 'node:crypto'
import type Stripe from 'stripe'
import {
  type Charge,
  type ChargeState,
  ProviderRejected,
  type SeenCapture,
  type SeenDispute,
  type SeenRefund,
} from '../provider'
import { fromStripeAmount } from './amount'

/** What has to be expanded for {@link chargeOf}. */
export const EXPAND = ['latest_charge', 'latest_charge.refunds', 'latest_charge.refunds.data.balance_transaction']

/** A capture has no object of its own at Stripe. We write down on the intent, in the same request, which key asked for it. */
const CAPTURE_PREFIX = 'capture_'
/** An intent holds 50 entries of metadata, of which two say whose it is. */
export const CAPTURES_MAX = 48

/** Metadata that says under which key, and for how much, a capture was asked for. Its value is `<amount> <key>`. */
export function captureEntry(key: string, amount: number): Record<string, string> {
  return { [entryName(key)]: `${amount} ${key}` }
}

/** Whether it was confirmed, or given up. Before that no money can move. */
export function isBegun(intent: Stripe.PaymentIntent): boolean {
  if (intent.status === 'requires_confirmation') return false
  return intent.status !== 'requires_payment_method' || declineOf(intent) !== null
}

/** A declined intent still waits for another method: whoever holds its client secret could pay later. */
export function isOpenDecline(intent: Stripe.PaymentIntent): boolean {
  return intent.status === 'requires_payment_method' && declineOf(intent) !== null
}

/** What the intent says of itself; what is given up counts as `voided`, unless something of it was captured. */
export function stateOf(intent: Stripe.PaymentIntent): ChargeState {
  switch (intent.status) {
    case 'requires_action':
      return 'requires_action'
    case 'processing':
      return 'pending'
    case 'requires_capture':
      return 'authorized'
    case 'succeeded':
      return 'captured'
    case 'canceled':
      if (intent.amount_received > 0) return 'captured'
      return declineOf(intent) === null ? 'voided' : 'declined'
    case 'requires_payment_method':
      return declineOf(intent) === null ? 'pending' : 'declined'
    // What a newer Stripe calls by a name that we do not know is not over.
    default:
      return 'pending'
  }
}

/**
 * An intent as a charge of the port. `refunds` are all refunds of the charge, `disputes` all its disputes; both may be left
 * out when there are none.
 */
export function chargeOf(
  intent: Stripe.PaymentIntent,
  refunds: readonly Stripe.Refund[] = [],
  disputes: readonly Stripe.Dispute[] = [],
): Charge {
  const { currency, metadata } = intent
  const ours = (amount: number): number => fromStripeAmount(amount, currency).amount
  const seen = refunds.filter((refund) => !isRelease(refund, intent)).map(seenRefund)
  const captured = ours(intent.amount_received)
  const refunded = sum(seen.filter(({ status }) => status === 'succeeded'))
  const state = stateOf(intent)
  const isAuthorized = state === 'authorized'
  return {
    reference: intent.id,
    key: metadata['key'] ?? null,
    orderId: metadata['order_id'] ?? '',
    amount: fromStripeAmount(intent.amount, currency),
    state: state === 'captured' && captured > 0 && refunded === captured ? 'refunded' : state,
    declineCode: state === 'declined' ? declineOf(intent) : null,
    captured,
    released: ours(releasedOf(intent)),
    refunded,
    captures: capturesOf(intent),
    refunds: seen,
    disputes: disputes.filter(movesMoney).map((dispute) => seenDispute(dispute, intent)),
    capturesInParts: isAuthorized && hasMulticapture(intent),
    captureBefore: isAuthorized ? captureBeforeOf(intent) : null,
    actionUrl: state === 'requires_action' ? (intent.next_action?.redirect_to_url?.url ?? null) : null,
    createdAt: timeOf(intent.created),
  }
}

/** Whether Stripe would take several captures: the account has to have it, and the card. */
export function hasMulticapture(intent: Stripe.PaymentIntent): boolean {
  return paidBy(intent)?.payment_method_details?.card?.multicapture?.status === 'available'
}

/**
 * The captures that we asked for, by key, and what somebody else took, as one. In our minor units. Throws
 * {@link ProviderRejected} when less was taken than was written down: no capture is believed then.
 */
export function capturesOf(intent: Stripe.PaymentIntent): SeenCapture[] {
  const charge = chargeIdOf(intent)
  const ours = (amount: number): number => fromStripeAmount(amount, intent.currency).amount
  const asked = Object.entries(intent.metadata)
    .filter(([name]) => name.startsWith(CAPTURE_PREFIX))
    .map(([name, value]) => {
      const [amount, key] = value.split(/ (.*)/s)
      return { name, key: key ?? '', amount: Number(amount) }
    })
    // Others that use the account may call their own metadata so.
    .filter(({ name, key, amount }) => name === entryName(key) && Number.isSafeInteger(amount))
    .map(({ name, ...capture }) => ({ reference: `${charge}/${name.slice(CAPTURE_PREFIX.length)}`, ...capture }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  const others = ours(intent.amount_received) - sum(asked)
  if (others < 0)
    throw new ProviderRejected('captures_disagree', `stripe: ${intent.id} tells of more captures than it took`)
  return others > 0 ? [...asked, { reference: charge, key: null, amount: others }] : asked
}

/** The capture that this key asked for, if it was made. */
export function captureUnder(key: string, intent: Stripe.PaymentIntent): SeenCapture | undefined {
  return capturesOf(intent).find((capture) => capture.key === key)
}

/**
 * What was never captured goes back to the customer's limit as a refund object. It is no refund of money: it is left out
 * here, and its balance transaction is left out of the movements.
 */
export function isRelease(refund: Stripe.Refund, { amount_received: received }: Stripe.PaymentIntent): boolean {
  const { balance_transaction: movement, reason } = refund
  return (
    received === 0 ||
    reason === 'expired_uncaptured_charge' ||
    (typeof movement === 'object' && movement?.reporting_category === 'partial_capture_reversal')
  )
}

export function refundStatus(refund: Stripe.Refund): SeenRefund['status'] {
  if (refund.status === 'succeeded') return 'succeeded'
  return refund.status === 'failed' || refund.status === 'canceled' ? 'failed' : 'pending'
}

/** Why it will not come, in Stripe's words; null unless it failed. */
export function refundFailure(refund: Stripe.Refund): string | null {
  return refundStatus(refund) === 'failed' ? (refund.failure_reason ?? refund.status) : null
}

/** An inquiry asks, and a prevented dispute was stopped: neither takes money. */
export function movesMoney({ status }: Stripe.Dispute): boolean {
  return !status.startsWith('warning_') && status !== 'prevented'
}

/** Seconds since 1970 → RFC 3339. */
export function timeOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}

/** The id of an object that may be expanded or not. */
export function idOf(object: string | { readonly id: string } | null | undefined): string | null {
  return typeof object === 'string' ? object : (object?.id ?? null)
}

/** Why it was not paid. Null when nothing was tried, or the last try went well. */
function declineOf({ last_payment_error: error, latest_charge: charge }: Stripe.PaymentIntent): string | null {
  if (error) return error.decline_code ?? error.code ?? 'declined'
  if (typeof charge !== 'object' || charge?.status !== 'failed') return null
  return charge.outcome?.reason ?? charge.failure_code ?? 'declined'
}

function releasedOf(intent: Stripe.PaymentIntent): number {
  const isOver = intent.status === 'succeeded' || intent.status === 'canceled'
  return isOver && paidBy(intent) !== null ? intent.amount - intent.amount_received : 0
}

function captureBeforeOf(intent: Stripe.PaymentIntent): string | null {
  const before = paidBy(intent)?.payment_method_details?.card?.capture_before
  return before === undefined ? null : timeOf(before)
}

/** The charge by which money was set aside or taken. */
function paidBy({ latest_charge: charge }: Stripe.PaymentIntent): Stripe.Charge | null {
  return charge !== null && typeof charge === 'object' && charge.status === 'succeeded' ? charge : null
}

function chargeIdOf(intent: Stripe.PaymentIntent): string {
  return idOf(intent.latest_charge) ?? intent.id
}

function seenRefund(refund: Stripe.Refund): SeenRefund {
  return {
    reference: refund.id,
    key: refund.metadata?.['key'] ?? null,
    amount: fromStripeAmount(refund.amount, refund.currency).amount,
    status: refundStatus(refund),
    failureCode: refundFailure(refund),
  }
}

/** A bank may dispute in its own currency: then all that was captured is taken to be disputed. */
function seenDispute(dispute: Stripe.Dispute, intent: Stripe.PaymentIntent): SeenDispute {
  const { status } = dispute
  const disputed = dispute.currency === intent.currency ? dispute.amount : intent.amount_received
  return {
    reference: dispute.id,
    amount: fromStripeAmount(disputed, intent.currency).amount,
    status: status === 'won' ? 'won' : status === 'lost' ? 'lost' : 'open',
  }
}

function entryName(key: string): string {
  return `${CAPTURE_PREFIX}${createHash('sha256').update(key).digest('hex').slice(0, 16)}`
}

function sum(parts: readonly { readonly amount: number }[]): number {
  return parts.reduce((total, { amount }) => total + amount, 0)
}
