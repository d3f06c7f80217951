import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

/** A secret that we and one warehouse share: it signs what either tells the other. */
export function newWarehouseSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** What a warehouse's system has sent, as JSON; null: it was not signed by this secret, or is none. */
export function verifyWarehouse(
  secret: string,
  body: Buffer,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): { readonly told: unknown } | null {
  try {
    return { told: new Webhook(secret).verify(body, headers as Record<string, string>) }
  } catch {
    return null
  }
}
