import type Stripe from 'stripe'
import type { Movement, SeenCapture } from '../provider'
import { fromStripeAmount } from './amount'
import { capturesOf, idOf, timeOf } from './charge'

/** What has to be expanded for {@link movementOf}. */
export const EXPAND_MOVEMENT = ['data.source', 'data.source.payment_intent']

/** All balance transactions of a charge, oldest first. */
export type SiblingsOf = (chargeId: string) => Promise<readonly Stripe.BalanceTransaction[]>

/**
 * A balance transaction as a movement of a charge; null when it is none (payouts, fees, reserves, what was released).
 * Fees are not the order's: the gross amount counts. Where Stripe converted the money into the account's currency, the
 * amount is the one in the customer's currency, in which our books are kept: Stripe tells it with the object that caused
 * the movement.
 */
export async function movementOf(
  transaction: Stripe.BalanceTransaction,
  siblingsOf: SiblingsOf,
): Promise<Movement | null> {
  const { source, type, reporting_category: category } = transaction
  if (source === null || typeof source === 'string' || !TYPES.has(type) || NO_MONEY_OF_ORDERS.has(category)) return null
  if (source.object === 'charge') return captureMovement(transaction, source as Stripe.Charge, siblingsOf)
  if (source.object === 'refund') {
    const refund = source as Stripe.Refund
    const key = refund.metadata?.['key'] ?? null
    return movement(transaction, transaction.amount < 0 ? 'refund' : 'refund_failed', refund, key)
  }
  if (source.object === 'dispute') {
    return movement(transaction, transaction.amount < 0 ? 'dispute' : 'dispute_won', source as Stripe.Dispute, null)
  }
  return null
}

/** The id of the intent that a balance transaction is about; null where it is about none, or Stripe does not say. */
export function chargeOfMovement({ source }: Stripe.BalanceTransaction): string | null {
  if (source === null || typeof source === 'string' || !('payment_intent' in source)) return null
  const intent = source.payment_intent
  return typeof intent === 'string' ? intent : (intent?.id ?? null)
}

/** Types of what customers pay and get back. A dispute is an adjustment; a payment that is not by card has its own names. */
const TYPES: ReadonlySet<string> = new Set([
  ...['charge', 'refund', 'refund_failure', 'adjustment'],
  ...['payment', 'payment_refund', 'payment_failure_refund', 'payment_reversal'],
])

/** The first only takes back what the charge's own transaction had counted too much: see {@link capturedBy}. */
const NO_MONEY_OF_ORDERS = new Set(['partial_capture_reversal', 'fee', 'tax'])

async function captureMovement(
  transaction: Stripe.BalanceTransaction,
  charge: Stripe.Charge,
  siblingsOf: SiblingsOf,
): Promise<Movement | null> {
  if (transaction.type !== 'charge' && transaction.type !== 'payment') return null
  const intent = intentOf(charge)
  const captures = intent === null ? [] : capturesOf({ ...intent, latest_charge: charge.id })
  const capture = await captureOf(transaction, charge, captures, siblingsOf)
  const amount = capturedBy(transaction, charge, capture)
  return {
    ...movement(transaction, 'capture', charge, capture?.key ?? null),
    reference: capture?.reference ?? charge.id,
    amount,
  }
}

/**
 * Which of the charge's captures a transaction is. Stripe does not say: with one there is no question; of several it is the
 * one of this amount; of several of this amount, or when amounts were converted, they go by order.
 */
async function captureOf(
  transaction: Stripe.BalanceTransaction,
  charge: Stripe.Charge,
  captures: readonly SeenCapture[],
  siblingsOf: SiblingsOf,
): Promise<SeenCapture | undefined> {
  if (captures.length < 2) return captures[0]
  const isConverted = transaction.currency !== charge.currency
  const amount = isConverted ? null : fromStripeAmount(transaction.amount, transaction.currency).amount
  const likely = captures.filter((capture) => isConverted || capture.amount === amount)
  if (likely.length < 2) return likely[0]
  const siblings = (await siblingsOf(charge.id)).filter(
    (sibling) => sibling.type === transaction.type && (isConverted || sibling.amount === transaction.amount),
  )
  return likely[siblings.findIndex(({ id }) => id === transaction.id)]
}

/**
 * Of an authorization that was captured in part at once, the charge's transaction counts the whole, and a
 * `partial_capture_reversal` takes the rest back: the charge knows what was captured.
 */
function capturedBy(
  transaction: Stripe.BalanceTransaction,
  charge: Stripe.Charge,
  capture: SeenCapture | undefined,
): Movement['amount'] {
  const { amount, currency } = transaction
  const isConverted = currency !== charge.currency
  const countsTheWhole = amount === charge.amount && charge.amount_captured < charge.amount
  if (!isConverted && !countsTheWhole) return fromStripeAmount(amount, currency)
  const whole = fromStripeAmount(charge.amount_captured, charge.currency)
  return isConverted && capture ? { ...whole, amount: capture.amount } : whole
}

function movement(
  transaction: Stripe.BalanceTransaction,
  type: Movement['type'],
  source: Stripe.Charge | Stripe.Refund | Stripe.Dispute,
  key: string | null,
): Movement {
  const intent = intentOf(source)
  const isConverted = transaction.currency !== source.currency
  const sent = fromStripeAmount(Math.abs(isConverted ? source.amount : transaction.amount), source.currency)
  return {
    id: transaction.id,
    type,
    chargeReference:
      idOf(source.payment_intent) ?? (source.object === 'charge' ? source.id : (idOf(source.charge) ?? '')),
    chargeKey: intent?.metadata['key'] ?? null,
    orderId: intent?.metadata['order_id'] ?? null,
    reference: source.id,
    key,
    amount: { ...sent, amount: transaction.amount < 0 ? -sent.amount : sent.amount },
    at: timeOf(transaction.created),
  }
}

function intentOf({
  payment_intent: intent,
}: {
  payment_intent: string | Stripe.PaymentIntent | null
}): Stripe.PaymentIntent | null {
  return typeof intent === 'object' ? intent : null
}
