import type { Settings } from '../../config'
import type { Currency } from '../../domain/money'
import type { Db, Pool } from '../pool'

/** What the shop decides for itself. A hold length of null is as the environment says. */
export interface StoreSettings {
  readonly defaultCurrency: Currency
  /** ISO 3166-1 alpha-2: where goods are sent to. */
  readonly countries: readonly string[]
  readonly taxInclusive: boolean
  readonly checkoutHoldSeconds: number | null
  readonly cartHoldSeconds: number | null
  /** What becomes of units that no warehouse has at picking: they wait for the next receipt, or are cancelled. */
  readonly shortPick: ShortPick
  /** An order is complete so long after its last delivery. */
  readonly returnWindowDays: number
}

export const SHORT_PICKS = ['back_order', 'cancel'] as const
export type ShortPick = (typeof SHORT_PICKS)[number]
export const SHORT_PICK_DEFAULT: ShortPick = 'back_order'
export const RETURN_WINDOW_DAYS_DEFAULT = 30

const STORE_SETTINGS = `
  default_currency as "defaultCurrency", countries, tax_inclusive as "taxInclusive",
  checkout_hold_seconds as "checkoutHoldSeconds", cart_hold_seconds as "cartHoldSeconds",
  short_pick as "shortPick", return_window_days as "returnWindowDays", updated_at as "updatedAt"`

export async function readStoreSettings(db: Db): Promise<StoreSettings & { readonly updatedAt: Date }> {
  const { rows } = await db.query<StoreSettings & { updatedAt: Date }>({
    name: 'settings.read',
    text: `select ${STORE_SETTINGS} from store_settings`,
  })
  const settings = rows[0]
  if (!settings) throw new Error('store_settings has lost its row')
  return settings
}

/** A change of the settings is seen by every process within this. */
export const SETTINGS_FRESH_MS = 1_000

const cache = new WeakMap<Pool, { settings: StoreSettings; until: number }>()

/** The store's settings, at most a second old. */
export async function storeSettings(pool: Pool): Promise<StoreSettings> {
  const cached = cache.get(pool)
  if (cached && cached.until > Date.now()) return cached.settings
  const settings = await readStoreSettings(pool)
  cache.set(pool, { settings, until: Date.now() + SETTINGS_FRESH_MS })
  return settings
}

/** For whoever changed them: this process sees its own change at once. */
export function forgetStoreSettings(pool: Pool): void {
  cache.delete(pool)
}

export async function replaceStoreSettings(db: Db, settings: StoreSettings): Promise<void> {
  await db.query(
    `update store_settings
     set default_currency = $1, countries = $2, tax_inclusive = $3, checkout_hold_seconds = $4, cart_hold_seconds = $5,
         short_pick = $6, return_window_days = $7, version = version + 1, updated_at = now()`,
    [
      settings.defaultCurrency,
      settings.countries,
      settings.taxInclusive,
      settings.checkoutHoldSeconds,
      settings.cartHoldSeconds,
      settings.shortPick,
      settings.returnWindowDays,
    ],
  )
}

/** How long an unpaid order (`checkout`) and a cart (`cart`) hold their stock: the store's word, else the environment's. */
export function holdSeconds(
  store: StoreSettings,
  settings: Pick<Settings, 'CHECKOUT_HOLD_SECONDS' | 'CART_HOLD_SECONDS'>,
): { checkout: number; cart: number } {
  return {
    checkout: store.checkoutHoldSeconds ?? settings.CHECKOUT_HOLD_SECONDS,
    cart: store.cartHoldSeconds ?? settings.CART_HOLD_SECONDS,
  }
}
