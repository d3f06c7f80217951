import CircuitBreaker from 'opossum'

/** `half_open`: one call is let through, and decides. `refused`: it does not let us in, by a wrong key say. */
export type BreakerState = 'closed' | 'open' | 'half_open' | 'refused'

export interface BreakerOptions {
  /** Half of at least so many calls within ten seconds have to come to nothing. */
  readonly volumeThreshold: number
  /** How long the other side is then left alone. */
  readonly resetTimeoutMs: number
}

const DEFAULTS: BreakerOptions = { volumeThreshold: 10, resetTimeoutMs: 2_000 }
const ERROR_PERCENTAGE = 50
const WINDOW_MS = 10_000
const REFUSED_MS = 60_000

/** What the errors of a port mean. */
export interface PortErrors {
  /** Nothing was heard: only that is silence. */
  isUnavailable(error: unknown): boolean
  /** It does not let us in. */
  isRefused(error: unknown): boolean
  /** The error of a call that is not made. */
  unavailable(message: string): Error
}

/**
 * Leaves somebody alone who does not answer: calls then fail at once, as unavailable, instead of each waiting for its deadline
 * in a worker that others need. Only silence counts: a refusal and a fault of ours are answers. `onChange` hears of every new
 * state.
 */
export class Breaker {
  readonly #name: string
  readonly #errors: PortErrors
  readonly #circuit: CircuitBreaker<[() => Promise<unknown>], unknown>
  readonly #onChange: (state: BreakerState) => void
  /** It has answered one of our calls since it refused the last one. */
  #hasAnswered = false
  #refusedAt: number | null = null

  constructor(
    name: string,
    errors: PortErrors,
    onChange: (state: BreakerState) => void = () => {},
    { volumeThreshold, resetTimeoutMs }: BreakerOptions = DEFAULTS,
  ) {
    this.#name = name
    this.#errors = errors
    this.#onChange = onChange
    this.#circuit = new CircuitBreaker((call: () => Promise<unknown>) => call(), {
      // The adapters keep their own deadlines.
      timeout: false,
      errorThresholdPercentage: ERROR_PERCENTAGE,
      rollingCountTimeout: WINDOW_MS,
      rollingCountBuckets: 10,
      volumeThreshold,
      resetTimeout: resetTimeoutMs,
      errorFilter: (error: unknown) => !errors.isUnavailable(error),
    })
    this.#circuit.on('open', () => onChange('open'))
    this.#circuit.on('halfOpen', () => onChange('half_open'))
    this.#circuit.on('close', () => onChange('closed'))
  }

  get state(): BreakerState {
    if (this.#circuit.halfOpen) return 'half_open'
    if (this.#circuit.opened) return 'open'
    return this.#refusedAt === null ? 'closed' : 'refused'
  }

  /** False until it has answered, and again once it refuses our key. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  async fire<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = (await this.#circuit.fire(call)) as T
      this.#noteAnswer()
      return answer
    } catch (error) {
      if (error instanceof Error && CircuitBreaker.isOurError(error))
        throw this.#errors.unavailable(`${this.#name} does not answer and is left alone for a moment`)
      if (this.#errors.isRefused(error)) this.#noteRefused()
      throw error
    }
  }

  close(): void {
    this.#circuit.shutdown()
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
}
