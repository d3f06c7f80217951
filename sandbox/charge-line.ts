import type { ChargeRecord, ChargeStatus } from './charge'
import type { JournalForm } from './journal'

/** One fact about charges. A line is written whole or not at all, so what belongs together is in one. */
export type ChargeLine =
  | { readonly charge: ChargeRecord; readonly events: readonly WebhookNote[] }
  | { readonly tombstone: Tombstone }
  | { readonly refused: RefusedKey }
  | { readonly delivered: string }

export const CHARGE_JOURNAL: JournalForm = { format: 2, kinds: ['charge', 'tombstone', 'refused', 'delivered'] }

/** An event caused by a change. `status` is there when the event tells of an earlier status than its line. */
export interface WebhookNote {
  readonly id: string
  readonly status?: ChargeStatus
}

/** A key that was cancelled before it was used: no charge will ever be made under it. */
export interface Tombstone {
  readonly id: string
  readonly key: string
  readonly created_at: string
}

/** A key under which a capture or a refund was refused before it was begun: it stays so. */
export interface RefusedKey {
  readonly what: 'capture' | 'refund'
  readonly key: string
  readonly charge: string
  /** As asked; null: all that was there. */
  readonly amount: number | null
  readonly final: boolean
  readonly code: string
  readonly message: string
}
