import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'
import { TRACKING_TYPES, type TrackingType } from '../../domain/fulfillment/shipment'
import type { Money } from '../../domain/money'
import {
  type BoughtLabel,
  type CarrierProvider,
  CarrierRejected,
  CarrierUnavailable,
  InvalidSignature,
  type KeepReference,
  type LabelOutcome,
  type LabelRequest,
  type PostalAddress,
  type Rate,
  type RateRequest,
  type TrackingEvent,
  type VoidOutcome,
  type WebhookHeaders,
} from './carrier'
import { withDeadline } from './deadline'

export interface SandboxCarrierOptions {
  readonly url: string
  /** Signs the webhooks: `whsec_…` */
  readonly webhookSecret: string
  /** The longest any call takes. */
  readonly timeoutMs: number
}

/** The carrier of `sandbox/carrier/`, over HTTP. */
export class SandboxCarrier implements CarrierProvider {
  readonly name = 'sandbox'
  readonly #pool: Pool
  readonly #webhook: Webhook
  readonly #timeoutMs: number

  constructor({ url, webhookSecret, timeoutMs }: SandboxCarrierOptions) {
    this.#pool = new Pool(url, { connections: CONNECTIONS, connectTimeout: timeoutMs })
    this.#webhook = new Webhook(webhookSecret)
    this.#timeoutMs = timeoutMs
  }

  async rates(request: RateRequest, signal?: AbortSignal): Promise<Rate[]> {
    const answer = await this.#call('POST', '/v1/rates', { body: parcelsOf(request), signal })
    if (answer.status !== 200) throw rejected(answer)
    const { data } = jsonOf(answer) as { data: readonly WireRate[] }
    return data.map(({ service, price, days }) => ({ carrier: this.name, service, price, days }))
  }

  /** `keep` is not needed: the sandbox can be asked by our key, for ever. */
  async buyLabel(request: LabelRequest, _keep: KeepReference, signal?: AbortSignal): Promise<LabelOutcome> {
    const { key, service } = request
    const answer = await this.#call('POST', '/v1/labels', { body: { ...parcelsOf(request), service }, key, signal })
    if (answer.status === 201) {
      const label = jsonOf(answer) as WireLabel
      return label.status === 'voided'
        ? { outcome: 'refused', code: 'label_voided' }
        : { outcome: 'bought', label: toLabel(label) }
    }
    const code = codeOf(answer)
    const isRefusal = answer.status === 422 || (answer.status === 409 && code === 'key_refused')
    if (isRefusal && code !== 'idempotency_key_reused') return { outcome: 'refused', code }
    throw rejected(answer)
  }

  /** By key, also where the reference is known: the key of a label that was never bought has to be refused. */
  async voidLabel({ key }: LabelRequest, signal?: AbortSignal): Promise<VoidOutcome> {
    const answer = await this.#call('POST', '/v1/labels/void', { body: { key }, signal })
    if (answer.status === 200) return { outcome: 'voided' }
    if (answer.status === 202) return { outcome: 'pending' }
    if (answer.status === 409) return { outcome: 'refused', code: codeOf(answer) }
    throw rejected(answer)
  }

  async handOver(reference: string, signal?: AbortSignal): Promise<void> {
    const answer = await this.#call('POST', `${pathOf(reference)}/handover`, { body: {}, signal })
    if (answer.status !== 200) throw rejected(answer)
  }

  async track(trackingNumber: string, signal?: AbortSignal): Promise<TrackingEvent[] | null> {
    const answer = await this.#call('GET', `/v1/tracking/${encodeURIComponent(trackingNumber)}`, { signal })
    if (answer.status === 404) return null
    if (answer.status !== 200) throw rejected(answer)
    const { events } = jsonOf(answer) as { events: readonly WireEvent[] }
    return events.map(toEvent)
  }

  async document(reference: string, signal?: AbortSignal): Promise<Buffer | null> {
    const answer = await this.#call('GET', `${pathOf(reference)}/label.pdf`, { signal })
    if (answer.status === 404) return null
    if (answer.status !== 200) throw rejected(answer)
    return answer.bytes
  }

