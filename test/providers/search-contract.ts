import { newId } from '../../db/id'
import type { ProductId } from '../../domain/ids'
import {
  type CurationRule,
  NO_AFFINITY,
  NO_FILTERS,
  type SearchDocument,
  type SearchFilters,
  type SearchQuery,
  type SearchResult,
  type SynonymRule,
} from '../../domain/search'
import { facetValue } from '../../domain/words'
import type { SearchEngine } from '../../providers/search/port'
import { until } from '../support/wait'

export interface SearchRig {
  readonly engine: SearchEngine
  setRules(rules: { synonyms?: SynonymRule[]; curations?: CurationRule[] }): Promise<void>
  close(): Promise<void>
}

const labelled = (label: string) => ({ value: facetValue(label), label })

interface Wanted {
  readonly sku: string
  readonly title: string
  readonly price?: number
  readonly prices?: Record<string, number>
  readonly brand?: string
  readonly categories?: string[]
  readonly attributes?: Record<string, string>
  readonly details?: string[]
  readonly rating?: number
  readonly inStock?: boolean
  readonly popularity?: number
  readonly description?: string
}

let made = 0

export function documentOf(wanted: Wanted, id: ProductId = newId('product')): SearchDocument {
  return {
    id,
    version: 1,
    asOf: new Date().toISOString(),
    slug: facetValue(wanted.title),
    title: wanted.title,
    description: wanted.description ?? '',
    skus: [wanted.sku],
    brand: wanted.brand === undefined ? null : labelled(wanted.brand),
    categories: (wanted.categories ?? []).map(labelled),
    attributes: Object.entries(wanted.attributes ?? {}).map(([name, label]) => ({ name, ...labelled(label) })),
    details: wanted.details ?? [],
    prices: wanted.prices ?? { GBP: wanted.price ?? 1_000 },
    rating: wanted.rating ?? null,
    inStock: wanted.inStock ?? true,
    popularity: wanted.popularity ?? 0.2,
    createdAt: Date.UTC(2026, 0, 1) + ++made * 1_000,
  }
}

const SHOP: readonly Wanted[] = [
  {
    sku: '85123A',
    title: 'White Hanging Heart T-Light Holder',
    price: 255,
    categories: ['Home'],
    brand: 'Acme',
    attributes: { color: 'White' },
    rating: 4.5,
  },
  {
    sku: '22423',
    title: 'Regency Cakestand 3 Tier',
    price: 1_275,
    categories: ['Kitchen'],
    brand: 'Regency & Sons',
    rating: 3.2,
  },
  {
    sku: '47566',
    title: 'Party Bunting',
    price: 495,
    categories: ['Home', 'Seasonal'],
    attributes: { color: 'Red' },
    inStock: false,
  },
  {
    sku: '20725',
    title: 'Lunch Bag Red Retrospot',
    price: 165,
    categories: ['Bags'],
    brand: 'Acme',
    attributes: { color: 'Red', size: 'Small' },
    rating: 4.1,
    popularity: 0.3,
  },
  {
    sku: '20727',
    title: 'Lunch Bag Black Skull',
    price: 165,
    categories: ['Bags'],
    brand: 'Acme',
    attributes: { color: 'Black', size: 'Small' },
  },
  {
    sku: '22384',
    title: 'Lunch Bag Pink Polkadot',
    price: 175,
    categories: ['Bags'],
    attributes: { color: 'Pink', size: 'Small' },
    popularity: 0.1,
  },
  {
    sku: '23203',
    title: 'Jumbo Bag Vintage Doily',
    price: 208,
    categories: ['Bags'],
    attributes: { color: 'White', size: 'Jumbo' },
  },
  {
    sku: '22720',
    title: 'Set of 3 Cake Tins Pantry Design',
    price: 495,
    categories: ['Kitchen'],
    description: 'For biscuits & <b>more</b>.',
    details: ['Enamelled'],
  },
  { sku: 'EUR-1', title: 'Continental Lunch Box', prices: { EUR: 990 }, categories: ['Kitchen'] },
  {
    sku: 'HTML-1',
    title: 'Frame <script>alert("5 & 6")</script> Oak',
    price: 5_500,
    categories: ['Home'],
    brand: "O'Brien `Quotes` && Co",
  },
]

