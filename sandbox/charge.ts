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

export interface Refund {
  readonly id: string
  readonly key: string
  readonly charge: string
  readonly amount: number
  readonly currency: string
  readonly status: 'succeeded' | 'failed'
  readonly failure_code: string | null
  readonly created_at: string
}

export interface Capture {
  readonly key: string
  readonly amount: number
}

/** A charge as the journal keeps it. Never changed in place: each change is a new record. */
export interface ChargeRecord extends ChargeRequest {
  readonly id: string
  readonly key: string
  readonly status: ChargeStatus
  readonly decline_code: string | null
  readonly captured: number
  readonly refunded: number
  readonly created_at: string
  /** When a pending charge gets paid, in milliseconds since 1970; null when it does not by itself. */
  readonly pays_at: number | null
  /** How many webhook events it has caused. */
  readonly events: number
  readonly captures: readonly Capture[]
  readonly refunds: readonly Refund[]
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
  readonly refunded: number
  readonly action_url: string | null
  readonly expires_at: string | null
  readonly created_at: string
  readonly refunds: readonly Refund[]
}

/** @param publicUrl where a customer's browser reaches the sandbox, without a slash at the end. */
export function publicCharge(charge: ChargeRecord, publicUrl: string): PublicCharge {
  return {
    id: charge.id,
    key: charge.key,
    reference: charge.reference,
    amount: charge.amount,
    currency: charge.currency,
    method: charge.method,
    status: charge.status,
    decline_code: charge.decline_code,
    captured: charge.captured,
    refunded: charge.refunded,
    action_url: charge.status === 'requires_action' ? `${publicUrl}/3ds/${charge.id}` : null,
    expires_at: charge.expires_at,
    created_at: charge.created_at,
    refunds: charge.refunds,
  }
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
