import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import Stripe from 'stripe'
import type { Deadline } from '../../deadline'
import { withDeadline } from '../deadline'
import { ProviderRejected, ProviderUnavailable } from '../provider'

/** What our code was written for and tested with. The client's types hold for this version alone. */
const API_VERSION = '2026-10-28.endive'

/** While another request holds the key or the object, the answer is a 409 that says nothing: asked again this soon. */
const IN_FLIGHT_PAUSE_MS = 60

export interface StripeApiOptions {
  readonly secretKey: string
  /** `https://api.stripe.com`, or a server that answers as it does. */
  readonly url: string
  /** The longest any call of the port takes. */
  readonly timeoutMs: number
}

/** Sends one request with these options, which carry its deadline and its key. */
export type Send<T> = (options: Stripe.RequestOptions) => Promise<Stripe.Response<T>>

/** The requests of one call of the port, inside its deadline. */
export interface Requests {
  readonly stripe: Stripe
  /**
   * Sends a request. Throws {@link ProviderUnavailable} when nothing was learnt, {@link Refusal} otherwise. Messages hold our
   * words and Stripe's codes, never Stripe's text: that may quote keys and cards.
   */
  ask<T>(what: string, send: Send<T>, idempotencyKey?: string): Promise<Stripe.Response<T>>
}

/** Stripe said no, and said why. Not caught, it is a fault of ours. */
export class Refusal extends ProviderRejected {
  /** `card`: the customer's bank, or Stripe in its place, does not want to pay. */
  readonly kind: 'card' | 'request'
  /** Which parameter it is about; empty when Stripe does not say. */
  readonly param: string

  constructor(kind: 'card' | 'request', code: string, param: string, message: string) {
    super(code, message)
    this.kind = kind
    this.param = param
  }
}

/** The 5xx that Stripe saved for the first request under this key. It comes back for as long as the key lives. */
export class ReplayedFailure extends ProviderUnavailable {}

/** Stripe's official client, made to keep deadlines and to speak the errors of the port. */
export class StripeApi {
  readonly stripe: Stripe
  readonly #timeoutMs: number
  readonly #agent: HttpAgent | HttpsAgent

  constructor({ secretKey, url, timeoutMs }: StripeApiOptions) {
    const { protocol, hostname, port } = new URL(url)
    const isHttps = protocol === 'https:'
    this.#agent = new (isHttps ? HttpsAgent : HttpAgent)({ keepAlive: true })
    this.#timeoutMs = timeoutMs
    this.stripe = new Stripe(secretKey, {
      apiVersion: API_VERSION,
      host: hostname,
      port: port || (isHttps ? 443 : 80),
      protocol: isHttps ? 'https' : 'http',
      httpAgent: this.#agent,
      // Who calls the port tries again, and writes down that it does.
      maxNetworkRetries: 0,
      telemetry: false,
    })
  }

  /** One call of the port: all its requests together take at most the timeout, or `factor` of them. */
  within<T>(
    what: string,
    signal: AbortSignal | undefined,
    act: (requests: Requests) => Promise<T>,
    factor = 1,
  ): Promise<T> {
    return withDeadline(`stripe: ${what}`, this.#timeoutMs * factor, signal, (deadline) =>
      act({ stripe: this.stripe, ask: (request, send, key) => ask(`${what}: ${request}`, deadline, send, key) }),
    )
  }

  close(): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }
}

/** Whether Stripe answered from what it had saved under the key: then the answer may be old. */
export function isReplay({ lastResponse }: Stripe.Response<unknown>): boolean {
  return lastResponse.headers['idempotent-replayed'] === 'true'
}

async function ask<T>(
  what: string,
  deadline: Deadline,
  send: Send<T>,
  idempotencyKey: string | undefined,
): Promise<Stripe.Response<T>> {
  for (;;) {
    const options = { timeout: deadline.left(), ...(idempotencyKey !== undefined && { idempotencyKey }) }
    try {
      return await send(options)
    } catch (error) {
      // Nothing was saved under the key: the same request is the same request.
      if (!isInFlight(error) || deadline.left() <= IN_FLIGHT_PAUSE_MS) throw inOurWords(what, error)
      await delay(IN_FLIGHT_PAUSE_MS)
    }
  }
}

/** 409: `idempotency_key_in_use`, or `lock_timeout` of the object. */
function isInFlight(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeError && error.statusCode === 409
}

/** Stripe's error as one of the port. Neither its text nor itself goes on: it holds the request's and the card's data. */
function inOurWords(what: string, error: unknown): Error {
  if (!(error instanceof Stripe.errors.StripeError)) return error instanceof Error ? error : new Error(String(error))
  const { statusCode: status } = error
  const where = `stripe: ${what}${error.requestId === undefined ? '' : ` (${error.requestId})`}`
  if (error instanceof Stripe.errors.StripeConnectionError) return new ProviderUnavailable(`${where}: no answer`)
  if (status !== undefined && status >= 500 && error.headers?.['idempotent-replayed'] === 'true')
    return new ReplayedFailure(`${where}: answered ${status} from what it had saved`)
  if (status === undefined || status >= 500 || status === 429 || status === 409 || plain(error.code) === 'rate_limit')
    return new ProviderUnavailable(`${where}: answered ${status ?? 'something unreadable'}`)
  if (error instanceof Stripe.errors.StripeCardError) {
    const code = plain(error.decline_code) || plain(error.code) || 'card_declined'
    return new Refusal('card', code, plain(error.param), `${where}: declined with ${code}`)
  }
  if (error instanceof Stripe.errors.StripeIdempotencyError)
    return new ProviderRejected('key_reused', `${where}: the key was used for another request`)
  if (error instanceof Stripe.errors.StripeAuthenticationError || error instanceof Stripe.errors.StripePermissionError)
    return new ProviderRejected('not_allowed', `${where}: our key is not valid for this (${status})`)
  const code = plain(error.code) || `status_${status}`
  const param = plain(error.param)
  return new Refusal('request', code, param, `${where}: refused with ${code}${param === '' ? '' : ` of ${param}`}`)
}

/** A code or the name of a parameter; what looks like anything else is left out. */
function plain(text: string | undefined): string {
  return text !== undefined && /^[a-z_][a-z0-9_[\]]{0,99}$/.test(text) ? text : ''
}