export function query(
  text: string,
  more: Partial<Omit<SearchQuery, 'filters'>> & { filters?: Partial<SearchFilters> } = {},
): SearchQuery {
  return {
    text,
    currency: 'GBP',
    sort: 'relevance',
    offset: 0,
    limit: 20,
    affinity: NO_AFFINITY,
    ...more,
    filters: { ...NO_FILTERS, ...more.filters },
  }
}

/** What every search engine does, whichever it is. `open` gives a rig with nothing in it. */
export function searchEngineContract(name: string, open: () => Promise<SearchRig>): void {
  describe(`the search engine ${name}`, () => {
    let rig: SearchRig
    let engine: SearchEngine
    let documents: SearchDocument[]
    const title = new Map<string, string>()
    const id = (sku: string): ProductId => {
      const found = documents.find((document) => document.skus[0] === sku)
      if (!found) throw new Error(`no ${sku}`)
      return found.id
    }
    const titles = (result: SearchResult): (string | undefined)[] => result.hits.map((hit) => title.get(hit.id))
    const find = async (...given: Parameters<typeof query>) => titles(await engine.search(query(...given)))
    const counts = (result: SearchResult, kind: string): Record<string, number> =>
      Object.fromEntries((result.facets.values[kind] ?? []).map(({ value, count }) => [value, count]))

    beforeAll(async () => {
      rig = await open()
      engine = rig.engine
      documents = SHOP.map((wanted) => documentOf(wanted))
      for (const document of documents) title.set(document.id, document.title)
      await engine.beginRebuild('contract')
      expect(await engine.fill('contract', documents)).toEqual([])
      await engine.swap('contract')
    })
    afterAll(() => rig?.close())

    it('answers, and has an index', async () => {
      expect(await engine.check()).toBe(true)
    })

    it('finds what has all words, whatever their case, accents and number', async () => {
      expect(await find('hanging heart')).toEqual(['White Hanging Heart T-Light Holder'])
      expect(await find('HÉARTS hanging')).toEqual(['White Hanging Heart T-Light Holder'])
      expect((await find('lunch bags')).sort()).toEqual([
        'Lunch Bag Black Skull',
        'Lunch Bag Pink Polkadot',
        'Lunch Bag Red Retrospot',
      ])
      expect(await find('regency cakestand 3 tier')).toEqual(['Regency Cakestand 3 Tier'])
    })

    it('finds by SKU, brand, category and attribute', async () => {
      expect(await find('85123a')).toEqual(['White Hanging Heart T-Light Holder'])
      expect((await find('acme')).length).toBe(3)
      expect(await find('seasonal')).toEqual(['Party Bunting'])
      expect(await find('jumbo')).toEqual(['Jumbo Bag Vintage Doily'])
    })

    it('finds by what is no filter, and does not offer it as one', async () => {
      const found = await engine.search(query('enamelled'))
      expect(titles(found)).toEqual(['Set of 3 Cake Tins Pantry Design'])
      expect(Object.keys(found.facets.values).filter((kind) => kind.startsWith('attr.'))).toEqual([])
    })

    it.each([
      ['hangnig heart', 'White Hanging Heart T-Light Holder'],
      ['haning heart', 'White Hanging Heart T-Light Holder'],
      ['hangging heart', 'White Hanging Heart T-Light Holder'],
      ['regancy caekstand', 'Regency Cakestand 3 Tier'],
      ['lunch bag retrosopt', 'Lunch Bag Red Retrospot'],
    ])('forgives %s', async (misspelt, wanted) => {
      expect((await find(misspelt))[0]).toBe(wanted)
    })

    it('says how a misspelt query would be spelt', async () => {
      expect(await engine.search(query('hangnig heart '))).toMatchObject({ didYouMean: 'hanging heart', total: 1 })
      expect(await engine.search(query('hanging heart '))).toMatchObject({ didYouMean: null })
    })

    it('finds what most words are in when nothing has them all, and nothing for nonsense', async () => {
      expect((await find('hanging heart zzyzzyva'))[0]).toBe('White Hanging Heart T-Light Holder')
      expect(await engine.search(query('zzyzzyva'))).toMatchObject({ hits: [], total: 0, totalIsExact: true })
    })

    it('takes the last word for a beginning while it is typed', async () => {
      expect(await find('hanging hea')).toEqual(['White Hanging Heart T-Light Holder'])
      expect((await find('lunch b')).length).toBe(3)
    })

    it('marks what matched, and nothing in a title is markup', async () => {
      const [hit] = (await engine.search(query('oak frame'))).hits
      expect(hit?.highlight?.title).toBe(
        '<mark>Frame</mark> &lt;script&gt;alert(&quot;5 &amp; 6&quot;)&lt;/script&gt; <mark>Oak</mark>',
      )
      expect((await engine.search(query(''))).hits[0]?.highlight).toBeNull()
    })

    it('finds everything without words, in the currency alone', async () => {
      expect(await engine.search(query(''))).toMatchObject({ total: 9, totalIsExact: true })
      expect(await find('', { currency: 'EUR' })).toEqual(['Continental Lunch Box'])
      expect(await find('', { currency: 'JPY' })).toEqual([])
    })

    it('narrows by each filter', async () => {
      const filtered = (filters: Partial<SearchFilters>) => find('', { filters, sort: 'newest' })
      expect(await filtered({ category: 'kitchen' })).toEqual([
        'Set of 3 Cake Tins Pantry Design',
        'Regency Cakestand 3 Tier',
      ])
      expect(await filtered({ brand: 'regency-sons' })).toEqual(['Regency Cakestand 3 Tier'])
      expect(await filtered({ attributes: { color: 'red' } })).toEqual(['Lunch Bag Red Retrospot', 'Party Bunting'])
      expect(await filtered({ attributes: { color: 'red', size: 'small' } })).toEqual(['Lunch Bag Red Retrospot'])
      expect(await filtered({ priceMin: 165, priceMax: 175 })).toHaveLength(3)
      expect(await filtered({ priceMin: 1_276 })).toHaveLength(1)
      expect(await filtered({ ratingMin: 4 })).toEqual([
        'Lunch Bag Red Retrospot',
        'White Hanging Heart T-Light Holder',
      ])
      expect(await filtered({ inStock: false })).toEqual(['Party Bunting'])
      expect(await filtered({ category: 'home', inStock: true })).toHaveLength(2)
      expect(await filtered({ category: 'nowhere' })).toEqual([])
      expect(await filtered({ attributes: { nothing: 'x' } })).toEqual([])
    })

    it('counts facets, each without its own filter', async () => {
      const all = await engine.search(query('lunch bag '))
      expect(all.total).toBe(3)
      expect(counts(all, 'category')).toEqual({ bags: 3 })
      expect(counts(all, 'attr.color')).toEqual({ red: 1, black: 1, pink: 1 })
      expect(counts(all, 'attr.size')).toEqual({ small: 3 })
      expect(counts(all, 'in_stock')).toEqual({ true: 3 })
      expect(all.facets.price).toEqual([{ from: 0, to: 500, count: 3 }])

      const red = await engine.search(query('lunch bag ', { filters: { attributes: { color: 'red' } } }))
      expect(red.total).toBe(1)
      expect(counts(red, 'attr.color')).toEqual({ red: 1, black: 1, pink: 1 })
      expect(counts(red, 'attr.size')).toEqual({ small: 1 })
      expect(counts(red, 'brand')).toEqual({ acme: 1 })

      const home = await engine.search(query('', { filters: { category: 'home', ratingMin: 4 } }))
      expect(home.total).toBe(1)
      expect(counts(home, 'category')).toEqual({ home: 1, bags: 1 })
      expect(counts(home, 'rating')).toEqual({ 4: 1, 3: 1, 2: 1, 1: 1 })
      const cheap = await engine.search(query('', { filters: { priceMax: 499, inStock: true } }))
      expect(cheap.facets.price).toEqual([
        { from: 0, to: 500, count: 6 },
        { from: 1_000, to: 2_500, count: 1 },
        { from: 5_000, to: 10_000, count: 1 },
      ])
      expect(counts(cheap, 'in_stock')).toEqual({ true: 6, false: 1 })
    })

    it('sorts', async () => {
      const prices = { filters: { category: 'bags' } }
      expect(await find('', { ...prices, sort: 'price_asc' })).toEqual([
        expect.stringMatching('Lunch Bag (Red|Black)'),
        expect.stringMatching('Lunch Bag (Red|Black)'),
        'Lunch Bag Pink Polkadot',
        'Jumbo Bag Vintage Doily',
      ])
      expect((await find('', { ...prices, sort: 'price_desc' }))[0]).toBe('Jumbo Bag Vintage Doily')
      expect((await find('', { ...prices, sort: 'newest' }))[0]).toBe('Jumbo Bag Vintage Doily')
      expect((await find('', { sort: 'rating' })).slice(0, 3)).toEqual([
        'White Hanging Heart T-Light Holder',
        'Lunch Bag Red Retrospot',
        'Regency Cakestand 3 Tier',
      ])
    })

    it('puts what sells and what the caller has looked at first, among equals', async () => {
      expect((await find('lunch bag '))[0]).toBe('Lunch Bag Red Retrospot')
      const affinity = { products: [id('20727')], categories: [] }
      const black = await find('lunch bag ', { affinity })
      expect(black.indexOf('Lunch Bag Black Skull')).toBeLessThan(black.indexOf('Lunch Bag Pink Polkadot'))
      const toKitchen = await find('', {
        affinity: { products: [], categories: ['kitchen'] },
        filters: { priceMin: 400, priceMax: 500, inStock: null },
      })
      expect(toKitchen[0]).toBe('Set of 3 Cake Tins Pantry Design')
    })

    it('goes page by page through all, each once', async () => {
      for (const sort of ['relevance', 'price_asc', 'newest', 'rating'] as const) {
        const seen: (string | undefined)[] = []
        for (let offset = 0; offset < 9; offset += 2) seen.push(...(await find('', { sort, offset, limit: 2 })))
        expect(new Set(seen).size).toBe(9)
        expect(seen).toHaveLength(9)
      }
    })

    it('completes from the first letter on', async () => {
      const suggest = (text: string) => engine.suggest({ text, currency: 'GBP', limit: 8 })
      const w = await suggest('w')
      expect(w).toContainEqual({
        type: 'product',
        text: 'White Hanging Heart T-Light Holder',
        slug: 'white-hanging-heart-t-light-holder',
      })
      expect(w).toContainEqual({ type: 'query', text: 'white', slug: null })
      expect(await suggest('kit')).toContainEqual({ type: 'category', text: 'Kitchen', slug: 'kitchen' })
      expect(await suggest('lunch bag r')).toContainEqual({ type: 'query', text: 'lunch bag red', slug: null })
      expect(await suggest('')).toEqual([])
      expect(await suggest('zzyzzyva')).toEqual([])
      expect((await engine.suggest({ text: 'l', currency: 'GBP', limit: 2 })).length).toBeLessThanOrEqual(2)
    })

    it.each([
      "') or true --",
      '`) || id:!=x || (category:=`home',
      "'; drop table search_document; --",
      "\\'; select pg_sleep(9) --",
      '* && price:>0',
      '"',
      '-heart',
      ':* & | ! ( ) <->',
      '&&',
      '%_%',
      'a'.repeat(200),
      '\u{1F600} \u0000'.replace('\u0000', ''),
      'category:=`home`',
    ])('takes the words of %j and nothing else', async (hostile) => {
      const inText = await engine.search(query(hostile))
      expect(inText.totalIsExact).toBe(true)
      const { total } = await engine.search(
        query('', {
          filters: {
            category: facetValue(hostile) || 'x',
            brand: 'x',
            attributes: { color: facetValue(hostile) || 'x' },
          },
        }),
      )
      expect(total).toBe(0)
      await engine.suggest({ text: hostile, currency: 'GBP', limit: 5 })
      expect(await engine.search(query(''))).toMatchObject({ total: 9 })
    })

    it('goes by synonyms, both ways and one way, of several words too', async () => {
      await rig.setRules({
        synonyms: [
          { root: null, terms: ['sack', 'bag', 'carrier bag'] },
          { root: 'decoration', terms: ['bunting', 'hanging heart'] },
        ],
      })
      await until('the rules are seen', async () => (await find('decoration ')).length === 2, Boolean, 3_000)
      expect((await find('decoration ')).sort()).toEqual(['Party Bunting', 'White Hanging Heart T-Light Holder'])
      expect((await find('sack ')).length).toBe(4)
      expect(await find('jumbo carrier bag ')).toEqual(['Jumbo Bag Vintage Doily'])
      expect(await find('bunting ')).toEqual(['Party Bunting'])
    })

    it('pins and hides for one query, within the filters', async () => {
      await rig.setRules({
        curations: [{ query: 'lunch bag', pins: [id('22720'), id('22384')], hides: [id('20725')] }],
      })
      const curated = ['Set of 3 Cake Tins Pantry Design', 'Lunch Bag Pink Polkadot', 'Lunch Bag Black Skull']
      await until(
        'it is curated',
        () => find('Lunch BAG '),
        (found) => found.length === 3 && found[0] === curated[0],
        3_000,
      )
      expect(await find('lunch bag ')).toEqual(curated)
      expect(await find('lunch bag ', { offset: 1, limit: 2 })).toEqual(curated.slice(1))
      expect(await find('lunch bag ', { filters: { category: 'bags' } })).toEqual(curated.slice(1))
      expect((await find('lunch bag ', { sort: 'price_asc' }))[0]).toBe('Lunch Bag Black Skull')
      expect(await find('lunch bag red ')).toEqual(['Lunch Bag Red Retrospot'])
      await rig.setRules({})
    })

    it('replaces and removes documents', async () => {
      const old = documents[1] as SearchDocument
      const later = {
        ...old,
        version: 2,
        asOf: new Date().toISOString(),
        title: 'Regency Cakestand 5 Tier',
        inStock: false,
      }
      expect(await engine.index({ documents: [later], removals: [] }, null)).toEqual([])
      expect(await engine.search(query('regency', { filters: { inStock: false } }))).toMatchObject({
        total: 1,
        hits: [{ id: old.id }],
      })
      await engine.index({ documents: [], removals: [{ id: old.id, asOf: new Date().toISOString() }] }, null)
      expect((await engine.search(query('regency cakestand '))).hits).toEqual([])
      await engine.index({ documents: [{ ...old, version: 3, asOf: new Date().toISOString() }], removals: [] }, null)
      expect(await find('regency cakestand ')).toEqual(['Regency Cakestand 3 Tier'])
    })

    it('is rebuilt without a gap, and live changes meanwhile are kept over what is filled in', async () => {
      const [first, second] = documents as [SearchDocument, SearchDocument]
      await engine.beginRebuild('again')
      const live = { ...first, version: 9, asOf: new Date().toISOString(), title: 'White Hanging Heart Changed' }
      await engine.index({ documents: [live], removals: [] }, 'again')
      expect(await engine.search(query(''))).toMatchObject({ total: 9 })
      expect(await engine.fill('again', documents.slice(0, 5))).toEqual([])
      expect(await engine.search(query(''))).toMatchObject({ total: 9 })
      // Killed after the first part, it goes on and repeats some.
      await engine.beginRebuild('again')
      expect(await engine.fill('again', documents)).toEqual([])
      await engine.index({ documents: [], removals: [{ id: second.id, asOf: new Date().toISOString() }] }, 'again')
      await engine.swap('again')
      await engine.swap('again')
      expect(await engine.search(query('changed '))).toMatchObject({ total: 1, hits: [{ id: first.id }] })
      expect(await engine.search(query(''))).toMatchObject({ total: 8 })
      await engine.beginRebuild('given-up')
      await engine.abandon('given-up')
      expect(await engine.search(query(''))).toMatchObject({ total: 8 })
    })
  })
}
