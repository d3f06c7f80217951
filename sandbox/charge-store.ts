import { randomUUID } from 'node:crypto'
import { sameRequest, type ChargeRecord, type ChargeRequest, type ChargeStatus, type Refund } from './charge'
import type { WebhookNote, JournalLine, Tombstone } from './journal'
import { behaviourOf } from './methods'
import { exceeds, keyRefused, keyReused, uncancellable, unavailable, wrongStatus, type Result } from './refusal'

/** What the store is connected to. `record` is called in the same tick as the change. */
export interface ChargeStorePorts {
  readonly record: (line: JournalLine) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/**
 * Every charge the sandbox knows, and the rules by which it changes. All of it is in memory and every change happens in
 * one tick, so that no two requests can meet half way; the journal makes it last.
 */
export class ChargeStore {
  /** Null until the journal is read. */
  #ports: ChargeStorePorts | null = null
  /** In order of creation: a position in it never changes, which makes it a cursor. */
  readonly #order: string[] = []
  readonly #byId = new Map<string, ChargeRecord>()
  readonly #idByKey = new Map<string, string>()
  readonly #idsByReference = new Map<string, string[]>()
  readonly #tombstones = new Map<string, Tombstone>()
  readonly #refundByKey = new Map<string, Refund>()
  readonly #captureChargeByKey = new Map<string, string>()
  readonly #failuresByKey = new Map<string, number>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** Takes back what the journal says. */
  restore(line: JournalLine): void {
    if ('charge' in line) this.#keep(line.charge)
    else if ('tombstone' in line) this.#tombstones.set(line.tombstone.key, line.tombstone)
  }

