import CircuitBreaker from 'opossum'
import { type MethodOffer, type PaymentProvider, ProviderRejected, ProviderUnavailable } from './provider'

/** `half_open`: one call is let through, and decides. `refused`: it does not let us in, by a wrong key say. */
export type BreakerState = 'closed' | 'open' | 'half_open' | 'refused'

export interface BreakerOptions {
  /** Half of at least so many calls within ten seconds have to come to nothing. */
  readonly volumeThreshold: number
  /** How long the provider is then left alone. */
  readonly resetTimeoutMs: number
}

const DEFAULTS: BreakerOptions = { volumeThreshold: 10, resetTimeoutMs: 2_000 }
const ERROR_PERCENTAGE = 50
const WINDOW_MS = 10_000
const REFUSED_MS = 60_000

/**
 * A provider that is asked no more while it does not answer: calls then fail at once, as {@link ProviderUnavailable}, instead
 * of each waiting for its deadline in a worker that others need. Only silence counts: a decline, a refusal and a fault of
 * ours are answers. `onChange` hears of every new state.
 */
export class BreakingProvider implements PaymentProvider {
  readonly name: string
  readonly keyLifetimeMs: number | null
  readonly renews: boolean
  readonly offer: MethodOffer
  readonly #provider: PaymentProvider
  readonly #breaker: CircuitBreaker<[() => Promise<unknown>], unknown>
  readonly #onChange: (state: BreakerState) => void
  /** It has answered one of our calls since it refused the last one. */
  #hasAnswered = false
  #refusedAt: number | null = null

  constructor(
    provider: PaymentProvider,
    onChange: (state: BreakerState) => void = () => {},
    { volumeThreshold, resetTimeoutMs }: BreakerOptions = DEFAULTS,
  ) {
    this.name = provider.name
    this.keyLifetimeMs = provider.keyLifetimeMs
    this.renews = provider.renews
    this.offer = provider.offer
    this.#provider = provider
    this.#onChange = onChange
    this.#breaker = new CircuitBreaker((call: () => Promise<unknown>) => call(), {
      // The provider keeps its own deadlines.
      timeout: false,
      errorThresholdPercentage: ERROR_PERCENTAGE,
      rollingCountTimeout: WINDOW_MS,
      rollingCountBuckets: 10,
      volumeThreshold,
      resetTimeout: resetTimeoutMs,
      errorFilter: (error: unknown) => !(error instanceof ProviderUnavailable),
    })
    this.#breaker.on('open', () => onChange('open'))
    this.#breaker.on('halfOpen', () => onChange('half_open'))
    this.#breaker.on('close', () => onChange('closed'))
  }

  get state(): BreakerState {
    if (this.#breaker.halfOpen) return 'half_open'
    if (this.#breaker.opened) return 'open'
    return this.#refusedAt === null ? 'closed' : 'refused'
  }

  takes: PaymentProvider['takes'] = (method) => this.#provider.takes(method)
  amountStep: PaymentProvider['amountStep'] = (currency) => this.#provider.amountStep(currency)
  verifyWebhook: PaymentProvider['verifyWebhook'] = (...args) => this.#provider.verifyWebhook(...args)

  authorize: PaymentProvider['authorize'] = (...args) => this.#fire(() => this.#provider.authorize(...args))
  find: PaymentProvider['find'] = (...args) => this.#fire(() => this.#provider.find(...args))
  read: PaymentProvider['read'] = (...args) => this.#fire(() => this.#provider.read(...args))
  cancel: PaymentProvider['cancel'] = (...args) => this.#fire(() => this.#provider.cancel(...args))
  capture: PaymentProvider['capture'] = (...args) => this.#fire(() => this.#provider.capture(...args))
  release: PaymentProvider['release'] = (...args) => this.#fire(() => this.#provider.release(...args))
  refund: PaymentProvider['refund'] = (...args) => this.#fire(() => this.#provider.refund(...args))
  list: PaymentProvider['list'] = (...args) => this.#fire(() => this.#provider.list(...args))
  movements: PaymentProvider['movements'] = (...args) => this.#fire(() => this.#provider.movements(...args))

  close(): Promise<void> {
    this.#breaker.shutdown()
    return this.#provider.close()
  }

  /** False until it has answered, and again once it refuses our key. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** It goes on being asked: another key may come at any time. */
  #noteRefused(): void {
    const isNew = this.#refusedAt === null
    this.#hasAnswered = false
    this.#refusedAt = Date.now()
    if (isNew) this.#onChange('refused')
  }

  /** A key may be refused for some calls alone: that is not over with the next of the others. */
  #noteAnswer(): void {
    this.#hasAnswered = true
    if (this.#refusedAt === null || Date.now() - this.#refusedAt < REFUSED_MS) return
    this.#refusedAt = null
    this.#onChange(this.state)
  }

  async #fire<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = (await this.#breaker.fire(call)) as T
      this.#noteAnswer()
      return answer
    } catch (error) {
      if (error instanceof Error && CircuitBreaker.isOurError(error))
        throw new ProviderUnavailable(`${this.name} does not answer and is left alone for a moment`)
      if (error instanceof ProviderRejected && error.code === 'not_allowed') this.#noteRefused()
      throw error
    }
  }
}
