import Stripe from 'stripe'
import { InvalidSignature, type WebhookEvent, type WebhookHeaders } from '../provider'
import { idOf, isBegun, stateOf } from './charge'

/** How old a signature may be, in seconds: Stripe's own default. */
const TOLERANCE_SECONDS = 300

/**
 * Checks who sent a webhook and when, and reads what it is about: null when it is about no charge. A secret that is being
 * replaced and its successor hold at the same time. Throws {@link InvalidSignature}.
 */
export function readWebhook(
  stripe: Stripe,
  rawBody: Buffer,
  headers: WebhookHeaders,
  secrets: readonly string[],
): WebhookEvent | null {
  const event = verified(stripe, rawBody, headers, secrets)
  const { object } = event.data as { readonly object: { readonly object?: string } }
  const about = { eventId: event.id, type: event.type }
  if (object.object === 'payment_intent') {
    const intent = object as Stripe.PaymentIntent
    if (!isBegun(intent)) return null
    const { key, order_id: orderId } = intent.metadata
    return {
      ...about,
      chargeReference: intent.id,
      chargeKey: key ?? null,
      orderId: orderId ?? null,
      state: stateOf(intent),
    }
  }
  if (!HAS_INTENT.has(object.object ?? '')) return null
  const chargeReference = idOf((object as Stripe.Charge | Stripe.Refund | Stripe.Dispute).payment_intent)
  return chargeReference === null ? null : { ...about, chargeReference, chargeKey: null, orderId: null, state: null }
}

/** Objects that say which intent they belong to. */
const HAS_INTENT = new Set(['charge', 'refund', 'dispute'])

function verified(stripe: Stripe, rawBody: Buffer, headers: WebhookHeaders, secrets: readonly string[]): Stripe.Event {
  const signature = headers['stripe-signature']
  if (typeof signature === 'string') {
    for (const secret of secrets) {
      try {
        const event = stripe.webhooks.constructEvent(rawBody, signature, secret, TOLERANCE_SECONDS)
        if (isEvent(event)) return event
      } catch {
        // Signed with another of our secrets, or not by Stripe. The error would quote the body.
      }
    }
  }
  throw new InvalidSignature('The webhook was not signed by Stripe, or too long ago')
}

function isEvent(event: Partial<Stripe.Event> | null): event is Stripe.Event {
  return typeof event?.id === 'string' && typeof event.type === 'string' && typeof event.data?.object === 'object'
}
