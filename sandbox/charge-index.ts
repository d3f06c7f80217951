import type { ChargeRecord } from './charge'
import { MovementList } from './movements'
import { firstReached } from './sorted'

export interface ChargePage {
  readonly charges: readonly ChargeRecord[]
  /** The position to go on from; null at the end. */
  readonly next: number | null
}

/** Whether a list shows a charge. */
export type IsShown = (charge: ChargeRecord) => boolean

/** Every charge as it is now, and the ways to find it. */
export class ChargeIndex {
  readonly movements = new MovementList()
  readonly #byId = new Map<string, ChargeRecord>()
  readonly #idByKey = new Map<string, string>()
  readonly #idsByReference = new Map<string, string[]>()
  /** In order of creation: a position in it never changes, which makes it a cursor. */
  readonly #created: string[] = []
  /** Only ever added to, so that a position is a cursor here too: a charge that changes once more comes again. */
  readonly #changes: Change[] = []
  readonly #lastChange = new Map<string, Change>()

  /** Takes a charge as it became by a change, which is the latest of all. */
  keep(charge: ChargeRecord): void {
    const before = this.#byId.get(charge.id)
    if (!before) this.#addNew(charge)
    this.#byId.set(charge.id, charge)
    const change = { id: charge.id, at: Date.parse(charge.updated_at) }
    this.#changes.push(change)
    this.#lastChange.set(charge.id, change)
    this.movements.addFrom(before, charge)
  }

  all(): Iterable<ChargeRecord> {
    return this.#byId.values()
  }

  get(id: string): ChargeRecord | undefined {
    return this.#byId.get(id)
  }

  /** Throws when there is no such charge. */
  known(id: string): ChargeRecord {
    const charge = this.#byId.get(id)
    if (!charge) throw new Error(`There is no charge ${id}`)
    return charge
  }

  byKey(key: string): ChargeRecord | undefined {
    return this.#byId.get(this.#idByKey.get(key) ?? '')
  }

  byReference(reference: string): ChargeRecord[] {
    return (this.#idsByReference.get(reference) ?? []).map((id) => this.known(id))
  }

  /** `limit` charges from position `start` on, oldest first. */
  listCreated(start: number, limit: number, isShown: IsShown): ChargePage {
    return firstShown(this.#createdFrom(start), limit, isShown)
  }

  /**
   * `limit` charges from position `start` on that changed at `since` (milliseconds since 1970) or later, the longest
   * unchanged first. It costs what changed since then, not what was ever made.
   */
  listChanged(since: number, start: number, limit: number, isShown: IsShown): ChargePage {
    const recent = firstReached(this.#changes, ({ at }) => at >= since)
    return firstShown(this.#changedFrom(Math.max(start, recent)), limit, isShown)
  }

  #addNew(charge: ChargeRecord): void {
    this.#created.push(charge.id)
    this.#idByKey.set(charge.key, charge.id)
    const siblings = this.#idsByReference.get(charge.reference)
    if (siblings) siblings.push(charge.id)
    else this.#idsByReference.set(charge.reference, [charge.id])
  }

  *#createdFrom(start: number): Generator<Placed> {
    for (let position = start; position < this.#created.length; position++) {
      yield { position, charge: this.known(this.#created[position] as string) }
    }
  }

  /** Each charge at its last change only. */
  *#changedFrom(start: number): Generator<Placed> {
    for (let position = start; position < this.#changes.length; position++) {
      const change = this.#changes[position] as Change
      if (this.#lastChange.get(change.id) === change) yield { position, charge: this.known(change.id) }
    }
  }
}

interface Change {
  readonly id: string
  /** Milliseconds since 1970, never less than that of an earlier one. */
  readonly at: number
}

interface Placed {
  readonly position: number
  readonly charge: ChargeRecord
}

function firstShown(candidates: Iterable<Placed>, limit: number, isShown: IsShown): ChargePage {
  const charges: ChargeRecord[] = []
  for (const { position, charge } of candidates) {
    if (!isShown(charge)) continue
    if (charges.length === limit) return { charges, next: position }
    charges.push(charge)
  }
  return { charges, next: null }
}
