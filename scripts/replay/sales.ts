import { CART_LINES_MAX, QUANTITY_MAX } from '../../domain/cart'
import {
  cleanDescription,
  type RetailLine,
  sellsGoods,
  titleOf,
  UNSELLABLE,
  type Unsellable,
  usualDescription,
  usualPrice,
  whyUnsellable,
} from './online-retail'

/** What was sold on one invoice, lines of one stock code added up. */
export interface Sale {
  readonly invoice: string
  /** 2010-12-01 */
  readonly day: string
  /** '' for who has no account. */
  readonly customer: string
  /** Units by stock code. */
  readonly units: ReadonlyMap<string, number>
}

/** Price in pence: the one at which most of its units were sold. */
export interface SoldArticle {
  readonly title: string
  readonly price: number
}

export interface SalesFile {
  /** In order of time. */
  readonly sales: readonly Sale[]
  readonly articles: ReadonlyMap<string, SoldArticle>
  readonly lines: number
  readonly invoices: number
  /** What is left out and why, most lines first; `codes` are the stock codes of what is no goods. */
  readonly skippedLines: readonly SkippedLines[]
}

export interface SkippedLines {
  readonly reason: string
  readonly lines: number
  readonly codes: readonly (readonly [code: string, lines: number])[]
}

const BEYOND_LIMITS = {
  line_limit: `more than ${QUANTITY_MAX} units on one line`,
  cart_limit: `beyond the ${CART_LINES_MAX} lines of a cart`,
} as const

type Reason = Unsellable | keyof typeof BEYOND_LIMITS

/** Reads a whole file: its sales in order of time, a price and a title per article, and what cannot be sold. */
export async function readSales(file: AsyncIterable<RetailLine>): Promise<SalesFile> {
  const reading = new Reading()
  for await (const line of file) reading.add(line)
  return reading.end()
}

interface Gathered {
  readonly invoice: string
  readonly customer: string
  readonly day: string
  readonly time: number
  readonly units: Map<string, number>
}

interface Tally {
  readonly unitsByPrice: Map<number, number>
  readonly linesByDescription: Map<string, number>
}

class Reading {
  private lines = 0
  /** A date that says nothing is taken for the one before it. */
  private time = 0
  private day = ''
  private readonly invoices = new Set<string>()
  private readonly sales = new Map<string, Gathered>()
  private readonly tallies = new Map<string, Tally>()
  private readonly skippedLines = new Map<Reason, Map<string, number>>()

  add(line: RetailLine): void {
    this.lines++
    this.invoices.add(line.invoice)
    const time = Date.parse(line.date)
    if (time > 0) {
      this.time = time
      this.day = line.date.slice(0, 'YYYY-MM-DD'.length)
    }
    if (sellsGoods(line)) this.sell(line)
    else this.leave(whyUnsellable(line) as Unsellable, line.sku)
  }

  end(): SalesFile {
    return {
      sales: this.inOrderOfTime(),
      articles: new Map([...this.tallies].map(([code, tally]) => [code, articleOf(code, tally)])),
      lines: this.lines,
      invoices: this.invoices.size,
      skippedLines: this.reasons(),
    }
  }

  private sell(line: RetailLine & { price: number }): void {
    const sale = this.sales.get(line.invoice) ?? {
      invoice: line.invoice,
      customer: line.customer,
      day: this.day,
      time: this.time,
      units: new Map(),
    }
    const units = (sale.units.get(line.sku) ?? 0) + line.quantity
    if (units > QUANTITY_MAX) return this.leave('line_limit', line.sku)
    if (!sale.units.has(line.sku) && sale.units.size === CART_LINES_MAX) return this.leave('cart_limit', line.sku)
    this.sales.set(line.invoice, sale)
    sale.units.set(line.sku, units)
    this.count(line)
  }

  private count({ sku, price, quantity, description }: RetailLine & { price: number }): void {
    const tally = this.tallies.get(sku) ?? { unitsByPrice: new Map(), linesByDescription: new Map() }
    this.tallies.set(sku, tally)
    tally.unitsByPrice.set(price, (tally.unitsByPrice.get(price) ?? 0) + quantity)
    const clean = cleanDescription(description)
    if (clean !== '') tally.linesByDescription.set(clean, (tally.linesByDescription.get(clean) ?? 0) + 1)
  }

  private leave(reason: Reason, code: string): void {
    const codes = this.skippedLines.get(reason) ?? new Map<string, number>()
    this.skippedLines.set(reason, codes)
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }

  private inOrderOfTime(): Sale[] {
    return [...this.sales.values()]
      .sort((a, b) => a.time - b.time)
      .map(({ invoice, day, customer, units }) => ({ invoice, day, customer, units }))
  }

  private reasons(): SkippedLines[] {
    const words: Record<Reason, string> = { ...UNSELLABLE, ...BEYOND_LIMITS }
    return [...this.skippedLines]
      .map(([reason, codes]) => ({
        reason: words[reason],
        lines: [...codes.values()].reduce((total, lines) => total + lines, 0),
        codes: reason === 'no_goods' ? [...codes].sort(([, a], [, b]) => b - a) : [],
      }))
      .sort((a, b) => b.lines - a.lines)
  }
}

function articleOf(code: string, { unitsByPrice, linesByDescription }: Tally): SoldArticle {
  return { title: titleOf(usualDescription(linesByDescription)) || code, price: usualPrice(unitsByPrice) }
}
