import { type AttributeDefinition, inherit } from '../../domain/catalog/attribute'
import { slugOf, slugWith } from '../../domain/catalog/product'
import type { CategoryId, ImportId, ProductId, Sku } from '../../domain/ids'
import type { ImportRow, Rejection } from '../../domain/import/row'
import {
  type BatchPlan,
  type Facts,
  type StoredCatalog,
  type StoredSku,
  planBatch,
  slugOfPath,
  type WantedSku,
} from '../../domain/import/batch'
import { CATEGORY_SCHEMA } from '../catalog/attribute'
import { ensureCategories } from '../catalog/category'
import { newId } from '../id'
import { type ImportPosition, REJECTIONS_KEPT_MAX } from './job'
import { type Pool, type Tx, withTransaction } from '../pool'
import { statement } from '../sql'
import { announceProducts } from '../catalog/product'
import { setLevels } from '../inventory/stock'
import { lockTreeShared } from '../catalog/tree-lock'

export interface Batch {
  readonly id: ImportId
  readonly from: ImportPosition
  readonly to: ImportPosition
  readonly rows: readonly ImportRow[]
  /** Lines of this batch that were no rows. */
  readonly rejections: readonly Rejection[]
}

/**
 * Somebody else changed between our look and our write what the batch was planned on. `code` is that of a serialization
 * failure: the transaction runs again from its start.
 */
class BatchOvertaken extends Error {
  override readonly name = 'BatchOvertaken'
  readonly code = '40001'
}

/**
 * Writes one batch and moves the import on from `from` to `to`, in one transaction: whoever is killed in it has done
 * nothing, whoever repeats it is told so. False when the import is not at work at `from` (any more).
 */
export async function applyBatch(pool: Pool, batch: Batch): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    const rejectedBefore = await lockImport(tx, batch)
    if (rejectedBefore === null) return false
    await lockTreeShared(tx)
    const plan = planBatch(batch.rows, await readKnown(tx, batch))
    try {
      await writePlan(tx, batch.id, plan)
    } catch (error) {
      // A SKU, slug or level that is there by now was not when the batch was planned.
      if ((error as { code?: unknown }).code === '23505')
        throw new BatchOvertaken('made by somebody else', { cause: error })
      throw error
    }
    const rejections = [...batch.rejections, ...plan.rejections].sort((a, b) => a.line - b.line)
    await insertRejections(tx, batch.id, rejections.slice(0, Math.max(0, REJECTIONS_KEPT_MAX - rejectedBefore)))
    await moveOn(tx, batch, plan.accepted, rejections.length)
    return true
  })
}

async function writePlan(tx: Tx, id: ImportId, plan: BatchPlan): Promise<void> {
  const categories = await ensureCategories(tx, plan.categories)
  const made = await insertSkus(tx, plan.newSkus, categories)
  await updateVariants(tx, plan.variants)
  await writePrices(tx, [...plan.prices, ...plan.newSkus.flatMap((sku) => amountsOf(sku, sku.prices))])
  await writeCosts(tx, [...plan.costs, ...plan.newSkus.flatMap((sku) => amountsOf(sku, sku.costs))])
  await replaceFirstCategory(tx, plan.productCategories, categories)
  await updateProducts(tx, plan.products)
  if (made.length > 0)
    await announceProducts(
      tx,
      'product.created',
      made.map((product) => ({ id: product, version: 1 })),
    )
  if (plan.products.length > 0) {
    await announceProducts(
      tx,
      'product.updated',
      plan.products.map((product) => ({ ...product, version: product.version + 1 })),
    )
  }
  await writeFacts(tx, id, plan.facts)
  // Last, so that the rows that buyers compete for are locked for the shortest time.
  const levels = [...plan.levels, ...plan.newSkus.flatMap(levelsOf)]
  if ((await setLevels(tx, levels, { cause: 'import', reference: id })) !== levels.length) {
    throw new BatchOvertaken('stock was promised meanwhile')
  }
}

/** How many lines were rejected before; null when the import is elsewhere. Holds the row, so that one worker is at it. */
async function lockImport(tx: Tx, { id, from }: Batch): Promise<number | null> {
  const { rows } = await tx.query<{ rejected: number }>({
    name: 'import.lock',
    text: `
      select rows_rejected as rejected
      from import
      where id = $1 and state = 'running' and next_byte = $2
      for update`,
    values: [id, from.byte],
  })
  return rows[0]?.rejected ?? null
}

