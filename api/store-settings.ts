import type { Pool } from '../db/pool'
import { readStoreSettings, type StoreSettings } from '../db/settings'

/** A change of the settings is seen by every API process within this. */
const FRESH_MS = 2_000

const cache = new WeakMap<Pool, { settings: StoreSettings; until: number }>()

/** The store's settings, at most two seconds old. */
export async function storeSettings(pool: Pool): Promise<StoreSettings> {
  const cached = cache.get(pool)
  if (cached && cached.until > Date.now()) return cached.settings
  const settings = await readStoreSettings(pool)
  cache.set(pool, { settings, until: Date.now() + FRESH_MS })
  return settings
}

/** For the route that changes them: this process sees its own change at once. */
export function forgetStoreSettings(pool: Pool): void {
  cache.delete(pool)
}
