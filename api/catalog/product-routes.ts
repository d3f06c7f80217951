import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { type Db, withTransaction } from '../../db/pool'
import { createProduct, findProduct, type Product, updateProduct, type VariantInput } from '../../db/catalog/product'
import {
  LENGTH_MM_MAX,
  PRICE_AMOUNT_MAX,
  repeatedSku,
  SLUG_LENGTH_MAX,
  SLUG_PATTERN,
  WEIGHT_GRAMS_MAX,
} from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { type ProductId, SKU_PATTERN } from '../../domain/ids'
import { announceProduct } from './announce'
import { etagOf, ifMatch } from '../http/etag'
import { imageUrls, presentImage, productImage } from './image-answer'
import { defineRoute, type Route } from '../http/route'
import { categoryRef, currency, idOf, money, pathId, timestamp } from '../http/schemas'

const VARIANTS_MAX = 250
const CATEGORIES_MAX = 50
const ATTRIBUTES_MAX = 100

const text = (length: number) => z.string().trim().min(1).max(length)

const attributes = z
  .record(
    z.string().min(1).max(100),
    z.union([z.string().max(1_000), z.number(), z.boolean(), z.array(z.string().max(1_000)).max(100)]),
  )
  .refine((given) => Object.keys(given).length <= ATTRIBUTES_MAX, `At most ${ATTRIBUTES_MAX} attributes.`)
  .meta({ example: { color: 'white' } })

const newSku = z
  .string()
  .max(64, { abort: true })
  .regex(SKU_PATTERN, 'Send 1 to 64 printable ASCII characters, no space at the ends.')
  .meta({ description: 'compared without regard to case', example: '85123A' })

const price = z.strictObject({ amount: z.int().min(0).max(PRICE_AMOUNT_MAX), currency })

const amounts = z.array(price).max(200).refine(namesEachCurrencyOnce, 'A currency is named twice.').optional()
const length = z.int().min(0).max(LENGTH_MM_MAX)

const variantFields = z.strictObject({
  sku: newSku,
  title: text(255).optional(),
  prices: amounts.meta({ description: 'all prices: in a currency left out it is not sold' }),
  price: price.optional().meta({ description: 'short for `prices` when there is only one' }),
  costs: amounts.meta({ description: 'all that a unit costs the merchant; storefronts never see it' }),
  attributes: attributes.optional(),
  weight_grams: z.int().min(0).max(WEIGHT_GRAMS_MAX).nullish(),
  length_mm: length.nullish(),
  width_mm: length.nullish(),
  height_mm: length.nullish(),
  position: z.int().min(0).max(1_000_000).optional().meta({ description: 'among the variants; the end if left out' }),
})
const changedVariant = variantFields.refine(
  (given) => given.price === undefined || given.prices === undefined,
  'Give `price` or `prices`, not both.',
)
const newVariant = changedVariant.refine(
  (given) => given.price !== undefined || given.prices !== undefined,
  'Give `price` or `prices`.',
)

const productFields = {
  title: text(255),
  slug: z
    .string()
    .max(SLUG_LENGTH_MAX, { abort: true })
    .regex(SLUG_PATTERN, 'Send lower-case words of letters and digits, joined by hyphens.')
    .optional()
    .meta({ description: 'from the title when it is left out' }),
  description: z.string().max(20_000).optional(),
  brand: text(100).nullish(),
  categories: z.array(text(1_000)).max(CATEGORIES_MAX).optional().meta({
    description: 'ids, slugs, titles or paths of titles such as Kitchen/Mugs, the main one first; what is new is made',
  }),
  attributes: attributes.optional(),
  status: z.enum(['draft', 'active', 'archived']).optional(),
}

const newProduct = z.strictObject({ ...productFields, variants: variants(newVariant).min(1) })
const changedProduct = z.strictObject({
  ...productFields,
  title: productFields.title.optional(),
  variants: variants(changedVariant)
    .optional()
    .meta({ description: 'changed or added; variants that are not named stay' }),
})

