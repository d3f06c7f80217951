import type { Order } from '../../db/order/read'
import { formatMajor } from '../../domain/money'
import type { CheckoutLabel } from '../../workflows/contract'

const LABEL_LINES_MAX = 15

/** What support sees first: "HF-100001 · GBP 5.10 · 2 lines", and the lines. */
export function labelOf({ number, currency, total, cartId, lines }: Labelled): CheckoutLabel {
  const major = (amount: number): string => `${currency} ${formatMajor({ amount, currency })}`
  const rows = lines
    .slice(0, LABEL_LINES_MAX)
    .map((line) => `- ${line.quantity} × \`${line.sku}\`, ${major(line.total)}`)
  const more = lines.length - rows.length
  return {
    summary: `${number} · ${major(total)} · ${lines.length} ${lines.length === 1 ? 'line' : 'lines'}`,
    details: [
      `**Order ${number}** of \`${cartId}\`, ${major(total)} when it was accepted.`,
      '',
      ...rows,
      ...(more > 0 ? [`- and ${more} more`] : []),
    ].join('\n'),
  }
}

type Labelled = Pick<Order, 'number' | 'currency' | 'total' | 'cartId'> & {
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly total: number }[]
}
