import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse'
import { parseMajor } from '../../domain/money'

/**
 * The "Online Retail" file (D. Chen, UCI Machine Learning Repository, 2015): one line per article of an invoice, as dirty
 * as real data is. This file holds the rules by which lines are understood; whoever reads such a file goes by them.
 */

/** Columns: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country. */
export interface RetailLine {
  readonly invoice: string
  /** As it is compared: upper case. */
  readonly sku: string
  readonly description: string
  readonly quantity: number
  readonly date: string
  readonly unitPrice: string
  /** `unitPrice` in pence; null when it is negative or no whole number of pence. */
  readonly price: number | null
  /** '' for who has no account. */
  readonly customer: string
}

const COLUMNS = ['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID'] as const

/** Every line of a gzipped file, in order. Throws when it cannot be read or lacks a column. */
export async function* readRetailFile(path: string): AsyncGenerator<RetailLine> {
  const parser = parse({ columns: requireColumns, bom: true })
  // An error of any of the streams comes out of the loop below.
  const records = pipeline(createReadStream(path), createGunzip(), parser, () => undefined)
  for await (const record of records as AsyncIterable<Record<string, string>>) {
    yield {
      invoice: record['InvoiceNo'] ?? '',
      sku: (record['StockCode'] ?? '').trim().toUpperCase(),
      description: record['Description'] ?? '',
      quantity: Number(record['Quantity']),
      date: record['InvoiceDate'] ?? '',
      unitPrice: record['UnitPrice'] ?? '',
      price: parseMajor(record['UnitPrice'] ?? '', 'GBP'),
      customer: record['CustomerID'] ?? '',
    }
  }
}

function requireColumns(header: string[]): string[] {
  const missing = COLUMNS.filter((column) => !header.includes(column))
  if (missing.length > 0) throw new Error(`The file has no column ${missing.join(', ')}.`)
  return header
}

/** Why a line sells no goods. */
export const UNSELLABLE = {
  cancellation: 'cancels a sale (C…): matched below',
  adjustment: 'adjusts the books (an invoice that is no number)',
  no_goods: 'no goods: postage, charges, vouchers, samples',
  quantity: 'quantity zero, negative or no whole number: damage, loss, recount',
  free_undescribed: 'price zero and description missing',
  free: 'price zero',
  negative_price: 'price negative',
  bad_price: 'price not in whole pence',
} as const
export type Unsellable = keyof typeof UNSELLABLE

/**
 * Null for a line that sells goods: its invoice is a number, its stock code is five digits and at most two letters,
 * quantity and price are positive and the price is in whole pence. The first reason that applies for the others.
 */
export function whyUnsellable(line: RetailLine): Unsellable | null {
  if (/^C/i.test(line.invoice)) return 'cancellation'
  if (!/^\d+$/.test(line.invoice)) return 'adjustment'
  if (!isGoods(line.sku, line.description)) return 'no_goods'
  if (!Number.isSafeInteger(line.quantity) || line.quantity <= 0) return 'quantity'
  if (line.price === 0) return line.description.trim() === '' ? 'free_undescribed' : 'free'
  if (line.price === null) return line.unitPrice.startsWith('-') ? 'negative_price' : 'bad_price'
  return null
}

export function sellsGoods(line: RetailLine): line is RetailLine & { price: number } {
  return whyUnsellable(line) === null
}

/** Why a line that cancels (`C…`) cancels no sale of goods; null: it does, `-quantity` units of it. */
export function whyNoCancellation({ sku, description, quantity }: RetailLine): 'no_goods' | 'quantity' | null {
  if (!isGoods(sku, description)) return 'no_goods'
  return Number.isSafeInteger(quantity) && quantity < 0 ? null : 'quantity'
}

/** Its stock code is five digits and at most two letters, and it is not described as a charge. */
function isGoods(code: string, description: string): boolean {
  return /^\d{5}[A-Z]{0,2}$/.test(code) && !NOT_GOODS.test(description)
}

/** Of amounts and the units sold at each: the one at which most were sold; of several, the lowest. */
export function usualPrice(unitsByPrice: ReadonlyMap<number, number>): number {
  const byUnits = [...unitsByPrice].sort(([priceA, unitsA], [priceB, unitsB]) => unitsB - unitsA || priceA - priceB)
  return byUnits[0]?.[0] ?? 0
}

/** Of texts and how often each stands in the file: the most frequent; of several, the first in the alphabet. */
export function usualDescription(linesByDescription: ReadonlyMap<string, number>): string {
  const byLines = [...linesByDescription].sort(([a, linesA], [b, linesB]) => linesB - linesA || (a < b ? -1 : 1))
  return byLines[0]?.[0] ?? ''
}

/** A description without odd spaces, marks and stops: `" *USB  OFFICE MIRROR BALL "` → `"USB OFFICE MIRROR BALL"`; '' for a note. */
export function cleanDescription(text: string): string {
  const clean = text
    .replace(/\s+/g, ' ')
    .replace(/^[\s*.,-]+|[\s,;:-]+$/g, '')
    .replace(/\s*,\s*/g, ', ')
    .trim()
  return clean.length < 3 || clean.includes('?') ? '' : clean
}

/** `"SET OF 3 CAKE TINS PANTRY DESIGN"` → `"Set of 3 Cake Tins Pantry Design"`. */
export function titleOf(description: string): string {
  return description.split(' ').map(titleWord).join(' ')
}

const NOT_GOODS =
  /\b(?:postage|next day carriage|bank charges|manual|discount|samples?|adjust(?:ment)?|gift voucher|amazon fee|cruk)\b/i
const SMALL_WORDS = new Set(['a', 'and', 'de', 'du', 'for', 'in', 'la', 'of', 'on', 'or', 'the', 'to', 'with'])
const CAPITALS = new Set(['ABC', 'CD', 'DIY', 'DVD', 'LED', 'TV', 'UK', 'US', 'USB', 'VIP', 'WC', 'XL', '3D', '2D'])
const MEASURE = /^\d+(?:\.\d+)?(?:cm|mm|m|g|kg|ml|l|pc|pcs)?(?:x\d+(?:\.\d+)?(?:cm|mm|m)?)*$/i

function titleWord(word: string, index: number): string {
  const lower = word.toLowerCase()
  if (CAPITALS.has(word.toUpperCase())) return word.toUpperCase()
  if (lower === 'w' && index > 0) return 'with'
  if (MEASURE.test(word)) return lower
  if (index > 0 && SMALL_WORDS.has(lower)) return lower
  // A letter begins a word at its start and after anything but a letter, a digit or an apostrophe.
  return lower.replace(
    /(^|[^a-z0-9'’])([a-z])/g,
    (_all, before: string, letter: string) => before + letter.toUpperCase(),
  )
}
