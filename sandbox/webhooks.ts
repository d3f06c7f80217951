import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'

export interface OutgoingWebhook {
  readonly id: string
  /** The JSON text that is signed and sent. */
  readonly body: string
  /** When each copy leaves, in milliseconds from now. Usually `[0]`. */
  readonly copiesAfterMs: readonly number[]
}

export interface WebhookSenderOptions {
  readonly url: string
  /** `whsec_…` */
  readonly secret: string
  /** Called once every copy of an event was answered with 2xx. */
  readonly onDelivered: (eventId: string) => void
}

interface Delivery {
  readonly event: OutgoingWebhook
  readonly copies: { left: number }
  failures: number
}

const CONCURRENCY = 8
const ATTEMPT_TIMEOUT_MS = 5_000
const SHORTEST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000

/** Sends events as Standard Webhooks, a few at once, each again until it is answered with 2xx. */
export class WebhookSender {
  readonly #url: URL
  readonly #signer: Webhook
  readonly #pool: Pool
  readonly #onDelivered: (eventId: string) => void
  readonly #ready = new Set<Delivery>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #running = 0
  #brokenConnections = 0
  #paused = false
  #stopped = false

  constructor({ url, secret, onDelivered }: WebhookSenderOptions) {
    this.#url = new URL(url)
    this.#signer = new Webhook(secret)
    this.#onDelivered = onDelivered
    this.#pool = new Pool(this.#url.origin, {
      connections: CONCURRENCY,
      connectTimeout: ATTEMPT_TIMEOUT_MS,
      headersTimeout: ATTEMPT_TIMEOUT_MS,
      bodyTimeout: ATTEMPT_TIMEOUT_MS,
    })
  }

  send(event: OutgoingWebhook): void {
    const copies = { left: event.copiesAfterMs.length }
    for (const wait of event.copiesAfterMs) this.#later({ event, copies, failures: 0 }, wait)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#pool.destroy()
  }

  #later(delivery: Delivery, wait: number): void {
    if (wait === 0) {
      this.#ready.add(delivery)
      this.#pump()
    } else this.#after(wait, () => this.#later(delivery, 0))
  }

  #pump(): void {
    while (!this.#stopped && !this.#paused && this.#running < this.#allowed()) {
      const [next] = this.#ready
      if (!next) return
      this.#ready.delete(next)
      this.#running += 1
      void this.#attempt(next)
    }
  }

  /** While the receiver is away one delivery at a time finds out whether it is back. */
  #allowed(): number {
    return this.#brokenConnections > 0 ? 1 : CONCURRENCY
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const status = await this.#post(delivery.event).catch(() => null)
    this.#running -= 1
    if (this.#stopped) return
    if (status === null) this.#pause()
    else this.#brokenConnections = 0
    if (status !== null && status >= 200 && status < 300) {
      delivery.copies.left -= 1
      if (delivery.copies.left === 0) this.#onDelivered(delivery.event.id)
    } else {
      this.#later(delivery, backoff(delivery.failures))
      delivery.failures += 1
    }
    this.#pump()
  }

  async #post({ id, body }: OutgoingWebhook): Promise<number> {
    const now = new Date()
    const answer = await this.#pool.request({
      method: 'POST',
      path: this.#url.pathname + this.#url.search,
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': this.#signer.sign(id, now, body),
      },
      body,
    })
    await answer.body.dump()
    return answer.statusCode
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#after(backoff(this.#brokenConnections), () => {
      this.#paused = false
      this.#pump()
    })
    this.#brokenConnections += 1
  }

  #after(wait: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, wait)
    this.#timers.add(timer)
  }
}

function backoff(failures: number): number {
  return Math.min(SHORTEST_WAIT_MS * 2 ** Math.min(failures, 10), LONGEST_WAIT_MS)
}
