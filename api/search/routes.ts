import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type CatalogProduct, findCatalogProducts } from '../../db/catalog/listing'
import { readAffinity, sessionKey } from '../../db/recommendation/session-interest'
import { storeSettings } from '../../db/platform/settings'
import { ATTRIBUTE_NAME_PATTERN } from '../../domain/catalog/attribute'
import { PRICE_AMOUNT_MAX } from '../../domain/catalog/product'
import type { Currency } from '../../domain/money'
import {
  type Affinity,
  DEPTH_MAX,
  NO_AFFINITY,
  QUERY_LENGTH_MAX,
  type SearchFilters,
  type SearchHit,
  SORTS,
} from '../../domain/search'
import { facetValue } from '../../domain/words'
import { listedProduct, presentListed } from '../catalog/answer'
import { facets, presentFacets } from './facets'
import { listPageFrom, readCursor } from '../http/pagination'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { currency, listPageOf, listPageQuery, sessionId } from '../http/schemas'

const TAG = 'Search'
const ATTRIBUTE_FILTERS_MAX = 10
const ATTRIBUTE_PREFIX = 'attr.'

/** `?brand=` says the same as no brand at all. */
const orEmpty = <S extends z.ZodType>(schema: S) => z.union([schema, z.literal('')]).optional()

const amount = z
  .string()
  .regex(/^\d{1,13}$/, 'Send minor units, a whole number.')
  .transform(Number)
  .refine((given) => given <= PRICE_AMOUNT_MAX, 'That is more than any price.')

const rating = z
  .string()
  .regex(/^[1-5](?:\.\d)?$/, 'Send a number from 1 to 5.')
  .transform(Number)

const searchQuery = listPageQuery
  .extend({
    q: z
      .string()
      .max(QUERY_LENGTH_MAX)
      .default('')
      .meta({ description: 'what is looked for; empty: everything', example: 'heart' }),
    category: orEmpty(z.string().max(100)).meta({
      description: 'a slug; products of all categories below it are found',
    }),
    brand: orEmpty(z.string().max(255)).meta({ description: 'a value of the facet, or the name' }),
    price_min: orEmpty(amount).meta({ description: 'minor units, of the lowest price of a product' }),
    price_max: orEmpty(amount),
    rating_min: orEmpty(rating),
    in_stock: orEmpty(z.enum(['true', 'false'])),
    sort: z.enum(SORTS).default('relevance'),
    currency: currency.optional().meta({ description: "the store's default when it is left out" }),
    session: sessionId
      .optional()
      .meta({ description: 'that of the events: what it looked at comes first among equals' }),
  })
  .catchall(z.string().min(1).max(200))
  .superRefine((given, context) => {
    const others = Object.keys(given).filter((name) => !Object.hasOwn(searchQuery.shape, name))
    for (const name of others.filter((one) => !isAttribute(one))) {
      context.addIssue({ code: 'unrecognized_keys', keys: [name], input: given })
    }
    if (others.length > ATTRIBUTE_FILTERS_MAX) {
      context.addIssue({ code: 'custom', message: `At most ${ATTRIBUTE_FILTERS_MAX} attributes.`, input: given })
    }
    if ((given.price_min || 0) > (given.price_max || PRICE_AMOUNT_MAX)) {
      context.addIssue({
        code: 'custom',
        path: ['price_max'],
        message: 'Send a price_max that is not less than price_min.',
        input: given,
      })
    }
  })

const engine = z.string().meta({ description: 'who answered: `typesense` or `postgres`' })

const foundProduct = listedProduct.extend({
  highlight: z
    .strictObject({ title: z.string() })
    .nullable()
    .meta({ description: 'HTML: escaped text with the words that matched inside `<mark>`' }),
})

const search = defineRoute({
  method: 'get',
  path: '/v1/store/search',
  tag: TAG,
  summary: 'Search for products',
  description:
    'Forgives typing errors, completes the last word, goes by synonyms. `attr.<name>=<value>` narrows by an attribute, ' +
    `prices are in minor units of the currency. Results can be paged through up to ${DEPTH_MAX}; above 10,000 they are ` +
    'not counted, `total_is_exact` is false, and what each facet counts is reckoned from a sample. With the `session` of the ' +
    'interactions that the storefront reports, relevance also goes by what was looked at or put into a cart lately.',
  caller: 'anyone',
  query: searchQuery,
  answers: {
    200: listPageOf(foundProduct).extend({
      facets,
      total: z.int(),
      total_is_exact: z.boolean(),
      engine,
      did_you_mean: z.string().nullable(),
    }),
  },
  example: { answer: 200 },
}).handle(async ({ query }, deps) => {
  const { pool, search: engines } = deps
  const inCurrency = query.currency ?? (await storeSettings(pool)).defaultCurrency
  const wanted = { text: query.q, currency: inCurrency, sort: query.sort, filters: filtersOf(query) }
  const of = fingerprint(wanted)
  const offset = readCursor(query.cursor, (key): key is SearchCursor => isCursor(key, of))?.at ?? 0
  const affinity = await affinityOf(query, deps)
  const answer = await engines.search({ ...wanted, offset, limit: query.limit + 1, affinity })
  const shown = answer.hits.slice(0, query.limit)
  const [products, shownFacets] = await Promise.all([
    findCatalogProducts(
      pool,
      shown.map(({ id }) => id),
      inCurrency,
    ),
    presentFacets(pool, answer.facets, inCurrency),
  ])
  const listPage = listPageFrom(answer.hits, query.limit, {
    keyOf: (): SearchCursor => ({ at: offset + query.limit, of }),
    present: presenterOf(products, inCurrency),
  })
  return {
    status: 200,
    body: {
      ...listPage,
      // An index may be a moment behind: what is not sold any more is left out.
      data: listPage.data.filter((product) => product !== null),
      facets: shownFacets,
      total: answer.total,
      total_is_exact: answer.totalIsExact,
      engine: answer.engine,
      did_you_mean: answer.didYouMean,
    },
  }
})

