import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'
import { withDeadline } from './deadline'
import {
  InvalidSignature,
  ProviderRejected,
  ProviderUnavailable,
  type CancelOutcome,
  type CaptureOutcome,
  type CaptureRequest,
  type Charge,
  type ChargeListPage,
  type ChargeSums,
  type ChargeRequest,
  type ChargeState,
  type KeepReference,
  type Movement,
  type MovementPage,
  type PaymentProvider,
  type RefundOutcome,
  type RefundRequest,
  type SeenDispute,
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

/** Those that a shopper tries first; the sandbox knows more. */
const OFFERED_METHODS = [
  'pm_card_visa',
  'pm_card_mastercard',
  'pm_card_authenticationRequired',
  'pm_card_chargeDeclined',
  'pm_card_chargeDeclinedInsufficientFunds',
  'pm_card_chargeDeclinedExpiredCard',
] as const

/** The sandbox of `sandbox/`, over HTTP. */
export class SandboxProvider implements PaymentProvider {
  readonly name = 'sandbox'
  /** It never forgets a key. */
  readonly keyLifetimeMs = null
  readonly offer = { type: 'card', methods: OFFERED_METHODS, publishableKey: null } as const
  readonly renews = true
  readonly #pool: Pool
  readonly #webhook: Webhook
  readonly #timeoutMs: number

  constructor({ url, webhookSecret, timeoutMs }: SandboxProviderOptions) {
    this.#pool = new Pool(url, { connections: CONNECTIONS, connectTimeout: timeoutMs })
    this.#webhook = new Webhook(webhookSecret)
    this.#timeoutMs = timeoutMs
  }

  /** The names of test methods begin alike. Those that the sandbox does not know it declines, as a card network would. */
  takes(method: string): boolean {
    return /^pm_(card|sandbox)_/.test(method)
  }

  amountStep(): number {
    return 1
  }

  /** `keep` is not needed: the sandbox can be asked by our key, for ever. */
  async authorize(request: ChargeRequest, _keep: KeepReference, signal?: AbortSignal): Promise<Charge> {
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

  async find({ key, reference }: ChargeRequest, signal?: AbortSignal): Promise<Charge | null> {
    if (reference !== null) return this.read(reference, signal)
    const answer = await this.#get(`/v1/charges?key=${encodeURIComponent(key)}`, signal)
    if (answer.status !== 200) throw rejected(answer)
    const [charge] = (answer.body as WireList<WireCharge>).data
    return charge ? toCharge(charge) : null
  }

  async read(reference: string, signal?: AbortSignal): Promise<Charge | null> {
    const answer = await this.#get(pathOf(reference), signal)
    if (answer.status === 200) return toCharge(answer.body as WireCharge)
    if (answer.status === 404) return null
    throw rejected(answer)
  }

  /** By key, also where the reference is known: the key of a charge that was never made has to be refused. */
  async cancel({ key }: ChargeRequest, signal?: AbortSignal): Promise<CancelOutcome> {
    const answer = await this.#post('/v1/charges/cancel', signal, null, { key })
    const { charge } = answer.body as { charge?: WireCharge | null }
    if (answer.status === 200) return { outcome: 'dead', charge: charge ? toCharge(charge) : null }
    if (answer.status === 409 && charge) return { outcome: 'refused', charge: toCharge(charge) }
    throw rejected(answer)
  }

  async capture(request: CaptureRequest, signal?: AbortSignal): Promise<CaptureOutcome> {
    const { key, amount, final } = request
    const path = await this.#pathOf(request.charge, signal)
    const { currency } = request.charge.amount
    const answer = await this.#post(`${path}/capture`, signal, key, { amount, currency, final })
    if (answer.status === 402 || answer.status === 409) return { outcome: 'refused', reason: codeOf(answer) }
    if (answer.status !== 200) throw rejected(answer)
    const charge = toCharge(answer.body as WireCharge)
    const capture = charge.captures.find((each) => each.key === key)
    if (!capture) throw new ProviderUnavailable(`sandbox: ${answer.what} does not tell of the capture`)
    return { outcome: 'captured', reference: capture.reference, charge }
  }

  /** Where nothing is left to let go, the charge is answered as it is. */
  async release(charge: ChargeRequest, signal?: AbortSignal): Promise<Charge> {
    const answer = await this.#post(`${await this.#pathOf(charge, signal)}/void`, signal, null, {})
    if (answer.status === 200) return toCharge(answer.body as WireCharge)
    const { charge: unchanged } = answer.body as { charge?: WireCharge }
    if (answer.status === 409 && unchanged) return toCharge(unchanged)
    throw rejected(answer)
  }

  async refund(request: RefundRequest, signal?: AbortSignal): Promise<RefundOutcome> {
    const { key, amount } = request
    const path = await this.#pathOf(request.charge, signal)
    const { currency } = request.charge.amount
    const answer = await this.#post(`${path}/refunds`, signal, key, { amount, currency })
    if (answer.status === 409) return { outcome: 'refused', reason: codeOf(answer), reference: null }
    if (answer.status !== 201 && answer.status !== 402) throw rejected(answer)
    const { id, status, failure_code } = answer.body as WireRefund
    if (status === 'failed') return { outcome: 'refused', reason: failure_code ?? 'refused', reference: id }
    return { outcome: status, reference: id }
  }

  async list(since: string, cursor: string | null, signal?: AbortSignal): Promise<ChargeListPage> {
    const answer = await this.#get(listPath('/v1/charges', { updated_since: since, cursor }), signal)
    if (answer.status !== 200) throw rejected(answer)
    const { data, next_cursor } = answer.body as WireList<WireCharge>
    return { charges: data.map(toCharge), unreadable: [], nextCursor: next_cursor }
  }

  async movements(since: string, cursor: string | null, signal?: AbortSignal): Promise<MovementPage> {
    const answer = await this.#get(listPath('/v1/movements', { since, after: cursor }), signal)
    if (answer.status !== 200) throw rejected(answer)
    const { data, next_cursor } = answer.body as WireList<WireMovement>
    return { movements: data.map(toMovement), unreadable: [], nextCursor: next_cursor }
  }

  verifyWebhook(rawBody: Buffer, headers: WebhookHeaders): WebhookEvent | null {
    let event: unknown
    try {
      event = this.#webhook.verify(rawBody, headers as Record<string, string>)
    } catch (error) {
      throw new InvalidSignature('The webhook was not signed by the sandbox', { cause: error })
    }
    const { id, type, charge } = (event ?? {}) as Partial<WireEvent>
    if (!id || !type) throw new InvalidSignature('The webhook is not an event of the sandbox')
    if (charge === undefined) return null
    if (!charge?.id || !charge.key || !charge.reference || !charge.status || !hasMoves(charge))
      throw new InvalidSignature('The webhook does not name its charge')
    return {
      eventId: id,
      type,
      chargeReference: charge.id,
      chargeKey: charge.key,
      orderId: charge.reference,
      state: charge.status,
      sums: sumsOf(charge),
    }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  /** Where the charge is asked for. Throws {@link ProviderUnavailable} while it cannot be found by its key. */
  async #pathOf(charge: ChargeRequest, signal: AbortSignal | undefined): Promise<string> {
    if (charge.reference !== null) return pathOf(charge.reference)
    const found = await this.find(charge, signal)
    if (!found) throw new ProviderUnavailable(`sandbox: no charge is found under ${charge.key}`)
    return pathOf(found.reference)
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
    const answer = await withDeadline(`sandbox: ${what}`, this.#timeoutMs, signal, async (deadline) => {
      const headers: Record<string, string> = { accept: 'application/json' }
      if (body !== null) headers['content-type'] = 'application/json'
      if (key !== null) headers['idempotency-key'] = key
      try {
        const response = await this.#pool.request({ method, path, headers, body, signal: deadline.signal })
        return { what, status: response.statusCode, body: await response.body.json() }
      } catch (error) {
        throw new ProviderUnavailable(`sandbox: ${what}: ${(error as Error).message}`, { cause: error })
      }
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
  readonly released: number
  readonly refunded: number
  readonly captures_in_parts: boolean
  readonly capture_before: string | null
  readonly action_url: string | null
  readonly created_at: string
  readonly captures: readonly WireCapture[]
  readonly refunds: readonly WireRefund[]
  readonly disputes: readonly WireDispute[]
}

interface WireTombstone {
  readonly id: string
  readonly created_at: string
}

interface WireCapture {
  readonly id: string
  readonly key: string | null
  readonly amount: number
  readonly status: 'succeeded' | 'failed'
}

interface WireRefund {
  readonly id: string
  readonly key: string
  readonly amount: number
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly failure_code: string | null
}

interface WireDispute {
  readonly id: string
  readonly amount: number
  readonly status: SeenDispute['status']
}

interface WireMovement {
  readonly number: number
  readonly type: Movement['type']
  readonly charge: string
  readonly key: string
  readonly reference: string
  readonly object: string
  readonly object_key: string | null
  readonly amount: number
  readonly currency: string
  readonly created_at: string
}

interface WireList<T> {
  readonly data: readonly T[]
  readonly next_cursor: string | null
}

interface WireEvent {
  readonly id: string
  readonly type: string
  readonly charge: WireCharge
}

function pathOf(reference: string): string {
  return `/v1/charges/${encodeURIComponent(reference)}`
}

function listPath(path: string, parameters: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams({ limit: String(PAGE) })
  for (const [name, value] of Object.entries(parameters)) if (value !== null) query.set(name, value)
  return `${path}?${query}`
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
    released: wire.released,
    refunded: wire.refunded,
    captures: wire.captures
      .filter(({ status }) => status === 'succeeded')
      .map(({ id, key, amount }) => ({ reference: id, key, amount })),
    refunds: wire.refunds.map((refund) => ({
      reference: refund.id,
      key: refund.key,
      amount: refund.amount,
      status: refund.status,
      failureCode: refund.failure_code,
    })),
    disputes: wire.disputes.map(({ id, amount, status }) => ({ reference: id, amount, status })),
    capturesInParts: wire.captures_in_parts,
    captureBefore: wire.capture_before,
    actionUrl: wire.action_url,
    createdAt: wire.created_at,
  }
}

/** The key was cancelled before it was used: as dead as a charge that was voided. */
function neverMade({ key, orderId, amount }: ChargeRequest, tombstone: WireTombstone): Charge {
  return {
    reference: tombstone.id,
    key,
    orderId,
    amount,
    state: 'voided',
    declineCode: null,
    captured: 0,
    released: 0,
    refunded: 0,
    captures: [],
    refunds: [],
    disputes: [],
    capturesInParts: false,
    captureBefore: null,
    actionUrl: null,
    createdAt: tombstone.created_at,
  }
}

function toMovement(wire: WireMovement): Movement {
  return {
    id: String(wire.number),
    type: wire.type,
    chargeReference: wire.charge,
    chargeKey: wire.key,
    orderId: wire.reference,
    reference: wire.object,
    key: wire.object_key,
    amount: { amount: wire.amount, currency: wire.currency },
    at: wire.created_at,
  }
}

function hasMoves({ refunds, disputes }: Partial<WireCharge>): boolean {
  return Array.isArray(refunds) && Array.isArray(disputes)
}

function sumsOf({ captured, released, refunded, refunds, disputes }: WireCharge): ChargeSums {
  const pending = refunds.filter(({ status }) => status === 'pending')
  const standing = disputes.filter(({ status }) => status !== 'won')
  const lost = disputes.filter(({ status }) => status === 'lost')
  const disputed = { disputed: sumOf(standing), lost: sumOf(lost) }
  return { captured, released, refunded, refunding: sumOf(pending), ...disputed }
}

function sumOf(rows: readonly { readonly amount: number }[]): number {
  return rows.reduce((sum, { amount }) => sum + amount, 0)
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
