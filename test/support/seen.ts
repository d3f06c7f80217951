import type { SeenPayment } from '../../domain/payment/books'

/** An authorized charge as an effect has seen it, with what a test says otherwise. */
export function seenCharge<const Told extends object>(told: Told) {
  return { status: 'authorized' as const, capturesInParts: true, captureBefore: null, ...told }
}

/** A payment as its provider shows it to the books: authorized and untouched, with what a test says otherwise. */
export function seenPayment(shown: Partial<SeenPayment>): SeenPayment {
  return {
    reference: 'ch_1',
    amount: 1_000,
    state: 'authorized',
    released: 0,
    capturesInParts: true,
    captureBefore: null,
    captures: [],
    refunds: [],
    disputes: [],
    ...shown,
  }
}
