import { z } from 'zod'
import { type CategoryAttributes, readCategoryAttributes } from '../../db/catalog/attribute'
import { type Category, findCategory, listCategories, listChildren } from '../../db/catalog/category'
import { createCategory, defineAttributes, deleteCategory, updateCategory } from '../../db/catalog/category-tree'
import { withIdempotency } from '../../db/platform/idempotency'
import { type Db, type Pool, withTransaction } from '../../db/pool'
import { ATTRIBUTE_NAME_PATTERN, ATTRIBUTE_TYPES, type AttributeDefinition } from '../../domain/catalog/attribute'
import { SLUG_LENGTH_MAX, SLUG_PATTERN } from '../../domain/catalog/product'
import { CATEGORY_TITLE_LENGTH_MAX } from '../../domain/catalog/category'
import { DomainError } from '../../domain/errors'
import { type CategoryId, isId } from '../../domain/ids'
import { announceCategory } from './announce'
import { readCatalog } from './read'
import { etagOf, ifMatch } from '../http/etag'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { categoryRef, EXAMPLE_CATEGORY, idOf, listPageOf, listPageQuery, pathId, timestamp } from '../http/schemas'

const ATTRIBUTES_MAX = 50
const OPTIONS_MAX = 500
/** Of one category's children: a storefront's menu shows no more. */
const CHILDREN_MAX = 200

const text = (length: number) => z.string().trim().min(1).max(length)

const attribute = z
  .strictObject({
    name: z.string().regex(ATTRIBUTE_NAME_PATTERN, 'Send a lower-case word, such as color.'),
    label: text(100),
    type: z.enum(ATTRIBUTE_TYPES),
    required: z.boolean().default(false).meta({ description: 'on the product, or on each of its variants' }),
    filterable: z.boolean().default(false).meta({ description: 'search offers it as a filter' }),
    options: z
      .array(text(200))
      .max(OPTIONS_MAX)
      .refine((given) => new Set(given).size === given.length, 'An option is named twice.')
      .default([])
      .meta({ description: 'the values of an enum' }),
    unit: text(20).nullish(),
  })
  .refine((given) => (given.type === 'enum') === given.options.length > 0, {
    path: ['options'],
    message: 'An enum has options, and nothing else has.',
  })

const attributeList = z
  .array(attribute)
  .max(ATTRIBUTES_MAX)
  .refine((given) => new Set(given.map(({ name }) => name)).size === given.length, 'An attribute is named twice.')

const definition = z
  .strictObject({
    name: z.string(),
    label: z.string(),
    type: z.enum(ATTRIBUTE_TYPES),
    required: z.boolean(),
    filterable: z.boolean(),
    options: z.array(z.string()),
    unit: z.string().nullable(),
  })
  .meta({ id: 'AttributeDefinition' })

const storeCategory = categoryRef
  .extend({
    parent_id: idOf('category').nullable(),
    position: z.int(),
    breadcrumbs: z.array(categoryRef).meta({ description: 'from the root to the category itself' }),
  })
  .meta({ id: 'Category' })

const storeCategoryDetail = storeCategory
  .extend({
    description: z.string(),
    children: z.array(categoryRef).meta({ description: `the first ${CHILDREN_MAX}` }),
    attributes: z.array(definition).meta({ description: 'of its products, the inherited ones included' }),
  })
  .meta({ id: 'CategoryDetail' })

const adminCategory = storeCategory
  .extend({ description: z.string(), version: z.int(), created_at: timestamp, updated_at: timestamp })
  .meta({ id: 'AdminCategory' })

const categoryAttributes = z
  .strictObject({
    attributes: z.array(definition).meta({ description: 'what this category defines' }),
    inherited: z.array(definition).meta({ description: 'what those above it define' }),
  })
  .meta({ id: 'CategoryAttributes' })

const fields = {
  title: text(CATEGORY_TITLE_LENGTH_MAX),
  slug: z
    .string()
    .max(SLUG_LENGTH_MAX, { abort: true })
    .regex(SLUG_PATTERN, 'Send lower-case words of letters and digits, joined by hyphens.')
    .optional(),
  description: z.string().max(20_000).optional(),
  parent_id: idOf('category').nullish().meta({ description: 'null: a root' }),
  position: z.int().min(-1_000_000).max(1_000_000).optional().meta({ description: 'among its siblings' }),
}
const newCategory = z.strictObject(fields)
const changedCategory = z.strictObject({ ...fields, title: fields.title.optional() })