async function moveOn(tx: Tx, { id, to, rows, rejections }: Batch, accepted: number, rejected: number): Promise<void> {
  await tx.query(MOVE_ON({ id, ...to, read: rows.length + rejections.length, accepted, rejected }))
}

const MOVE_ON = statement(
  'import.moveOn',
  `
    update import
    set next_byte = :byte, next_line = :line, rows_read = rows_read + :read, rows_written = rows_written + :accepted,
        rows_rejected = rows_rejected + :rejected, updated_at = now()
    where id = :id`,
)

async function readKnown(tx: Tx, { id, rows }: Batch): Promise<StoredCatalog> {
  const skus = [...new Set(rows.map((row) => row.sku))]
  const facts = await tx.query<{ sku: Sku; facts: Facts }>({
    name: 'import.facts',
    text: 'select sku, facts from import_sku where import_id = $1 and sku = any ($2::text[])',
    values: [id, skus],
  })
  const present = await tx.query<StoredSku>({
    name: 'import.present',
    text: `
      select v.sku, v.product_id as "productId", v.title, v.weight_grams as "weightGrams", v.length_mm as "lengthMm",
             v.width_mm as "widthMm", v.height_mm as "heightMm", v.attributes,
             jsonb_build_object(
               'version', p.version, 'title', p.title, 'description', p.description, 'brand', p.brand,
               'attributes', p.attributes,
               'categories', coalesce((
                 select jsonb_agg(c.slug order by pc.position, c.slug)
                 from product_category pc
                 join category c on c.id = pc.category_id
                 where pc.product_id = p.id
               ), '[]'),
               'variants', (select count(*) from variant other where other.product_id = p.id)
             ) as product,
             coalesce((select jsonb_object_agg(currency, amount) from price where price.sku = v.sku), '{}') as prices,
             coalesce((select jsonb_object_agg(currency, amount) from variant_cost c where c.sku = v.sku), '{}') as costs,
             coalesce((
               select jsonb_object_agg(warehouse_id, jsonb_build_array(on_hand, reserved))
               from stock_level s
               where s.sku = v.sku
             ), '{}') as levels
      from variant v
      join product p on p.id = v.product_id
      where v.sku = any ($1::text[])`,
    values: [skus],
  })
  return {
    facts: new Map(facts.rows.map((row) => [row.sku, row.facts])),
    present: new Map(present.rows.map((row) => [row.sku, row])),
    schemas: await readSchemas(tx, [
      ...rows.flatMap((row) => row.category ?? []).map(({ slug }) => slug),
      ...present.rows.flatMap((row) => row.product.categories),
    ]),
  }
}

async function readSchemas(tx: Tx, slugs: readonly string[]): Promise<Map<string, AttributeDefinition[]>> {
  if (slugs.length === 0) return new Map()
  const { rows } = await tx.query<{ slug: string; schema: AttributeDefinition[] }>({
    name: 'import.schemas',
    text: `select c.slug, ${CATEGORY_SCHEMA} as schema from category c where c.slug = any ($1::text[])`,
    values: [[...new Set(slugs)]],
  })
  return new Map(rows.map(({ slug, schema }) => [slug, inherit(schema)]))
}

interface NewProduct extends WantedSku {
  readonly id: ProductId
  readonly slug: string
}

/** Makes a product of one variant for each; answers their ids. */
async function insertSkus(
  tx: Tx,
  skus: readonly WantedSku[],
  categories: ReadonlyMap<string, CategoryId>,
): Promise<ProductId[]> {
  if (skus.length === 0) return []
  const products = skus.map((sku): NewProduct => ({ ...sku, id: newId('product'), slug: slugOf(sku.title) }))
  await insertProducts(tx, products)
  await tx.query(
    INSERT_VARIANTS({
      skus: products.map((p) => p.sku),
      skusWritten: products.map((p) => p.skuWritten),
      productIds: products.map((p) => p.id),
      titles: products.map((p) => p.title),
      weights: products.map((p) => p.weightGrams ?? null),
      lengths: products.map((p) => p.lengthMm ?? null),
      widths: products.map((p) => p.widthMm ?? null),
      heights: products.map((p) => p.heightMm ?? null),
    }),
  )
  const categorized = products.filter((product) => product.category !== undefined)
  if (categorized.length > 0) {
    await tx.query({
      name: 'import.insertCategories',
      text: `
        insert into product_category (product_id, category_id)
        select *
        from unnest($1::text[], $2::text[])`,
      values: columns(categorized, (p) => [p.id, idOf(categories, p.category && slugOfPath(p.category))]),
    })
  }
  return products.map((product) => product.id)
}

