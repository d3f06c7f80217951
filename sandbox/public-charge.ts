import type { ChargeRecord, PublicCharge, Refund, RefundRecord } from './charge'
import { behaviourOf, capturesInParts } from './methods'

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
    released: charge.released,
    refunded: charge.refunded,
    captures_in_parts: capturesInParts(behaviourOf(charge.method)),
    capture_before: charge.capture_before,
    action_url: charge.status === 'requires_action' ? `${publicUrl}/3ds/${charge.id}` : null,
    expires_at: charge.expires_at,
    created_at: charge.created_at,
    updated_at: charge.updated_at,
    captures: charge.captures,
    refunds: charge.refunds.map(publicRefund),
    disputes: charge.disputes,
  }
}

export function publicRefund({ fails_at: _, ...refund }: RefundRecord): Refund {
  return refund
}