const product = z
  .strictObject({
    id: idOf('product'),
    slug: z.string(),
    title: z.string(),
    description: z.string(),
    brand: z.string().nullable(),
    seller_id: z.string(),
    status: z.enum(['draft', 'active', 'archived']),
    version: z.int(),
    categories: z.array(categoryRef),
    attributes: z.record(z.string(), z.unknown()),
    image_urls: z.array(z.string()),
    images: z.array(productImage),
    variants: z.array(
      z.strictObject({
        sku: z.string(),
        title: z.string(),
        attributes: z.record(z.string(), z.unknown()),
        weight_grams: z.int().nullable(),
        length_mm: z.int().nullable(),
        width_mm: z.int().nullable(),
        height_mm: z.int().nullable(),
        position: z.int(),
        prices: z.array(money),
        costs: z.array(money),
      }),
    ),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Product' })

const postProduct = defineRoute({
  method: 'post',
  path: '/v1/admin/products',
  tag: 'Products',
  summary: 'Make a product',
  caller: { admin: 'catalog', access: 'write' },
  body: newProduct,
  answers: {
    201: product,
    409: ['sku_taken', 'slug_taken', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: {
    answer: 201,
    body: {
      title: 'Blue Enamel Mug',
      brand: 'Falconry',
      categories: ['Kitchen'],
      attributes: { color: 'blue' },
      variants: [{ sku: 'MUG-BLUE', prices: [{ amount: 450, currency: 'GBP' }], weight_grams: 310 }],
    },
  },
}).handle(async ({ body, idempotency }, deps) => {
  const answer = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => ({
      status: 201,
      resource: await createProduct(tx, { ...body, variants: body.variants.map(toInput) }),
    }),
    presentById,
  )
  await announceProduct(deps, answer.body.id)
  return {
    ...answer,
    headers: { ...answer.headers, ...headersOf(answer.body), Location: `/v1/admin/products/${answer.body.id}` },
  }
})

const getProduct = defineRoute({
  method: 'get',
  path: '/v1/admin/products/{id}',
  tag: 'Products',
  summary: 'Read a product with all its prices, whatever its status',
  caller: { admin: 'catalog', access: 'read' },
  params: pathId('product'),
  answers: { 200: product },
  example: { answer: 200 },
}).handle(async ({ params }, { pool }) => {
  const body = await presentById(params.id, pool)
  return { status: 200, body, headers: headersOf(body) }
})

const patchProduct = defineRoute({
  method: 'patch',
  path: '/v1/admin/products/{id}',
  tag: 'Products',
  summary: 'Change a product',
  description:
    'Takes the ETag of what you read in `If-Match`. What is left out stays; `"status": "archived"` takes it off sale.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('product'),
  body: changedProduct,
  answers: {
    200: product,
    409: ['sku_taken', 'slug_taken'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, body, headers }, deps) => {
  const { pool } = deps
  const mayChange = ifMatch(headers)
  const patch = { ...body, variants: body.variants?.map(toInput) }
  await withTransaction(pool, (tx) => updateProduct(tx, { id: params.id, mayChange, patch }))
  await announceProduct(deps, params.id)
  const changed = await presentById(params.id, pool)
  return { status: 200, body: changed, headers: headersOf(changed) }
})

export const productRoutes: readonly Route[] = [postProduct, getProduct, patchProduct]

function variants<S extends z.ZodType<{ sku: string }>>(variant: S) {
  return z
    .array(variant)
    .max(VARIANTS_MAX)
    .refine((given) => repeatedSku(given.map(({ sku }) => sku)) === null, 'A SKU is named twice.')
}

function namesEachCurrencyOnce(prices: readonly { currency: string }[]): boolean {
  return new Set(prices.map(({ currency }) => currency)).size === prices.length
}

function toInput(given: z.output<typeof changedVariant>): VariantInput {
  const { weight_grams: weightGrams, length_mm: lengthMm, width_mm: widthMm, height_mm: heightMm, ...variant } = given
  return { ...variant, weightGrams, lengthMm, widthMm, heightMm }
}

async function presentById(id: ProductId, db: Db): Promise<z.input<typeof product>> {
  const found = await findProduct(db, id)
  if (!found) throw new DomainError('not_found', 'There is no product with this id.')
  return present(found)
}

function present(found: Product): z.input<typeof product> {
  return {
    id: found.id,
    slug: found.slug,
    title: found.title,
    description: found.description,
    brand: found.brand,
    seller_id: found.sellerId,
    status: found.status,
    version: found.version,
    categories: [...found.categories],
    attributes: found.attributes,
    image_urls: imageUrls(found.images),
    images: found.images.map(presentImage),
    variants: found.variants.map((variant) => ({
      ...variant,
      prices: [...variant.prices],
      costs: [...variant.costs],
    })),
    created_at: found.createdAt.toISOString(),
    updated_at: found.updatedAt.toISOString(),
  }
}

function headersOf({ version }: { version: number }): Record<string, string> {
  return { ETag: etagOf(version) }
}
