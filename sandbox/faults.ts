/** What goes wrong with requests, whoever they are for. Rates are 0 to 1. */
export interface RequestFaultSettings {
  /** Every request waits so long before anything happens. */
  readonly delay_ms: number
  /** So many requests are answered 503, without an effect. */
  readonly error_rate: number
  /** So many requests have their effect, but the connection is dropped instead of an answer. */
  readonly drop_answer_rate: number
  readonly seed: number
}

/** What `PUT /v1/faults` asks of the payment provider. Its own two make no request fail. */
export interface FaultSettings extends RequestFaultSettings {
  /** A charge is found by key, by reference and in lists only this long after it was made. */
  readonly find_lag_ms: number
  /** How long authorizations of charges made from now on last; null: as usual. */
  readonly authorization_seconds: number | null
}

export interface InjectedFault {
  readonly delayMs: number
  readonly fails: boolean
  readonly dropsAnswer: boolean
}

const NO_FAULT: InjectedFault = { delayMs: 0, fails: false, dropsAnswer: false }

/** Seven days, as card networks have it. */
const AUTHORIZATION_MS = 7 * 86_400_000

/** Decides what goes wrong with a request; equal seeds decide alike for requests in the same order. */
export class RequestFaults<Settings extends RequestFaultSettings> {
  #settings: Settings | null = null
  #random: () => number = () => 0

  /** Null ends them. They are not in the journal: a restart ends them too. */
  set(settings: Settings | null): void {
    this.#settings = settings
    this.#random = mulberry32(settings?.seed ?? 0)
  }

  get settings(): Settings | null {
    return this.#settings
  }

  next(): InjectedFault {
    if (!this.#settings) return NO_FAULT
    const fails = this.#random() < this.#settings.error_rate
    const dropsAnswer = this.#random() < this.#settings.drop_answer_rate
    return { delayMs: this.#settings.delay_ms, fails, dropsAnswer }
  }
}

/** Those of the payment provider. */
export class Faults extends RequestFaults<FaultSettings> {
  get findLagMs(): number {
    return this.settings?.find_lag_ms ?? 0
  }

  get authorizationMs(): number {
    const seconds = this.settings?.authorization_seconds ?? null
    return seconds === null ? AUTHORIZATION_MS : seconds * 1_000
  }
}

/** A small generator of even numbers in 0…1 (Tommy Ettinger's mulberry32). */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
