import { Webhook } from 'standardwebhooks'
import { Agent } from 'undici'
import { Breaker } from '../breaker'
import { lookupPublic, refusalOfUrl } from './address'
import {
  type TellOutcome,
  type WarehouseAddress,
  type WarehouseMessage,
  type WarehouseSystem,
  WarehouseUnavailable,
  withDeadline,
} from './warehouse'

/** The first try is given up after 4 s. */
const TIMEOUT_MS = 3_000
const CONNECTIONS = 16
const ANSWER_MAX_BYTES = 64 * 1024

/** It has read the message, and says no. Whatever else is not 2xx may be mended on its side or on ours. */
const REFUSALS: ReadonlySet<number> = new Set([409, 410, 422])

export interface HttpWarehousesOptions {
  /** Private addresses may be called, and http. */
  readonly allowPrivate: boolean
  readonly timeoutMs?: number
}

/** Warehouses' own systems that take messages by HTTP POST, signed as Standard Webhooks. One that is silent is left alone for a while. */
export class HttpWarehouses implements WarehouseSystem {
  readonly #agent: Agent
  readonly #breakers = new Map<string, Breaker>()
  readonly #allowPrivate: boolean
  readonly #timeoutMs: number

  constructor({ allowPrivate, timeoutMs = TIMEOUT_MS }: HttpWarehousesOptions) {
    this.#allowPrivate = allowPrivate
    this.#timeoutMs = timeoutMs
    this.#agent = new Agent({
      connections: CONNECTIONS,
      maxResponseSize: ANSWER_MAX_BYTES,
      connect: { timeout: timeoutMs, ...(!allowPrivate && { lookup: lookupPublic }) },
    })
  }

  tell(message: WarehouseMessage, to: WarehouseAddress, signal?: AbortSignal): Promise<TellOutcome> {
    return this.#breakerOf(to.endpoint).fire(() => this.#post(message, to, signal))
  }

  async close(): Promise<void> {
    for (const breaker of this.#breakers.values()) breaker.close()
    await this.#agent.close()
  }

  async #post(
    message: WarehouseMessage,
    { endpoint, secret }: WarehouseAddress,
    signal: AbortSignal | undefined,
  ): Promise<TellOutcome> {
    const refusal = refusalOfUrl(endpoint, { allowPrivate: this.#allowPrivate })
    if (refusal !== null) throw new WarehouseUnavailable(`The address of the warehouse may not be called. ${refusal}`)
    const { key, ...body } = message
    const text = JSON.stringify(body)
    const now = new Date()
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': key,
      'webhook-id': message.id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(message.id, now, text),
    }
    const { status, answer } = await withDeadline('warehouse', this.#timeoutMs, signal, async (deadline) => {
      try {
        const { origin, pathname, search } = new URL(endpoint)
        const path = `${pathname}${search}`
        const response = await this.#agent.request({
          origin,
          path,
          method: 'POST',
          headers,
          body: text,
          signal: deadline.signal,
        })
        return { status: response.statusCode, answer: await response.body.text() }
      } catch (error) {
        throw new WarehouseUnavailable(`warehouse: ${(error as Error).message}`, { cause: error })
      }
    })
    if (status >= 200 && status < 300) return { outcome: 'taken' }
    if (REFUSALS.has(status)) return { outcome: 'refused', code: codeOf(answer) ?? `status_${status}` }
    throw new WarehouseUnavailable(`warehouse: it answered ${status}`)
  }

  #breakerOf(endpoint: string): Breaker {
    const known = this.#breakers.get(endpoint)
    if (known) return known
    const breaker = new Breaker('a warehouse', {
      isUnavailable: (error) => error instanceof WarehouseUnavailable,
      isRefused: () => false,
      unavailable: (text) => new WarehouseUnavailable(text),
    })
    this.#breakers.set(endpoint, breaker)
    return breaker
  }
}

/** What a strange system says is kept only where it is a code. */
function codeOf(answer: string): string | null {
  try {
    const { code } = JSON.parse(answer) as { code?: unknown }
    return typeof code === 'string' && /^[a-z0-9_]{1,50}$/.test(code) ? code : null
  } catch {
    return null
  }
}
