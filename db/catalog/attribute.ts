import {
  type AttributeDefinition,
  type AttributeFault,
  type Attributes,
  faultsOf,
  inherit,
} from '../../domain/catalog/attribute'
import { DomainError } from '../../domain/errors'
import { type CategoryId, type ProductId, skuKey } from '../../domain/ids'
import { productsOfBranch } from './category'
import type { Db, Tx } from '../pool'

/** A row `a` of category_attribute. */
const DEFINITION = `
  jsonb_build_object('name', a.name, 'label', a.label, 'type', a.type, 'required', a.required,
                     'filterable', a.filterable, 'options', to_jsonb(a.options), 'unit', a.unit)`

/** What is defined on the path of a category `c`, root first; see `inherit`. */
export const CATEGORY_SCHEMA = `
  coalesce((
    select jsonb_agg(${DEFINITION} order by step.depth, a.position)
    from unnest(c.path) with ordinality as step (id, depth)
    join category_attribute a on a.category_id = step.id
  ), '[]'::jsonb)`

export interface CategoryAttributes {
  readonly own: readonly AttributeDefinition[]
  /** What the categories above define, as far as this one does not define it anew. */
  readonly inherited: readonly AttributeDefinition[]
}

/** A product of a branch whose attributes do not fit. */
interface Misfit {
  readonly id: ProductId
  readonly errors: readonly AttributeFault[]
}

/** How many misfits an answer names. */
const MISFITS_MAX = 10

export async function readCategoryAttributes(db: Db, id: CategoryId): Promise<CategoryAttributes> {
  const { rows } = await db.query<{ own: AttributeDefinition[]; above: AttributeDefinition[] }>({
    name: 'attribute.ofCategory',
    text: `
      select coalesce(jsonb_agg(${DEFINITION} order by a.position) filter (where step.id = c.id), '[]'::jsonb) as own,
             coalesce(jsonb_agg(${DEFINITION} order by step.depth, a.position) filter (where step.id <> c.id),
                      '[]'::jsonb) as above
      from category c
      cross join unnest(c.path) with ordinality as step (id, depth)
      join category_attribute a on a.category_id = step.id
      where c.id = $1`,
    values: [id],
  })
  const { own = [], above = [] } = rows[0] ?? {}
  const names = new Set(own.map(({ name }) => name))
  return { own, inherited: inherit(above).filter(({ name }) => !names.has(name)) }
}

/** Gives a category exactly these definitions, in this order. What is stored is for `requireFittingBranch` to check. */
export async function replaceAttributes(
  tx: Tx,
  id: CategoryId,
  definitions: readonly AttributeDefinition[],
): Promise<void> {
  await tx.query('delete from category_attribute where category_id = $1', [id])
  await tx.query(
    `insert into category_attribute (category_id, position, name, label, type, required, filterable, options, unit)
     select $1, position, d->>'name', d->>'label', d->>'type', (d->>'required')::bool, (d->>'filterable')::bool,
            array(select jsonb_array_elements_text(d->'options')), d->>'unit'
     from jsonb_array_elements($2) with ordinality as given (d, position)`,
    [id, JSON.stringify(definitions)],
  )
}

interface StoredProduct {
  readonly id: ProductId
  readonly attributes: Attributes
  readonly variants: readonly { readonly sku: string; readonly attributes: Attributes }[]
  /** Per category of the product what holds in it, root first. */
  readonly schemas: readonly (readonly AttributeDefinition[])[]
}

const STORED_PRODUCT = `
  select p.id, p.attributes,
         (
           select coalesce(jsonb_agg(jsonb_build_object('sku', v.sku, 'attributes', v.attributes)
                                     order by v.position, v.sku), '[]'::jsonb)
           from variant v
           where v.product_id = p.id
         ) as variants,
         (
           select coalesce(jsonb_agg(${CATEGORY_SCHEMA} order by pc.position, c.slug), '[]'::jsonb)
           from product_category pc
           join category c on c.id = pc.category_id
           where pc.product_id = p.id
         ) as schemas
  from product p`

/**
 * Throws `validation_failed`, naming every wrong attribute, unless the product as it now stands fits the schema of its
 * categories. The tree must be held.
 *
 * @param skus the variants as the request names them: pointers count in its order
 */
export async function requireFitting(tx: Tx, id: ProductId, skus: readonly string[]): Promise<void> {
  const { rows } = await tx.query<StoredProduct>({
    name: 'attribute.ofProduct',
    text: `${STORED_PRODUCT} where p.id = $1`,
    values: [id],
  })
  const faults = rows[0] ? faultsIn(rows[0], skus) : []
  const [first] = faults
  if (!first) return
  const errors = faults.map((fault) => ({ in: 'body', ...fault }))
  throw new DomainError('validation_failed', `${first.pointer}: ${first.message}`, { errors })
}

/**
 * Throws `attributes_in_use`, naming some, when a product of the branch does not fit its schema (any more): nothing that
 * is stored becomes wrong without somebody being told. The tree must be locked.
 */
export async function requireFittingBranch(tx: Tx, id: CategoryId): Promise<void> {
  const misfits: Misfit[] = []
  for await (const ids of productsOfBranch(tx, id)) {
    const { rows } = await tx.query<StoredProduct>({
      name: 'attribute.ofProducts',
      text: `${STORED_PRODUCT} where p.id = any ($1::text[]) order by p.id`,
      values: [ids],
    })
    for (const product of rows) {
      const faults = faultsIn(product, [])
      if (faults.length > 0) misfits.push({ id: product.id, errors: faults })
    }
    if (misfits.length >= MISFITS_MAX) break
  }
  if (misfits.length === 0) return
  throw new DomainError('attributes_in_use', 'Stored products do not fit the attributes. Change those first.', {
    products: misfits.slice(0, MISFITS_MAX),
  })
}

function faultsIn(product: StoredProduct, skus: readonly string[]): readonly AttributeFault[] {
  const keys = skus.map(skuKey)
  const variants = product.variants.map((variant) => {
    const index = keys.indexOf(variant.sku)
    return { ...variant, index: index < 0 ? null : index }
  })
  return faultsOf({ attributes: product.attributes, variants }, product.schemas.map(inherit))
}
