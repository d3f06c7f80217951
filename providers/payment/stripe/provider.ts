import type Stripe from 'stripe'
import type { Currency } from '../../../domain/money'
import {
  AttemptOver,
  type CancelOutcome,
  type CaptureOutcome,
  type CaptureRequest,
  type Charge,
  type ChargeListPage,
  type ChargeRequest,
  type KeepReference,
  type MethodOffer,
  type MovementPage,
  type PaymentProvider,
  ProviderRejected,
  ProviderUnavailable,
  type RefundOutcome,
  type RefundRequest,
  type WebhookEvent,
  type WebhookHeaders,
} from '../provider'
import { fromStripeAmount, stripeStep, toStripeAmount } from './amount'
import { isReplay, Refusal, ReplayedFailure, type Requests, StripeApi } from './api'
import {
  CAPTURES_MAX,
  captureEntry,
  capturesOf,
  captureUnder,
  chargeOf,
  EXPAND,
  hasMulticapture,
  isBegun,
  isOpenDecline,
  refundFailure,
  refundStatus,
  stateOf,
} from './charge'
import { chargeOfMovement, EXPAND_MOVEMENT, movementOf } from './movement'
import { eachReadable } from './readable'
import { readWebhook } from './webhook'
import { readWindow } from './windows'

export interface StripeProviderOptions {
  readonly secretKey: string
  /** Null: browsers are given none, and the demo storefront cannot take cards. */
  readonly publishableKey: string | null
  /** Those that sign webhooks: several while one is being replaced. */
  readonly webhookSecrets: readonly string[]
  readonly url: string
  /** The longest any call takes; lists take several requests, and {@link LIST_FACTOR} times as long. */
  readonly timeoutMs: number
}

/** "You can remove keys from the system automatically after they're at least 24 hours old." */
const KEY_LIFETIME_MS = 24 * 3_600_000
/** How often a create is asked for under a new key, when Stripe has saved a failure of its own under the old one. */
const CREATE_TRIES = 3
const LIST_FACTOR = 4
const MOVEMENTS_AT_ONCE = 100
/** Each changed charge is read by a request of its own. */
const EVENTS_AT_ONCE = 20

/** What a charge's events are called; Stripe takes 20 names. A list of intents by creation would miss later captures. */
const CHANGES = [
  ...['amount_capturable_updated', 'canceled', 'payment_failed', 'processing', 'requires_action', 'succeeded'].map(
    (name) => `payment_intent.${name}`,
  ),
  ...['charge.captured', 'charge.expired', 'charge.refunded', 'charge.refund.updated', 'charge.updated'],
  ...['refund.created', 'refund.updated', 'refund.failed'],
  ...['created', 'updated', 'closed', 'funds_withdrawn', 'funds_reinstated'].map((name) => `charge.dispute.${name}`),
]

/**
 * Stripe, by PaymentIntents that are captured later. An intent is created unconfirmed, its id is kept in our database, and
 * only then it is confirmed, by id: whoever dies in between leaves either an intent that never holds money, or one that we
 * know. From then on the intent itself says what happened, also after Stripe has forgotten the key.
 */
export class StripeProvider implements PaymentProvider {
  readonly name = 'stripe'
  readonly keyLifetimeMs = KEY_LIFETIME_MS
  /** A card is charged again only with a Customer of Stripe's, who has agreed to it: we make none. */
  readonly renews = false
  readonly offer: MethodOffer
  readonly #api: StripeApi
  readonly #webhookSecrets: readonly string[]

  constructor({ webhookSecrets, publishableKey, ...api }: StripeProviderOptions) {
    this.offer = { type: 'card', methods: null, publishableKey }
    this.#api = new StripeApi(api)
    this.#webhookSecrets = webhookSecrets
  }

  takes(method: string): boolean {
    return /^pm_(?!sandbox_)\w{1,250}$/.test(method)
  }

  amountStep(currency: Currency): number {
    return stripeStep(currency)
  }

