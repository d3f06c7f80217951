import { createHash } from 'node:crypto'
import type { ProductId } from '../domain/ids'
import { type Candidate, LIMITS, CLOSENESS, rankByBaskets } from '../domain/recommendation/similarity'
import { readRetailFile, sellsGoods } from '../scripts/replay/online-retail'

/**
 * `npm run evaluate -- <file.csv.gz>`: how well bought-together and also-bought foretell real orders. Trained on all but
 * the last month; of each invoice of the last month one product after another is hidden, and looked for among the ten
 * that the others suggest. The measure, its limits and the sampling are those of the nightly run.
 */

const HITS_AT = 10
/** Of an invoice of hundreds of lines the first are enough. */
const HIDDEN_PER_INVOICE = 30

interface Invoice {
  readonly date: string
  readonly customer: string
  readonly products: ProductId[]
}

type Neighbours = ReadonlyMap<ProductId, readonly { readonly otherId: ProductId; readonly score: number }[]>

async function main(): Promise<void> {
  const path = process.argv[2]
  if (!path) throw new Error('Say which file: npm run evaluate -- online-retail.csv.gz')
  const invoices = await readInvoices(path)
  const lastMonth = invoices.map(({ date }) => date.slice(0, 7)).reduce((a, b) => (a > b ? a : b))
  const train = invoices.filter(({ date }) => date.slice(0, 7) < lastMonth)
  const known = new Set(train.flatMap(({ products }) => products))
  const test = invoices
    .filter(({ date }) => date.slice(0, 7) === lastMonth)
    .map(({ products }) => products.filter((product) => known.has(product)))
    .filter((products) => products.length > 1)
  console.log(
    `${train.length} invoices before ${lastMonth} to learn from, ${test.length} of it to foretell, ${known.size} products. ` +
      `Cosine with shrinkage ${CLOSENESS.shrinkage}.\n`,
  )
  const orders = train.map(({ products }) => products.slice(0, LIMITS.perOrder))
  const together = neighboursOf(orders)
  const also = neighboursOf(buyersOf(train))
  const popular = mostPopular(orders)
  console.log('| Suggested by | hit rate at 10 |\n|---|---|')
  const rows: [string, (shown: readonly ProductId[]) => readonly ProductId[]][] = [
    ['most popular', (shown) => without(popular, shown)],
    ['bought together, from all the others', (shown) => suggest(together, shown)],
    ['bought together, from one other', (shown) => suggest(together, [oneOf(shown)])],
    ['also bought, from all the others', (shown) => suggest(also, shown)],
    ['also bought, from one other', (shown) => suggest(also, [oneOf(shown)])],
  ]
  for (const [name, method] of rows) console.log(`| ${name} | ${(100 * hitRate(test, method)).toFixed(1)} % |`)
}

async function readInvoices(path: string): Promise<Invoice[]> {
  const invoices = new Map<string, { date: string; customer: string; products: Set<ProductId> }>()
  for await (const line of readRetailFile(path)) {
    if (!sellsGoods(line)) continue
    const { date, customer } = line
    const invoice = invoices.get(line.invoice) ?? { date, customer, products: new Set() }
    invoice.products.add(`prod_${line.sku}`)
    invoices.set(line.invoice, invoice)
  }
  return [...invoices.values()].map((invoice) => ({ ...invoice, products: [...invoice.products] }))
}

/** What each customer bought, the newest first, as much of it as the nightly run takes. */
function buyersOf(invoices: readonly Invoice[]): ProductId[][] {
  const buyers = new Map<string, Set<ProductId>>()
  for (const { customer, products } of invoices.toReversed()) {
    if (customer === '') continue
    const bought = buyers.get(customer) ?? new Set()
    if (bought.size < LIMITS.perBuyer) for (const product of products.slice(0, LIMITS.perOrder)) bought.add(product)
    buyers.set(customer, bought)
  }
  return [...buyers.values()].map((bought) => [...bought])
}

function neighboursOf(baskets: readonly (readonly ProductId[])[]): Neighbours {
  const basketsOf = new Map<ProductId, number[]>()
  baskets.forEach((basket, index) => {
    for (const product of basket) basketsOf.set(product, [...(basketsOf.get(product) ?? []), index])
  })
  return new Map(
    [...basketsOf].map(([product, all]) => {
      const sample = all.toSorted((a, b) => (shuffled(a) < shuffled(b) ? -1 : 1)).slice(0, LIMITS.basketsPerProduct)
      return [product, rankByBaskets(sample.length, candidatesOf(product, sample, baskets, basketsOf))]
    }),
  )
}

function candidatesOf(
  product: ProductId,
  sample: readonly number[],
  baskets: readonly (readonly ProductId[])[],
  basketsOf: ReadonlyMap<ProductId, readonly number[]>,
): Candidate[] {
  const together = new Map<ProductId, number>()
  for (const index of sample) {
    for (const other of baskets[index] ?? []) {
      if (other !== product) together.set(other, (together.get(other) ?? 0) + 1)
    }
  }
  return [...together]
    .map(([otherId, count]) => ({ otherId, together: count, others: basketsOf.get(otherId)?.length ?? 1 }))
    .filter((candidate) => candidate.together >= CLOSENESS.togetherMin)
    .toSorted((a, b) => b.together / Math.sqrt(b.others) - a.together / Math.sqrt(a.others))
    .slice(0, LIMITS.candidates)
}

function mostPopular(orders: readonly (readonly ProductId[])[]): ProductId[] {
  const counts = new Map<ProductId, number>()
  for (const order of orders) for (const product of order) counts.set(product, (counts.get(product) ?? 0) + 1)
  return [...counts].toSorted(([, a], [, b]) => b - a).map(([product]) => product)
}

/** As the home page does it: the scores of all that was looked at, summed. */
function suggest(neighbours: Neighbours, shown: readonly ProductId[]): ProductId[] {
  const scores = new Map<ProductId, number>()
  for (const product of shown) {
    for (const { otherId, score } of neighbours.get(product) ?? [])
      scores.set(otherId, (scores.get(otherId) ?? 0) + score)
  }
  const ranked = [...scores].toSorted(([, a], [, b]) => b - a).map(([product]) => product)
  return without(ranked, shown)
}

function without(ranked: readonly ProductId[], shown: readonly ProductId[]): ProductId[] {
  const excluded = new Set(shown)
  const best: ProductId[] = []
  for (const product of ranked) {
    if (best.length === HITS_AT) break
    if (!excluded.has(product)) best.push(product)
  }
  return best
}

function hitRate(
  test: readonly (readonly ProductId[])[],
  method: (shown: readonly ProductId[]) => readonly ProductId[],
): number {
  let hits = 0
  let hidden = 0
  for (const invoice of test) {
    for (const product of invoice.slice(0, HIDDEN_PER_INVOICE)) {
      hidden++
      if (method(invoice.filter((other) => other !== product)).includes(product)) hits++
    }
  }
  return hits / hidden
}

/** Not the neighbouring line: those are often variants of one article. The same in every run. */
function oneOf(shown: readonly ProductId[]): ProductId {
  return shown.reduce((a, b) => (shuffled(a) < shuffled(b) ? a : b))
}

const digests = new Map<string | number, string>()

function shuffled(key: string | number): string {
  let digest = digests.get(key)
  if (digest === undefined) digests.set(key, (digest = createHash('sha256').update(String(key)).digest('hex')))
  return digest
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
