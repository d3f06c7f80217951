import { formatMajor } from '../../domain/money'
import { CURRENCY } from './plan'

/** How figures of reports are written. */

/** 12,345 */
export function figure(value: number): string {
  return value.toLocaleString('en-GB')
}

/** £12,345.60, of pence. */
export function pounds(amount: number): string {
  return `£${formatMajor({ amount, currency: CURRENCY }).replace(/\B(?=(\d{3})+\.)/g, ',')}`
}
