import { slugOf } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import type { EventType } from '../../domain/events'
import { type ProductId, type Sku, skuKey } from '../../domain/ids'
import type { Money } from '../../domain/money'
import { requireFitting } from './attribute'
import { type CategoryRef, PRODUCT_CATEGORIES, setProductCategories } from './category'
import { newId } from '../id'
import { PRODUCT_IMAGES, type ProductImage } from './image/read'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'
import { lockTreeShared } from './tree-lock'

export type ProductStatus = 'draft' | 'active' | 'archived'

/** A product as staff see it: every variant, every price. */
export interface Product {
  readonly id: ProductId
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly brand: string | null
  readonly sellerId: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: ProductStatus
  /** Rises with every change of anything but stock. */
  readonly version: number
  readonly categories: readonly CategoryRef[]
  readonly variants: readonly ProductVariant[]
  readonly images: readonly ProductImage[]
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface ProductVariant {
  readonly sku: string
  readonly title: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly weight_grams: number | null
  readonly length_mm: number | null
  readonly width_mm: number | null
  readonly height_mm: number | null
  readonly position: number
  readonly prices: readonly Money[]
  /** What a unit costs the merchant. For staff alone. */
  readonly costs: readonly Money[]
}

export interface VariantInput {
  readonly sku: string
  readonly title?: string | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** Null: not known. */
  readonly weightGrams?: number | null | undefined
  readonly lengthMm?: number | null | undefined
  readonly widthMm?: number | null | undefined
  readonly heightMm?: number | null | undefined
  /** Its place among the variants; a new one without goes to the end. */
  readonly position?: number | undefined
  /** All prices of the variant: a currency left out is one it is not sold in. */
  readonly prices?: readonly Money[] | undefined
  /** The price in one currency; the others stay. */
  readonly price?: Money | undefined
  /** What a unit costs the merchant: all costs, as with prices. */
  readonly costs?: readonly Money[] | undefined
}

export interface ProductPatch {
  readonly title?: string | undefined
  readonly slug?: string | undefined
  readonly description?: string | undefined
  readonly brand?: string | null | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  readonly status?: ProductStatus | undefined
  /** Ids, slugs or titles; the first one leads. */
  readonly categories?: readonly string[] | undefined
  /** Changed or added; variants not named stay. */
  readonly variants?: readonly VariantInput[] | undefined
}

export type ProductInput = ProductPatch & { readonly title: string; readonly variants: readonly VariantInput[] }

/** The amounts of a variant `v` in a table of one row per currency. */
function moneyOf(table: AmountTable): string {
  return `coalesce((
    select jsonb_agg(jsonb_build_object('amount', amount, 'currency', currency) order by currency)
    from ${table}
    where ${table}.sku = v.sku
  ), '[]'::jsonb)`
}

/** By id, whatever its status. */
export async function findProduct(db: Db, id: ProductId): Promise<Product | null> {
  const { rows } = await db.query<Product>({
    name: 'product.byId',
    text: `
      select p.id, p.slug, p.title, p.description, p.brand, p.seller_id as "sellerId", p.attributes, p.status, p.version,
             ${PRODUCT_CATEGORIES} as categories, all_variants.variants, ${PRODUCT_IMAGES} as images,
             p.created_at as "createdAt", p.updated_at as "updatedAt"
      from product p
      cross join lateral (
        select coalesce(jsonb_agg(jsonb_build_object(
                 'sku', v.sku_written, 'title', v.title, 'attributes', v.attributes, 'weight_grams', v.weight_grams,
                 'length_mm', v.length_mm, 'width_mm', v.width_mm, 'height_mm', v.height_mm, 'position', v.position,
                 'prices', ${moneyOf('price')}, 'costs', ${moneyOf('variant_cost')}
               ) order by v.position, v.sku), '[]'::jsonb) as variants
        from variant v
        where v.product_id = p.id
      ) as all_variants
      where p.id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** Products after an id, whatever their status, in order. */
export async function listProductIds(db: Db, after: string, limit: number): Promise<ProductId[]> {
  const { rows } = await db.query<{ id: ProductId }>({
    name: 'product.ids',
    text: 'select id from product where id > $1 order by id limit $2',
    values: [after, limit],
  })
  return rows.map(({ id }) => id)
}

/**
 * Makes a product, its variants and prices, and tells the outbox. Without a slug one is derived from the title.
 * Throws `slug_taken`, `sku_taken`, and `validation_failed` for a category that is none and for attributes that do not fit.
 */
export async function createProduct(tx: Tx, input: ProductInput): Promise<ProductId> {
  const id = newId('product')
  await lockTreeShared(tx)
  await insertProduct(tx, id, input)
  if (input.categories) await setProductCategories(tx, id, input.categories)
  await writeVariants(tx, { id, title: input.title }, input.variants)
  await requireFitting(tx, id, skusOf(input))
  await announceProducts(tx, 'product.created', [{ id, version: 1 }])
  return id
}

/**
 * Changes what `patch` names if the product still has a version that `mayChange` accepts, and tells the outbox.
 * Throws `not_found`, `precondition_failed`, and what {@link createProduct} throws.
 */
export async function updateProduct(
  tx: Tx,
  { id, mayChange, patch }: { id: ProductId; mayChange: (version: number) => boolean; patch: ProductPatch },
): Promise<void> {
  await lockTreeShared(tx)
  const { rows } = await tx.query<{ version: number; title: string }>(
    'select version, title from product where id = $1 for update',
    [id],
  )
  const product = rows[0]
  if (!product) throw new DomainError('not_found', 'There is no product with this id.')
  if (!mayChange(product.version)) {
    throw new DomainError('precondition_failed', 'The product has changed since you read it. Read it again.')
  }
  await patchProduct(tx, id, patch)
  if (patch.categories) await setProductCategories(tx, id, patch.categories)
  if (patch.variants) await writeVariants(tx, { id, title: patch.title ?? product.title }, patch.variants)
  await requireFitting(tx, id, skusOf(patch))
  await announceProducts(tx, 'product.updated', [{ id, version: product.version + 1 }])
}

export interface ProductVersion {
  readonly id: ProductId
  readonly version: number
}

/**
 * For a change of something else that storefronts show with these products (a category's title, a review): each gets a new
 * version and its `product.updated`, in the transaction of that change. Answers these versions. Ids that are none are passed
 * over.
 */
export async function touchProducts(tx: Tx, ids: readonly ProductId[]): Promise<ProductVersion[]> {
  if (ids.length === 0) return []
  // Locked by id, so that two who touch the same products wait for each other instead of deadlocking.
  const { rows } = await tx.query<ProductVersion>({
    name: 'product.touch',
    text: `
      with locked as (select id from product where id = any ($1::text[]) order by id for no key update)
      update product p
      set version = version + 1, updated_at = now()
      from locked
      where p.id = locked.id
      returning p.id, p.version`,
    values: [ids],
  })
  if (rows.length > 0) await announceProducts(tx, 'product.updated', rows)
  return rows
}

/** Tells the outbox, in the transaction of the change. A product's version is the sequence of its events. */
export async function announceProducts(
  tx: Tx,
  type: Extract<EventType, `product.${string}`>,
  products: readonly ProductVersion[],
): Promise<void> {
  await tx.query({
    name: 'product.announce',
    text: `
      insert into outbox (event_id, aggregate, seq, type, payload)
      select event_id, id, version, $1, jsonb_build_object('product_id', id, 'version', version)
      from unnest($2::text[], $3::text[], $4::int[]) as p (event_id, id, version)`,
    values: [
      type,
      products.map(() => newId('event')),
      products.map((product) => product.id),
      products.map((product) => product.version),
    ],
  })
}

/** A derived slug that is taken gets a number, or, should somebody take that in between, the id's end; a given one is refused. */
async function insertProduct(tx: Tx, id: ProductId, input: ProductInput): Promise<void> {
  if (input.slug !== undefined) {
    if (await tryInsertProduct(tx, id, { ...input, slug: input.slug })) return
    throw slugTaken(input.slug)
  }
  const slug = slugOf(input.title)
  if (await tryInsertProduct(tx, id, { ...input, slug })) return
  if (await tryInsertProduct(tx, id, { ...input, slug: `${slug}-${await nextSlugNumber(tx, slug)}` })) return
  if (await tryInsertProduct(tx, id, { ...input, slug: `${slug}-${id.slice(-12)}` })) return
  throw slugTaken(slug)
}

async function tryInsertProduct(tx: Tx, id: ProductId, input: ProductInput & { slug: string }): Promise<boolean> {
  const { rowCount } = await tx.query(
    INSERT({
      id,
      slug: input.slug,
      title: input.title,
      description: input.description ?? '',
      brand: input.brand ?? null,
      attributes: JSON.stringify(input.attributes ?? {}),
      status: input.status ?? 'active',
    }),
  )
  return rowCount === 1
}

const INSERT = statement(
  null,
  `
    insert into product (id, slug, title, description, brand, attributes, status)
    values (:id, :slug, :title, :description, :brand, :attributes, :status)
    on conflict (slug) do nothing`,
)

/** One more than the highest number that this slug has been given. */
async function nextSlugNumber(tx: Tx, slug: string): Promise<number> {
  const { rows } = await tx.query<{ next: number }>(
    `select coalesce(max(substr(slug, length($1) + 1)::int), 1) + 1 as next
     from product
     where slug >= $1 and slug < $1 || ':' and substr(slug, length($1) + 1) ~ '^[1-9][0-9]{0,5}$'`,
    [`${slug}-`],
  )
  return rows[0]?.next ?? 2
}

async function patchProduct(tx: Tx, id: ProductId, patch: ProductPatch): Promise<void> {
  try {
    await tx.query(
      PATCH({
        id,
        title: patch.title ?? null,
        slug: patch.slug ?? null,
        description: patch.description ?? null,
        hasBrand: patch.brand !== undefined,
        brand: patch.brand ?? null,
        attributes: patch.attributes ? JSON.stringify(patch.attributes) : null,
        status: patch.status ?? null,
      }),
    )
  } catch (error) {
    if ((error as { constraint?: unknown }).constraint === 'product_slug_key') throw slugTaken(patch.slug ?? '')
    throw error
  }
}

const PATCH = statement(
  null,
  `
    update product
    set title = coalesce(:title, title), slug = coalesce(:slug, slug), description = coalesce(:description, description),
        brand = case when :hasBrand then :brand else brand end, attributes = coalesce(:attributes, attributes),
        status = coalesce(:status, status), version = version + 1, updated_at = now()
    where id = :id`,
)

function skusOf({ variants = [] }: ProductPatch): string[] {
  return variants.map(({ sku }) => sku)
}

function slugTaken(slug: string): DomainError {
  return new DomainError('slug_taken', `Another product has the slug ${slug}.`, { slug })
}

async function writeVariants(
  tx: Tx,
  product: { id: ProductId; title: string },
  variants: readonly VariantInput[],
): Promise<void> {
  const { rows } = await tx.query<{ next: number }>(
    'select coalesce(max(position) + 1, 0) as next from variant where product_id = $1',
    [product.id],
  )
  const next = rows[0]?.next ?? 0
  // In one order everywhere, so that two writers of the same SKUs wait for each other instead of deadlocking.
  const sorted = variants
    .map((variant, index) => ({ ...variant, key: skuKey(variant.sku), next: next + index }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  for (const variant of sorted) await writeVariant(tx, product, variant)
}

async function writeVariant(
  tx: Tx,
  product: { id: ProductId; title: string },
  variant: VariantInput & { key: Sku; next: number },
): Promise<void> {
  const { rowCount } = await tx.query(
    WRITE_VARIANT({
      sku: variant.key,
      skuWritten: variant.sku,
      productId: product.id,
      title: variant.title ?? null,
      productTitle: product.title,
      attributes: variant.attributes ? JSON.stringify(variant.attributes) : null,
      position: variant.position ?? null,
      nextPosition: variant.next,
      ...measuresOf(variant),
    }),
  )
  if (rowCount !== 1) {
    throw new DomainError('sku_taken', `The SKU ${variant.sku} belongs to another product.`, { sku: variant.sku })
  }
  if (variant.prices) await deleteAmounts(tx, 'price', variant.key, variant.prices)
  await writeAmounts(tx, 'price', variant.key, [...(variant.prices ?? []), ...(variant.price ? [variant.price] : [])])
  if (variant.costs) {
    await deleteAmounts(tx, 'variant_cost', variant.key, variant.costs)
    await writeAmounts(tx, 'variant_cost', variant.key, variant.costs)
  }
}

const WRITE_VARIANT = statement(
  null,
  `
    insert into variant as v (sku, sku_written, product_id, title, attributes, position,
                              weight_grams, length_mm, width_mm, height_mm)
    values (:sku, :skuWritten, :productId, coalesce(:title, :productTitle), coalesce(:attributes::jsonb, '{}'::jsonb), coalesce(:position::int, :nextPosition), :weightGrams, :lengthMm, :widthMm, :heightMm)
    on conflict (sku) do update
    set title = coalesce(:title, v.title), attributes = coalesce(:attributes, v.attributes), position = coalesce(:position, v.position),
        weight_grams = case when :hasWeight then :weightGrams else v.weight_grams end,
        length_mm = case when :hasLength then :lengthMm else v.length_mm end,
        width_mm = case when :hasWidth then :widthMm else v.width_mm end,
        height_mm = case when :hasHeight then :heightMm else v.height_mm end
    where v.product_id = :productId`,
)

function measuresOf({ weightGrams, lengthMm, widthMm, heightMm }: VariantInput) {
  return {
    weightGrams: weightGrams ?? null,
    lengthMm: lengthMm ?? null,
    widthMm: widthMm ?? null,
    heightMm: heightMm ?? null,
    hasWeight: weightGrams !== undefined,
    hasLength: lengthMm !== undefined,
    hasWidth: widthMm !== undefined,
    hasHeight: heightMm !== undefined,
  }
}

type AmountTable = 'price' | 'variant_cost'

async function deleteAmounts(tx: Tx, table: AmountTable, sku: Sku, kept: readonly Money[]): Promise<void> {
  await tx.query(`delete from ${table} where sku = $1 and currency <> all ($2::text[])`, [
    sku,
    kept.map(({ currency }) => currency),
  ])
}

async function writeAmounts(tx: Tx, table: AmountTable, sku: Sku, amounts: readonly Money[]): Promise<void> {
  if (amounts.length === 0) return
  await tx.query(
    `insert into ${table} as written (sku, currency, amount)
     select $1, currency, amount
     from unnest($2::text[], $3::bigint[]) as p (currency, amount)
     on conflict (sku, currency) do update
     set amount = excluded.amount${table === 'price' ? ', updated_at = now()' : ''}
     where written.amount <> excluded.amount`,
    [sku, amounts.map(({ currency }) => currency), amounts.map(({ amount }) => amount)],
  )
}