const getCategories = defineRoute({
  method: 'get',
  path: '/v1/store/categories',
  tag: 'Categories',
  summary: 'List the categories',
  caller: 'anyone',
  query: listPageQuery,
  answers: { 200: listPageOf(storeCategory) },
  example: { answer: 200 },
}).handle(async ({ query }, deps) => ({
  status: 200,
  body: await readCatalog(deps, (db) => listPageOfCategories(db, query, present)),
}))

const getCategory = defineRoute({
  method: 'get',
  path: '/v1/store/categories/{id}',
  tag: 'Categories',
  summary: 'Read one category, by id or slug',
  caller: 'anyone',
  params: z.object({
    id: z.string().min(1).max(SLUG_LENGTH_MAX).meta({ description: 'id or slug', example: EXAMPLE_CATEGORY }),
  }),
  answers: { 200: storeCategoryDetail },
  example: { answer: 200 },
}).handle(async ({ params }, deps) => ({
  status: 200,
  body: await readCatalog(deps, (db) => detailOf(db, params.id)),
}))

async function detailOf(db: Pool, idOrSlug: string): Promise<z.input<typeof storeCategoryDetail>> {
  const category = await requireCategory(db, idOrSlug)
  const { own, inherited } = await readCategoryAttributes(db, category.id)
  const children = await listChildren(db, category.id, CHILDREN_MAX)
  const attributes = [...inherited, ...own].map(presentDefinition)
  return { ...present(category), description: category.description, children, attributes }
}

