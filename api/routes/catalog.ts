import { createHash } from 'node:crypto'
import { z } from 'zod'
import { storeSettings } from '../../db/settings'
import {
  type CatalogPlace,
  type CatalogProduct,
  type CatalogSort,
  type CatalogVariant,
  findCatalogProduct,
  listCatalog,
} from '../../db/catalog'
import { PRICE_AMOUNT_MAX, stockHint } from '../../domain/catalog'
import { DomainError } from '../../domain/errors'
import { isId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { pageFrom, readCursor } from '../page'
import { defineRoute, type Route } from '../route'
import { categoryRef, currency, idOf, money, pageOf, pageQuery } from '../schemas'

const attributes = z.record(z.string(), z.unknown())

const catalogVariant = z.strictObject({
  sku: z.string(),
  title: z.string(),
  attributes,
  available: z.boolean(),
  available_hint: z
    .enum(['in_stock', 'low', 'out_of_stock'])
    .meta({ description: 'may be seconds old, never the basis of a promise' }),
  available_quantity: z.int().optional().meta({ description: 'with the hint `low`: "only 5 left"' }),
  price: money,
  list_price: money,
})

const listedProduct = z
  .strictObject({
    id: idOf('product'),
    slug: z.string(),
    title: z.string(),
    brand: z.string().nullable(),
    seller_id: z.string(),
    categories: z.array(categoryRef),
    image_urls: z.array(z.string()),
    price_range: z.strictObject({ min: money, max: money }),
    available: z.boolean(),
    variants: z.array(catalogVariant),
  })
  .meta({ id: 'CatalogProduct' })

const catalogProduct = listedProduct
  .extend({ description: z.string(), attributes })
  .meta({ id: 'CatalogProductDetail' })

const currencyQuery = currency.optional().meta({ description: "the store's default when it is left out" })

const slugOrId = z.string().min(1).max(100)
const amount = z.coerce.number().int().min(0).max(PRICE_AMOUNT_MAX).optional()
const SORTS = ['oldest', 'newest', 'price_asc', 'price_desc'] as const satisfies readonly CatalogSort[]

const listQuery = pageQuery
  .extend({
    currency: currencyQuery,
    category: slugOrId.optional().meta({ description: 'id or slug: the category with all that lies below it' }),
    brand: slugOrId.optional().meta({ description: 'slug' }),
    price_min: amount.meta({ description: 'of the variant that costs least, in minor units' }),
    price_max: amount,
    in_stock: z.enum(['true', 'false']).optional().meta({ description: '`true` leaves out what is out of stock' }),
    sort: z.enum(SORTS).default('oldest').meta({ description: 'prices are those of the variant that costs least' }),
  })
  .refine((query) => (query.price_min ?? 0) <= (query.price_max ?? PRICE_AMOUNT_MAX), {
    path: ['price_max'],
    message: 'Send a price_max that is not less than price_min.',
  })

const listProducts = defineRoute({
  method: 'get',
  path: '/v1/store/products',
  tag: 'Catalog',
  summary: 'List the products that are sold in a currency',
  description:
    'Active products with a price in it, oldest first unless `sort` says otherwise. A variant without a price in it is ' +
    'not there. A cursor goes with the filters and the order that it was answered for.',
  caller: 'anyone',
  query: listQuery,
  answers: { 200: pageOf(listedProduct) },
}).handle(async ({ query }, { pool }) => {
  const { price_min: priceMin, price_max: priceMax, category, brand, sort, limit } = query
  const inCurrency = query.currency ?? (await storeSettings(pool)).defaultCurrency
  const wanted = { currency: inCurrency, category, brand, priceMin, priceMax, inStock: query.in_stock === 'true', sort }
  const list = nameOfList(wanted)
  const key = readCursor(query.cursor, (key): key is ListKey => isKeyOf(list, key))
  const after: CatalogPlace | null = key && { price: key[1], id: key[2] }
  const products = await listCatalog(pool, { ...wanted, after, limit: limit + 1 })
  const page = pageFrom(products, limit, {
    keyOf: (product): ListKey => [list, product.price, product.id],
    present: (product) => presentListed(product, inCurrency),
  })
  return { status: 200, body: page }
})

const getProduct = defineRoute({
  method: 'get',
  path: '/v1/store/products/{id}',
  tag: 'Catalog',
  summary: 'Read one product, by id or slug',
  caller: 'anyone',
  params: z.object({ id: z.string().min(1).max(100).meta({ description: 'id or slug' }) }),
  query: z.strictObject({ currency: currencyQuery }),
  answers: { 200: catalogProduct },
}).handle(async ({ params, query }, { pool }) => {
  const inCurrency = query.currency ?? (await storeSettings(pool)).defaultCurrency
  const product = await findCatalogProduct(pool, params.id, inCurrency)
  if (!product) throw new DomainError('not_found', `There is no such product on sale in ${inCurrency}.`)
  const { description, attributes } = product
  return { status: 200, body: { ...presentListed(product, inCurrency), description, attributes } }
})

export const catalogRoutes: readonly Route[] = [listProducts, getProduct]

function presentListed(product: CatalogProduct, inCurrency: Currency): z.input<typeof listedProduct> {
  const amounts = product.variants.map((variant) => variant.amount)
  return {
    id: product.id,
    slug: product.slug,
    title: product.title,
    brand: product.brand,
    seller_id: product.sellerId,
    categories: [...product.categories],
    image_urls: [],
    price_range: {
      min: { amount: Math.min(...amounts), currency: inCurrency },
      max: { amount: Math.max(...amounts), currency: inCurrency },
    },
    available: product.variants.some((variant) => variant.available > 0),
    variants: product.variants.map((variant) => presentVariant(variant, inCurrency)),
  }
}

/** Sale prices come later: until then the list price is the price. */
function presentVariant(variant: CatalogVariant, inCurrency: Currency): z.input<typeof catalogVariant> {
  const price = { amount: variant.amount, currency: inCurrency }
  return {
    sku: variant.sku,
    title: variant.title,
    attributes: variant.attributes,
    ...stockHint(variant.available),
    price,
    list_price: price,
  }
}

/** The list that a cursor belongs to, the place of its last product: price, id. */
type ListKey = readonly [list: string, price: number, id: string]

/** The same for the same filters and order: a cursor of another list would skip and repeat. */
function nameOfList(query: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 12)
}

function isKeyOf(list: string, key: unknown): boolean {
  if (!Array.isArray(key) || key.length !== 3) return false
  const [of, price, id] = key as unknown[]
  return of === list && Number.isSafeInteger(price) && typeof id === 'string' && isId('product', id)
}
