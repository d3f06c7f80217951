import type { JournalForm } from '../journal'
import type { LabelRecord, Step, TrackingRecord } from './label'

/** One fact about labels. A label is written whole when it is sold; later lines say what has changed. */
export type LabelLine =
  | { readonly label: LabelRecord }
  | { readonly change: LabelChange }
  | { readonly tombstone: Tombstone }
  | { readonly delivered: string }

/** What has become of a label. */
export interface LabelChange {
  readonly id: string
  readonly updated_at: string
  readonly status?: LabelRecord['status']
  readonly handed_over_at?: string
  readonly void_asked_at?: string
  /** The whole way of the parcel, from now on. */
  readonly plan?: readonly Step[]
  /** The next steps of its plan: each is told by a webhook of its id. */
  readonly happened?: readonly TrackingRecord[]
}

/** A key that was voided before it was used: no label will ever be sold under it. */
export interface Tombstone {
  readonly key: string
  readonly created_at: string
}

export const LABEL_JOURNAL: JournalForm = { format: 1, kinds: ['label', 'change', 'tombstone', 'delivered'] }
