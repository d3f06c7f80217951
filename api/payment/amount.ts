import { z } from 'zod'
import { type Order, readOrder } from '../../db/order/read'
import { DomainError } from '../../domain/errors'
import { type OrderId, type Sku, skuKey } from '../../domain/ids'
import type { Currency, Money } from '../../domain/money'
import { holdsMoney } from '../../domain/payment/attempt'
import type { ApiDeps } from '../deps'
import { invalid } from '../http/problem'
import { currency, type units } from '../http/schemas'

/** What captures and refunds have in common. */

/** How long an answer waits for the provider. What takes longer is told as pending. */
export const MOVES_WAIT_MS = 8_000

/** At most so many captures of an order, and so many refunds: whoever decides about one reads them all. */
export const MOVES_MAX = 200

/** More than any order costs; exact in JavaScript whatever is added to it. */
const AMOUNT_MAX = 1_000_000_000_000
const minorUnits = z.int().min(1).max(AMOUNT_MAX)

/** Money, or its minor units in the currency of the order. */
export const wantedAmount = z.union([minorUnits, z.strictObject({ amount: minorUnits, currency })]).meta({
  description: 'minor units of the currency of the order; or money',
  example: { amount: 255, currency: 'GBP' },
})
export type WantedAmount = z.output<typeof wantedAmount>

/** In minor units. Throws 400 for another currency than that of the order. */
export function amountIn(expected: Currency, wanted: WantedAmount): number {
  if (typeof wanted === 'number') return wanted
  if (wanted.currency === expected) return wanted.amount
  const message = `The order is in ${expected}.`
  throw invalid([{ in: 'body', pointer: '/amount/currency', code: 'wrong_currency', message }])
}

/** Where a body says how much. */
export function pointerOf(wanted: WantedAmount): string {
  return typeof wanted === 'number' ? '/amount' : '/amount/amount'
}

/**
 * Money that is held for an order can be moved in multiples of so many minor units: of some currencies providers take no
 * single ones.
 */
export function amountStepOf(
  { attempts, currency }: Pick<Order, 'attempts' | 'currency'>,
  { providers }: Pick<ApiDeps, 'providers'>,
): number {
  const holding = attempts.filter(({ status }) => holdsMoney(status))
  return Math.max(1, ...holding.map(({ provider }) => providers.get(provider)?.amountStep(currency) ?? 1))
}

/** Throws 400 for an amount that is no multiple of `step`: the provider refuses it, also when it is all that is `left`. */
export function requireStep(
  amount: number | 'all',
  { step, left, pointer }: { step: number; left: number; pointer: string },
): void {
  if ((amount === 'all' ? left : amount) % step === 0) return
  const odd = left % step === 0 ? '' : ` Of the ${left} that are left it cannot move ${left % step}.`
  const message = `The payment provider takes multiples of ${step}.${odd}`
  throw invalid([{ in: 'body', pointer, code: 'not_multiple_of', message }])
}

/** Throws 409 once an order has as many of these as it may have. */
export function requireRoom(count: number, moves: 'captures' | 'refunds'): void {
  if (count >= MOVES_MAX) throw new DomainError('move_limit', `An order has at most ${MOVES_MAX} ${moves}.`)
}

/** Throws 400 for a SKU that the order does not have. */
export function requireLines(wanted: z.output<typeof units>, known: readonly { readonly sku: Sku }[]): void {
  const skus = new Set(known.map(({ sku }) => skuKey(sku)))
  const errors = wanted.flatMap(({ sku }, index) =>
    skus.has(skuKey(sku))
      ? []
      : [
          {
            in: 'body' as const,
            pointer: `/lines/${index}/sku`,
            code: 'unknown',
            message: 'The order has no such line.',
          },
        ],
  )
  if (errors.length > 0) throw invalid(errors)
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

/** What a list of captures or refunds goes on after: the number of the last one. */
export function isMoveNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
