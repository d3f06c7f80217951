import { randomBytes } from 'node:crypto'
import type { Form } from './form'
import { type Behaviour, behaviourOf } from './methods'
import { invalid, missing, Refusal } from './refusal'

/** An object as it is sent, but for what is expanded. */
export interface StripeObject {
  readonly id: string
  readonly object: string
  readonly created: number
  [field: string]: unknown
}

export interface AccountOptions {
  /** Whether the account has multicapture. */
  readonly multicapture: boolean
  /** Into which currency, and at which rate, what is taken is converted; null: it is not. */
  readonly settles: { readonly currency: string; readonly rate: number } | null
}

const DAY = 86_400
/** https://docs.stripe.com/currencies, minimum and maximum charge amounts */
const LEAST_GBP = 30
const MOST = 99_999_999
/** When a refund comes back that does not reach its card. */
const LATER_MS = 800
const DETAILS = { brand: 'visa', last4: '4242', fingerprint: 'Xt5EWLLDS7FJjR1c' }

/** One Stripe account: its objects, what moves them on, and the events that tell of it. */
export class Account {
  readonly objects = new Map<string, StripeObject>()
  readonly options: AccountOptions
  /** Added to the time of what is made from now on, in seconds. */
  shift = 0
  readonly #events: StripeObject[] = []
  /** Refund objects that gave back what was never captured. */
  readonly #releases = new Set<string>()
  #count = 0

  constructor(options: AccountOptions) {
    this.options = options
  }

  /** Newest first. Of one second, what came last is first. */
  get events(): readonly StripeObject[] {
    return this.#events.toReversed()
  }

  all(object: string): StripeObject[] {
    return [...this.objects.values()].filter((one) => one.object === object).toReversed()
  }

  get(id: string, param = 'id'): StripeObject {
    const found = this.objects.get(id)
    if (!found) throw missing(id, param)
    return found
  }

  createIntent(form: Form): StripeObject {
    const amount = Number(form['amount'])
    if (!Number.isInteger(amount) || amount < 1)
      throw invalid('Invalid integer', { code: 'parameter_invalid_integer', param: 'amount' })
    if (form['currency'] === 'gbp' && amount < LEAST_GBP)
      throw invalid('Amount must be at least £0.30 gbp', { code: 'amount_too_small', param: 'amount' })
    if (amount > MOST)
      throw invalid('Amount must be no more than £999,999.99', { code: 'amount_too_large', param: 'amount' })
    if (form['currency'] === 'kpw') throw invalid('Invalid currency: kpw', { param: 'currency' })
    const intent = this.make('pi', 'payment_intent', {
      amount,
      amount_capturable: 0,
      amount_received: 0,
      cancellation_reason: null,
      canceled_at: null,
      capture_method: String(form['capture_method'] ?? 'automatic'),
      client_secret: `pi_secret_${randomBytes(12).toString('hex')}`,
      currency: String(form['currency']),
      last_payment_error: null,
      latest_charge: null,
      metadata: { ...(form['metadata'] as Form | undefined) },
      next_action: null,
      payment_method: null,
      status: 'requires_payment_method',
    })
    this.tell('payment_intent.created', intent)
    return intent
  }

  confirmIntent(id: string, form: Form): StripeObject {
    const intent = this.get(id)
    if (!['requires_payment_method', 'requires_confirmation'].includes(String(intent['status'])))
      throw unexpected(intent)
    const method = String(form['payment_method'] ?? '')
    const behaviour = behaviourOf(method)
    if (!behaviour)
      throw invalid(`No such PaymentMethod: '${method}'`, { code: 'resource_missing', param: 'payment_method' })
    intent['payment_method'] = method
    intent['last_payment_error'] = null
    if (behaviour.action) {
      if (form['error_on_requires_action'] === 'true') return this.decline(intent, { code: 'authentication_required' })
      intent['status'] = 'requires_action'
      intent['next_action'] = {
        type: 'redirect_to_url',
        redirect_to_url: { url: `https://hooks.stripe.example/${id}`, return_url: form['return_url'] ?? null },
      }
      this.tell('payment_intent.requires_action', intent)
      return intent
    }
    if (behaviour.processing) {
      intent['status'] = 'processing'
      this.tell('payment_intent.processing', intent)
      return intent
    }
    return behaviour.decline ? this.decline(intent, behaviour.decline) : this.authorize(intent)
  }

