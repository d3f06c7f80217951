import { randomInt, randomUUID } from 'node:crypto'
import { DAY_MS, durationOf, outcomeOf, journey, type Odds } from './journey'
import { type LabelRecord, type LabelRequest, sameRequest } from './label'
import type { LabelChange, LabelLine, Tombstone } from './label-line'
import { ratesFor, refusalOf } from './services'
import { behaviourOf } from './words'

/** What the store is connected to. `record` is called in the same tick as the change. */
export interface LabelStorePorts {
  /** `label` is what the line is about, as it is by now. */
  readonly record: (line: LabelLine, label: LabelRecord | null) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Why something was not done. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  /** The label that stands in the way, as it is. */
  readonly label?: LabelRecord
}

export type Result<T> = { readonly done: T; readonly refused?: undefined } | { readonly refused: Refusal }

export interface LabelPage {
  readonly labels: readonly LabelRecord[]
  /** The position to go on from; null at the end. */
  readonly next: number | null
}

/**
 * The rules by which labels change and parcels travel. All of it is in memory and every change happens in one tick, so that
 * no two requests can meet half way; the journal makes it last.
 */
export class LabelStore {
  /** Null until the journal is read. */
  #ports: LabelStorePorts | null = null
  readonly #byId = new Map<string, LabelRecord>()
  readonly #idByKey = new Map<string, string>()
  readonly #idByNumber = new Map<string, string>()
  /** In order of creation: a position in it never changes, which makes it a cursor. */
  readonly #created: string[] = []
  readonly #tombstones = new Map<string, Tombstone>()
  readonly #failuresByKey = new Map<string, number>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** Takes back what the journal says. */
  restore(line: LabelLine): void {
    if ('label' in line) this.#keep(line.label)
    else if ('change' in line) this.#keep(changed(this.#known(line.change.id), line.change))
    else if ('tombstone' in line) this.#tombstones.set(line.tombstone.key, line.tombstone)
  }

