import type { ProductId, Sku, WarehouseId } from './ids'
import type { ImportRow, Rejection } from './import'
import type { Currency } from './money'

/** A SKU as it stands in the shop before a batch. */
export interface PresentSku {
  readonly sku: Sku
  readonly productId: ProductId
  readonly title: string
  readonly weightGrams: number | null
  readonly product: {
    readonly version: number
    readonly title: string
    readonly description: string
    readonly brand: string | null
    /** The first category: the one that a file can change. */
    readonly category: string | null
    readonly variants: number
  }
  readonly prices: Readonly<Record<Currency, number>>
  /** Per warehouse: on hand, reserved. */
  readonly levels: Readonly<Record<WarehouseId, readonly [number, number]>>
}

/** What lines of this file have said of one SKU: per field the line and a fingerprint of the value. */
export type Facts = Readonly<Record<string, string>>

/** What is known before a batch, by SKU. */
export interface Known {
  readonly present: ReadonlyMap<Sku, PresentSku>
  readonly facts: ReadonlyMap<Sku, Facts>
}

/** What the accepted lines of a batch say of one SKU, together. */
export interface WantedSku {
  sku: Sku
  skuWritten: string
  title: string
  description?: string
  brand?: string
  category?: string
  weightGrams?: number
  prices: Map<Currency, number>
  stock: Map<WarehouseId, number>
}

export interface ChangedProduct {
  readonly id: ProductId
  /** As read; another one at the time of writing means that somebody else was faster. */
  readonly version: number
  readonly title: string
  readonly description: string
  readonly brand: string | null
}

/** Everything a batch writes. Whatever is as the file wants it already is not in here. */
export interface BatchPlan {
  readonly accepted: number
  readonly rejections: readonly Rejection[]
  readonly facts: ReadonlyMap<Sku, Facts>
  readonly categories: ReadonlyMap<string, string>
  readonly newSkus: readonly WantedSku[]
  readonly products: readonly ChangedProduct[]
  readonly productCategories: readonly { readonly productId: ProductId; readonly category: string }[]
  readonly variants: readonly { readonly sku: Sku; readonly title: string; readonly weightGrams: number | null }[]
  readonly prices: readonly { readonly sku: Sku; readonly currency: Currency; readonly amount: number }[]
  readonly levels: readonly { readonly sku: Sku; readonly warehouseId: WarehouseId; readonly onHand: number }[]
}

/**
 * Decides what the lines of one batch change. Several lines may speak of one SKU (its warehouses, its currencies); one
 * that contradicts an earlier line of the same file is rejected, and so is one that would leave fewer units than are
 * promised to customers. A rejected line changes nothing at all.
 */
export function planBatch(rows: readonly ImportRow[], known: Known): BatchPlan {
  const rejections: Rejection[] = []
  const facts = new Map<Sku, Facts>()
  const categories = new Map<string, string>()
  const wanted = new Map<Sku, WantedSku>()
  for (const row of rows) {
    const said = facts.get(row.sku) ?? known.facts.get(row.sku) ?? {}
    const says = factsOf(row)
    const rejection = reasonAgainst(row, {
      said,
      says,
      present: known.present.get(row.sku),
      wanted: wanted.get(row.sku),
    })
    if (rejection) {
      rejections.push(rejection)
      continue
    }
    facts.set(row.sku, { ...says, ...said })
    if (row.category) categories.set(row.category.slug, row.category.title)
    wanted.set(row.sku, merge(wanted.get(row.sku), row, known.present.get(row.sku)))
  }
  return { accepted: rows.length - rejections.length, rejections, facts, categories, ...changes(wanted, known.present) }
}

interface Circumstances {
  said: Facts
  says: Facts
  present: PresentSku | undefined
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

function factsOf(row: ImportRow): Facts {
  const facts: Record<string, string> = {}
  if (row.title) facts['title'] = `${row.line}:${fingerprint(row.title)}`
  if (row.description) facts['description'] = `${row.line}:${fingerprint(row.description)}`
  if (row.brand) facts['brand'] = `${row.line}:${fingerprint(row.brand)}`
  if (row.category) facts['category'] = `${row.line}:${row.category.slug}`
  if (row.weightGrams !== undefined) facts['weight_grams'] = `${row.line}:${row.weightGrams}`
  if (row.price) facts[`price ${row.price.currency}`] = `${row.line}:${row.price.amount}`
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

function merge(wanted: WantedSku | undefined, row: ImportRow, present: PresentSku | undefined): WantedSku {
  const merged: WantedSku = wanted ?? {
    sku: row.sku,
    skuWritten: row.skuWritten,
    title: row.title ?? present?.title ?? '',
    prices: new Map(),
    stock: new Map(),
  }
  if (row.title !== undefined) merged.title = row.title
  if (row.description !== undefined) merged.description = row.description
  if (row.brand !== undefined) merged.brand = row.brand
  if (row.category !== undefined) merged.category = row.category.slug
  if (row.weightGrams !== undefined) merged.weightGrams = row.weightGrams
  if (row.price) merged.prices.set(row.price.currency, row.price.amount)
  if (row.stock) merged.stock.set(row.stock.warehouseId, row.stock.onHand)
  return merged
}

type Changes = Omit<BatchPlan, 'accepted' | 'rejections' | 'facts' | 'categories'>
type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

function changes(wanted: ReadonlyMap<Sku, WantedSku>, present: ReadonlyMap<Sku, PresentSku>): Changes {
  const changed: Mutable<Changes> = {
    newSkus: [],
    products: [],
    productCategories: [],
    variants: [],
    prices: [],
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
function changeSku(want: WantedSku, now: PresentSku, changed: Mutable<Changes>): ChangedProduct | null {
  for (const [warehouseId, onHand] of want.stock) {
    if (now.levels[warehouseId]?.[0] !== onHand) changed.levels.push({ sku: want.sku, warehouseId, onHand })
  }
  let touched = false
  for (const [currency, amount] of want.prices) {
    if (now.prices[currency] === amount) continue
    changed.prices.push({ sku: want.sku, currency, amount })
    touched = true
  }
  const weightGrams = want.weightGrams ?? now.weightGrams
  if (want.title !== now.title || weightGrams !== now.weightGrams) {
    changed.variants.push({ sku: want.sku, title: want.title, weightGrams })
    touched = true
  }
  const product = { id: now.productId, ...productFields(want, now) }
  if (differs(product, now.product)) touched = true
  if (now.product.variants === 1 && want.category !== undefined && want.category !== now.product.category) {
    changed.productCategories.push({ productId: now.productId, category: want.category })
    touched = true
  }
  return touched ? product : null
}

/** A line speaks of one SKU: it renames the product only where that is all there is of it. */
function productFields(want: WantedSku, { product, title }: PresentSku): Omit<ChangedProduct, 'id'> {
  if (product.variants > 1) return product
  return {
    version: product.version,
    title: want.title === title ? product.title : want.title,
    description: want.description ?? product.description,
    brand: want.brand ?? product.brand,
  }
}

function differs(product: Omit<ChangedProduct, 'id'>, now: PresentSku['product']): boolean {
  return product.title !== now.title || product.description !== now.description || product.brand !== now.brand
}
