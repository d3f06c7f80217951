/**
 * `authorized` as long as some of it can still be captured; then `captured`, `refunded` when all that was captured went
 * back, or `voided` when nothing was captured.
 */
export type ChargeStatus =
  | 'requires_action'
  | 'pending'
  | 'authorized'
  | 'captured'
  | 'voided'
  | 'refunded'
  | 'declined'
  | 'failed'

/** What a caller asks for; amounts are minor units, times RFC 3339. */
export interface ChargeRequest {
  readonly amount: number
  readonly currency: string
  readonly method: string
  readonly reference: string
  readonly capture: boolean
  readonly return_url: string | null
  readonly expires_at: string | null
}

export interface Capture {
  readonly id: string
  /** Null: the charge was captured as it was paid. */
  readonly key: string | null
  readonly amount: number
  /** Whether the caller wanted the rest to be released. */
  readonly final: boolean
  readonly status: 'succeeded' | 'failed'
  readonly failure_code: string | null
  readonly created_at: string
}

export interface Refund {
  readonly id: string
  readonly key: string
  readonly charge: string
  readonly amount: number
  readonly currency: string
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly failure_code: string | null
  readonly created_at: string
}

export interface RefundRecord extends Refund {
  /** When a refund that has succeeded fails after all, in milliseconds since 1970; null when it does not. */
  readonly fails_at: number | null
}

export interface Dispute {
  readonly id: string
  readonly amount: number
  readonly status: 'open' | 'won' | 'lost'
  readonly created_at: string
}

/**
 * A charge as the journal keeps it. Never changed in place: each change is a new record. Captures, refunds and disputes
 * are added at the end, and none is taken away.
 */
export interface ChargeRecord extends ChargeRequest {
  readonly id: string
  readonly key: string
  readonly status: ChargeStatus
  readonly decline_code: string | null
  readonly captured: number
  /** Of what was authorized, let go again. */
  readonly released: number
  /** Given back; what is pending is not in it. */
  readonly refunded: number
  /** When the rest of the authorization is released by itself; null unless `authorized`. */
  readonly capture_before: string | null
  readonly created_at: string
  readonly updated_at: string
  /** How long an authorization of it lasts. */
  readonly authorization_ms: number
  /** When a pending charge gets paid, in milliseconds since 1970; null when it does not by itself. */
  readonly pays_at: number | null
  /** How many webhook events it has caused. */
  readonly events: number
  readonly captures: readonly Capture[]
  readonly refunds: readonly RefundRecord[]
  readonly disputes: readonly Dispute[]
}

/** A charge as callers and webhooks show it. */
export interface PublicCharge {
  readonly id: string
  readonly key: string
  readonly reference: string
  readonly amount: number
  readonly currency: string
  readonly method: string
  readonly status: ChargeStatus
  readonly decline_code: string | null
  readonly captured: number
  readonly released: number
  readonly refunded: number
  readonly captures_in_parts: boolean
  readonly capture_before: string | null
  readonly action_url: string | null
  readonly expires_at: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly captures: readonly Capture[]
  readonly refunds: readonly Refund[]
  readonly disputes: readonly Dispute[]
}

/** What can still be captured of an authorized charge. */
export function capturable(charge: ChargeRecord): number {
  return charge.amount - charge.captured - charge.released
}

/** What was captured and is neither back with the customer, nor on its way there, nor taken by a dispute. */
export function refundable(charge: ChargeRecord): number {
  const refunds = sumOf(charge.refunds.filter(({ status }) => status !== 'failed'))
  const disputes = sumOf(charge.disputes.filter(({ status }) => status !== 'won'))
  return charge.captured - refunds - disputes
}

/** A charge that was authorized once, with the sums and the status that follow from what happened to its money. */
export function tallied(charge: ChargeRecord): ChargeRecord {
  const captured = sumOf(charge.captures.filter(({ status }) => status === 'succeeded'))
  const refunded = sumOf(charge.refunds.filter(({ status }) => status === 'succeeded'))
  const sums = { ...charge, captured, refunded }
  if (capturable(sums) > 0) return { ...sums, status: 'authorized' }
  const kept = captured === refunded ? 'refunded' : 'captured'
  return { ...sums, status: captured === 0 ? 'voided' : kept, capture_before: null }
}

/** True when both ask for the same charge, word for word. */
export function sameRequest(one: ChargeRequest, other: ChargeRequest): boolean {
  return (
    one.amount === other.amount &&
    one.currency === other.currency &&
    one.method === other.method &&
    one.reference === other.reference &&
    one.capture === other.capture &&
    one.return_url === other.return_url &&
    one.expires_at === other.expires_at
  )
}

function sumOf(parts: readonly { readonly amount: number }[]): number {
  return parts.reduce((sum, { amount }) => sum + amount, 0)
}