  authorize(request: ChargeRequest, keep: KeepReference, signal?: AbortSignal): Promise<Charge> {
    return this.#api.within('authorize', signal, async (requests) => {
      // Somebody may have kept a reference that this caller does not know of yet: another intent would hold money twice.
      if (request.reference === null && !isKeyAlive(request))
        throw new ProviderUnavailable(
          `stripe: authorize: ${request.key} may be forgotten by now, and its intent is not known`,
        )
      const intent = await intentFor(requests, request)
      if (intent instanceof Refusal) return neverMade(request, intent)
      if (isBegun(intent)) return settled(requests, intent)
      if (!(await keep(intent.id))) throw new AttemptOver('the attempt was over before its charge could be confirmed')
      return settled(requests, await confirm(requests, request, intent))
    })
  }

  find(charge: ChargeRequest, signal?: AbortSignal): Promise<Charge | null> {
    return this.#api.within('find', signal, async (requests) => {
      // Nothing is confirmed before its reference is kept: without one, and when the key tells nothing any more, no money is held.
      if (charge.reference === null && !isKeyAlive(charge)) return null
      const intent = await intentFor(requests, charge).catch(nullIfMissing)
      if (intent instanceof Refusal) return neverMade(charge, intent)
      return intent !== null && isBegun(intent) ? settled(requests, intent) : null
    })
  }

  /** An open decline of somebody else stays open: their customer may still pay by another card. */
  read(reference: string, signal?: AbortSignal): Promise<Charge | null> {
    return this.#api.within('read', signal, async (requests) => {
      const intent = await read(requests, reference).catch(nullIfMissing)
      return intent !== null && isBegun(intent) ? describe(requests, intent) : null
    })
  }

  cancel(charge: ChargeRequest, signal?: AbortSignal): Promise<CancelOutcome> {
    return this.#api.within('cancel', signal, async (requests) => {
      // A reference is kept no more once the attempt is being cancelled: an intent of a forgotten key is never confirmed.
      if (charge.reference === null && !isKeyAlive(charge)) return { outcome: 'dead', charge: null }
      const found = await intentFor(requests, charge)
      if (found instanceof Refusal) return { outcome: 'dead', charge: null }
      const intent = await end(requests, found)
      const seen = await describe(requests, intent)
      return { outcome: intent.status === 'canceled' || seen.state === 'refunded' ? 'dead' : 'refused', charge: seen }
    })
  }

  capture({ key, charge, amount, final }: CaptureRequest, signal?: AbortSignal): Promise<CaptureOutcome> {
    return this.#api.within('capture', signal, async (requests) => {
      const intent = await intentFor(requests, charge)
      if (intent instanceof Refusal) return { outcome: 'refused', reason: intent.code }
      // The intent tells of a capture also when Stripe has forgotten its key.
      const made = captureUnder(key, intent)
      if (made) return captured(requests, key, sameAmount(made, amount, intent))
      const reason = whyNotCapturable(intent, amount, final)
      if (reason !== null) return { outcome: 'refused', reason }
      try {
        return await captured(requests, key, await captureNow(requests, { key, amount, final }, intent))
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return { outcome: 'refused', reason: error.code }
      }
    })
  }

  release(charge: ChargeRequest, signal?: AbortSignal): Promise<Charge> {
    return this.#api.within('release', signal, async (requests) => {
      const intent = await intentFor(requests, charge)
      if (intent instanceof Refusal) return neverMade(charge, intent)
      return describe(requests, await (intent.amount_received > 0 ? closeRest : end)(requests, intent))
    })
  }

  refund({ key, charge, amount }: RefundRequest, signal?: AbortSignal): Promise<RefundOutcome> {
    return this.#api.within('refund', signal, async (requests) => {
      const intent = await intentFor(requests, charge)
      if (intent instanceof Refusal) return { outcome: 'refused', reason: intent.code, reference: null }
      const refunds = await refundsOf(requests, intent)
      const made = refunds.find(({ metadata }) => metadata?.['key'] === key)
      if (made) return refundOutcome(sameAmount(fromStripeAmount(made.amount, made.currency), amount, made))
      try {
        // How much may go back is for Stripe to say: it remembers under the key what it has refused.
        return refundOutcome(await refundNow(requests, { key, amount }, intent))
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return { outcome: 'refused', reason: error.code, reference: null }
      }
    })
  }

  /** By Stripe's events, which it keeps for 30 days. A charge that changed again meanwhile is in the list twice. */
  list(since: string, cursor: string | null, signal?: AbortSignal): Promise<ChargeListPage> {
    return this.#api.within(
      'list',
      signal,
      async (requests) => {
        const { items, nextCursor } = await readWindow(since, cursor, (created, after) =>
          requests.ask('list events', (options) =>
            requests.stripe.events.list(
              { types: CHANGES, created, limit: EVENTS_AT_ONCE, ...(after !== undefined && { starting_after: after }) },
              options,
            ),
          ),
        )
        // Each at the place of its last change.
        const ids = [...new Set(items.flatMap(intentIdOf).reverse())].reverse()
        const { values, unreadable } = await eachReadable(
          ids,
          (id) =>
            // Each with a deadline of its own: one that hangs does not take the time of the others.
            this.#api.within('list', signal, async (each) => {
              const intent = await read(each, id)
              return isBegun(intent) ? describe(each, intent) : null
            }),
          (id) => id,
        )
        return { charges: values.filter((charge) => charge !== null), unreadable, nextCursor }
      },
      LIST_FACTOR,
    )
  }

  movements(since: string, cursor: string | null, signal?: AbortSignal): Promise<MovementPage> {
    return this.#api.within(
      'movements',
      signal,
      async (requests) => {
        const transactions = requests.stripe.balanceTransactions
        const { items, nextCursor } = await readWindow(since, cursor, (created, after) =>
          requests.ask('list balance transactions', (options) =>
            transactions.list(
              {
                created,
                limit: MOVEMENTS_AT_ONCE,
                expand: EXPAND_MOVEMENT,
                ...(after !== undefined && { starting_after: after }),
              },
              options,
            ),
          ),
        )
        const siblingsOf = (source: string) =>
          this.#api.within('movements', signal, async (each) => {
            const { data } = await each.ask('list balance transactions', (options) =>
              transactions.list({ source, limit: 100 }, options),
            )
            return data.reverse()
          })
        const { values, unreadable } = await eachReadable(
          items,
          (item) => movementOf(item, siblingsOf),
          chargeOfMovement,
        )
        return { movements: values.filter((movement) => movement !== null), unreadable, nextCursor }
      },
      LIST_FACTOR,
    )
  }

  verifyWebhook(rawBody: Buffer, headers: WebhookHeaders): WebhookEvent | null {
    return readWebhook(this.#api.stripe, rawBody, headers, this.#webhookSecrets)
  }

  close(): Promise<void> {
    return this.#api.close()
  }
}