  /** The customer came back from their bank, or a payment that was being processed came to its end. */
  decide(id: string, goesWell: boolean): StripeObject {
    const intent = this.get(id)
    const wasAction = intent['status'] === 'requires_action'
    if (!wasAction && intent['status'] !== 'processing') throw unexpected(intent)
    intent['next_action'] = null
    if (goesWell) return this.authorize(intent)
    try {
      return this.decline(intent, {
        code: wasAction ? 'payment_intent_authentication_failure' : 'payment_method_provider_decline',
      })
    } catch {
      return intent
    }
  }

  captureIntent(id: string, form: Form): StripeObject {
    const intent = this.get(id)
    const charge = this.chargeOf(intent)
    if (intent['status'] !== 'requires_capture' || !charge) throw unexpected(intent)
    const capturable = Number(intent['amount_capturable'])
    const amount = form['amount_to_capture'] === undefined ? capturable : Number(form['amount_to_capture'])
    const several = multicaptureOf(charge) === 'available'
    const isFirst = Number(intent['amount_received']) === 0
    if (form['final_capture'] === 'false' && !several)
      throw invalid('final_capture is not available', { param: 'final_capture' })
    if (!(amount > 0 || (amount === 0 && several && !isFirst)))
      throw invalid('Invalid amount', { code: 'parameter_invalid_integer', param: 'amount_to_capture' })
    if (amount > capturable) throw invalid('Too much', { code: 'amount_too_large', param: 'amount_to_capture' })
    const isFinal = form['final_capture'] !== 'false'
    const rest = capturable - amount
    intent['amount_received'] = Number(intent['amount_received']) + amount
    intent['amount_capturable'] = isFinal ? 0 : rest
    intent['metadata'] = { ...(intent['metadata'] as Form), ...(form['metadata'] as Form | undefined) }
    charge['amount_captured'] = intent['amount_received']
    if (amount > 0) {
      // Captured once and in part, the whole is booked, and the rest is booked back.
      const booked = several ? amount : capturable
      const transaction = this.book('charge', 'charge', booked, charge)
      charge['balance_transaction'] ??= transaction.id
      if (!several && rest > 0) this.giveBack(charge, rest, 'partial_capture_reversal')
    }
    this.tell('charge.updated', charge)
    this.tell('payment_intent.amount_capturable_updated', intent)
    if (isFinal) this.close(intent, charge)
    if (this.behaviourOf(intent).disputed) this.dispute(id)
    return intent
  }

  cancelIntent(id: string): StripeObject {
    const intent = this.get(id)
    const status = String(intent['status'])
    if (['canceled', 'succeeded', 'processing'].includes(status)) throw unexpected(intent)
    return this.giveUp(intent, null)
  }

  /** The bank lets go what was not captured in time. */
  expire(id: string): StripeObject {
    const intent = this.get(id)
    const charge = this.chargeOf(intent)
    if (charge && Number(intent['amount_received']) > 0) return this.close(intent, charge)
    return this.giveUp(intent, 'automatic')
  }

