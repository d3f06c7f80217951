import { CATEGORY_DEPTH_MAX, type CategoryStep, categoryPath } from '../../domain/catalog/category'
import { DomainError } from '../../domain/errors'
import { type CategoryId, isId, type ProductId } from '../../domain/ids'
import { newId } from '../id'
import type { Db, Tx } from '../pool'

export interface CategoryRef {
  readonly id: CategoryId
  readonly slug: string
  readonly title: string
}

export interface Category extends CategoryRef {
  readonly description: string
  readonly parentId: CategoryId | null
  readonly position: number
  /** From the root to the category itself. */
  readonly breadcrumbs: readonly CategoryRef[]
  /** Rises with every change of the category and of its attributes. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** The categories of a product `p`, the first one first. */
export const PRODUCT_CATEGORIES = `
  coalesce((
    select jsonb_agg(jsonb_build_object('id', c.id, 'slug', c.slug, 'title', c.title) order by pc.position, c.slug)
    from product_category pc
    join category c on c.id = pc.category_id
    where pc.product_id = p.id
  ), '[]'::jsonb)`

const CATEGORY = `
  select c.id, c.slug, c.title, c.description, c.parent_id as "parentId", c.position, c.version,
         c.created_at as "createdAt", c.updated_at as "updatedAt",
         (
           select jsonb_agg(jsonb_build_object('id', up.id, 'slug', up.slug, 'title', up.title) order by step.depth)
           from unnest(c.path) with ordinality as step (id, depth)
           join category up on up.id = step.id
         ) as breadcrumbs
  from category c`

/** Categories after the id `after` (null: the first ones), oldest first. */
export async function listCategories(
  db: Db,
  { after, limit }: { after: string | null; limit: number },
): Promise<Category[]> {
  const { rows } = await db.query<Category>({
    name: 'category.list',
    text: `${CATEGORY} where c.id > $1 order by c.id limit $2`,
    values: [after ?? '', limit],
  })
  return rows
}

/** By id or by slug, which cannot be mistaken for each other: a slug has no underscore. */
export async function findCategory(db: Db, idOrSlug: string): Promise<Category | null> {
  const byId = idOrSlug.includes('_')
  const { rows } = await db.query<Category>({
    name: byId ? 'category.byId' : 'category.bySlug',
    text: `${CATEGORY} where c.${byId ? 'id' : 'slug'} = $1`,
    values: [idOrSlug],
  })
  return rows[0] ?? null
}

/** What lies right below a category, in the merchant's order: the first `limit`. */
export async function listChildren(db: Db, id: CategoryId, limit: number): Promise<CategoryRef[]> {
  const { rows } = await db.query<CategoryRef>({
    name: 'category.children',
    text: 'select id, slug, title from category where parent_id = $1 order by position, title, id limit $2',
    values: [id, limit],
  })
  return rows
}

const BRANCH_BATCH_SIZE = 2_000

/** The products of a branch, whatever their status, each once and by id: some at a time, as they were at the first ones. */
export async function* productsOfBranch(tx: Tx, id: CategoryId): AsyncGenerator<ProductId[]> {
  await tx.query(
    `declare products_of_branch no scroll cursor for
     select distinct pc.product_id as id
     from category c
     join product_category pc on pc.category_id = c.id
     where c.path @> array[$1::text]
     order by id`,
    [id],
  )
  for (let more = true; more; ) {
    const { rows } = await tx.query<{ id: ProductId }>(`fetch ${BRANCH_BATCH_SIZE} from products_of_branch`)
    if (rows.length > 0) yield rows.map((row) => row.id)
    more = rows.length === BRANCH_BATCH_SIZE
  }
  await tx.query('close products_of_branch')
}

/** Makes the categories of these paths that do not exist yet; answers the id of every step by its slug. */
export async function ensureCategories(
  tx: Tx,
  paths: readonly (readonly CategoryStep[])[],
): Promise<Map<string, CategoryId>> {
  const ids = await findIds(tx, [...new Set(paths.flat().map(({ slug }) => slug))])
  const depth = Math.max(0, ...paths.map((path) => path.length))
  for (let level = 0; level < depth; level++) await ensureLevel(tx, paths, level, ids)
  return ids
}

/**
 * What is there already keeps its place, wherever the merchant has moved it. Below one that was moved as deep as the tree
 * may be nothing has room: what should be made there is made beside it.
 */
async function ensureLevel(
  tx: Tx,
  paths: readonly (readonly CategoryStep[])[],
  level: number,
  ids: Map<string, CategoryId>,
): Promise<void> {
  const missing = new Map<string, { title: string; parent: CategoryId | null }>()
  for (const path of paths) {
    const step = path[level]
    if (!step || ids.has(step.slug)) continue
    missing.set(step.slug, { title: step.title, parent: ids.get(path[level - 1]?.slug ?? '') ?? null })
  }
  const slugs = [...missing.keys()].sort()
  if (slugs.length === 0) return
  await tx.query({
    name: 'category.ensure',
    text: `
      insert into category (id, slug, title, parent_id)
      select n.id, n.slug, n.title, case when cardinality(up.path) < ${CATEGORY_DEPTH_MAX} then up.id else up.parent_id end
      from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as n (id, slug, title, parent_id)
      left join category up on up.id = n.parent_id
      on conflict (slug) do nothing`,
    values: [
      slugs.map(() => newId('category')),
      slugs,
      slugs.map((slug) => missing.get(slug)?.title),
      slugs.map((slug) => missing.get(slug)?.parent),
    ],
  })
  for (const [slug, id] of await findIds(tx, slugs)) ids.set(slug, id)
}

async function findIds(tx: Tx, slugs: readonly string[]): Promise<Map<string, CategoryId>> {
  if (slugs.length === 0) return new Map()
  const { rows } = await tx.query<{ slug: string; id: CategoryId }>({
    name: 'category.idsBySlug',
    text: 'select slug, id from category where slug = any ($1::text[])',
    values: [slugs],
  })
  return new Map(rows.map(({ slug, id }) => [slug, id]))
}

/**
 * Gives a product exactly these categories: by id, slug, title, or path of titles such as `Kitchen/Mugs`. Throws
 * `validation_failed` for an id or a path that is none.
 */
export async function setProductCategories(tx: Tx, id: ProductId, wanted: readonly string[]): Promise<void> {
  await requireCategories(tx, wanted)
  const paths = wanted.map((text, index) => (isId('category', text) ? null : pathOf(text, index)))
  const bySlug = await ensureCategories(
    tx,
    paths.filter((path) => path !== null),
  )
  const ids = wanted.map((text, index) => bySlug.get(paths[index]?.at(-1)?.slug ?? '') ?? text)
  await tx.query('delete from product_category where product_id = $1', [id])
  await tx.query(
    `insert into product_category (product_id, category_id, position)
     select $1, id, min(position) - 1
     from unnest($2::text[]) with ordinality as c (id, position)
     group by id`,
    [id, ids],
  )
}

function pathOf(text: string, index: number): CategoryStep[] {
  const path = categoryPath(text)
  if (path) return path
  throw wrongCategory(index, 'invalid', 'A path has 1 to 10 titles of 1 to 100 characters, joined by slashes.')
}

async function requireCategories(tx: Tx, wanted: readonly string[]): Promise<void> {
  const ids = wanted.filter((text) => isId('category', text))
  const { rows } = await tx.query<{ id: string }>('select id from category where id = any ($1::text[])', [ids])
  const unknown = ids.find((id) => !rows.some((row) => row.id === id))
  if (unknown !== undefined) throw wrongCategory(wanted.indexOf(unknown), 'unknown', `There is no category ${unknown}.`)
}

function wrongCategory(index: number, code: string, message: string): DomainError {
  const errors = [{ in: 'body', pointer: `/categories/${index}`, code, message }]
  return new DomainError('validation_failed', message, { errors })
}