const suggest = defineRoute({
  method: 'get',
  path: '/v1/store/search/suggest',
  tag: TAG,
  summary: 'Complete what is typed into a search box',
  description: 'From the first letter on. Queries first, then categories, then products.',
  caller: 'anyone',
  query: z.strictObject({
    q: z.string().max(QUERY_LENGTH_MAX).meta({ example: 'whi' }),
    limit: z.coerce.number().int().min(1).max(20).default(8),
    currency: currency.optional(),
  }),
  answers: {
    200: z.strictObject({
      data: z.array(
        z.strictObject({
          type: z.enum(['product', 'category', 'query']),
          text: z.string(),
          slug: z.string().nullable().meta({ description: 'null for a query' }),
        }),
      ),
      engine,
    }),
  },
  example: { answer: 200 },
}).handle(async ({ query }, { pool, search: engines }) => {
  const inCurrency = query.currency ?? (await storeSettings(pool)).defaultCurrency
  const answer = await engines.suggest({ text: query.q, currency: inCurrency, limit: query.limit })
  return { status: 200, body: { data: answer.data.map((one) => ({ ...one })), engine: answer.engine } }
})

export const searchRoutes: readonly Route[] = [search, suggest]

type SearchRequest = z.output<typeof searchQuery>

/** What speaks for a result because of who asks. Other orders than relevance are the same for everybody. */
async function affinityOf(
  { session, sort }: SearchRequest,
  { pool, redis, settings }: Pick<ApiDeps, 'pool' | 'redis' | 'settings'>,
): Promise<Affinity> {
  if (session === undefined || sort !== 'relevance') return NO_AFFINITY
  return readAffinity(pool, redis, sessionKey(settings.TOKEN_SECRET, session, new Date()))
}

function isAttribute(name: string): boolean {
  return name.startsWith(ATTRIBUTE_PREFIX) && ATTRIBUTE_NAME_PATTERN.test(attributeOf(name))
}

/** As search knows it, however products write it. */
function attributeOf(name: string): string {
  return name.slice(ATTRIBUTE_PREFIX.length).toLowerCase()
}

function filtersOf(query: SearchRequest): SearchFilters {
  const attributes = Object.entries(query)
    .filter(([name]) => isAttribute(name))
    .map(([name, value]) => [attributeOf(name), facetValue(String(value)).slice(0, 64)])
  return {
    category: query.category || null,
    brand: query.brand ? facetValue(query.brand) : null,
    attributes: Object.fromEntries(attributes),
    priceMin: query.price_min === '' ? null : (query.price_min ?? null),
    priceMax: query.price_max === '' ? null : (query.price_max ?? null),
    ratingMin: query.rating_min === '' ? null : (query.rating_min ?? null),
    inStock: query.in_stock ? query.in_stock === 'true' : null,
  }
}

/** Where a list page begins in the results of one search. In another search the offset would mean nothing. */
interface SearchCursor {
  readonly at: number
  readonly of: string
}

function fingerprint(wanted: unknown): string {
  return createHash('sha256').update(JSON.stringify(wanted)).digest('base64url').slice(0, 12)
}

function isCursor(key: unknown, of: string): boolean {
  const cursor = key as Partial<SearchCursor> | null
  return (
    typeof cursor === 'object' &&
    cursor?.of === of &&
    Number.isInteger(cursor.at) &&
    (cursor.at as number) > 0 &&
    (cursor.at as number) < DEPTH_MAX
  )
}

function presenterOf(
  products: readonly CatalogProduct[],
  inCurrency: Currency,
): (hit: SearchHit) => z.input<typeof foundProduct> | null {
  const byId = new Map(products.map((product) => [product.id, product]))
  return ({ id, highlight }) => {
    const product = byId.get(id)
    return product ? { ...presentListed(product, inCurrency), highlight: highlight && { ...highlight } } : null
  }
}
