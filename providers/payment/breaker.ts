import { Breaker, type BreakerOptions, type BreakerState, type PortErrors } from '../breaker'
import { type MethodOffer, type PaymentProvider, ProviderRejected, ProviderUnavailable } from './provider'

const ERRORS: PortErrors = {
  isUnavailable: (error) => error instanceof ProviderUnavailable,
  isRefused: (error) => error instanceof ProviderRejected && error.code === 'not_allowed',
  unavailable: (message) => new ProviderUnavailable(message),
}

/** A provider that is asked no more while it does not answer. */
export class BreakingProvider implements PaymentProvider {
  readonly name: string
  readonly keyLifetimeMs: number | null
  readonly renews: boolean
  readonly offer: MethodOffer
  readonly #provider: PaymentProvider
  readonly #breaker: Breaker

  constructor(provider: PaymentProvider, onChange?: (state: BreakerState) => void, options?: BreakerOptions) {
    this.name = provider.name
    this.keyLifetimeMs = provider.keyLifetimeMs
    this.renews = provider.renews
    this.offer = provider.offer
    this.#provider = provider
    this.#breaker = new Breaker(provider.name, ERRORS, onChange, options)
  }

  get state(): BreakerState {
    return this.#breaker.state
  }

  /** False until it has answered, and again once it refuses our key. */
  get hasAnswered(): boolean {
    return this.#breaker.hasAnswered
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
    this.#breaker.close()
    return this.#provider.close()
  }

  #fire<T>(call: () => Promise<T>): Promise<T> {
    return this.#breaker.fire(call)
  }
}