function isKeyAlive({ requestedAt }: ChargeRequest): boolean {
  return Date.now() - Date.parse(requestedAt) < KEY_LIFETIME_MS
}

/**
 * The intent of a request as it is now: by its id, or by the identical create. A {@link Refusal} says why Stripe does not make
 * it: too little, a currency that the account lacks. Throws when it was made for something else.
 */
async function intentFor(requests: Requests, request: ChargeRequest): Promise<Stripe.PaymentIntent | Refusal> {
  if (request.reference === null) {
    const made = await create(requests, request).catch(refusalOf)
    return made instanceof Refusal ? made : asItIsNow(requests, made)
  }
  const intent = await read(requests, request.reference)
  const { amount, currency } = fromStripeAmount(intent.amount, intent.currency)
  const isTheSame =
    intent.metadata['key'] === request.key && amount === request.amount.amount && currency === request.amount.currency
  if (!isTheSame) throw new ProviderRejected('key_reused', `stripe: ${intent.id} was made for another request`)
  return intent
}

/**
 * Creates the intent, once per key. Stripe saves its own failures (5xx) under a key too, and answers them for a day: nothing
 * is confirmed by a create, so it may be asked for under a new key then. The same keys in the same order lead everybody to
 * the same intent.
 */
async function create(requests: Requests, request: ChargeRequest): Promise<Stripe.Response<Stripe.PaymentIntent>> {
  const { key, orderId, amount, returnUrl } = request
  const params: Stripe.PaymentIntentCreateParams = {
    amount: toStripeAmount(amount.amount, amount.currency),
    currency: amount.currency.toLowerCase(),
    capture_method: 'manual',
    automatic_payment_methods: { enabled: true, allow_redirects: returnUrl === null ? 'never' : 'always' },
    payment_method_options: { card: { request_multicapture: 'if_available' } },
    metadata: { order_id: orderId, key },
    expand: EXPAND,
  }
  for (let time = 1; ; time++) {
    try {
      const send = (options: Stripe.RequestOptions) => requests.stripe.paymentIntents.create(params, options)
      return await requests.ask('create', send, time === 1 ? key : `${key}/create/${time}`)
    } catch (error) {
      if (!(error instanceof ReplayedFailure) || time === CREATE_TRIES) throw error
    }
  }
}

/**
 * Confirms the intent: from here on money may be held. A decline, and a method that Stripe does not know or take, end the
 * intent. A saved failure of Stripe is not asked for under a new key: what became of the first is not known.
 */
