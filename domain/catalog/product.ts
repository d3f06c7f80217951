import { skuKey } from '../ids'

export const SLUG_LENGTH_MAX = 100
/** Leaves room for an ending that makes a slug unique. */
const DERIVED_SLUG_LENGTH_MAX = 80
/** Lower-case words of ASCII letters and digits, joined by single hyphens. */
export const SLUG_PATTERN = /^[a-z0-9]+(?:-[a-z0-9]+)*$/

/** `price.amount`'s constraint, in minor units. */
export const PRICE_AMOUNT_MAX = 1_000_000_000_000
/** Far from the end of a 4-byte integer, so that no sum of two comes near it. */
export const ON_HAND_MAX = 1_000_000_000
export const WEIGHT_GRAMS_MAX = 10_000_000
/** Of each side of a variant: 100 m. */
export const LENGTH_MM_MAX = 100_000

/** From this many down a storefront shows the number: "only 5 left". */
const LOW_STOCK_MAX = 5

/** `"Café: Tea & Cake"` → `"cafe-tea-cake"`. `fallback` where nothing of the text can stand in a slug. */
export function slugOf(text: string, fallback = 'product'): string {
  const words = text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f'’]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
  return trimHyphens(trimHyphens(words).slice(0, DERIVED_SLUG_LENGTH_MAX)) || fallback
}

/** The slug with an ending that makes it another, no longer than a slug may be. */
export function slugWith(slug: string, ending: string): string {
  const tail = slugOf(ending, 'x')
  return `${trimHyphens(slug.slice(0, SLUG_LENGTH_MAX - tail.length - 1))}-${tail}`
}

export type StockHint =
  | { readonly available: true; readonly available_hint: 'in_stock' }
  | { readonly available: true; readonly available_hint: 'low'; readonly available_quantity: number }
  | { readonly available: false; readonly available_hint: 'out_of_stock' }

/** What a storefront is told of `quantity` available units. May be seconds old: never the basis of a promise. */
export function stockHint(quantity: number): StockHint {
  if (quantity <= 0) return { available: false, available_hint: 'out_of_stock' }
  if (quantity > LOW_STOCK_MAX) return { available: true, available_hint: 'in_stock' }
  return { available: true, available_hint: 'low', available_quantity: quantity }
}

/** The first SKU that stands twice in the list, whatever its case. */
export function repeatedSku(skus: readonly string[]): string | null {
  const seen = new Set<string>()
  for (const sku of skus.map(skuKey)) {
    if (seen.has(sku)) return sku
    seen.add(sku)
  }
  return null
}

function trimHyphens(text: string): string {
  return text.replace(/^-+|-+$/g, '')
}
