import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ROOT } from '../../config'
import { formatMajor } from '../../domain/money'
import { DEMO_ATTRIBUTES, demoAttributes, demoBrand, demoCategory } from './words'
import {
  cleanDescription,
  readRetailFile,
  type RetailLine,
  sellsGoods,
  titleOf,
  usualDescription,
  usualPrice,
} from '../replay/online-retail'

/**
 * Derives the demo shop, `data/demo-shop.csv.gz`, from the "Online Retail" file. The same file gives the same shop.
 *
 *   node dist/scripts/demo/shop.js online-retail.csv.gz
 *
 * Rules, beside those of `online-retail.ts`:
 * - A product is every SKU of a line that sells goods and has a description that is no note.
 * - Its price is the one at which most of its units were sold (of several, the lowest); prices are in GBP.
 * - Its title is its most frequent description, cleaned, in title case.
 * - Its category, brand and attributes are told by the words of its title (`demo-words.ts` has them; of several rules the
 *   first one that fits decides): one of eight categories, Home where none fits, and where it can be told one of the three to
 *   eight below it; a brand for the ranges that are sold under a name of their own (Charlie & Lola, Suki, ...); color,
 *   material, pattern and size by words (`Wooden` is Wood, `Spotty` is Polka dot, `Jumbo` is Extra large); how many pieces
 *   by `Set of 3`, `Set/6`, `Pack of 72`. What a title does not tell is left empty.
 * - Of 1,000 products some 15 are out of stock and 45 have 1 to 5 units left, by a hash of the SKU. The others have what
 *   is sold in a month, at least 24 and at most 2,400 units. London holds half of it, Manchester 3 tenths, Dublin the rest.
 */

/** The sample that the documentation buys must not run out. */
const NEVER_SHORT = new Set(['85123A'])

const MONTHS_IN_FILE = 7
const UNITS_MIN = 24
const UNITS_MAX = 2_400
const OUT_OF_STOCK_PER_MILLE = 15
const LOW_STOCK_PER_MILLE = 45
const SHARES = { London: 5, Manchester: 3, Dublin: 2 } as const

interface Article {
  units: number
  readonly unitsByPrice: Map<number, number>
  readonly linesByDescription: Map<string, number>
}

async function main(): Promise<void> {
  const [path] = process.argv.slice(2)
  if (path === undefined) throw new Error('Usage: demo-shop <online-retail.csv.gz>')
  const articles = await gather(path)
  const attributes = DEMO_ATTRIBUTES.map(({ name }) => `attr.${name}`)
  const lines = [['sku,title,brand,category', ...attributes, 'price,currency,warehouse,on_hand'].join(',')]
  for (const [sku, article] of [...articles].sort(([a], [b]) => (a < b ? -1 : 1))) lines.push(...linesOf(sku, article))
  writeFileSync(join(ROOT, 'data', 'demo-shop.csv.gz'), gzipSync(`${lines.join('\n')}\n`, { level: 9 }))
  console.log(`${articles.size} products, ${lines.length - 1} lines`)
}

async function gather(path: string): Promise<Map<string, Article>> {
  const articles = new Map<string, Article>()
  for await (const line of readRetailFile(path)) {
    const description = cleanDescription(line.description)
    if (sellsGoods(line) && description !== '') count(articles, line, description)
  }
  return articles
}

function count(articles: Map<string, Article>, line: RetailLine & { price: number }, description: string): void {
  const article = articles.get(line.sku) ?? { units: 0, unitsByPrice: new Map(), linesByDescription: new Map() }
  articles.set(line.sku, article)
  article.units += line.quantity
  article.unitsByPrice.set(line.price, (article.unitsByPrice.get(line.price) ?? 0) + line.quantity)
  article.linesByDescription.set(description, (article.linesByDescription.get(description) ?? 0) + 1)
}

/** The first line says what the product is, each one how much of it lies in one warehouse. */
function linesOf(sku: string, { units, unitsByPrice, linesByDescription }: Article): string[] {
  const title = titleOf(usualDescription(linesByDescription))
  const attributes = demoAttributes(title)
  const price = formatMajor({ amount: usualPrice(unitsByPrice), currency: 'GBP' })
  const what = [
    title,
    demoBrand(title),
    demoCategory(title),
    ...DEMO_ATTRIBUTES.map(({ name }) => attributes[name] ?? ''),
    price,
    'GBP',
  ].map(quoted)
  const nothing = what.map(() => '')
  return Object.entries(stockOf(sku, units)).map(([warehouse, onHand], index) => {
    return [sku, ...(index === 0 ? what : nothing), warehouse, onHand].join(',')
  })
}

function stockOf(sku: string, unitsSold: number): Record<keyof typeof SHARES, number> {
  const lot = NEVER_SHORT.has(sku) ? 999 : hash(sku) % 1_000
  if (lot < OUT_OF_STOCK_PER_MILLE) return { London: 0, Manchester: 0, Dublin: 0 }
  if (lot < OUT_OF_STOCK_PER_MILLE + LOW_STOCK_PER_MILLE) return { London: 1 + (lot % 5), Manchester: 0, Dublin: 0 }
  const units = Math.min(UNITS_MAX, Math.max(UNITS_MIN, Math.round(unitsSold / MONTHS_IN_FILE)))
  const manchester = Math.floor((units * SHARES.Manchester) / 10)
  const dublin = Math.floor((units * SHARES.Dublin) / 10)
  return { London: units - manchester - dublin, Manchester: manchester, Dublin: dublin }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193)
  return value >>> 0
}

function quoted(text: string): string {
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
