import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
  type CatalogPlace,
  type CatalogProduct,
  type CatalogQuery,
  type CatalogVariant,
  listCatalog,
} from '../../db/catalog/listing'
import type { Db } from '../../db/pool'
import { stockHint } from '../../domain/catalog/product'
import { isId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { type ListPage, listPageFrom, readCursor } from '../http/pagination'
import { imageUrls } from './image-answer'
import { categoryRef, currency, idOf, money } from '../http/schemas'

/** Products as shoppers are answered them: their shape, lists of them, and how they are made from rows. */

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

export const catalogProduct = listedProduct
  .extend({ description: z.string(), attributes })
  .meta({ id: 'CatalogProductDetail' })

export const currencyQuery = currency.optional().meta({ description: "the store's default when it is left out" })

export interface ProductList extends Omit<CatalogQuery, 'after'> {
  readonly cursor?: string | undefined
}

/** One list page, with the cursor that `GET /v1/store/products` takes for the next one. */
export async function listPageOfProducts(db: Db, list: ProductList): Promise<ListPage<z.input<typeof listedProduct>>> {
  const { currency: inCurrency, category, brand, priceMin, priceMax, inStock = false, sort, limit, cursor } = list
  const wanted = { currency: inCurrency, category, brand, priceMin, priceMax, inStock, sort }
  const name = nameOfList(wanted)
  const key = readCursor(cursor, (key): key is ListKey => isKeyOf(name, key))
  const after: CatalogPlace | null = key && { price: key[1], id: key[2] }
  const products = await listCatalog(db, { ...wanted, after, limit: limit + 1 })
  return listPageFrom(products, limit, {
    keyOf: (product): ListKey => [name, product.price, product.id],
    present: (product) => presentListed(product, inCurrency),
  })
}

export function presentDetail(product: CatalogProduct, inCurrency: Currency): z.input<typeof catalogProduct> {
  const { description, attributes } = product
  return { ...presentListed(product, inCurrency), description, attributes }
}

export function presentListed(product: CatalogProduct, inCurrency: Currency): z.input<typeof listedProduct> {
  const amounts = product.variants.map((variant) => variant.amount)
  const variants = product.variants.map((variant) => presentVariant(variant, inCurrency))
  return {
    id: product.id,
    slug: product.slug,
    title: product.title,
    brand: product.brand,
    seller_id: product.sellerId,
    categories: [...product.categories],
    image_urls: imageUrls(product.images),
    rating: product.rating === null ? null : { average: toTwoPlaces(product.rating), count: product.ratingCount },
    price_range: {
      min: { amount: Math.min(...amounts), currency: inCurrency },
      max: { amount: Math.max(...amounts), currency: inCurrency },
    },
    available: variants.some((variant) => variant.available),
    variants,
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

/** Postgres stores ratings as `real`: 4.329999923706055 was written as 4.33. */
function toTwoPlaces(average: number): number {
  return Math.round(average * 100) / 100
}
