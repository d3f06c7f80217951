import { z } from 'zod'
import { storeSettings } from '../../db/settings'
import { type CatalogProduct, type CatalogVariant, findCatalogProduct, listCatalog } from '../../db/catalog'
import { listCategories } from '../../db/category'
import { stockHint } from '../../domain/catalog'
import { DomainError } from '../../domain/errors'
import { isId } from '../../domain/ids'
import { imagePath } from '../../domain/image'
import type { Currency } from '../../domain/money'
import { pageFrom, readCursor } from '../page'
import { defineRoute, type Route } from '../route'
import { currency, idOf, money, pageOf, pageQuery } from '../schemas'

const attributes = z.record(z.string(), z.unknown())

const categoryRef = z.strictObject({ id: idOf('category'), slug: z.string(), title: z.string() })

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

/** A product as lists show it. */
export const listedProduct = z
  .strictObject({
    id: idOf('product'),
    slug: z.string(),
    title: z.string(),
    brand: z.string().nullable(),
    seller_id: z.string(),
    categories: z.array(categoryRef),
    image_urls: z.array(z.string()).meta({ description: 'of 800 pixels, relative to this API', example: [] }),
    rating: z
      .strictObject({ average: z.number(), count: z.int() })
      .nullable()
      .meta({ description: 'of the approved reviews; null without any' }),
    price_range: z.strictObject({ min: money, max: money }),
    available: z.boolean(),
    variants: z.array(catalogVariant),
  })
  .meta({ id: 'CatalogProduct' })

const catalogProduct = listedProduct
  .extend({ description: z.string(), attributes })
  .meta({ id: 'CatalogProductDetail' })

const category = categoryRef
  .extend({ parent_id: idOf('category').nullable(), position: z.int() })
  .meta({ id: 'Category' })

export const currencyQuery = currency.optional().meta({ description: "the store's default when it is left out" })

const listProducts = defineRoute({
  method: 'get',
  path: '/v1/store/products',
  tag: 'Catalog',
  summary: 'List the products that are sold in a currency',
  description: 'Active products with a price in it, oldest first. A variant without a price in it is not there.',
  caller: 'anyone',
  query: pageQuery.extend({ currency: currencyQuery }),
  answers: { 200: pageOf(listedProduct) },
}).handle(async ({ query }, { pool }) => {
  const after = readCursor(query.cursor, isProductId)
  const inCurrency = query.currency ?? (await storeSettings(pool)).defaultCurrency
  const products = await listCatalog(pool, { currency: inCurrency, after, limit: query.limit + 1 })
  const page = pageFrom(products, query.limit, {
    keyOf: (product) => product.id,
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

const getCategories = defineRoute({
  method: 'get',
  path: '/v1/store/categories',
  tag: 'Catalog',
  summary: 'List the categories',
  caller: 'anyone',
  query: pageQuery,
  answers: { 200: pageOf(category) },
}).handle(async ({ query }, { pool }) => {
  const after = readCursor(query.cursor, (key): key is string => typeof key === 'string' && isId('category', key))
  const categories = await listCategories(pool, { after, limit: query.limit + 1 })
  const page = pageFrom(categories, query.limit, {
    keyOf: ({ id }) => id,
    present: ({ id, slug, title, parentId, position }) => ({ id, slug, title, parent_id: parentId, position }),
  })
  return { status: 200, body: page }
})

export const catalogRoutes: readonly Route[] = [listProducts, getProduct, getCategories]

export function presentListed(product: CatalogProduct, inCurrency: Currency): z.input<typeof listedProduct> {
  const amounts = product.variants.map((variant) => variant.amount)
  return {
    id: product.id,
    slug: product.slug,
    title: product.title,
    brand: product.brand,
    seller_id: product.sellerId,
    categories: [...product.categories],
    image_urls: product.images.map(({ name }) => imagePath(name, 800)),
    rating: product.rating === null ? null : { average: toCents(product.rating), count: product.ratingCount },
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

/** A `real` of Postgres, such as 4.329999923706055, as the two places that it was written with. */
function toCents(average: number): number {
  return Math.round(average * 100) / 100
}

function isProductId(key: unknown): key is string {
  return typeof key === 'string' && isId('product', key)
}
