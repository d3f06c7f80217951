import { Breaker, type BreakerOptions, type BreakerState, type PortErrors } from '../breaker'
import { type CarrierProvider, CarrierRejected, CarrierUnavailable, CarrierUndecided } from './carrier'

const ERRORS: PortErrors = {
  isUnavailable: (error) => error instanceof CarrierUnavailable && !(error instanceof CarrierUndecided),
  isRefused: (error) => error instanceof CarrierRejected && error.code === 'not_allowed',
  unavailable: (message) => new CarrierUnavailable(message),
}

/** A carrier that is asked no more while it does not answer. */
export class BreakingCarrier implements CarrierProvider {
  readonly name: string
  readonly handOver: CarrierProvider['handOver']
  readonly #carrier: CarrierProvider
  readonly #breaker: Breaker

  constructor(carrier: CarrierProvider, onChange?: (state: BreakerState) => void, options?: BreakerOptions) {
    this.name = carrier.name
    this.#carrier = carrier
    this.#breaker = new Breaker(carrier.name, ERRORS, onChange, options)
    this.handOver = carrier.handOver && ((...args) => this.#fire(async () => carrier.handOver?.(...args)))
  }

  get state(): BreakerState {
    return this.#breaker.state
  }

  verifyWebhook: CarrierProvider['verifyWebhook'] = (...args) => this.#carrier.verifyWebhook(...args)

  rates: CarrierProvider['rates'] = (...args) => this.#fire(() => this.#carrier.rates(...args))
  buyLabel: CarrierProvider['buyLabel'] = (...args) => this.#fire(() => this.#carrier.buyLabel(...args))
  voidLabel: CarrierProvider['voidLabel'] = (...args) => this.#fire(() => this.#carrier.voidLabel(...args))
  track: CarrierProvider['track'] = (...args) => this.#fire(() => this.#carrier.track(...args))
  document: CarrierProvider['document'] = (...args) => this.#fire(() => this.#carrier.document(...args))

  close(): Promise<void> {
    this.#breaker.close()
    return this.#carrier.close()
  }

  #fire<T>(call: () => Promise<T>): Promise<T> {
    return this.#breaker.fire(call)
  }
}
