import { type AttributeDefinition, inherit } from '../../domain/catalog/attribute'
import { CATEGORY_DEPTH_MAX, categorySlug } from '../../domain/catalog/category'
import { DomainError } from '../../domain/errors'
import type { EventType } from '../../domain/events'
import type { CategoryId } from '../../domain/ids'
import { CATEGORY_SCHEMA, replaceAttributes, requireFittingBranch } from './attribute'
import { productsOfBranch } from './category'
import { newId } from '../id'
import type { Tx } from '../pool'
import { touchProducts } from './product'
import { lockTreeExclusive } from './tree-lock'

export interface CategoryPatch {
  readonly title?: string | undefined
  readonly slug?: string | undefined
  readonly description?: string | undefined
  /** Null makes it a root. */
  readonly parentId?: CategoryId | null | undefined
  readonly position?: number | undefined
}

export type CategoryInput = CategoryPatch & { readonly title: string }

/** A category that staff have read before they change it. */
interface Changed {
  readonly id: CategoryId
  readonly mayChange: (version: number) => boolean
}

interface Node {
  readonly id: CategoryId
  readonly slug: string
  readonly title: string
  /** From the root to the category itself. */
  readonly path: readonly CategoryId[]
  readonly version: number
}

/**
 * Makes a category, below another if there is a `parentId`, and tells the outbox. Throws `slug_taken`, `category_too_deep`, and
 * `validation_failed` for a parent that is none.
 */
export async function createCategory(tx: Tx, input: CategoryInput): Promise<CategoryId> {
  await lockTreeExclusive(tx)
  const parent = input.parentId ? await requireParent(tx, input.parentId) : null
  requireDepth((parent?.path.length ?? 0) + 1)
  const id = newId('category')
  const slug = input.slug ?? categorySlug(input.title, parent?.slug)
  const { rowCount } = await tx.query(
    `insert into category (id, slug, title, description, parent_id, position)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (slug) do nothing`,
    [id, slug, input.title, input.description ?? '', parent?.id ?? null, input.position ?? 0],
  )
  if (rowCount !== 1) throw slugTaken(slug)
  await announceCategory(tx, 'category.created', { id, version: 1, shownOn: [...(parent?.path ?? []), id] })
  return id
}

/**
 * Changes what `patch` names if the category still has a version that `mayChange` accepts, and tells the outbox; with
 * another parent its whole branch moves. The branch's products are told when what storefronts show of them changes. Answers
 * the categories whose pages show it: itself and those above it, before the change and after. Throws `not_found`,
 * `precondition_failed`, `category_cycle`, `attributes_in_use`, and what {@link createCategory} throws.
 */
export async function updateCategory(
  tx: Tx,
  { id, mayChange, patch }: Changed & { readonly patch: CategoryPatch },
): Promise<CategoryId[]> {
  await lockTreeExclusive(tx)
  const now = await requireNode(tx, id, mayChange)
  await patchCategory(tx, id, patch)
  const moved = patch.parentId !== undefined && patch.parentId !== (now.path.at(-2) ?? null)
  const above = moved ? await moveBranch(tx, now, patch.parentId ?? null) : []
  const shownOn = [...new Set([...now.path, ...above])]
  await announceCategory(tx, 'category.updated', { id, version: now.version + 1, shownOn })
  const { title = now.title, slug = now.slug } = patch
  if (!moved && title === now.title && slug === now.slug) return shownOn
  // Some at a time: no statement outlasts its time, however large the branch is.
  for await (const products of productsOfBranch(tx, id)) {
    if (moved) await tx.query('select refresh_listings($1::text[])', [products])
    await touchProducts(tx, products)
  }
  return shownOn
}

/**
 * Removes a category that has neither products nor categories below it, and tells the outbox; else throws
 * `category_not_empty`. Answers the categories whose pages showed it.
 */
export async function deleteCategory(tx: Tx, { id, mayChange }: Changed): Promise<readonly CategoryId[]> {
  await lockTreeExclusive(tx)
  const { path, version } = await requireNode(tx, id, mayChange)
  const { rowCount } = await tx.query(
    `delete from category
     where id = $1
       and not exists (select from category where parent_id = $1)
       and not exists (select from product_category where category_id = $1)`,
    [id],
  )
  if (rowCount !== 1) throw new DomainError('category_not_empty', 'There are products or categories in it.')
  await announceCategory(tx, 'category.deleted', { id, version: version + 1, shownOn: path })
  return path
}

/**
 * Says what the attributes of a category's branch are, and tells the outbox; its products too, when search shall narrow by
 * others. Answers the categories whose pages show it. Throws `attributes_in_use` when products that are stored do not fit,
 * `not_found` and `precondition_failed`.
 */