  createRefund(form: Form): StripeObject {
    const intent = this.get(String(form['payment_intent']), 'payment_intent')
    const charge = this.chargeOf(intent)
    const amount = Number(form['amount'])
    const received = Number(intent['amount_received'])
    if (!charge || received === 0)
      throw invalid('This PaymentIntent has no successful charge', { param: 'payment_intent' })
    const made = this.all('refund').filter(
      ({ id, charge: of, status }) => of === charge.id && status !== 'failed' && !this.#releases.has(id),
    )
    const left = made.reduce((sum, refund) => sum - Number(refund['amount']), received)
    if (left === 0) throw invalid('Already refunded', { code: 'charge_already_refunded' })
    if (!(amount >= 1) || amount > left)
      throw invalid('Refund amount is greater than unrefunded amount', { param: 'amount' })
    const status = this.behaviourOf(intent).refund === 'pending' ? 'pending' : 'succeeded'
    const refund = this.makeRefund(charge, amount, { status, metadata: { ...(form['metadata'] as Form | undefined) } })
    refund['balance_transaction'] = this.book('refund', 'refund', -amount, refund).id
    this.tell('refund.created', refund)
    this.tell('charge.refunded', charge)
    if (this.behaviourOf(intent).refund === 'fails later')
      setTimeout(() => this.endRefund(refund.id, false), LATER_MS).unref()
    return refund
  }

  /** A refund that was pending came to its end, or one that had gone well came back. */
  endRefund(id: string, goesWell: boolean): StripeObject {
    const refund = this.get(id)
    if (refund['status'] === 'failed') return refund
    refund['status'] = goesWell ? 'succeeded' : 'failed'
    if (!goesWell) {
      refund['failure_reason'] = 'expired_or_canceled_card'
      refund['failure_balance_transaction'] = this.book(
        'refund_failure',
        'refund_failure',
        Number(refund['amount']),
        refund,
      ).id
    }
    this.tell(goesWell ? 'refund.updated' : 'refund.failed', refund)
    return refund
  }

  dispute(intentId: string, amount?: number, status = 'needs_response'): StripeObject {
    const intent = this.get(intentId)
    const charge = this.chargeOf(intent) as StripeObject
    const dispute = this.make('dp', 'dispute', {
      amount: amount ?? Number(intent['amount_received']),
      charge: charge.id,
      currency: intent['currency'],
      metadata: {},
      payment_intent: intent.id,
      reason: 'fraudulent',
      status,
    })
    charge['disputed'] = true
    this.tell('charge.dispute.created', dispute)
    if (status === 'needs_response') {
      this.book('adjustment', 'dispute', -Number(dispute['amount']), dispute)
      this.tell('charge.dispute.funds_withdrawn', dispute)
    }
    return dispute
  }

  closeDispute(id: string, status: 'won' | 'lost'): StripeObject {
    const dispute = this.get(id)
    dispute['status'] = status
    if (status === 'won') {
      this.book('adjustment', 'dispute_reversal', Number(dispute['amount']), dispute)
      this.tell('charge.dispute.funds_reinstated', dispute)
    }
    this.tell('charge.dispute.closed', dispute)
    return dispute
  }

  private authorize(intent: StripeObject): StripeObject {
    const { single } = this.behaviourOf(intent)
    const multicapture = { status: this.options.multicapture && !single ? 'available' : 'unavailable' }
    const charge = this.makeCharge(intent, 'succeeded', {
      card: { ...DETAILS, capture_before: this.now() + 7 * DAY, multicapture },
      type: 'card',
    })
    this.tell('charge.succeeded', charge)
    if (intent['capture_method'] === 'manual') {
      intent['status'] = 'requires_capture'
      intent['amount_capturable'] = intent['amount']
      this.tell('payment_intent.amount_capturable_updated', intent)
    }
    return intent
  }

  private decline(
    intent: StripeObject,
    decline: { readonly code: string; readonly decline_code?: string },
  ): StripeObject {
    const charge = this.makeCharge(intent, 'failed', { card: DETAILS, type: 'card' })
    Object.assign(charge, { failure_code: decline.code, outcome: { reason: decline.decline_code ?? decline.code } })
    intent['status'] = 'requires_payment_method'
    intent['last_payment_error'] = {
      type: 'card_error',
      message: `Your card ending in ${DETAILS.last4} was declined.`,
      charge: charge.id,
      payment_method: { id: intent['payment_method'], object: 'payment_method', card: DETAILS },
      ...decline,
    }
    this.tell('charge.failed', charge)
    this.tell('payment_intent.payment_failed', intent)
    throw new Refusal(402, 'card_error', { ...(intent['last_payment_error'] as object), payment_intent: { ...intent } })
  }

