import type { Capture, ChargeRecord } from './charge'
import type { RefusedKey, Tombstone } from './charge-line'

/** Why something was not done. No money has moved then. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  /** The charge that stands in the way, as it is. */
  readonly charge?: ChargeRecord
  /** What makes its key useless. */
  readonly tombstone?: Tombstone
}

export type Result<T> = { readonly done: T; readonly refused?: undefined } | { readonly refused: Refusal }

export function keyReused(key: string): Refusal {
  return { status: 422, code: 'idempotency_key_reused', message: `The key ${key} was used for another request.` }
}

export function wrongStatus(charge: ChargeRecord, wanted: string): Refusal {
  return {
    status: 409,
    code: `charge_${charge.status}`,
    message: `A charge that is ${charge.status} cannot be ${wanted}.`,
    charge,
  }
}

export function exceeds(charge: ChargeRecord): Refusal {
  return { status: 409, code: 'amount_exceeds_available', message: 'The amount is more than what is there.', charge }
}

export function partlyCaptured(charge: ChargeRecord): Refusal {
  return {
    status: 409,
    code: 'charge_captured',
    message: 'Some of the charge was captured: that needs a refund.',
    charge,
  }
}

export function captureRefused(charge: ChargeRecord, { failure_code }: Capture): Refusal {
  return { status: 402, code: failure_code ?? 'capture_refused', message: 'The capture was refused.', charge }
}

export function settledOtherwise(what: 'refund' | 'dispute', status: string, charge: ChargeRecord): Refusal {
  return { status: 409, code: `${what}_${status}`, message: `The ${what} is ${status}.`, charge }
}

/** A key answers the same for ever. */
export function refusedBefore({ code, message }: RefusedKey, charge: ChargeRecord): Refusal {
  return { status: 409, code, message, charge }
}

export function keyRefused(tombstone: Tombstone): Refusal {
  const message = `The key ${tombstone.key} was cancelled before it was used.`
  return { status: 409, code: 'key_refused', message, tombstone }
}

export function uncancellable(charge: ChargeRecord): Refusal {
  return {
    status: 409,
    code: 'charge_not_cancellable',
    message: 'The charge is pending and cannot be cancelled.',
    charge,
  }
}

export function unavailable(): Refusal {
  return { status: 503, code: 'unavailable', message: 'The provider is not available.' }
}