export async function defineAttributes(
  tx: Tx,
  { id, mayChange, definitions }: Changed & { readonly definitions: readonly AttributeDefinition[] },
): Promise<readonly CategoryId[]> {
  await lockTreeExclusive(tx)
  const { path, version } = await requireNode(tx, id, mayChange)
  const before = await schemaIn(tx, id)
  await replaceAttributes(tx, id, definitions)
  await patchCategory(tx, id, {})
  const now = await schemaIn(tx, id)
  if (rulesOf(now) !== rulesOf(before)) await requireFittingBranch(tx, id)
  await announceCategory(tx, 'category.updated', { id, version: version + 1, shownOn: path })
  if (filtersOf(now) !== filtersOf(before)) {
    for await (const products of productsOfBranch(tx, id)) await touchProducts(tx, products)
  }
  return path
}

/** Tells the outbox, in the transaction of the change. A category's version is the sequence of its events. */
async function announceCategory(
  tx: Tx,
  type: Extract<EventType, `category.${string}`>,
  { id, version, shownOn }: { id: CategoryId; version: number; shownOn: readonly CategoryId[] },
): Promise<void> {
  await tx.query('insert into outbox (event_id, aggregate, seq, type, payload) values ($1, $2, $3, $4, $5)', [
    newId('event'),
    id,
    version,
    type,
    { category_id: id, version, shown_on: shownOn },
  ])
}

/** Answers what the branch lies below now. */
async function moveBranch(tx: Tx, { id, path }: Node, parentId: CategoryId | null): Promise<readonly CategoryId[]> {
  const parent = parentId && (await requireParent(tx, parentId))
  if (parent && parent.path.includes(id)) {
    throw new DomainError('category_cycle', 'A category cannot lie below itself.', { category: id, parent: parent.id })
  }
  const above = parent ? parent.path : []
  const { rows } = await tx.query<{ depth: number }>(
    'select max(cardinality(path)) as depth from category where path @> array[$1::text]',
    [id],
  )
  requireDepth(above.length + (rows[0]?.depth ?? 0) - path.length + 1)
  const before = await schemaIn(tx, id)
  await tx.query(
    `update category
     set path = $3::text[] || path[$4:], parent_id = case when id = $1 then $2 else parent_id end
     where path @> array[$1::text]`,
    [id, parentId, above, path.length],
  )
  if (rulesOf(await schemaIn(tx, id)) !== rulesOf(before)) await requireFittingBranch(tx, id)
  return above
}

async function patchCategory(tx: Tx, id: CategoryId, patch: CategoryPatch): Promise<void> {
  try {
    await tx.query(
      `update category
       set title = coalesce($2, title), slug = coalesce($3, slug), description = coalesce($4, description),
           position = coalesce($5, position), version = version + 1, updated_at = now()
       where id = $1`,
      [id, patch.title ?? null, patch.slug ?? null, patch.description ?? null, patch.position ?? null],
    )
  } catch (error) {
    if ((error as { constraint?: unknown }).constraint === 'category_slug_key') throw slugTaken(patch.slug ?? '')
    throw error
  }
}

/** What holds in a category, by name. */
async function schemaIn(tx: Tx, id: CategoryId): Promise<AttributeDefinition[]> {
  const { rows } = await tx.query<{ schema: AttributeDefinition[] }>(
    `select ${CATEGORY_SCHEMA} as schema from category c where c.id = $1`,
    [id],
  )
  return inherit(rows[0]?.schema ?? []).sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** What a value must fulfil, in a form that can be compared. */
function rulesOf(schema: readonly AttributeDefinition[]): string {
  return JSON.stringify(schema.map(({ name, type, required, options }) => [name, type, required, options]))
}

/** What search narrows by, in a form that can be compared. */
function filtersOf(schema: readonly AttributeDefinition[]): string {
  return JSON.stringify(schema.map(({ name, filterable }) => [name, filterable]))
}

async function requireNode(tx: Tx, id: CategoryId, mayChange: (version: number) => boolean): Promise<Node> {
  const node = await findNode(tx, id)
  if (!node) throw new DomainError('not_found', 'There is no category with this id.')
  if (mayChange(node.version)) return node
  throw new DomainError('precondition_failed', 'The category has changed since you read it. Read it again.')
}

async function requireParent(tx: Tx, id: CategoryId): Promise<Node> {
  const parent = await findNode(tx, id)
  if (parent) return parent
  const message = `There is no category ${id}.`
  const errors = [{ in: 'body', pointer: '/parent_id', code: 'unknown', message }]
  throw new DomainError('validation_failed', message, { errors })
}

async function findNode(tx: Tx, id: CategoryId): Promise<Node | undefined> {
  const { rows } = await tx.query<Node>('select id, slug, title, path, version from category where id = $1', [id])
  return rows[0]
}

function requireDepth(depth: number): void {
  if (depth <= CATEGORY_DEPTH_MAX) return
  throw new DomainError('category_too_deep', `The tree has at most ${CATEGORY_DEPTH_MAX} levels.`)
}

function slugTaken(slug: string): DomainError {
  return new DomainError('slug_taken', `Another category has the slug ${slug}.`, { slug })
}
