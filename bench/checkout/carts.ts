import type { Shop } from '../shop'

/** What a buyer needs to buy a cart. */
export interface FilledCart {
  readonly id: string
  readonly token: string
}

const FILLERS = 16

/** Carts of two lines each, filled before the measurement begins. */
export async function fillCarts(shop: Shop, skus: readonly string[], count: number): Promise<FilledCart[]> {
  const carts: FilledCart[] = []
  let next = 0
  const filler = async (): Promise<void> => {
    while (next < count) {
      const n = next++
      carts.push(
        await shop.cart([
          { sku: skus[n % skus.length] as string, quantity: 1 },
          { sku: skus[(n + 7) % skus.length] as string, quantity: 2 },
        ]),
      )
    }
  }
  await Promise.all(Array.from({ length: FILLERS }, filler))
  return carts
}

/** Removes one cart from those that are filled. */
export function takeCart(carts: FilledCart[]): FilledCart {
  const cart = carts.pop()
  if (cart === undefined) throw new Error('The carts ran out: prepare more of them.')
  return cart
}