async function confirm(
  requests: Requests,
  { key, method, returnUrl }: ChargeRequest,
  { id }: Stripe.PaymentIntent,
): Promise<Stripe.PaymentIntent> {
  const params: Stripe.PaymentIntentConfirmParams = {
    payment_method: method,
    // Without a way back nobody can be sent away to prove who they are.
    ...(returnUrl === null ? { error_on_requires_action: true } : { return_url: returnUrl }),
    expand: EXPAND,
  }
  try {
    const send = (options: Stripe.RequestOptions) => requests.stripe.paymentIntents.confirm(id, params, options)
    return await asItIsNow(requests, await requests.ask('confirm', send, `${key}/confirm`))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (error.kind === 'card' || isOfTheMethod(error))
      return declined(await end(requests, await read(requests, id)), error)
    // Confirmed or cancelled by somebody else meanwhile.
    if (error.code === 'payment_intent_unexpected_state') return read(requests, id)
    throw error
  }
}

function isOfTheMethod({ code, param }: Refusal): boolean {
  return /^payment_method/.test(param) || /^payment_method_|^payment_intent_incompatible_payment_method$/.test(code)
}

/** An intent that was given up because of this refusal, which Stripe itself notes only for cards. */
function declined(intent: Stripe.PaymentIntent, { code }: Refusal): Stripe.PaymentIntent {
  if (intent.status !== 'canceled' || stateOf(intent) === 'declined') return intent
  return {
    ...intent,
    last_payment_error: { type: 'invalid_request_error', code } as Stripe.PaymentIntent.LastPaymentError,
  }
}

/** What became of a charge that was tried. A decline is told only when nothing can be paid any more. */
async function settled(requests: Requests, intent: Stripe.PaymentIntent): Promise<Charge> {
  return describe(requests, isOpenDecline(intent) ? await end(requests, intent) : intent)
}

/** Cancels the intent unless it is over, or something of it was captured. Answers the intent as it is then. */
async function end(requests: Requests, intent: Stripe.PaymentIntent): Promise<Stripe.PaymentIntent> {
  if (intent.status === 'canceled' || intent.status === 'succeeded' || intent.amount_received > 0) return intent
  try {
    return await requests.ask('cancel', (options) =>
      requests.stripe.paymentIntents.cancel(intent.id, { expand: EXPAND }, options),
    )
  } catch (error) {
    // Captured, cancelled, or being processed, since it was read.
    if (error instanceof Refusal && error.code === 'payment_intent_unexpected_state') return read(requests, intent.id)
    throw error
  }
}

/** "If you want to release the uncaptured funds for a partially captured payment, set the amount to 0 and final_capture to true." */
async function closeRest(requests: Requests, intent: Stripe.PaymentIntent): Promise<Stripe.PaymentIntent> {
  if (intent.status !== 'requires_capture') return intent
  try {
    const params = { amount_to_capture: 0, final_capture: true, expand: EXPAND }
    return await requests.ask('release', (options) =>
      requests.stripe.paymentIntents.capture(intent.id, params, options),
    )
  } catch (error) {
    if (error instanceof Refusal && error.code === 'payment_intent_unexpected_state') return read(requests, intent.id)
    throw error
  }
}

/** What Stripe has saved under a key tells how the intent was then. */
async function asItIsNow(
  requests: Requests,
  intent: Stripe.Response<Stripe.PaymentIntent>,
): Promise<Stripe.PaymentIntent> {
  return isReplay(intent) ? read(requests, intent.id) : intent
}

function read(requests: Requests, id: string): Promise<Stripe.PaymentIntent> {
  return requests.ask('read', (options) => requests.stripe.paymentIntents.retrieve(id, { expand: EXPAND }, options))
}

function whyNotCapturable(intent: Stripe.PaymentIntent, amount: number, final: boolean): string | null {
  if (intent.status === 'canceled') return stateOf(intent) === 'declined' ? 'declined' : 'voided'
  if (intent.status === 'succeeded') return 'already_captured'
  if (intent.status !== 'requires_capture') return 'not_authorized'
  if (amount > fromStripeAmount(intent.amount_capturable, intent.currency).amount) return 'amount_too_large'
  const isOfMany = hasMulticapture(intent) && !final
  return isOfMany && capturesOf(intent).length >= CAPTURES_MAX - 1 ? 'too_many_captures' : null
}