const INSERT_VARIANTS = statement(
  'import.insertVariants',
  `
    insert into variant (sku, sku_written, product_id, title, weight_grams, length_mm, width_mm, height_mm)
    select *
    from unnest(:skus::text[], :skusWritten::text[], :productIds::text[], :titles::text[], :weights::int[], :lengths::int[], :widths::int[], :heights::int[])`,
)

/** The title's slug goes to the first; the others get their SKU into it, and should that be taken too, their id. */
async function insertProducts(tx: Tx, products: readonly NewProduct[]): Promise<void> {
  let pending = products
  const attempts: ((product: NewProduct) => string)[] = [
    (product) => product.slug,
    (product) => slugWith(product.slug, product.sku),
    (product) => slugWith(product.slug, product.id.slice(-12)),
  ]
  for (const slugFor of attempts) {
    const { rows } = await tx.query<{ id: ProductId }>(
      INSERT_PRODUCTS({
        ids: pending.map((p) => p.id),
        slugs: pending.map(slugFor),
        titles: pending.map((p) => p.title),
        descriptions: pending.map((p) => p.description ?? ''),
        brands: pending.map((p) => p.brand ?? null),
        attributes: pending.map((p) => JSON.stringify(p.attributes ?? {})),
      }),
    )
    if (rows.length === pending.length) return
    const inserted = new Set(rows.map((row) => row.id))
    pending = pending.filter((product) => !inserted.has(product.id))
  }
  throw new Error(`no slug was free for ${pending[0]?.sku}`)
}

const INSERT_PRODUCTS = statement(
  'import.insertProducts',
  `
    insert into product (id, slug, title, description, brand, attributes)
    select *
    from unnest(:ids::text[], :slugs::text[], :titles::text[], :descriptions::text[], :brands::text[], :attributes::jsonb[])
    on conflict (slug) do nothing
    returning id`,
)

async function updateVariants(tx: Tx, variants: BatchPlan['variants']): Promise<void> {
  if (variants.length === 0) return
  await tx.query(
    UPDATE_VARIANTS({
      skus: variants.map((v) => v.sku),
      titles: variants.map((v) => v.title),
      attributes: variants.map((v) => JSON.stringify(v.attributes)),
      weights: variants.map((v) => v.weightGrams),
      lengths: variants.map((v) => v.lengthMm),
      widths: variants.map((v) => v.widthMm),
      heights: variants.map((v) => v.heightMm),
    }),
  )
}

const UPDATE_VARIANTS = statement(
  'import.updateVariants',
  `
    update variant v
    set title = n.title, attributes = n.attributes, weight_grams = n.weight_grams, length_mm = n.length_mm,
        width_mm = n.width_mm, height_mm = n.height_mm
    from unnest(:skus::text[], :titles::text[], :attributes::jsonb[], :weights::int[], :lengths::int[], :widths::int[], :heights::int[])
      as n (sku, title, attributes, weight_grams, length_mm, width_mm, height_mm)
    where v.sku = n.sku`,
)

async function updateProducts(tx: Tx, products: BatchPlan['products']): Promise<void> {
  if (products.length === 0) return
  const { rowCount } = await tx.query(
    UPDATE_PRODUCTS({
      ids: products.map((p) => p.id),
      versions: products.map((p) => p.version),
      titles: products.map((p) => p.title),
      descriptions: products.map((p) => p.description),
      brands: products.map((p) => p.brand),
      attributes: products.map((p) => JSON.stringify(p.attributes)),
    }),
  )
  if (rowCount !== products.length) throw new BatchOvertaken('a product was changed meanwhile')
}

