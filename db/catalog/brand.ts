import { DomainError } from '../../domain/errors'
import type { ProductId } from '../../domain/ids'
import type { Db, Tx } from '../pool'
import { touchProducts } from './product'

/** Made by the trigger `brand_named` when a product names a new one; its products go by the name. */
export interface Brand {
  readonly slug: string
  readonly name: string
  readonly description: string
  readonly version: number
  readonly updatedAt: Date
}

export interface BrandPatch {
  readonly name?: string | undefined
  readonly slug?: string | undefined
  readonly description?: string | undefined
}

const BRAND = 'select slug, name, description, version, updated_at as "updatedAt" from brand'
/** Products told per statement when their brand gets another name. */
const TOUCHED_AT_ONCE = 2_000

/** Brands after the slug `after` (null: the first ones), by slug. */
export async function listBrands(db: Db, { after, limit }: { after: string | null; limit: number }): Promise<Brand[]> {
  const { rows } = await db.query<Brand>({
    name: 'brand.list',
    text: `${BRAND} where slug > $1 order by slug limit $2`,
    values: [after ?? '', limit],
  })
  return rows
}

export async function findBrand(db: Db, slug: string): Promise<Brand | null> {
  const { rows } = await db.query<Brand>({ name: 'brand.bySlug', text: `${BRAND} where slug = $1`, values: [slug] })
  return rows[0] ?? null
}

/**
 * Changes what `patch` names if the brand still has a version that `mayChange` accepts; its products go with a new name.
 * Throws `not_found`, `precondition_failed`, `slug_taken`, and `name_taken` for a name that another one has in any case.
 */
export async function updateBrand(
  tx: Tx,
  { slug, mayChange, patch }: { slug: string; mayChange: (version: number) => boolean; patch: BrandPatch },
): Promise<void> {
  const { rows } = await tx.query<{ id: number; name: string; version: number }>(
    'select id, name, version from brand where slug = $1 for update',
    [slug],
  )
  const [brand] = rows
  if (!brand) throw new DomainError('not_found', 'There is no brand with this slug.')
  if (!mayChange(brand.version)) {
    throw new DomainError('precondition_failed', 'The brand has changed since you read it. Read it again.')
  }
  await patchBrand(tx, brand.id, patch)
  const renamed = patch.name !== undefined && patch.name !== brand.name
  if (renamed || patch.slug !== undefined) await touchProductsOf(tx, patch.name ?? brand.name)
}

async function patchBrand(tx: Tx, id: number, patch: BrandPatch): Promise<void> {
  try {
    await tx.query(
      `update brand
       set name = coalesce($2, name), slug = coalesce($3, slug), description = coalesce($4, description),
           version = version + 1, updated_at = now()
       where id = $1`,
      [id, patch.name ?? null, patch.slug ?? null, patch.description ?? null],
    )
  } catch (error) {
    const { constraint } = error as { constraint?: unknown }
    if (constraint === 'brand_slug_key') {
      throw new DomainError('slug_taken', `Another brand has the slug ${patch.slug}.`, { slug: patch.slug })
    }
    if (constraint === 'brand_name_key' || constraint === 'brand_spelling') {
      throw new DomainError('name_taken', `Another brand is called ${patch.name}.`, { name: patch.name })
    }
    throw error
  }
}

async function touchProductsOf(tx: Tx, name: string): Promise<void> {
  let after = ''
  for (;;) {
    const { rows } = await tx.query<{ id: ProductId }>(
      'select id from product where brand = $1 and id > $2 order by id limit $3',
      [name, after, TOUCHED_AT_ONCE],
    )
    await touchProducts(
      tx,
      rows.map(({ id }) => id),
    )
    after = rows.at(-1)?.id ?? ''
    if (rows.length < TOUCHED_AT_ONCE) return
  }
}
