import { z } from 'zod'
import { type Order, readOrder } from '../../db/order/read'
import { DomainError } from '../../domain/errors'
import type { OrderId } from '../../domain/ids'
import type { Currency, Money } from '../../domain/money'
import type { ApiDeps } from '../deps'
import { invalid } from '../http/problem'
import { currency } from '../http/schemas'

/** What captures and refunds have in common. */

/** How long an answer waits for the provider. What takes longer is told as pending. */
export const MOVES_WAIT_MS = 8_000

/** More than any order costs; exact in JavaScript whatever is added to it. */
const AMOUNT_MAX = 1_000_000_000_000
const minorUnits = z.int().min(1).max(AMOUNT_MAX)

/** Money, or its minor units in the currency of the order. */
export const wantedAmount = z.union([minorUnits, z.strictObject({ amount: minorUnits, currency })]).meta({
  description: 'minor units of the currency of the order; or money',
  example: { amount: 255, currency: 'GBP' },
})

/** In minor units. Throws 400 for another currency than that of the order. */
export function amountIn(expected: Currency, wanted: z.output<typeof wantedAmount>): number {
  if (typeof wanted === 'number') return wanted
  if (wanted.currency === expected) return wanted.amount
  const message = `The order is in ${expected}.`
  throw invalid([{ in: 'body', pointer: '/amount/currency', code: 'wrong_currency', message }])
}

export function exceeds(done: 'captured' | 'refunded', available: number, currency: Currency): DomainError {
  const money: Money = { amount: available, currency }
  const detail =
    available === 0 ? `Nothing of this order can be ${done} now.` : `Not so much of this order can be ${done} now.`
  return new DomainError('amount_exceeds_available', detail, { available: money })
}

/** Throws 404. */
export async function requireOrder(id: OrderId, { pool }: ApiDeps): Promise<Order> {
  const order = await readOrder(pool, id)
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  return order
}
