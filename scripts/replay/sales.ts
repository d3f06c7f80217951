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
  whyNoCancellation,
  whyUnsellable,
} from './online-retail'

/** What was sold on one invoice, lines of one stock code added up. */
export interface Sale {
  readonly invoice: string
  /** 2010-12-01 */
  readonly day: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** '' for who has no account. */
  readonly customer: string
  /** Units by stock code. */
  readonly units: ReadonlyMap<string, number>
  /** As the file says them, line by line: units, and pence at the file's own prices. */
  readonly inFile: InFile
}

export interface InFile {
  readonly units: number
  readonly money: number
}

/** One line of an invoice that cancels (`C…`): so many units of one article. */
export interface Cancellation {
  readonly invoice: string
  readonly day: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** '' for who has no account. */
  readonly customer: string
  readonly code: string
  readonly quantity: number
  /** Pence at the file's own price. */
  readonly money: number
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
  /** Lines that cancel goods, in order of time. */
  readonly cancellations: readonly Cancellation[]
  /** Lines that cancel something else: postage, discounts, nothing. */
  readonly otherCancellations: number
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
  inFile: InFile
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
  private readonly cancellations: Cancellation[] = []
  private otherCancellations = 0
  private readonly skippedLines = new Map<Reason, Map<string, number>>()

  add(line: RetailLine): void {
    this.lines++
    this.invoices.add(line.invoice)
    const time = Date.parse(line.date)
    if (time > 0) {
      this.time = time
      this.day = line.date.slice(0, 'YYYY-MM-DD'.length)
    }
    if (sellsGoods(line)) return this.sell(line)
    const why = whyUnsellable(line) as Unsellable
    if (why === 'cancellation') this.cancel(line)
    this.leave(why, line.sku)
  }

  end(): SalesFile {
    return {
      sales: this.inOrderOfTime(),
      articles: new Map([...this.tallies].map(([code, tally]) => [code, articleOf(code, tally)])),
      cancellations: [...this.cancellations].sort((a, b) => a.time - b.time),
      otherCancellations: this.otherCancellations,
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
      inFile: { units: 0, money: 0 },
    }
    const units = (sale.units.get(line.sku) ?? 0) + line.quantity
    if (units > QUANTITY_MAX) return this.leave('line_limit', line.sku)
    if (!sale.units.has(line.sku) && sale.units.size === CART_LINES_MAX) return this.leave('cart_limit', line.sku)
    this.sales.set(line.invoice, sale)
    sale.units.set(line.sku, units)
    const { inFile } = sale
    sale.inFile = { units: inFile.units + line.quantity, money: inFile.money + line.quantity * line.price }
    this.count(line)
  }

  private cancel(line: RetailLine): void {
    if (whyNoCancellation(line) !== null) {
      this.otherCancellations++
      return
    }
    const { invoice, customer, sku: code } = line
    const quantity = -line.quantity
    const money = quantity * Math.max(0, line.price ?? 0)
    this.cancellations.push({ invoice, day: this.day, time: this.time, customer, code, quantity, money })
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
    return [...this.sales.values()].sort((a, b) => a.time - b.time)
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
