import type { Sku } from '../../domain/ids'
import type { CatalogEntry } from '../../domain/pricing/price'
import type { Cart } from './cart'
import type { Db } from '../pool'
import { readPricing } from '../pricing'

/** As in a cached cart: what merchants change makes a new epoch, what customers buy shows after seconds. */
const FRESH_MS = 5_000
const ENTRIES_MAX = 20_000

/**
 * What this process has read of the catalog within the last seconds of one epoch. A change of a large cart reads the SKUs
 * that it changes; the others come from here, for they were read a moment ago by the change before, or for another cart.
 * Shown to customers and never bought by: checkout reads the catalog itself.
 */
export class CatalogEntryCache {
  private epoch = ''
  private readonly entries = new Map<string, { readonly entry: CatalogEntry; readonly readAt: number }>()

  /** The cart with the catalog's entries of all its lines. `epoch` is from before the cart was read. */
  async complete(db: Db, cart: Cart, epoch: string): Promise<Cart> {
    // With a hold of its own a cart sees stock that others do not.
    if (cart.holdExpiresAt !== null) return cart
    this.keep(cart, cart.catalog.values(), epoch)
    const known = new Map(cart.catalog)
    for (const sku of Object.keys(cart.lines)) {
      const entry = known.has(sku) ? undefined : this.find(cart, sku, epoch)
      if (entry) known.set(sku, entry)
    }
    const unknown = Object.keys(cart.lines).filter((sku) => !known.has(sku))
    if (unknown.length === 0) return { ...cart, catalog: known }
    const read = await readPricing(db, { currency: cart.currency, skus: unknown, cartId: cart.id })
    this.keep(cart, read.values(), epoch)
    return { ...cart, catalog: new Map([...known, ...read]) }
  }

  private find({ currency }: Cart, sku: Sku, epoch: string): CatalogEntry | undefined {
    const kept = this.entries.get(`${currency} ${sku}`)
    return epoch === this.epoch && kept && Date.now() - kept.readAt < FRESH_MS ? kept.entry : undefined
  }

  private keep({ currency }: Cart, entries: Iterable<CatalogEntry>, epoch: string): void {
    if (epoch !== this.epoch) this.entries.clear()
    this.epoch = epoch
    const readAt = Date.now()
    for (const entry of entries) {
      const key = `${currency} ${entry.sku}`
      this.entries.delete(key)
      this.entries.set(key, { entry, readAt })
    }
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= ENTRIES_MAX) break
      this.entries.delete(oldest)
    }
  }
}
