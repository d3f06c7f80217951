import { createHash, createHmac } from 'node:crypto'
import type { CartId } from '../../domain/ids'

/**
 * The token that opens a guest's cart, its checkout and its order. It is derived, so that a repeated request can answer
 * it again; what is stored is its hash alone.
 */
export function cartToken(secret: string, cartId: CartId): string {
  return `ct_${createHmac('sha256', secret).update(cartId).digest('base64url')}`
}

/** SHA-256: what `token_hash` columns are compared with. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
