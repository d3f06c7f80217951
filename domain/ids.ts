/**
 * TypeIDs: a prefix that names the noun, and a UUIDv7 in Crockford base 32 (github.com/jetify-com/typeid).
 * They sort by time of creation. Stored as they are, so that what support pastes is what a query finds.
 */
export const ID_PREFIXES = {
  product: 'prod',
  category: 'cat',
  cart: 'cart',
  order: 'order',
  payment: 'pay',
  capture: 'cap',
  refund: 'ref',
  shipment: 'shp',
  label: 'lbl',
  command: 'cmd',
  warehouseMessage: 'whm',
  reservation: 'rsv',
  warehouse: 'wh',
  event: 'evt',
  apiKey: 'key',
  import: 'imp',
  repair: 'rep',
  reconciliation: 'rec',
  difference: 'dif',
  review: 'rev',
  image: 'img',
} as const

export type Noun = keyof typeof ID_PREFIXES
export type Id<N extends Noun> = `${(typeof ID_PREFIXES)[N]}_${string}`

export type ProductId = Id<'product'>
export type CategoryId = Id<'category'>
export type CartId = Id<'cart'>
export type OrderId = Id<'order'>
export type PaymentId = Id<'payment'>
export type CaptureId = Id<'capture'>
export type RefundId = Id<'refund'>
export type ShipmentId = Id<'shipment'>
export type LabelId = Id<'label'>
export type CommandId = Id<'command'>
export type WarehouseMessageId = Id<'warehouseMessage'>
export type ReconciliationId = Id<'reconciliation'>
export type DifferenceId = Id<'difference'>
export type WarehouseId = Id<'warehouse'>
export type ApiKeyId = Id<'apiKey'>
export type ImportId = Id<'import'>
export type ReviewId = Id<'review'>
export type ImageId = Id<'image'>

/** True when `text` is an id of this noun: its prefix and 26 digits of Crockford base 32, at most 128 bits. */
export function isId<N extends Noun>(noun: N, text: string): text is Id<N> {
  const prefix = `${ID_PREFIXES[noun]}_`
  return text.startsWith(prefix) && /^[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(text.slice(prefix.length))
}

/** SKUs are compared without regard to case: this is the form that is compared and stored as the key. */
export type Sku = string

/** Printable ASCII without spaces at the ends, so that upper case means the same here and in Postgres. */
export const SKU_PATTERN = /^[!-~](?:[ -~]{0,62}[!-~])?$/

/** `"85123a"` → `"85123A"`. */
export function skuKey(written: string): Sku {
  return written.toUpperCase()
}
