import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { copyRows } from './copy'

/**
 * A catalog of as many generated SKUs as one likes, the same for the same seed: titles of the real shop, each with one word
 * exchanged for another by how often that one is used there, and names of made-up series and colours in front; words,
 * series, brands, categories and colours are skewed as such things are (Zipf). Written by COPY into an existing, migrated
 * database.
 */
export interface GeneratedCatalog {
  readonly count: number
  readonly seed: number
}

const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'
const WAREHOUSE = 'wh_00000000000000000000000001'
const CATEGORIES = 60
const CHUNK_LENGTH = 64 * 1_024
const BRANDS = 2_000
const SERIES = 12_000
const COLORS = ['White', 'Black', 'Red', 'Blue', 'Green', 'Pink', 'Grey', 'Cream', 'Gold', 'Silver', 'Purple', 'Orange']
const SIZES = ['Small', 'Medium', 'Large', 'Mini', 'Jumbo', 'Set of 3']
const MATERIALS = ['Wood', 'Metal', 'Glass', 'Ceramic', 'Cotton', 'Paper', 'Plastic', 'Leather', 'Wicker', 'Enamel']

interface Item {
  readonly number: number
  readonly title: string
  readonly brand: string | null
  readonly category: number
  readonly attributes: Readonly<Record<string, string>>
  readonly price: number
  readonly onHand: number
  readonly velocity: number
  readonly rating: number | null
  readonly ratingCount: number
}

/** Titles alone, to make queries of. */
export function* generatedTitles(catalog: GeneratedCatalog): Generator<string> {
  for (const { title } of items(catalog)) yield title
}

export async function writeCatalog(databaseUrl: string, catalog: GeneratedCatalog): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(
      `insert into warehouse (id, name, country) values ($1, 'Generated', 'GB') on conflict do nothing`,
      [WAREHOUSE],
    )
    await copyRows(client, 'category', ['id', 'slug', 'title'], categories())
    const write = (
      table: string,
      columns: readonly string[],
      rowOf: (item: Item) => readonly (string | number | boolean | null)[],
    ): Promise<void> => copyAlone(databaseUrl, table, columns, mapped(items(catalog), rowOf))
    await write('product', ['id', 'slug', 'title', 'brand', 'attributes'], (item) => [
      idOf('prod', item.number),
      `generated-${item.number}`,
      item.title,
      item.brand,
      JSON.stringify(item.attributes),
    ])
    const variants = write('variant', ['sku', 'sku_written', 'product_id', 'title'], (item) => [
      skuOf(item),
      skuOf(item),
      idOf('prod', item.number),
      item.title,
    ])
    await Promise.all([
      write('product_category', ['product_id', 'category_id'], (item) => [
        idOf('prod', item.number),
        idOf('cat', item.category),
      ]),
      write('product_signal', ['product_id', 'velocity', 'rating', 'rating_count', 'margin'], (item) => [
        idOf('prod', item.number),
        item.velocity,
        item.rating,
        item.ratingCount,
        0.4,
      ]),
      variants.then(() => write('price', ['sku', 'currency', 'amount'], (item) => [skuOf(item), 'GBP', item.price])),
      variants.then(() =>
        write('stock_level', ['sku', 'warehouse_id', 'on_hand'], (item) => [skuOf(item), WAREHOUSE, item.onHand]),
      ),
      copyAlone(
        databaseUrl,
        'stock_movement',
        ['sku', 'warehouse_id', 'delta', 'on_hand', 'cause', 'reason'],
        movements(catalog),
      ),
    ])
    await client.query('analyze')
  } finally {
    await client.end()
  }
}

/** On a connection of its own: tables that do not refer to each other are written side by side. */
async function copyAlone(
  databaseUrl: string,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly (string | number | boolean | null)[]>,
): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await copyRows(client, table, columns, rows)
  } finally {
    await client.end()
  }
}

