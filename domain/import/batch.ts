import {
  type AttributeDefinition,
  attributeFromText,
  type Attributes,
  type Described,
  faultsOf,
} from '../catalog/attribute'
import type { CategoryStep } from '../catalog/category'
import type { ProductId, Sku, WarehouseId } from '../ids'
import { type ImportRow, type Measure, MEASURES, type Rejection } from './row'
import type { Currency } from '../money'

type Measures = Readonly<Record<Measure, number | null>>

/** A SKU as it stands in the shop before a batch. */
export interface StoredSku extends Measures {
  readonly sku: Sku
  readonly productId: ProductId
  readonly title: string
  readonly attributes: Attributes
  readonly product: {
    readonly version: number
    readonly title: string
    readonly description: string
    readonly brand: string | null
    readonly attributes: Attributes
    /** By slug. The first one is what a file can change. */
    readonly categories: readonly string[]
    readonly variants: number
  }
  readonly prices: Readonly<Record<Currency, number>>
  readonly costs: Readonly<Record<Currency, number>>
  /** Per warehouse: on hand, reserved. */
  readonly levels: Readonly<Record<WarehouseId, readonly [number, number]>>
}

/** What lines of this file have said of one SKU: per field the line and a fingerprint of the value. */
export type Facts = Readonly<Record<string, string>>

/** What is known before a batch, by SKU. */
export interface StoredCatalog {
  readonly present: ReadonlyMap<Sku, StoredSku>
  readonly facts: ReadonlyMap<Sku, Facts>
  /** By slug what each category that is there says of attributes, those above it included. */
  readonly schemas: ReadonlyMap<string, readonly AttributeDefinition[]>
}

/** What the accepted lines of a batch say of one SKU, together. */
export interface WantedSku extends Partial<Record<Measure, number>> {
  sku: Sku
  skuWritten: string
  title: string
  description?: string
  brand?: string
  category?: readonly CategoryStep[]
  attributes?: Attributes
  prices: Map<Currency, number>
  costs: Map<Currency, number>
  stock: Map<WarehouseId, number>
}

export interface ChangedProduct {
  readonly id: ProductId
  /** As read; another one at the time of writing means that somebody else was faster. */
  readonly version: number
  readonly title: string
  readonly description: string
  readonly brand: string | null
  readonly attributes: Attributes
}

export interface ChangedVariant extends Measures {
  readonly sku: Sku
  readonly title: string
  readonly attributes: Attributes
}

interface Amount {
  readonly sku: Sku
  readonly currency: Currency
  readonly amount: number
}

/** Everything a batch writes. Whatever is as the file wants it already is not in here. */
export interface BatchPlan {
  readonly accepted: number
  readonly rejections: readonly Rejection[]
  readonly facts: ReadonlyMap<Sku, Facts>
  readonly categories: readonly (readonly CategoryStep[])[]
  readonly newSkus: readonly WantedSku[]
  readonly products: readonly ChangedProduct[]
  readonly productCategories: readonly { readonly productId: ProductId; readonly category: string }[]
  readonly variants: readonly ChangedVariant[]
  readonly prices: readonly Amount[]
  readonly costs: readonly Amount[]
  readonly levels: readonly { readonly sku: Sku; readonly warehouseId: WarehouseId; readonly onHand: number }[]
}

/**
 * Decides what the lines of one batch change. Several lines may speak of one SKU (its warehouses, its currencies); one
 * that contradicts an earlier line of the same file is rejected, and so is one that would leave fewer units than are
 * promised to customers, or attributes that do not fit the category. A rejected line changes nothing at all.
 */
export function planBatch(rows: readonly ImportRow[], known: StoredCatalog): BatchPlan {
  const rejections: Rejection[] = []
  const facts = new Map<Sku, Facts>()
  const categories = new Map<string, readonly CategoryStep[]>()
  const wanted = new Map<Sku, WantedSku>()
  for (const row of rows) {
    const said = facts.get(row.sku) ?? known.facts.get(row.sku) ?? {}
    const says = factsOf(row)
    const present = known.present.get(row.sku)
    const before = wanted.get(row.sku)
    const described = describe(row, { present, wanted: before, schemas: known.schemas })
    const rejection = reasonAgainst(row, { said, says, present, wanted: before }) ?? reasonIn(row, described)
    if (rejection) {
      rejections.push(rejection)
      continue
    }
    facts.set(row.sku, { ...says, ...said })
    if (row.category) categories.set(slugOfPath(row.category), row.category)
    const merged = merge(before, row, present)
    wanted.set(row.sku, described === null ? merged : { ...merged, attributes: described.attributes })
  }
  const accepted = rows.length - rejections.length
  return { accepted, rejections, facts, categories: [...categories.values()], ...changes(wanted, known.present) }
}

interface Circumstances {
  said: Facts
  says: Facts
  present: StoredSku | undefined
  wanted: WantedSku | undefined
}

