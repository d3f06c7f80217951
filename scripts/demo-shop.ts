import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ROOT } from '../config'
import { formatMajor } from '../domain/money'
import {
  cleanDescription,
  readRetailFile,
  type RetailLine,
  sellsGoods,
  titleOf,
  usualDescription,
  usualPrice,
} from './online-retail'

/**
 * Derives the demo shop, `data/demo-shop.csv.gz`, from the "Online Retail" file. The same file gives the same shop.
 *
 *   node dist/scripts/demo-shop.js online-retail.csv.gz
 *
 * Rules, beside those of `online-retail.ts`:
 * - A product is every SKU of a line that sells goods and has a description that is no note.
 * - Its price is the one at which most of its units were sold (of several, the lowest); prices are in GBP.
 * - Its title is its most frequent description, cleaned, in title case.
 * - Its category is the first whose words its title has; without any it is Home.
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

const CATEGORIES: readonly (readonly [title: string, words: RegExp])[] = [
  [
    'Seasonal',
    /\b(?:christmas|xmas|advent|baubles?|santa|reindeer|snow\w*|noel|easter|halloween|valentine\w*|bunny|chick)\b/i,
  ],
  [
    'Jewellery',
    /\b(?:necklaces?|neckl|bracelets?|earrings?|brooch\w*|charms?|bangles?|diamante|pendants?|hair\w*|bead\w*|rings?|jewellery)\b/i,
  ],
  ['Bags', /\b(?:bags?|purses?|wallets?|handbags?|shoppers?|umbrellas?|luggage|suitcases?|satchels?|passport)\b/i],
  [
    'Kitchen',
    /\b(?:mugs?|cups?|bowls?|plates?|cakes?|tea|teapots?|teatime|teacups?|coffee|kitchen|cutlery|jars?|jugs?|baking|lunch\w*|dinner|napkins?|aprons?|bottles?|spoons?|egg|tins?|trays?|jam|jelly|popcorn|recipe|cookie|pantry|saucers?|doil\w+|breadbin|oven|pans?|chopsticks|straws|glass(?:es)? tumblers?|tumblers?)\b/i,
  ],
  [
    'Garden',
    /\b(?:garden\w*|plants?|planters?|parasols?|birds?|birdhouse|watering|flower ?pots?|seeds?|picnic|bbq|trellis|herb)\b/i,
  ],
  [
    'Toys',
    /\b(?:toys?|games?|dolls?|dolly girl|jigsaws?|puzzles?|skittles|spaceboy|play\w*|soldiers?|dinosaurs?|robots?|puppets?|marbles|childrens?|childs|baby|circus|tattoos|magic|colouring|balloons?)\b/i,
  ],
  [
    'Stationery',
    /\b(?:cards?|wrap|notebooks?|pencils?|pens?|stickers?|tape|ribbons?|paper|magnets?|stamps?|journal|letters?|envelopes?|calendar|book\w*|rulers?|eraser\w*|sharpener|tissues?|tags?|gift ?box\w*|sewing|knitting|craft\w*|felt\w*)\b/i,
  ],
]
const OTHER_CATEGORY = 'Home'

interface Article {
  units: number
  readonly unitsByPrice: Map<number, number>
  readonly linesByDescription: Map<string, number>
}

async function main(): Promise<void> {
  const [path] = process.argv.slice(2)
  if (path === undefined) throw new Error('Usage: demo-shop <online-retail.csv.gz>')
  const articles = await gather(path)
  const lines = ['sku,title,category,price,currency,warehouse,on_hand']
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
  const category = CATEGORIES.find(([, words]) => words.test(title))?.[0] ?? OTHER_CATEGORY
  const price = formatMajor({ amount: usualPrice(unitsByPrice), currency: 'GBP' })
  return Object.entries(stockOf(sku, units)).map(([warehouse, onHand], index) => {
    const what = index === 0 ? [quoted(title), category, price, 'GBP'] : ['', '', '', '']
    return [sku, ...what, warehouse, onHand].join(',')
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
