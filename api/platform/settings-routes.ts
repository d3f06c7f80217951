import { nextCatalogEpoch } from '../../db/catalog/epoch'
import { z } from 'zod'
import type { Settings } from '../../config'
import type { Pool } from '../../db/pool'
import {
  forgetStoreSettings,
  holdSeconds,
  readStoreSettings,
  replaceStoreSettings,
  RETURN_WINDOW_DAYS_DEFAULT,
  SHORT_PICK_DEFAULT,
  SHORT_PICKS,
} from '../../db/platform/settings'
import { defineRoute, type Route } from '../http/route'
import { readOnlyField, currency, timestamp } from '../http/schemas'

const HOLD_SECONDS_MAX = 86_400
const RETURN_WINDOW_DAYS_MAX = 3_650

const country = z.string().regex(/^[A-Z]{2}$/, 'Send ISO 3166-1 codes in capitals, such as GB.')
const hold = z.int().min(1).max(HOLD_SECONDS_MAX)

const shortPick = z.enum(SHORT_PICKS).meta({
  description: 'what becomes of units that no warehouse has: they wait for the next receipt, or are cancelled',
})

const settingsBody = z
  .strictObject({
    default_currency: currency,
    countries: z.array(z.string()).meta({ description: 'where goods are sent to' }),
    tax_inclusive: z.boolean(),
    checkout_hold_seconds: z.int().nullable().meta({ description: 'null: as the environment says' }),
    cart_hold_seconds: z.int().nullable().meta({ description: 'null: as the environment says' }),
    short_pick: shortPick,
    return_window_days: z.int().meta({ description: 'an order is complete so long after its last delivery' }),
    effective_hold_seconds: z.strictObject({ checkout: z.int(), cart: z.int() }),
    updated_at: timestamp,
  })
  .meta({ id: 'StoreSettings' })

const getSettings = defineRoute({
  method: 'get',
  path: '/v1/admin/settings',
  tag: 'Settings',
  summary: "Read the store's settings",
  caller: { admin: 'settings', access: 'read' },
  answers: { 200: settingsBody },
}).handle(async (_input, { pool, settings }) => ({ status: 200, body: await present(pool, settings) }))

const putSettings = defineRoute({
  method: 'put',
  path: '/v1/admin/settings',
  tag: 'Settings',
  summary: "Replace the store's settings",
  description: 'Every API process goes by them within 2 seconds. Holds that run keep the length they began with.',
  caller: { admin: 'settings', access: 'write' },
  body: z.strictObject({
    default_currency: currency,
    countries: z
      .array(country)
      .min(1)
      .max(250)
      .refine((codes) => new Set(codes).size === codes.length, 'A country is named twice.'),
    tax_inclusive: z.boolean(),
    checkout_hold_seconds: hold.nullish(),
    cart_hold_seconds: hold.nullish(),
    short_pick: shortPick.default(SHORT_PICK_DEFAULT),
    return_window_days: z.int().min(0).max(RETURN_WINDOW_DAYS_MAX).default(RETURN_WINDOW_DAYS_DEFAULT),
    effective_hold_seconds: readOnlyField,
    updated_at: readOnlyField,
  }),
  answers: { 200: settingsBody },
}).handle(async ({ body }, { pool, redis, settings }) => {
  await replaceStoreSettings(pool, {
    defaultCurrency: body.default_currency,
    countries: body.countries,
    taxInclusive: body.tax_inclusive,
    checkoutHoldSeconds: body.checkout_hold_seconds ?? null,
    cartHoldSeconds: body.cart_hold_seconds ?? null,
    shortPick: body.short_pick,
    returnWindowDays: body.return_window_days,
  })
  forgetStoreSettings(pool)
  await nextCatalogEpoch(redis)
  return { status: 200, body: await present(pool, settings) }
})

export const settingsRoutes: readonly Route[] = [getSettings, putSettings]

async function present(pool: Pool, settings: Settings): Promise<z.input<typeof settingsBody>> {
  const store = await readStoreSettings(pool)
  return {
    default_currency: store.defaultCurrency,
    countries: [...store.countries],
    tax_inclusive: store.taxInclusive,
    checkout_hold_seconds: store.checkoutHoldSeconds,
    cart_hold_seconds: store.cartHoldSeconds,
    short_pick: store.shortPick,
    return_window_days: store.returnWindowDays,
    effective_hold_seconds: holdSeconds(await readStoreSettings(pool), settings),
    updated_at: store.updatedAt.toISOString(),
  }
}