async function captureNow(
  requests: Requests,
  { key, amount, final }: { readonly key: string; readonly amount: number; readonly final: boolean },
  intent: Stripe.PaymentIntent,
): Promise<Stripe.PaymentIntent> {
  const toCapture = toStripeAmount(amount, intent.currency.toUpperCase())
  const takesAll = toCapture === intent.amount_capturable
  const params: Stripe.PaymentIntentCaptureParams = {
    amount_to_capture: toCapture,
    // Stripe takes it only where there may be several, and takes a capture for the last one unless it is told otherwise.
    ...(hasMulticapture(intent) && { final_capture: final || takesAll }),
    metadata: captureEntry(key, amount),
    expand: EXPAND,
  }
  const send = (options: Stripe.RequestOptions) => requests.stripe.paymentIntents.capture(intent.id, params, options)
  return asItIsNow(requests, await requests.ask('capture', send, key))
}

/** Throws when the key was used for another amount. */
function sameAmount<T>(made: { readonly amount: number }, amount: number, object: T): T {
  if (made.amount === amount) return object
  throw new ProviderRejected('key_reused', `stripe: the key was used for ${made.amount}, not for ${amount}`)
}

async function captured(requests: Requests, key: string, intent: Stripe.PaymentIntent): Promise<CaptureOutcome> {
  const reference = captureUnder(key, intent)?.reference ?? intent.id
  return { outcome: 'captured', reference, charge: await describe(requests, intent) }
}

function refundNow(
  requests: Requests,
  { key, amount }: { readonly key: string; readonly amount: number },
  intent: Stripe.PaymentIntent,
): Promise<Stripe.Refund> {
  const params: Stripe.RefundCreateParams = {
    payment_intent: intent.id,
    amount: toStripeAmount(amount, intent.currency.toUpperCase()),
    metadata: { key },
  }
  return requests.ask('refund', (options) => requests.stripe.refunds.create(params, options), key)
}

function refundOutcome(refund: Stripe.Refund): RefundOutcome {
  const status = refundStatus(refund)
  if (status !== 'failed') return { outcome: status, reference: refund.id }
  return { outcome: 'refused', reason: refundFailure(refund) ?? 'failed', reference: refund.id }
}

/** The charge with all its refunds and disputes. */
async function describe(requests: Requests, intent: Stripe.PaymentIntent): Promise<Charge> {
  const refunds = await refundsOf(requests, intent)
  return chargeOf(intent, refunds, await disputesOf(requests, intent))
}

/** The expanded charge shows the newest of them. */
async function refundsOf(requests: Requests, intent: Stripe.PaymentIntent): Promise<Stripe.Refund[]> {
  const shown = typeof intent.latest_charge === 'object' ? intent.latest_charge?.refunds : null
  if (!shown) return []
  const refunds = [...shown.data]
  for (let hasMore = shown.has_more; hasMore; ) {
    const params = { payment_intent: intent.id, limit: 100, expand: ['data.balance_transaction'] }
    const page = await requests.ask('list refunds', (options) =>
      requests.stripe.refunds.list({ ...params, starting_after: refunds.at(-1)?.id as string }, options),
    )
    refunds.push(...page.data)
    hasMore = page.has_more
  }
  return refunds
}

async function disputesOf(requests: Requests, intent: Stripe.PaymentIntent): Promise<Stripe.Dispute[]> {
  if (typeof intent.latest_charge !== 'object' || !intent.latest_charge?.disputed) return []
  const { data } = await requests.ask('list disputes', (options) =>
    requests.stripe.disputes.list({ payment_intent: intent.id, limit: 100 }, options),
  )
  return data
}

/**
 * As good as declined: there is no intent, so no money is held, and none will be under this key. Stripe has no id for what
 * it did not make: the key stands for it.
 */
function neverMade({ key, orderId, amount, requestedAt }: ChargeRequest, { code }: Refusal): Charge {
  return {
    reference: key,
    key,
    orderId,
    amount,
    state: 'declined',
    declineCode: code,
    captured: 0,
    released: 0,
    refunded: 0,
    captures: [],
    refunds: [],
    disputes: [],
    capturesInParts: false,
    captureBefore: null,
    actionUrl: null,
    createdAt: requestedAt,
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  throw error
}

function nullIfMissing(error: unknown): null {
  if (error instanceof Refusal && error.code === 'resource_missing') return null
  throw error
}

function intentIdOf({ data: { object } }: Stripe.Event): string[] {
  const about = object as unknown as { id: string; object: string; payment_intent?: string | null }
  if (about.object === 'payment_intent') return [about.id]
  return typeof about.payment_intent === 'string' ? [about.payment_intent] : []
}