  /** Ends the restoring: from here on changes are recorded, and the clocks of everything pending run. */
  start(ports: ChargeStorePorts): void {
    this.#ports = ports
    for (const charge of this.#byId.values()) this.#schedule(charge)
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  get(id: string): ChargeRecord | undefined {
    return this.#byId.get(id)
  }

  byKey(key: string): ChargeRecord | undefined {
    return this.#byId.get(this.#idByKey.get(key) ?? '')
  }

  byReference(reference: string): ChargeRecord[] {
    return (this.#idsByReference.get(reference) ?? []).map((id) => this.#known(id))
  }

  /** `limit` charges from position `start` on, oldest first, and the position after them; null at the end. */
  listPage(start: number, limit: number): { charges: ChargeRecord[]; next: number | null } {
    const end = Math.min(start + limit, this.#order.length)
    return {
      charges: this.#order.slice(start, end).map((id) => this.#known(id)),
      next: end < this.#order.length ? end : null,
    }
  }

  /** Makes the charge, or finds the one that was made under this key. */
  create(key: string, request: ChargeRequest): Result<{ charge: ChargeRecord; created: boolean }> {
    const known = this.byKey(key)
    if (known) {
      if (!sameRequest(known, request)) return { refused: keyReused(key) }
      return { done: { charge: known, created: false } }
    }
    const tombstone = this.#tombstones.get(key)
    if (tombstone) return { refused: keyRefused(tombstone) }
    if (this.#failsNow(key, request.method)) return { refused: unavailable() }
    return { done: { charge: this.#make(key, request), created: true } }
  }

  /** Takes `amount`, or all that is authorized and not yet taken. */
  capture(charge: ChargeRecord, key: string, amount: number | undefined): Result<ChargeRecord> {
    const usedFor = this.#captureChargeByKey.get(key)
    if (usedFor !== undefined) {
      const taken = charge.captures.find((capture) => capture.key === key)
      if (!taken || (amount !== undefined && amount !== taken.amount)) return { refused: keyReused(key) }
      return { done: charge }
    }
    if (charge.status !== 'authorized' && charge.status !== 'captured')
      return { refused: wrongStatus(charge, 'captured') }
    const take = amount ?? charge.amount - charge.captured
    if (take < 1 || charge.captured + take > charge.amount) return { refused: exceeds(charge) }
    return {
      done: this.#change(charge, {
        status: 'captured',
        captured: charge.captured + take,
        captures: [...charge.captures, { key, amount: take }],
      }),
    }
  }

  /** Gives back `amount`, or all that was captured and not yet given back. A refund that fails is kept as failed. */
  refund(charge: ChargeRecord, key: string, amount: number | undefined): Result<Refund> {
    const known = this.#refundByKey.get(key)
    if (known) {
      const same = known.charge === charge.id && (amount === undefined || amount === known.amount)
      return same ? { done: known } : { refused: keyReused(key) }
    }
    const give = amount ?? charge.captured - charge.refunded
    if (give < 1 || charge.refunded + give > charge.captured) return { refused: exceeds(charge) }
    const fails = behaviourOf(charge.method).refundsFail === true
    const refund: Refund = {
      id: newId('re'),
      key,
      charge: charge.id,
      amount: give,
      currency: charge.currency,
      status: fails ? 'failed' : 'succeeded',
      failure_code: fails ? 'refund_refused' : null,
      created_at: this.#time(),
    }
    const refunds = [...charge.refunds, refund]
    if (fails) this.#note({ ...charge, refunds })
    else {
      const refunded = charge.refunded + give
      this.#change(charge, { refunds, refunded, status: refunded === charge.captured ? 'refunded' : charge.status })
    }
    return { done: refund }
  }

  /** Lets an authorized, pending or waiting charge go. */
  void(charge: ChargeRecord): Result<ChargeRecord> {
    if (charge.status === 'voided') return { done: charge }
    if (charge.status === 'pending' && behaviourOf(charge.method).uncancellable)
      return { refused: uncancellable(charge) }
    if (charge.status !== 'authorized' && charge.status !== 'pending' && charge.status !== 'requires_action') {
      return { refused: wrongStatus(charge, 'voided') }
    }
    return { done: this.#change(charge, { status: 'voided' }) }
  }

  /** Voids the charge under this key. Null: it is not known, and no charge will ever be made under it. */
  cancel(key: string): Result<ChargeRecord | null> {
    const charge = this.byKey(key)
    if (!charge) {
      this.#addTombstone(key)
      return { done: null }
    }
    const dead = charge.status === 'declined' || charge.status === 'failed' || charge.status === 'refunded'
    return dead ? { done: charge } : this.void(charge)
  }

  /** What the customer said on the 3-D Secure page. Too late, it changes nothing. */
  decide(charge: ChargeRecord, approved: boolean): ChargeRecord {
    if (charge.status !== 'requires_action') return charge
    if (!approved) return this.#change(charge, { status: 'declined', decline_code: 'authentication_failed' })
    return this.#change(charge, paid(charge))
  }

  #make(key: string, request: ChargeRequest): ChargeRecord {
    const behaviour = behaviourOf(request.method)
    const now = this.#now()
    const waiting: ChargeRecord = {
      ...request,
      id: newId('ch'),
      key,
      status: 'pending',
      decline_code: null,
      captured: 0,
      refunded: 0,
      created_at: new Date(now).toISOString(),
      pays_at: null,
      events: 0,
      captures: [],
      refunds: [],
    }
    if (behaviour.decline) return this.#change(waiting, { status: 'declined', decline_code: behaviour.decline })
    if (behaviour.action) return this.#change(waiting, { status: 'requires_action' })
    if (behaviour.pending) {
      const expires = request.expires_at === null ? now : Date.parse(request.expires_at)
      const from = behaviour.pending.from === 'expiry' ? expires : now
      return this.#change(waiting, { pays_at: from + behaviour.pending.payAfterMs })
    }
    // One line, so that a kill cannot leave the stale event without the real one.
    const stale: WebhookNote[] = behaviour.shuffledWebhooks ? [{ id: newId('evt'), status: 'pending' }] : []
    return this.#change(waiting, paid(waiting), stale)
  }

  #change(
    charge: ChargeRecord,
    change: Partial<ChargeRecord>,
    earlierEvents: readonly WebhookNote[] = [],
  ): ChargeRecord {
    const events = [...earlierEvents, { id: newId('evt') }]
    const changed = { ...charge, ...change, events: charge.events + events.length }
    this.#note(changed, events)
    this.#schedule(changed)
    return changed
  }

  #note(charge: ChargeRecord, events: readonly WebhookNote[] = []): void {
    this.#keep(charge)
    this.#record({ charge, events })
  }

  #keep(charge: ChargeRecord): void {
    if (!this.#byId.has(charge.id)) {
      this.#order.push(charge.id)
      this.#idByKey.set(charge.key, charge.id)
      const siblings = this.#idsByReference.get(charge.reference)
      if (siblings) siblings.push(charge.id)
      else this.#idsByReference.set(charge.reference, [charge.id])
    }
    this.#byId.set(charge.id, charge)
    for (const refund of charge.refunds) this.#refundByKey.set(refund.key, refund)
    for (const capture of charge.captures) this.#captureChargeByKey.set(capture.key, charge.id)
  }

  #addTombstone(key: string): void {
    if (this.#tombstones.has(key)) return
    const tombstone = { id: newId('ch'), key, created_at: this.#time() }
    this.#tombstones.set(key, tombstone)
    this.#record({ tombstone })
  }

  #schedule(charge: ChargeRecord): void {
    clearTimeout(this.#timers.get(charge.id))
    this.#timers.delete(charge.id)
    if (charge.status !== 'pending' || charge.pays_at === null) return
    const wait = Math.min(Math.max(charge.pays_at - this.#now(), 0), LONGEST_TIMER_MS)
    this.#timers.set(
      charge.id,
      setTimeout(() => this.#payWhenDue(charge.id), wait),
    )
  }

  #payWhenDue(id: string): void {
    const charge = this.#known(id)
    if (charge.status !== 'pending' || charge.pays_at === null) return
    if (charge.pays_at > this.#now()) this.#schedule(charge)
    else this.#change(charge, paid(charge))
  }

  #failsNow(key: string, method: string): boolean {
    const failures = this.#failuresByKey.get(key) ?? 0
    if (failures >= (behaviourOf(method).failures ?? 0)) {
      this.#failuresByKey.delete(key)
      return false
    }
    this.#failuresByKey.set(key, failures + 1)
    return true
  }

  #known(id: string): ChargeRecord {
    const charge = this.#byId.get(id)
    if (!charge) throw new Error(`There is no charge ${id}`)
    return charge
  }

  #time(): string {
    return new Date(this.#now()).toISOString()
  }

  #now(): number {
    return this.#started().now()
  }

  #record(line: JournalLine): void {
    this.#started().record(line)
  }

  #started(): ChargeStorePorts {
    if (!this.#ports) throw new Error('The store has not started')
    return this.#ports
  }
}

/** setTimeout takes no more than 31 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

function paid(charge: ChargeRecord): { status: ChargeStatus; captured: number } {
  return charge.capture ? { status: 'captured', captured: charge.amount } : { status: 'authorized', captured: 0 }
}

function newId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`
}