const UPDATE_PRODUCTS = statement(
  'import.updateProducts',
  `
    update product p
    set title = n.title, description = n.description, brand = n.brand, attributes = n.attributes,
        version = p.version + 1, updated_at = now()
    from unnest(:ids::text[], :versions::int[], :titles::text[], :descriptions::text[], :brands::text[], :attributes::jsonb[])
      as n (id, version, title, description, brand, attributes)
    where p.id = n.id and p.version = n.version`,
)

async function replaceFirstCategory(
  tx: Tx,
  changed: BatchPlan['productCategories'],
  categories: ReadonlyMap<string, CategoryId>,
): Promise<void> {
  if (changed.length === 0) return
  const values = columns(changed, (c) => [c.productId, idOf(categories, c.category)])
  await tx.query({
    name: 'import.dropFirstCategory',
    text: `
      delete from product_category pc
      using unnest($1::text[], $2::text[]) as n (product_id, category_id)
      where pc.product_id = n.product_id
        and (pc.category_id = n.category_id
          or pc.position = (select min(position) from product_category o where o.product_id = n.product_id))`,
    values,
  })
  await tx.query({
    name: 'import.addFirstCategory',
    text: `
      insert into product_category (product_id, category_id, position)
      select n.product_id, n.category_id, 
             coalesce((select min(position) - 1 from product_category o where o.product_id = n.product_id), 0)
      from unnest($1::text[], $2::text[]) as n (product_id, category_id)`,
    values,
  })
}

async function writePrices(tx: Tx, prices: BatchPlan['prices']): Promise<void> {
  if (prices.length === 0) return
  await tx.query({
    name: 'import.writePrices',
    text: `
      insert into price (sku, currency, amount)
      select *
      from unnest($1::text[], $2::text[], $3::bigint[])
      on conflict (sku, currency) do update
      set amount = excluded.amount, updated_at = now()`,
    values: columns(prices, (p) => [p.sku, p.currency, p.amount]),
  })
}

async function writeCosts(tx: Tx, costs: BatchPlan['costs']): Promise<void> {
  if (costs.length === 0) return
  await tx.query({
    name: 'import.writeCosts',
    text: `
      insert into variant_cost (sku, currency, amount)
      select *
      from unnest($1::text[], $2::text[], $3::bigint[])
      on conflict (sku, currency) do update
      set amount = excluded.amount`,
    values: columns(costs, (c) => [c.sku, c.currency, c.amount]),
  })
}

async function writeFacts(tx: Tx, id: ImportId, facts: BatchPlan['facts']): Promise<void> {
  if (facts.size === 0) return
  const [skus, said] = columns([...facts], ([sku, fact]) => [sku, JSON.stringify(fact)])
  await tx.query({
    name: 'import.writeFacts',
    text: `
      insert into import_sku (import_id, sku, facts)
      select $1, sku, facts
      from unnest($2::text[], $3::jsonb[]) as n (sku, facts)
      on conflict (import_id, sku) do update
      set facts = excluded.facts`,
    values: [id, skus, said],
  })
}

async function insertRejections(tx: Tx, id: ImportId, rejections: readonly Rejection[]): Promise<void> {
  if (rejections.length === 0) return
  await tx.query({
    name: 'import.reject',
    text: `
      insert into import_rejection (import_id, line, code, message)
      select $1, line, code, message
      from unnest($2::int[], $3::text[], $4::text[]) as r (line, code, message)`,
    values: [id, ...columns(rejections, (r) => [r.line, r.code, r.message])],
  })
}

function amountsOf({ sku }: WantedSku, amounts: WantedSku['prices']): BatchPlan['prices'][number][] {
  return [...amounts].map(([currency, amount]) => ({ sku, currency, amount }))
}

function levelsOf({ sku, stock }: WantedSku): BatchPlan['levels'][number][] {
  return [...stock].map(([warehouseId, onHand]) => ({ sku, warehouseId, onHand }))
}

function idOf(categories: ReadonlyMap<string, CategoryId>, slug: string | undefined): CategoryId {
  const id = categories.get(slug ?? '')
  if (!id) throw new BatchOvertaken(`the category ${slug} is being made by somebody else`)
  return id
}

/** Rows turned into one array per column, as `unnest` takes them. */
function columns<T>(rows: readonly T[], toRow: (row: T) => readonly unknown[]): unknown[][] {
  const result: unknown[][] = []
  for (const row of rows) {
    for (const [index, value] of toRow(row).entries()) (result[index] ??= []).push(value)
  }
  return result
}
