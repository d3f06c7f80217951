import type { ChargeRecord } from './charge'
import { firstReached } from './sorted'

/** Money that went to the shop (a positive amount) or came back from it. */
export interface Movement {
  /** From 1, without gaps. */
  readonly number: number
  readonly type: 'capture' | 'refund' | 'refund_failed' | 'dispute' | 'dispute_won'
  readonly charge: string
  readonly key: string
  readonly reference: string
  /** The id of the capture, refund or dispute. */
  readonly object: string
  readonly object_key: string | null
  readonly amount: number
  readonly currency: string
  readonly created_at: string
}

export interface MovementPage {
  readonly movements: readonly Movement[]
  /** The number of the last one here; null when none follows. */
  readonly next: number | null
}

/**
 * Every movement of money. They follow from the changes of charges in the order in which those happened, which is the
 * order of the journal's lines: so they have the same numbers after a restart.
 */
export class MovementList {
  readonly #movements: Movement[] = []

  /** @param before the charge before the change; undefined when it is new. */
  addFrom(before: ChargeRecord | undefined, after: ChargeRecord): void {
    const { id, key, reference, currency, updated_at } = after
    for (const { type, object, amount } of partsMoved(before, after)) {
      this.#movements.push({
        number: this.#movements.length + 1,
        type,
        charge: id,
        key,
        reference,
        object: object.id,
        object_key: object.key ?? null,
        amount,
        currency,
        created_at: updated_at,
      })
    }
  }

  /** Those behind number `after` that happened at `since` (milliseconds since 1970) or later, oldest first. */
  listPage(after: number, since: number, limit: number): MovementPage {
    const recent = firstReached(this.#movements, ({ created_at }) => Date.parse(created_at) >= since)
    const start = Math.max(after, recent)
    const movements = this.#movements.slice(start, start + limit)
    const end = start + movements.length
    return { movements, next: end < this.#movements.length ? end : null }
  }
}

interface PartMoved {
  readonly type: Movement['type']
  readonly object: { readonly id: string; readonly key?: string | null }
  readonly amount: number
}

function partsMoved(before: ChargeRecord | undefined, after: ChargeRecord): PartMoved[] {
  const moved: PartMoved[] = []
  for (const object of after.captures.slice(before?.captures.length ?? 0)) {
    if (object.status === 'succeeded') moved.push({ type: 'capture', object, amount: object.amount })
  }
  after.refunds.forEach((object, index) => {
    const was = before?.refunds[index]?.status
    if (object.status === was) return
    if (object.status === 'succeeded') moved.push({ type: 'refund', object, amount: -object.amount })
    if (was === 'succeeded') moved.push({ type: 'refund_failed', object, amount: object.amount })
  })
  after.disputes.forEach((object, index) => {
    const was = before?.disputes[index]?.status
    if (was === undefined) moved.push({ type: 'dispute', object, amount: -object.amount })
    else if (object.status !== was && object.status === 'won')
      moved.push({ type: 'dispute_won', object, amount: object.amount })
  })
  return moved
}