const listAdminCategories = defineRoute({
  method: 'get',
  path: '/v1/admin/categories',
  tag: 'Categories',
  summary: 'List the categories with what staff need to change them',
  caller: { admin: 'catalog', access: 'read' },
  query: listPageQuery,
  answers: { 200: listPageOf(adminCategory) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => ({ status: 200, body: await listPageOfCategories(pool, query, presentAdmin) }))

const postCategory = defineRoute({
  method: 'post',
  path: '/v1/admin/categories',
  tag: 'Categories',
  summary: 'Make a category',
  description: 'Without a slug it gets one from its title and the slug of its parent.',
  caller: { admin: 'catalog', access: 'write' },
  body: newCategory,
  answers: {
    201: adminCategory,
    409: ['slug_taken', 'category_too_deep', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: { answer: 201, body: { title: 'Garden' } },
}).handle(async ({ body, idempotency }, deps) => {
  const { pool } = deps
  const { parent_id: parentId, ...input } = body
  const answer = await withIdempotency(
    pool,
    idempotency,
    async (tx) => ({ status: 201, resource: await createCategory(tx, { ...input, parentId }) }),
    presentById,
  )
  const { id, version, breadcrumbs } = answer.body
  await announceCategory(
    deps,
    breadcrumbs.map((crumb) => crumb.id),
  )
  return { ...answer, headers: { ...answer.headers, ETag: etagOf(version), Location: `/v1/admin/categories/${id}` } }
})

const getAdminCategory = defineRoute({
  method: 'get',
  path: '/v1/admin/categories/{id}',
  tag: 'Categories',
  summary: 'Read a category, to change it',
  caller: { admin: 'catalog', access: 'read' },
  params: pathId('category'),
  answers: { 200: adminCategory },
  example: { answer: 200 },
}).handle(async ({ params }, { pool }) => {
  const body = await presentById(params.id, pool)
  return { status: 200, body, headers: { ETag: etagOf(body.version) } }
})

const patchCategory = defineRoute({
  method: 'patch',
  path: '/v1/admin/categories/{id}',
  tag: 'Categories',
  summary: 'Change or move a category',
  description:
    'Takes the ETag of what you read in `If-Match`. What is left out stays. With another `parent_id` the whole branch ' +
    'moves; its products must fit the attributes that they inherit there.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('category'),
  body: changedCategory,
  answers: {
    200: adminCategory,
    409: ['slug_taken', 'category_cycle', 'category_too_deep', 'attributes_in_use'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, body, headers }, deps) => {
  const { pool } = deps
  const mayChange = ifMatch(headers)
  const { parent_id: parentId, ...patch } = body
  const shownOn = await withTransaction(pool, (tx) =>
    updateCategory(tx, { id: params.id, mayChange, patch: { ...patch, parentId } }),
  )
  await announceCategory(deps, shownOn)
  const changed = await presentById(params.id, pool)
  return { status: 200, body: changed, headers: { ETag: etagOf(changed.version) } }
})

const removeCategory = defineRoute({
  method: 'delete',
  path: '/v1/admin/categories/{id}',
  tag: 'Categories',
  summary: 'Delete an empty category',
  description: 'Takes the ETag of what you read in `If-Match`.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('category'),
  answers: {
    204: null,
    409: ['category_not_empty'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, headers }, deps) => {
  const mayChange = ifMatch(headers)
  const shownOn = await withTransaction(deps.pool, (tx) => deleteCategory(tx, { id: params.id, mayChange }))
  await announceCategory(deps, shownOn)
  return { status: 204 }
})

const getAttributes = defineRoute({
  method: 'get',
  path: '/v1/admin/categories/{id}/attributes',
  tag: 'Categories',
  summary: 'Read what a category says of its products’ attributes',
  caller: { admin: 'catalog', access: 'read' },
  params: pathId('category'),
  answers: { 200: categoryAttributes },
}).handle(async ({ params }, { pool }) => answerAttributes(pool, params.id))

const putAttributes = defineRoute({
  method: 'put',
  path: '/v1/admin/categories/{id}/attributes',
  tag: 'Categories',
  summary: 'Say what the attributes of a category’s products are',
  description:
    'Takes the category’s ETag in `If-Match`. The definitions hold for the whole branch, and replace those that this ' +
    'category had; of two with one name the nearer one counts. Attributes that no category defines stay free. When ' +
    'products that are stored do not fit, nothing changes and `products` names the first of them.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('category'),
  body: z.strictObject({ attributes: attributeList }),
  answers: {
    200: categoryAttributes,
    409: ['attributes_in_use'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, body, headers }, deps) => {
  const { pool } = deps
  const mayChange = ifMatch(headers)
  const definitions = body.attributes.map((given) => ({ ...given, unit: given.unit ?? null }))
  const shownOn = await withTransaction(pool, (tx) => defineAttributes(tx, { id: params.id, mayChange, definitions }))
  await announceCategory(deps, shownOn)
  return answerAttributes(pool, params.id)
})

export const categoryRoutes: readonly Route[] = [
  getCategories,
  getCategory,
  listAdminCategories,
  postCategory,
  getAdminCategory,
  patchCategory,
  removeCategory,
  getAttributes,
  putAttributes,
]

async function listPageOfCategories<T>(
  db: Db,
  { cursor, limit }: z.output<typeof listPageQuery>,
  presentOne: (category: Category) => T,
) {
  const after = readCursor(cursor, (key): key is string => typeof key === 'string' && isId('category', key))
  const categories = await listCategories(db, { after, limit: limit + 1 })
  return listPageFrom(categories, limit, { keyOf: ({ id }) => id, present: presentOne })
}

async function requireCategory(db: Db, idOrSlug: string): Promise<Category> {
  const found = await findCategory(db, idOrSlug)
  if (!found) throw new DomainError('not_found', 'There is no such category.')
  return found
}

async function presentById(id: CategoryId, db: Db): Promise<z.input<typeof adminCategory>> {
  return presentAdmin(await requireCategory(db, id))
}

function present(category: Category): z.input<typeof storeCategory> {
  const { id, slug, title, parentId, position, breadcrumbs } = category
  return { id, slug, title, parent_id: parentId, position, breadcrumbs: [...breadcrumbs] }
}

function presentAdmin(category: Category): z.input<typeof adminCategory> {
  return {
    ...present(category),
    description: category.description,
    version: category.version,
    created_at: category.createdAt.toISOString(),
    updated_at: category.updatedAt.toISOString(),
  }
}

async function answerAttributes(db: Db, id: CategoryId) {
  const { version } = await requireCategory(db, id)
  const body = presentAttributes(await readCategoryAttributes(db, id))
  return { status: 200, body, headers: { ETag: etagOf(version) } } as const
}

function presentAttributes({ own, inherited }: CategoryAttributes): z.input<typeof categoryAttributes> {
  return { attributes: own.map(presentDefinition), inherited: inherited.map(presentDefinition) }
}

function presentDefinition(given: AttributeDefinition): z.input<typeof definition> {
  return { ...given, options: [...given.options] }
}