  private close(intent: StripeObject, charge: StripeObject): StripeObject {
    intent['status'] = 'succeeded'
    intent['amount_capturable'] = 0
    charge['captured'] = true
    this.tell('charge.captured', charge)
    this.tell('payment_intent.succeeded', intent)
    return intent
  }

  private giveUp(intent: StripeObject, reason: string | null): StripeObject {
    const charge = this.chargeOf(intent)
    if (charge?.['status'] === 'succeeded') this.giveBack(charge, Number(intent['amount_capturable']), null)
    Object.assign(intent, {
      amount_capturable: 0,
      canceled_at: this.now(),
      cancellation_reason: reason,
      next_action: null,
      status: 'canceled',
    })
    this.tell('payment_intent.canceled', intent)
    return intent
  }

  /** What was only set aside goes back as a refund object; it moves no money, unless it had been booked. */
  private giveBack(charge: StripeObject, amount: number, category: string | null): void {
    const refund = this.makeRefund(charge, amount, { status: 'succeeded', metadata: {} })
    this.#releases.add(refund.id)
    charge['amount_refunded'] = amount
    if (category !== null) refund['balance_transaction'] = this.book('refund', category, -amount, refund).id
    this.tell('charge.refunded', charge)
  }

  private makeCharge(intent: StripeObject, status: string, details: object): StripeObject {
    const charge = this.make('ch', 'charge', {
      amount: intent['amount'],
      amount_captured: 0,
      amount_refunded: 0,
      balance_transaction: null,
      captured: false,
      currency: intent['currency'],
      disputed: false,
      failure_code: null,
      metadata: { ...(intent['metadata'] as Form) },
      outcome: null,
      payment_intent: intent.id,
      payment_method_details: details,
      status,
    })
    intent['latest_charge'] = charge.id
    return charge
  }

  private makeRefund(charge: StripeObject, amount: number, more: object): StripeObject {
    return this.make('re', 'refund', {
      amount,
      balance_transaction: null,
      charge: charge.id,
      currency: charge['currency'],
      payment_intent: charge['payment_intent'],
      reason: null,
      ...more,
    })
  }

  private book(type: string, category: string, amount: number, source: StripeObject): StripeObject {
    const { settles } = this.options
    const fee = Math.round(Math.abs(amount) * 0.015)
    const settled = settles === null ? amount : Math.round(amount * settles.rate)
    return this.make('txn', 'balance_transaction', {
      amount: settled,
      currency: settles?.currency ?? source['currency'],
      exchange_rate: settles?.rate ?? null,
      fee,
      net: settled - fee,
      reporting_category: category,
      source: source.id,
      type,
    })
  }

  private make(prefix: string, object: string, fields: Readonly<Record<string, unknown>>): StripeObject {
    const id = `${prefix}_${String(++this.#count).padStart(6, '0')}${randomBytes(9).toString('hex')}`
    const made = { id, object, created: this.now(), ...fields }
    this.objects.set(id, made)
    return made
  }

  private tell(type: string, object: StripeObject): void {
    const id = `evt_${randomBytes(12).toString('hex')}`
    this.#events.push({ id, object: 'event', created: this.now(), type, data: { object: structuredClone(object) } })
  }

  private chargeOf(intent: StripeObject): StripeObject | undefined {
    return this.objects.get(String(intent['latest_charge']))
  }

  private behaviourOf(intent: StripeObject): Behaviour {
    return behaviourOf(String(intent['payment_method'])) ?? {}
  }

  private now(): number {
    return Math.floor(Date.now() / 1_000) + this.shift
  }
}

function multicaptureOf(charge: StripeObject): string {
  const { card } = charge['payment_method_details'] as { card: { multicapture?: { status: string } } }
  return card.multicapture?.status ?? 'unavailable'
}

function unexpected(intent: StripeObject): Refusal {
  return invalid(`This PaymentIntent could not be used because it has a status of ${String(intent['status'])}.`, {
    code: 'payment_intent_unexpected_state',
  })
}