  /** Ends the restoring: from here on changes are recorded, and parcels travel on. */
  start(ports: LabelStorePorts): void {
    this.#ports = ports
    for (const label of this.#byId.values()) this.#schedule(label)
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  get(id: string): LabelRecord | undefined {
    return this.#byId.get(id)
  }

  byKey(key: string): LabelRecord | undefined {
    return this.#byId.get(this.#idByKey.get(key) ?? '')
  }

  byNumber(trackingNumber: string): LabelRecord | undefined {
    return this.#byId.get(this.#idByNumber.get(trackingNumber) ?? '')
  }

  /** `limit` labels from position `start` on, oldest first. */
  list(start: number, limit: number): LabelPage {
    const ids = this.#created.slice(start, start + limit)
    const next = start + ids.length
    return { labels: ids.map((id) => this.#known(id)), next: next < this.#created.length ? next : null }
  }

  /** Sells the label, or finds the one that was sold under this key. */
  buy(key: string, request: LabelRequest, speed: number): Result<{ label: LabelRecord; bought: boolean }> {
    const known = this.byKey(key)
    if (known) {
      if (!sameRequest(known, request)) return { refused: keyReused(key) }
      return { done: { label: known, bought: false } }
    }
    if (this.#tombstones.has(key)) return { refused: keyRefused(key) }
    if (this.#failsNow(key, request)) return { refused: unavailable() }
    const why = refusalOf(request.service, request)
    if (why !== null) return { refused: notSold(why) }
    return { done: { label: this.#sell(key, request, speed), bought: true } }
  }

  /**
   * Takes a label back, unless its parcel is on its way or the carrier keeps it. Again without harm. One that is live still is
   * thought about.
   */
  void(label: LabelRecord): Result<LabelRecord> {
    if (label.status === 'voided') return { done: label }
    if (label.handed_over_at !== null) return { refused: used(label) }
    const { voidsAfterMs = 0, keepsLabels } = behaviourOf(label.request.to)
    const { void_asked_at = null } = label
    if (voidsAfterMs > 0 && void_asked_at === null)
      return { done: this.#change(label, { void_asked_at: new Date(this.#now()).toISOString() }) }
    if (void_asked_at !== null && this.#now() < Date.parse(void_asked_at) + voidsAfterMs) return { done: label }
    if (keepsLabels) return { refused: kept(label) }
    return { done: this.#change(label, { status: 'voided' }) }
  }

  /** Voids the label of this key; one that is not known is refused for ever after. */
  voidKey(key: string): Result<LabelRecord | null> {
    const label = this.byKey(key)
    if (label) return this.void(label)
    if (!this.#tombstones.has(key)) {
      const tombstone = { key, created_at: new Date(this.#now()).toISOString() }
      this.#tombstones.set(key, tombstone)
      this.#record({ tombstone }, null)
    }
    return { done: null }
  }

  /** The carrier has the parcel: from now on it travels. Again without harm. */
  handOver(label: LabelRecord, odds: Odds): Result<LabelRecord> {
    if (label.status === 'voided') return { refused: voided(label) }
    if (label.handed_over_at !== null) return { done: label }
    const start = this.#now()
    const outcome = behaviourOf(label.request.to).outcome ?? outcomeOf(label.key, odds)
    const plan = journey(outcome, { start, days: label.days, speed: odds.speed })
    return { done: this.#change(label, { handed_over_at: new Date(start).toISOString(), plan }) }
  }

  /** All that is due of a parcel's way happens, each step at its own time. */
  #travel(id: string): void {
    const label = this.#known(id)
    const now = this.#now()
    const due = label.plan.filter((step) => Date.parse(step.happened_at) <= now)
    if (due.length === 0) return this.#schedule(label)
    const happened = due.map((step) => ({ id: `evt_${randomUUID().replaceAll('-', '')}`, ...step }))
    this.#change(label, { happened })
  }

  #sell(key: string, request: LabelRequest, speed: number): LabelRecord {
    const rate = ratesFor(request).find(({ service }) => service === request.service)
    if (!rate) throw new Error(`There is no rate for ${request.service}`)
    const now = this.#now()
    const at = new Date(now).toISOString()
    const label: LabelRecord = {
      id: `lb_${randomUUID().replaceAll('-', '')}`,
      key,
      request,
      status: 'live',
      price: rate.price,
      days: rate.days,
      tracking_number: this.#newNumber(),
      // The parcel is fetched within a day.
      expected_at: new Date(now + DAY_MS / speed + durationOf(rate.days, speed)).toISOString(),
      created_at: at,
      updated_at: at,
      handed_over_at: null,
      events: [],
      plan: [],
    }
    this.#keep(label)
    this.#record({ label }, label)
    return label
  }

  /** Twelve digits of chance and one that tells of a slip, as carriers have it. */
  #newNumber(): string {
    for (;;) {
      const digits = `77${String(randomInt(0, 1_000_000)).padStart(6, '0')}${String(randomInt(0, 1_000_000)).padStart(6, '0')}`
      const number = `${digits}${checkDigit(digits)}`
      if (!this.#idByNumber.has(number)) return number
    }
  }

  #failsNow(key: string, { to }: LabelRequest): boolean {
    const failures = this.#failuresByKey.get(key) ?? 0
    if (failures >= (behaviourOf(to).failures ?? 0)) return false
    this.#failuresByKey.set(key, failures + 1)
    return true
  }

  #change({ id }: LabelRecord, what: Omit<LabelChange, 'id' | 'updated_at'>): LabelRecord {
    const change = { id, updated_at: new Date(this.#now()).toISOString(), ...what }
    const label = changed(this.#known(id), change)
    this.#keep(label)
    this.#record({ change }, label)
    this.#schedule(label)
    return label
  }

  #keep(label: LabelRecord): void {
    if (!this.#byId.has(label.id)) {
      this.#created.push(label.id)
      this.#idByKey.set(label.key, label.id)
      this.#idByNumber.set(label.tracking_number, label.id)
    }
    this.#byId.set(label.id, label)
  }

  #schedule({ id, plan }: LabelRecord): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    const [next] = plan
    if (!next) return
    const wait = Math.min(Math.max(0, Date.parse(next.happened_at) - this.#now()), LONGEST_TIMER_MS)
    this.#timers.set(
      id,
      setTimeout(() => this.#travel(id), wait),
    )
  }

  #known(id: string): LabelRecord {
    const label = this.#byId.get(id)
    if (!label) throw new Error(`There is no label ${id}`)
    return label
  }

  #record(line: LabelLine, label: LabelRecord | null): void {
    this.#ports?.record(line, label)
  }

  #now(): number {
    return this.#ports?.now() ?? 0
  }
}

/** What happened is taken off the plan. */
function changed(label: LabelRecord, { id: _, happened = [], ...change }: LabelChange): LabelRecord {
  const events = [...label.events, ...happened]
  return { ...label, plan: label.plan.slice(happened.length), events, ...change }
}

/** Node's timers hold no longer time. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Luhn's. */
function checkDigit(digits: string): number {
  const sum = Array.from(digits)
    .toReversed()
    .reduce((total, digit, place) => {
      const doubled = Number(digit) * (place % 2 === 0 ? 2 : 1)
      return total + (doubled > 9 ? doubled - 9 : doubled)
    }, 0)
  return (10 - (sum % 10)) % 10
}

function keyReused(key: string): Refusal {
  return { status: 422, code: 'idempotency_key_reused', message: `The key ${key} was used for another request.` }
}

function keyRefused(key: string): Refusal {
  return { status: 409, code: 'key_refused', message: `The key ${key} was voided before it was used.` }
}

function notSold(code: string): Refusal {
  return { status: 422, code, message: 'No such label is sold to there.' }
}

function used(label: LabelRecord): Refusal {
  return { status: 409, code: 'label_used', message: 'The parcel has been handed over.', label }
}

function kept(label: LabelRecord): Refusal {
  return { status: 409, code: 'void_refused', message: 'The label cannot be voided.', label }
}

function voided(label: LabelRecord): Refusal {
  return { status: 409, code: 'label_voided', message: 'The label was voided.', label }
}

export function unavailable(): Refusal {
  return { status: 503, code: 'unavailable', message: 'The carrier is not available.' }
}
