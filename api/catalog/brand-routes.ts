import { z } from 'zod'
import { type Brand, findBrand, listBrands, updateBrand } from '../../db/catalog/brand'
import { type Db, withTransaction } from '../../db/pool'
import { SLUG_LENGTH_MAX, SLUG_PATTERN } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { etagOf, ifMatch } from '../http/etag'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { listPageOf, listPageQuery, timestamp } from '../http/schemas'

const slug = z
  .string()
  .max(SLUG_LENGTH_MAX, { abort: true })
  .regex(SLUG_PATTERN, 'Send lower-case words of letters and digits, joined by hyphens.')

const storeBrand = z.strictObject({ slug: z.string(), name: z.string(), description: z.string() }).meta({ id: 'Brand' })

const adminBrand = storeBrand.extend({ version: z.int(), updated_at: timestamp }).meta({ id: 'AdminBrand' })

const changedBrand = z.strictObject({
  name: z.string().trim().min(1).max(100).optional().meta({ description: 'its products go with it' }),
  slug: slug.optional(),
  description: z.string().max(20_000).optional(),
})

const pathSlug = z.object({ slug })

const getBrands = defineRoute({
  method: 'get',
  path: '/v1/store/brands',
  tag: 'Brands',
  summary: 'List the brands',
  description: 'A brand is made when a product names it; names are compared without regard to case.',
  caller: 'anyone',
  query: listPageQuery,
  answers: { 200: listPageOf(storeBrand) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => {
  const after = readCursor(query.cursor, (key): key is string => typeof key === 'string' && SLUG_PATTERN.test(key))
  const brands = await listBrands(pool, { after, limit: query.limit + 1 })
  const listPage = listPageFrom(brands, query.limit, {
    keyOf: (brand) => brand.slug,
    present: ({ slug, name, description }) => ({ slug, name, description }),
  })
  return { status: 200, body: listPage }
})

const getBrand = defineRoute({
  method: 'get',
  path: '/v1/admin/brands/{slug}',
  tag: 'Brands',
  summary: 'Read a brand, to change it',
  caller: { admin: 'catalog', access: 'read' },
  params: pathSlug,
  answers: { 200: adminBrand },
}).handle(async ({ params }, { pool }) => answer(pool, params.slug))

const patchBrand = defineRoute({
  method: 'patch',
  path: '/v1/admin/brands/{slug}',
  tag: 'Brands',
  summary: 'Change a brand',
  description: 'Takes the ETag of what you read in `If-Match`. What is left out stays.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathSlug,
  body: changedBrand,
  answers: {
    200: adminBrand,
    409: ['slug_taken', 'name_taken'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, body, headers }, { pool }) => {
  const mayChange = ifMatch(headers)
  await withTransaction(pool, (tx) => updateBrand(tx, { slug: params.slug, mayChange, patch: body }))
  return answer(pool, body.slug ?? params.slug)
})

export const brandRoutes: readonly Route[] = [getBrands, getBrand, patchBrand]

async function answer(db: Db, wanted: string) {
  const brand = await findBrand(db, wanted)
  if (!brand) throw new DomainError('not_found', 'There is no brand with this slug.')
  return { status: 200, body: present(brand), headers: { ETag: etagOf(brand.version) } } as const
}

function present({ slug, name, description, version, updatedAt }: Brand): z.input<typeof adminBrand> {
  return { slug, name, description, version, updated_at: updatedAt.toISOString() }
}