function reasonAgainst(row: ImportRow, { said, says, present, wanted }: Circumstances): Rejection | null {
  const { line } = row
  for (const [field, fact] of Object.entries(says)) {
    const before = said[field]
    if (before !== undefined && valueOf(before) !== valueOf(fact)) {
      const name = field.replace(/ .*/, '')
      return {
        line,
        code: 'conflicting_line',
        message: `${name} differs from what line ${lineOf(before)} says of this SKU.`,
      }
    }
  }
  if (!present && !wanted && !row.title) {
    return { line, code: 'title_missing', message: 'The SKU is new, and a new SKU needs a title.' }
  }
  const reserved = row.stock ? (present?.levels[row.stock.warehouseId]?.[1] ?? 0) : 0
  if (row.stock && row.stock.onHand < reserved) {
    return {
      line,
      code: 'below_reserved',
      message: `${reserved} units are promised to customers; on_hand cannot be ${row.stock.onHand}.`,
    }
  }
  return null
}

/** What a line makes of a SKU's attributes: all of them as they would stand, and the schemas that they must fit. */
interface Description {
  /** Of the product; of the variant where the SKU is not all there is of it. */
  readonly attributes: Attributes
  readonly described: Described
  readonly schemas: readonly (readonly AttributeDefinition[])[]
}

/** Null for a line that can make nothing wrong: it speaks of neither attributes nor category of a SKU that is there. */
function describe(
  row: ImportRow,
  { present, wanted, schemas }: Pick<Circumstances, 'present' | 'wanted'> & Pick<StoredCatalog, 'schemas'>,
): Description | null {
  if (present && !row.attributes && !row.category) return null
  const oneOfSeveral = present !== undefined && present.product.variants > 1
  const named = row.category ?? wanted?.category
  const categories = present?.product.categories ?? []
  const holding = [
    ...(named && !oneOfSeveral ? [schemaOf(named, schemas)] : []),
    ...categories.slice(named && !oneOfSeveral ? 1 : 0).map((slug) => schemas.get(slug) ?? []),
  ]
  const attributes = { ...(wanted?.attributes ?? (oneOfSeveral ? present.attributes : present?.product.attributes)) }
  for (const [name, text] of Object.entries(row.attributes ?? {})) {
    attributes[name] = attributeFromText(
      text,
      holding.flat().find((definition) => definition.name === name),
    )
  }
  const variant = {
    sku: row.skuWritten,
    index: null,
    attributes: oneOfSeveral ? attributes : (present?.attributes ?? {}),
  }
  const described = { attributes: oneOfSeveral ? present.product.attributes : attributes, variants: [variant] }
  return { attributes, described, schemas: holding }
}

/** What holds in a category, or, as long as it is not there, in the nearest one above it that is. */
function schemaOf(path: readonly CategoryStep[], schemas: StoredCatalog['schemas']): readonly AttributeDefinition[] {
  const there = path.findLast(({ slug }) => schemas.has(slug))
  return (there && schemas.get(there.slug)) ?? []
}

function reasonIn({ line }: ImportRow, description: Description | null): Rejection | null {
  const [fault] = description ? faultsOf(description.described, description.schemas) : []
  return fault ? { line, code: 'bad_attribute', message: `${fault.pointer}: ${fault.message}` } : null
}

export function slugOfPath(path: readonly CategoryStep[]): string {
  return path.at(-1)?.slug ?? ''
}

function factsOf(row: ImportRow): Facts {
  const facts: Record<string, string> = {}
  if (row.title) facts['title'] = `${row.line}:${fingerprint(row.title)}`
  if (row.description) facts['description'] = `${row.line}:${fingerprint(row.description)}`
  if (row.brand) facts['brand'] = `${row.line}:${fingerprint(row.brand)}`
  if (row.category) facts['category'] = `${row.line}:${slugOfPath(row.category)}`
  for (const { column, field } of MEASURES) {
    if (row[field] !== undefined) facts[column] = `${row.line}:${row[field]}`
  }
  for (const [name, text] of Object.entries(row.attributes ?? {})) {
    facts[`attr.${name}`] = `${row.line}:${fingerprint(text)}`
  }
  if (row.price) facts[`price ${row.price.currency}`] = `${row.line}:${row.price.amount}`
  if (row.cost) facts[`cost ${row.cost.currency}`] = `${row.line}:${row.cost.amount}`
  if (row.stock) facts[`on_hand ${row.stock.warehouseId}`] = `${row.line}:${row.stock.onHand}`
  return facts
}

function valueOf(fact: string): string {
  return fact.slice(fact.indexOf(':') + 1)
}

function lineOf(fact: string): string {
  return fact.slice(0, fact.indexOf(':'))
}

