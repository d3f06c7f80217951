import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'
import {
  InvalidSignature,
  ProviderRejected,
  ProviderUnavailable,
  type AuthorizeRequest,
  type CancelOutcome,
  type CaptureOutcome,
  type CaptureRequest,
  type Charge,
  type ChargeListPage,
  type ChargeState,
  type PaymentProvider,
  type RefundOutcome,
  type RefundRequest,
  type WebhookEvent,
  type WebhookHeaders,
} from './provider'

export interface SandboxProviderOptions {
  readonly url: string
  /** Signs the webhooks: `whsec_…` */
  readonly webhookSecret: string
  /** The longest any call takes. */
  readonly timeoutMs: number
}

/** The sandbox of `sandbox/`, over HTTP. */
export class SandboxProvider implements PaymentProvider {
  readonly name = 'sandbox'
  readonly #pool: Pool
  readonly #webhook: Webhook
  readonly #timeoutMs: number

  constructor({ url, webhookSecret, timeoutMs }: SandboxProviderOptions) {
    this.#pool = new Pool(url, { connections: CONNECTIONS, connectTimeout: timeoutMs })
    this.#webhook = new Webhook(webhookSecret)
    this.#timeoutMs = timeoutMs
  }

  async authorize(request: AuthorizeRequest, signal?: AbortSignal): Promise<Charge> {
    const { key, orderId, amount, method, returnUrl, expiresAt } = request
    const answer = await this.#post('/v1/charges', signal, key, {
      amount: amount.amount,
      currency: amount.currency,
      method,
      reference: orderId,
      capture: false,
      return_url: returnUrl,
      expires_at: expiresAt,
    })
    if (answer.status === 201 || answer.status === 402) return toCharge(answer.body as WireCharge)
    const { code, tombstone } = answer.body as { code?: string; tombstone?: WireTombstone }
    if (code === 'key_refused' && tombstone) return neverMade(request, tombstone)
    throw rejected(answer)
  }

  async find(key: string, signal?: AbortSignal): Promise<Charge | null> {
    const answer = await this.#get(`/v1/charges?key=${encodeURIComponent(key)}`, signal)
    if (answer.status !== 200) throw rejected(answer)
    const [charge] = (answer.body as WireList).data
    return charge ? toCharge(charge) : null
  }

  async cancel(key: string, signal?: AbortSignal): Promise<CancelOutcome> {
    const answer = await this.#post('/v1/charges/cancel', signal, null, { key })
    const { charge } = answer.body as { charge?: WireCharge | null }
    if (answer.status === 200) return { outcome: 'dead', charge: charge ? toCharge(charge) : null }
    if (answer.status === 409 && charge) return { outcome: 'refused', charge: toCharge(charge) }
    throw rejected(answer)
  }

  async capture({ key, reference, amount }: CaptureRequest, signal?: AbortSignal): Promise<CaptureOutcome> {
    const answer = await this.#post(`/v1/charges/${encodeURIComponent(reference)}/capture`, signal, key, amount)
    if (answer.status === 200) return { outcome: 'captured', charge: toCharge(answer.body as WireCharge) }
    if (answer.status === 409) return { outcome: 'refused', reason: codeOf(answer) }
    throw rejected(answer)
  }

  async refund({ key, reference, amount }: RefundRequest, signal?: AbortSignal): Promise<RefundOutcome> {
    const answer = await this.#post(`/v1/charges/${encodeURIComponent(reference)}/refunds`, signal, key, amount)
    if (answer.status === 409) return { outcome: 'refused', reason: codeOf(answer) }
    if (answer.status !== 201 && answer.status !== 402) throw rejected(answer)
    const { id, status, failure_code } = answer.body as WireRefund
    if (status === 'failed') return { outcome: 'refused', reason: failure_code ?? 'refused' }
    return { outcome: status, reference: id }
  }

  async list(cursor: string | null, signal?: AbortSignal): Promise<ChargeListPage> {
    const answer = await this.#get(
      `/v1/charges?limit=${PAGE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      signal,
    )
    if (answer.status !== 200) throw rejected(answer)
    const { data, next_cursor } = answer.body as WireList
    return { charges: data.map(toCharge), nextCursor: next_cursor }
  }

  verifyWebhook(rawBody: Buffer, headers: WebhookHeaders): WebhookEvent {
    let event: unknown
    try {
      event = this.#webhook.verify(rawBody, headers as Record<string, string>)
    } catch (error) {
      throw new InvalidSignature('The webhook was not signed by the sandbox', { cause: error })
    }
    const { id, type, charge } = (event ?? {}) as Partial<WireEvent>
    if (!id || !type || !charge?.key || !charge.reference || !charge.status)
      throw new InvalidSignature('The webhook is not an event of the sandbox')
    return { eventId: id, type, chargeKey: charge.key, orderId: charge.reference, state: charge.status }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #get(path: string, signal: AbortSignal | undefined): Promise<Answer> {
    return this.#call('GET', path, signal, null, null)
  }

  #post(path: string, signal: AbortSignal | undefined, key: string | null, body: object): Promise<Answer> {
    return this.#call('POST', path, signal, key, JSON.stringify(body))
  }

  /** One request inside the deadline. Throws {@link ProviderUnavailable} when nothing was learnt. */
  async #call(
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal | undefined,
    key: string | null,
    body: string | null,
  ): Promise<Answer> {
    const what = `${method} ${path.split('?')[0]}`
    const answer = await withDeadline(what, this.#timeoutMs, signal, async (ending) => {
      const headers: Record<string, string> = { accept: 'application/json' }
      if (body !== null) headers['content-type'] = 'application/json'
      if (key !== null) headers['idempotency-key'] = key
      const response = await this.#pool.request({ method, path, headers, body, signal: ending })
      return { what, status: response.statusCode, body: await response.body.json() }
    })
    if (answer.status >= 500 || answer.status === 429)
      throw new ProviderUnavailable(`sandbox: ${what} answered ${answer.status}`)
    return answer
  }
}

/** More than anybody needs: a slow charge must not keep the others waiting. */
const CONNECTIONS = 128
const PAGE = 500

interface Answer {
  readonly what: string
  readonly status: number
  readonly body: unknown
}

interface WireCharge {
  readonly id: string
  readonly key: string
  readonly reference: string
  readonly amount: number
  readonly currency: string
  readonly status: ChargeState
  readonly decline_code: string | null
  readonly captured: number
  readonly refunded: number
  readonly action_url: string | null
  readonly created_at: string
}

interface WireTombstone {
  readonly id: string
  readonly created_at: string
}

interface WireRefund {
  readonly id: string
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly failure_code: string | null
}

interface WireList {
  readonly data: readonly WireCharge[]
  readonly next_cursor: string | null
}

interface WireEvent {
  readonly id: string
  readonly type: string
  readonly charge: WireCharge
}

function toCharge(wire: WireCharge): Charge {
  return {
    reference: wire.id,
    key: wire.key,
    orderId: wire.reference,
    amount: { amount: wire.amount, currency: wire.currency },
    state: wire.status,
    declineCode: wire.decline_code,
    captured: wire.captured,
    refunded: wire.refunded,
    actionUrl: wire.action_url,
    createdAt: wire.created_at,
  }
}

/** The key was cancelled before it was used: as dead as a charge that was voided. */
function neverMade({ key, orderId, amount }: AuthorizeRequest, tombstone: WireTombstone): Charge {
  return {
    reference: tombstone.id,
    key,
    orderId,
    amount,
    state: 'voided',
    declineCode: null,
    captured: 0,
    refunded: 0,
    actionUrl: null,
    createdAt: tombstone.created_at,
  }
}

function codeOf(answer: Answer): string {
  return (answer.body as { code?: string }).code ?? `status_${answer.status}`
}

function rejected(answer: Answer): ProviderRejected {
  const { message } = answer.body as { message?: string }
  return new ProviderRejected(
    codeOf(answer),
    `sandbox: ${answer.what} answered ${answer.status}: ${message ?? 'no reason'}`,
  )
}

/** Ends `act` after `timeoutMs` or with `signal`, even while it waits for a connection. */
function withDeadline<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  act: (ending: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  return new Promise((resolve, reject) => {
    const end = (why: string, cause?: unknown): void => {
      reject(new ProviderUnavailable(`sandbox: ${what}: ${why}`, { cause }))
      controller.abort()
    }
    if (signal?.aborted) return end('the caller gave up')
    const onAbort = (): void => end('the caller gave up', signal?.reason)
    const timer = setTimeout(() => end(`no answer within ${timeoutMs} ms`), timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    act(controller.signal)
      .then(resolve, (error: unknown) => end(error instanceof Error ? error.message : String(error), error))
      .finally(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      })
  })
}
