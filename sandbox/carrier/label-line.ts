import type { JournalForm } from '../journal'
import type { LabelRecord } from './label'

/** One fact about labels. `events` are the ids of the webhooks that tell of the change. */
export type LabelLine =
  | { readonly label: LabelRecord; readonly events: readonly string[] }
  | { readonly tombstone: Tombstone }
  | { readonly delivered: string }

/** A key that was voided before it was used: no label will ever be sold under it. */
export interface Tombstone {
  readonly key: string
  readonly created_at: string
}

export const LABEL_JOURNAL: JournalForm = { format: 1, kinds: ['label', 'tombstone', 'delivered'] }