function* items({ count, seed }: GeneratedCatalog): Generator<Item> {
  const random = randomOf(seed)
  const { titles, words } = realWords()
  const brands = names(BRANDS, seed + 1)
  const series = names(SERIES, seed + 2)
  const wordAt = zipf(words.length, random)
  const brandAt = zipf(BRANDS, random)
  const seriesAt = zipf(SERIES, random)
  const categoryAt = zipf(CATEGORIES, random)
  const colorAt = zipf(COLORS.length, random)
  for (let number = 0; number < count; number++) {
    const parts = [...(titles[Math.floor(random() * titles.length)] as string[])]
    parts[Math.floor(random() * parts.length)] = words[wordAt()] as string
    const color = COLORS[colorAt()] as string
    const title = [
      ...(random() < 0.7 ? [series[seriesAt()] as string] : []),
      ...(random() < 0.3 ? [color] : []),
      ...parts,
    ].join(' ')
    yield {
      number,
      title: title.slice(0, 250),
      brand: random() < 0.6 ? (brands[brandAt()] as string) : null,
      category: categoryAt(),
      attributes: {
        color,
        size: SIZES[Math.floor(random() * SIZES.length)] as string,
        material: MATERIALS[Math.floor(random() * MATERIALS.length)] as string,
      },
      price: Math.max(20, Math.round(Math.exp(6.5 + 1.2 * normal(random)))),
      onHand: random() < 0.05 ? 0 : Math.ceil(random() * 500),
      velocity: Math.round(100 * (random() ** -0.5 - 1)) / 100,
      rating: random() < 0.4 ? Math.round(10 * (2.5 + 2.5 * Math.sqrt(random()))) / 10 : null,
      ratingCount: Math.floor(random() ** -0.7),
    }
  }
}

/** The same as a file for the import, in chunks of some hundred lines. */
export function* csvOf(catalog: GeneratedCatalog): Generator<string> {
  let chunk = 'sku,title,brand,category,attr.color,attr.size,attr.material,price,currency,warehouse,on_hand\n'
  for (const item of items(catalog)) {
    const { color, size, material } = item.attributes
    const price = (item.price / 100).toFixed(2)
    const fields = [skuOf(item), item.title, item.brand ?? '', `Department ${item.category}`, color, size, material]
    chunk += `${[...fields, price, 'GBP', 'Generated', item.onHand].map(quoted).join(',')}\n`
    if (chunk.length > CHUNK_LENGTH) {
      yield chunk
      chunk = ''
    }
  }
  yield chunk
}

function quoted(value: unknown): string {
  const text = String(value)
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function* movements(catalog: GeneratedCatalog): Generator<(string | number)[]> {
  for (const item of items(catalog)) {
    if (item.onHand > 0) yield [skuOf(item), WAREHOUSE, item.onHand, item.onHand, 'adjustment', 'generated']
  }
}

function* categories(): Generator<string[]> {
  for (let number = 0; number < CATEGORIES; number++) {
    yield [idOf('cat', number), `department-${number}`, `Department ${number}`]
  }
}

/** The titles of the demo shop, word by word, and their words by how often they are used. */
function realWords(): { titles: string[][]; words: string[] } {
  const csv = gunzipSync(readFileSync(join(ROOT, 'data', 'demo-shop.csv.gz'))).toString('utf8')
  const titles = csv
    .split('\n')
    .slice(1)
    .map((line) => /^[^,]*,(?:"([^"]+)"|([^,]+)),/.exec(line))
    .map((match) => match?.[1] ?? match?.[2])
    .filter((title) => title !== undefined)
    .map((title) => title.split(' '))
  const counts = new Map<string, number>()
  for (const word of titles.flat()) counts.set(word, (counts.get(word) ?? 0) + 1)
  const words = [...counts].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).map(([word]) => word)
  return { titles, words }
}

/** Made-up names that can be spoken. */
function names(count: number, seed: number): string[] {
  const random = randomOf(seed)
  const pick = (text: string): string => text.split(' ')[Math.floor(random() * text.split(' ').length)] as string
  const made = new Set<string>()
  while (made.size < count) {
    const syllables = 2 + Math.floor(random() * 2)
    let name = ''
    for (let n = 0; n < syllables; n++)
      name += pick('b br c d dr f g gl h j k l m n p pr r s st t tr v w z') + pick('a e i o u ai ea oo')
    name += pick('l n r s x th m')
    made.add(name.charAt(0).toUpperCase() + name.slice(1))
  }
  return [...made]
}

/** Of `n` things the first is wanted twice as often as the second. */
function zipf(n: number, random: () => number): () => number {
  const sums = new Float64Array(n)
  let sum = 0
  for (let index = 0; index < n; index++) sums[index] = sum += 1 / (index + 1)
  return () => {
    const wanted = random() * sum
    let low = 0
    let high = n - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** mulberry32 */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function skuOf({ number }: Item): string {
  return skuNumbered(number)
}

export function skuNumbered(number: number): string {
  return `GEN-${String(number).padStart(7, '0')}`
}

/** Older than any id that was ever made. */
function idOf(prefix: string, number: number): string {
  let digits = ''
  for (let rest = number; digits.length < 26; rest = Math.floor(rest / 32)) digits = `${BASE32[rest % 32]}${digits}`
  return `${prefix}_${digits}`
}

function* mapped<T, U>(list: Iterable<T>, of: (item: T) => U): Generator<U> {
  for (const item of list) yield of(item)
}