/** FNV-1a, 32 bits: two texts that collide cost a missed contradiction, nothing more. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(36)
}

function merge(wanted: WantedSku | undefined, row: ImportRow, present: StoredSku | undefined): WantedSku {
  const merged: WantedSku = wanted ?? {
    sku: row.sku,
    skuWritten: row.skuWritten,
    title: row.title ?? present?.title ?? '',
    prices: new Map(),
    costs: new Map(),
    stock: new Map(),
  }
  if (row.title !== undefined) merged.title = row.title
  if (row.description !== undefined) merged.description = row.description
  if (row.brand !== undefined) merged.brand = row.brand
  if (row.category !== undefined) merged.category = row.category
  for (const { field } of MEASURES) {
    const measure = row[field]
    if (measure !== undefined) merged[field] = measure
  }
  if (row.price) merged.prices.set(row.price.currency, row.price.amount)
  if (row.cost) merged.costs.set(row.cost.currency, row.cost.amount)
  if (row.stock) merged.stock.set(row.stock.warehouseId, row.stock.onHand)
  return merged
}

type Changes = Omit<BatchPlan, 'accepted' | 'rejections' | 'facts' | 'categories'>
type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

function changes(wanted: ReadonlyMap<Sku, WantedSku>, present: ReadonlyMap<Sku, StoredSku>): Changes {
  const changed: Mutable<Changes> = {
    newSkus: [],
    products: [],
    productCategories: [],
    variants: [],
    prices: [],
    costs: [],
    levels: [],
  }
  const products = new Map<ProductId, ChangedProduct>()
  for (const want of wanted.values()) {
    const now = present.get(want.sku)
    if (!now) {
      changed.newSkus.push(want)
      continue
    }
    const product = changeSku(want, now, changed)
    if (product) products.set(product.id, product)
  }
  changed.products.push(...products.values())
  return changed
}

/** Adds what differs; answers the product as it is to be when anything but its stock does. */
function changeSku(want: WantedSku, now: StoredSku, changed: Mutable<Changes>): ChangedProduct | null {
  for (const [warehouseId, onHand] of want.stock) {
    if (now.levels[warehouseId]?.[0] !== onHand) changed.levels.push({ sku: want.sku, warehouseId, onHand })
  }
  let touched = false
  for (const [currency, amount] of want.prices) {
    if (now.prices[currency] === amount) continue
    changed.prices.push({ sku: want.sku, currency, amount })
    touched = true
  }
  for (const [currency, amount] of want.costs) {
    if (now.costs[currency] === amount) continue
    changed.costs.push({ sku: want.sku, currency, amount })
    touched = true
  }
  const variant = { sku: want.sku, title: want.title, ...variantFields(want, now) }
  if (want.title !== now.title || variantDiffers(variant, now)) {
    changed.variants.push(variant)
    touched = true
  }
  const product = { id: now.productId, ...productFields(want, now) }
  if (differs(product, now.product)) touched = true
  const category = want.category && slugOfPath(want.category)
  if (now.product.variants === 1 && category !== undefined && category !== now.product.categories[0]) {
    changed.productCategories.push({ productId: now.productId, category })
    touched = true
  }
  return touched ? product : null
}

/** A line speaks of one SKU: it renames the product only where that is all there is of it. */
function productFields(want: WantedSku, { product, title }: StoredSku): Omit<ChangedProduct, 'id'> {
  if (product.variants > 1) {
    const { version, title: stays, description, brand, attributes } = product
    return { version, title: stays, description, brand, attributes }
  }
  return {
    version: product.version,
    title: want.title === title ? product.title : want.title,
    description: want.description ?? product.description,
    brand: want.brand ?? product.brand,
    attributes: want.attributes ?? product.attributes,
  }
}

function variantFields(want: WantedSku, now: StoredSku): Omit<ChangedVariant, 'sku' | 'title'> {
  const own = now.product.variants > 1 ? want.attributes : undefined
  return {
    weightGrams: want.weightGrams ?? now.weightGrams,
    lengthMm: want.lengthMm ?? now.lengthMm,
    widthMm: want.widthMm ?? now.widthMm,
    heightMm: want.heightMm ?? now.heightMm,
    attributes: own ?? now.attributes,
  }
}

function variantDiffers(variant: Omit<ChangedVariant, 'sku' | 'title'>, now: StoredSku): boolean {
  return (
    MEASURES.some(({ field }) => variant[field] !== now[field]) || !sameAttributes(variant.attributes, now.attributes)
  )
}

function differs(product: Omit<ChangedProduct, 'id'>, now: StoredSku['product']): boolean {
  return (
    product.title !== now.title ||
    product.description !== now.description ||
    !sameBrand(product.brand, now.brand) ||
    !sameAttributes(product.attributes, now.attributes)
  )
}

/** Brands are compared without regard to case: the first spelling stays. */
function sameBrand(one: string | null, other: string | null): boolean {
  return one === other || (one !== null && other !== null && one.toLowerCase() === other.toLowerCase())
}

/** A file gives single values only: whatever else is stored it has left as it was, the very same object. */
function sameAttributes(one: Attributes, other: Attributes): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}
