import { z } from 'zod'
import { type CatalogSort, findCatalogProduct } from '../../db/catalog/listing'
import { storeSettings } from '../../db/platform/settings'
import { PRICE_AMOUNT_MAX } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { catalogProduct, currencyQuery, listedProduct, listPageOfProducts, presentDetail } from './answer'
import { readCatalog } from './read'
import { defineRoute, type Route } from '../http/route'
import { EXAMPLE_PRODUCT, listPageOf, listPageQuery } from '../http/schemas'

const slugOrId = z.string().min(1).max(100)
const amount = z.coerce.number().int().min(0).max(PRICE_AMOUNT_MAX).optional()
const SORTS = ['oldest', 'newest', 'price_asc', 'price_desc'] as const satisfies readonly CatalogSort[]

const listQuery = listPageQuery
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
  answers: { 200: listPageOf(listedProduct) },
  example: { answer: 200 },
}).handle(async ({ query }, deps) => {
  const { price_min: priceMin, price_max: priceMax, in_stock: inStock, ...given } = query
  const inCurrency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  const list = { ...given, currency: inCurrency, priceMin, priceMax, inStock: inStock === 'true' }
  return { status: 200, body: await readCatalog(deps, (db) => listPageOfProducts(db, list)) }
})

const getProduct = defineRoute({
  method: 'get',
  path: '/v1/store/products/{id}',
  tag: 'Catalog',
  summary: 'Read one product, by id or slug',
  caller: 'anyone',
  params: z.object({ id: z.string().min(1).max(100).meta({ description: 'id or slug', example: EXAMPLE_PRODUCT }) }),
  query: z.strictObject({ currency: currencyQuery }),
  answers: { 200: catalogProduct },
  example: { answer: 200 },
}).handle(async ({ params, query }, deps) => {
  const inCurrency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  const product = await readCatalog(deps, (db) => findCatalogProduct(db, params.id, inCurrency))
  if (!product) throw new DomainError('not_found', `There is no such product on sale in ${inCurrency}.`)
  return { status: 200, body: presentDetail(product, inCurrency) }
})

export const catalogRoutes: readonly Route[] = [listProducts, getProduct]
