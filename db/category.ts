import { slugOf } from '../domain/catalog'
import { DomainError } from '../domain/errors'
import { type CategoryId, isId, type ProductId } from '../domain/ids'
import { newId } from './id'
import type { Db, Tx } from './pool'

export interface CategoryRef {
  readonly id: CategoryId
  readonly slug: string
  readonly title: string
}

export interface Category extends CategoryRef {
  readonly parentId: CategoryId | null
  readonly position: number
}

/** The categories of a product `p`, the first one first. */
export const PRODUCT_CATEGORIES = `
  coalesce((
    select jsonb_agg(jsonb_build_object('id', c.id, 'slug', c.slug, 'title', c.title) order by pc.position, c.slug)
    from product_category pc
    join category c on c.id = pc.category_id
    where pc.product_id = p.id
  ), '[]'::jsonb)`

/** One page of categories after the id `after` (null: the first), oldest first. */
export async function listCategories(
  db: Db,
  { after, limit }: { after: string | null; limit: number },
): Promise<Category[]> {
  const { rows } = await db.query<Category>({
    name: 'catalog.categories',
    text: `
      select id, slug, title, parent_id as "parentId", position
      from category
      where id > $1
      order by id
      limit $2`,
    values: [after ?? '', limit],
  })
  return rows
}

/** Makes the categories that do not exist yet; by slug, the id of each. */
export async function ensureCategories(tx: Tx, titles: ReadonlyMap<string, string>): Promise<Map<string, CategoryId>> {
  const slugs = [...titles.keys()].sort()
  if (slugs.length === 0) return new Map()
  await tx.query({
    name: 'category.ensure',
    text: `
      insert into category (id, slug, title)
      select id, slug, title
      from unnest($1::text[], $2::text[], $3::text[]) as c (id, slug, title)
      where not exists (select from category k where k.slug = c.slug)
      on conflict (slug) do nothing`,
    values: [slugs.map(() => newId('category')), slugs, slugs.map((slug) => titles.get(slug))],
  })
  const { rows } = await tx.query<{ slug: string; id: CategoryId }>({
    name: 'category.bySlug',
    text: 'select slug, id from category where slug = any ($1::text[])',
    values: [slugs],
  })
  return new Map(rows.map(({ slug, id }) => [slug, id]))
}

/** Gives a product exactly these categories, by id, slug or title. Throws `validation_failed` for an id that is none. */
export async function setProductCategories(tx: Tx, id: ProductId, wanted: readonly string[]): Promise<void> {
  await requireCategories(tx, wanted)
  const titles = new Map(
    wanted.filter((text) => !isId('category', text)).map((text) => [slugOf(text, 'category'), text]),
  )
  const bySlug = await ensureCategories(tx, titles)
  const ids = wanted.map((text) => (isId('category', text) ? text : bySlug.get(slugOf(text, 'category'))))
  await tx.query('delete from product_category where product_id = $1', [id])
  await tx.query(
    `insert into product_category (product_id, category_id, position)
     select $1, id, min(position) - 1
     from unnest($2::text[]) with ordinality as c (id, position)
     group by id`,
    [id, ids],
  )
}

async function requireCategories(tx: Tx, wanted: readonly string[]): Promise<void> {
  const ids = wanted.filter((text) => isId('category', text))
  const { rows } = await tx.query<{ id: string }>('select id from category where id = any ($1::text[])', [ids])
  const unknown = ids.find((id) => !rows.some((row) => row.id === id))
  if (unknown === undefined) return
  const message = `There is no category ${unknown}.`
  const pointer = `/categories/${wanted.indexOf(unknown)}`
  throw new DomainError('validation_failed', message, { errors: [{ in: 'body', pointer, code: 'unknown', message }] })
}