  verifyWebhook(body: Buffer, headers: WebhookHeaders): TrackingEvent[] {
    let event: unknown
    try {
      event = this.#webhook.verify(body, headers as Record<string, string>)
    } catch (error) {
      throw new InvalidSignature('The webhook was not signed by the sandbox', { cause: error })
    }
    const { id, type, tracking } = (event ?? {}) as Partial<{ id: string; type: string; tracking: WireEvent }>
    if (typeof id !== 'string' || typeof type !== 'string')
      throw new InvalidSignature('The webhook is not an event of the sandbox')
    if (tracking === undefined || tracking === null) return []
    if (!isTracking(tracking)) throw new InvalidSignature('The webhook does not say what became of the parcel')
    return [toEvent(tracking)]
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  /** One request inside the deadline. Throws {@link CarrierUnavailable} when nothing was learnt. */
  async #call(
    method: 'GET' | 'POST',
    path: string,
    { body, key, signal }: { body?: object; key?: string; signal?: AbortSignal | undefined },
  ): Promise<Answer> {
    const what = `${method} ${path.replace(/\d{8,}|lb_[0-9a-f]+/, ':id')}`
    const headers: Record<string, string> = { accept: 'application/json, application/pdf' }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (key !== undefined) headers['idempotency-key'] = key
    const answer = await withDeadline(`sandbox carrier: ${what}`, this.#timeoutMs, signal, async (deadline) => {
      try {
        const text = body === undefined ? null : JSON.stringify(body)
        const response = await this.#pool.request({ method, path, headers, body: text, signal: deadline.signal })
        return { what, status: response.statusCode, bytes: Buffer.from(await response.body.arrayBuffer()) }
      } catch (error) {
        throw new CarrierUnavailable(`sandbox carrier: ${what}: ${(error as Error).message}`, { cause: error })
      }
    })
    if (answer.status >= 500 || answer.status === 429)
      throw new CarrierUnavailable(`sandbox carrier: ${what} answered ${answer.status}`)
    return answer
  }
}

/** A slow label must not keep the others waiting. */
const CONNECTIONS = 64

interface Answer {
  readonly what: string
  readonly status: number
  readonly bytes: Buffer
}

interface WireRate {
  readonly service: string
  readonly price: Money
  readonly days: number
}

interface WireLabel {
  readonly id: string
  readonly status: 'live' | 'voided'
  readonly price: Money
  readonly tracking_number: string
  readonly tracking_url: string
  readonly expected_at: string
}

interface WireEvent {
  readonly id: string
  readonly tracking_number: string
  readonly type: TrackingType
  readonly happened_at: string
  readonly detail: string | null
  readonly expected_at: string | null
}

/** As the sandbox reads it: what is not said is null. */
function parcelsOf({ from, to, boxes, value }: RateRequest): object {
  return { from: addressOf(from), to: addressOf(to), boxes, value }
}

function addressOf(address: PostalAddress): PostalAddress {
  const { name, company = null, line1, line2 = null, city, region, postal_code, country, phone = null } = address
  return { name, company, line1, line2, city, region, postal_code, country, phone }
}

function pathOf(reference: string): string {
  return `/v1/labels/${encodeURIComponent(reference)}`
}

function toLabel({ id, price, tracking_number, tracking_url, expected_at }: WireLabel): BoughtLabel {
  return { reference: id, trackingNumber: tracking_number, trackingUrl: tracking_url, price, expectedAt: expected_at }
}

function toEvent({ id, tracking_number, type, happened_at, detail, expected_at }: WireEvent): TrackingEvent {
  return {
    eventId: id,
    trackingNumber: tracking_number,
    type,
    happenedAt: happened_at,
    detail: typeof detail === 'string' ? detail : null,
    expectedAt: typeof expected_at === 'string' ? expected_at : null,
  }
}

function isTracking({ id, tracking_number, type, happened_at }: Partial<WireEvent>): boolean {
  const isTold = [id, tracking_number, happened_at].every((text) => typeof text === 'string' && text !== '')
  return isTold && TRACKING_TYPES.some((known) => known === type) && Number.isFinite(Date.parse(String(happened_at)))
}

/** Throws {@link CarrierUnavailable} for what is no JSON: somebody else answered. */
function jsonOf({ what, bytes }: Answer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new CarrierUnavailable(`sandbox carrier: ${what} answered something unreadable`, { cause: error })
  }
}

function codeOf(answer: Answer): string {
  const { code } = jsonOf(answer) as { code?: string }
  return code ?? `status_${answer.status}`
}

/** Only codes go on: what the sandbox says of a body might quote an address. */
function rejected(answer: Answer): CarrierRejected {
  const code = codeOf(answer)
  return new CarrierRejected(code, `sandbox carrier: ${answer.what} answered ${answer.status}: ${code}`)
}
