import { randomUUID } from 'node:crypto'
import {
  capturable,
  refundable,
  sameRequest,
  tallied,
  type Capture,
  type ChargeRecord,
  type ChargeRequest,
  type Dispute,
  type RefundRecord,
} from './charge'
import { ChargeIndex } from './charge-index'
import type { ChargeLine, RefusedKey, Tombstone, WebhookNote } from './charge-line'
import { behaviourOf, capturesInParts, REFUND_FAILS_AFTER_MS } from './methods'
import {
  captureRefused,
  exceeds,
  keyRefused,
  keyReused,
  partlyCaptured,
  refusedBefore,
  settledOtherwise,
  uncancellable,
  unavailable,
  wrongStatus,
  type Refusal,
  type Result,
} from './refusal'

/** What the store is connected to. `record` is called in the same tick as the change. */
export interface ChargeStorePorts {
  readonly record: (line: ChargeLine) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Of a capture or a refund. An undefined amount is all that is there. */
export interface MoneyRequest {
  readonly key: string
  readonly amount: number | undefined
}

/**
 * The rules by which charges change. All of it is in memory and every change happens in one tick, so that no two
 * requests can meet half way; the journal makes it last.
 */
export class ChargeStore {
  readonly index = new ChargeIndex()
  /** Null until the journal is read. */
  #ports: ChargeStorePorts | null = null
  /** The time of the latest change: a clock that is set back does not put changes out of order. */
  #latest = 0
  /** The time stands still within a tick: all of one change bears the same. */
  #tickTime: number | null = null
  readonly #tombstones = new Map<string, Tombstone>()
  /** The charge on which each key was used. */
  readonly #chargeByRefundKey = new Map<string, string>()
  readonly #chargeByCaptureKey = new Map<string, string>()
  readonly #refusedKeys = new Map<string, RefusedKey>()
  readonly #failuresByKey = new Map<string, number>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** Takes back what the journal says. */
  restore(line: ChargeLine): void {
    if ('charge' in line) this.#keep(line.charge)
    else if ('tombstone' in line) this.#tombstones.set(line.tombstone.key, line.tombstone)
    else if ('refused' in line) this.#refusedKeys.set(useOf(line.refused), line.refused)
  }

  /** Ends the restoring: from here on changes are recorded, and the clocks of everything that waits run. */
  start(ports: ChargeStorePorts): void {
    this.#ports = ports
    for (const charge of this.index.all()) this.#schedule(charge)
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  /**
   * Makes the charge, or finds the one that was made under this key.
   * @param authorizationMs how long an authorization of it lasts.
   */
  create(
    key: string,
    request: ChargeRequest,
    authorizationMs: number,
  ): Result<{ charge: ChargeRecord; created: boolean }> {
    const known = this.index.byKey(key)
    if (known) {
      if (!sameRequest(known, request)) return { refused: keyReused(key) }
      return { done: { charge: known, created: false } }
    }
    const tombstone = this.#tombstones.get(key)
    if (tombstone) return { refused: keyRefused(tombstone) }
    if (this.#failsNow(key, request.method)) return { refused: unavailable() }
    return { done: { charge: this.#make(key, request, authorizationMs), created: true } }
  }

  /**
   * Takes `amount`, or all that is authorized and not yet taken. What is left is released when the capture is `final` or
   * the charge allows no other. A capture that fails is kept as failed.
   */
  capture(charge: ChargeRecord, { key, amount, final }: MoneyRequest & { final: boolean }): Result<ChargeRecord> {
    const use = { what: 'capture', key, charge: charge.id, amount: amount ?? null, final } as const
    const past = this.#refusedBefore(use, charge)
    if (past) return { refused: past }
    if (this.#chargeByCaptureKey.has(key)) {
      const known = charge.captures.find((capture) => capture.key === key)
      if (!known || !isSame(amount, known.amount) || final !== known.final) return { refused: keyReused(key) }
      return captureResult(charge, known)
    }
    if (charge.status !== 'authorized') return this.#refuse(use, wrongStatus(charge, 'captured'))
    const take = amount ?? capturable(charge)
    if (take > capturable(charge)) return this.#refuse(use, exceeds(charge))
    const capture = this.#newCapture(charge, { key, amount: take, final })
    const captured = { ...charge, captures: [...charge.captures, capture] }
    if (capture.status === 'failed') return captureResult(this.#change(captured), capture)
    const isLast = final || !capturesInParts(behaviourOf(charge.method))
    const released = isLast ? charge.released + capturable(charge) - take : charge.released
    return captureResult(this.#change(tallied({ ...captured, released })), capture)
  }

  /** Gives back `amount`, or all that was captured and can go back. A refund that fails is kept as failed. */
  refund(charge: ChargeRecord, { key, amount }: MoneyRequest): Result<RefundRecord> {
    const use = { what: 'refund', key, charge: charge.id, amount: amount ?? null, final: false } as const
    const past = this.#refusedBefore(use, charge)
    if (past) return { refused: past }
    if (this.#chargeByRefundKey.has(key)) {
      const known = charge.refunds.find((refund) => refund.key === key)
      return known && isSame(amount, known.amount) ? { done: known } : { refused: keyReused(key) }
    }
    const give = amount ?? refundable(charge)
    if (give < 1 || give > refundable(charge)) return this.#refuse(use, exceeds(charge))
    const refund = this.#newRefund(charge, { key, amount: give })
    this.#change(tallied({ ...charge, refunds: [...charge.refunds, refund] }))
    return { done: refund }
  }

  /** Ends a refund that is pending. */
  settleRefund(charge: ChargeRecord, refund: RefundRecord, status: 'succeeded' | 'failed'): Result<ChargeRecord> {
    if (refund.status === status) return { done: charge }
    if (refund.status !== 'pending') return { refused: settledOtherwise('refund', refund.status, charge) }
    return { done: this.#change(withRefund(charge, status === 'failed' ? failed(refund) : { ...refund, status })) }
  }

  /** The customer's bank takes `amount` back, or all that was captured and has not gone back. */
  dispute(charge: ChargeRecord, amount: number | undefined): Result<ChargeRecord> {
    const taken = amount ?? refundable(charge)
    if (taken < 1 || taken > refundable(charge)) return { refused: exceeds(charge) }
    const dispute: Dispute = { id: newId('dp'), amount: taken, status: 'open', created_at: this.#time() }
    return { done: this.#change({ ...charge, disputes: [...charge.disputes, dispute] }) }
  }

  closeDispute(charge: ChargeRecord, dispute: Dispute, status: 'won' | 'lost'): Result<ChargeRecord> {
    if (dispute.status === status) return { done: charge }
    if (dispute.status !== 'open') return { refused: settledOtherwise('dispute', dispute.status, charge) }
    const disputes = charge.disputes.map((each) => (each.id === dispute.id ? { ...each, status } : each))
    return { done: this.#change({ ...charge, disputes }) }
  }

  /** Lets go what is pending, waits for the customer, or is authorized and not captured. */
  void(charge: ChargeRecord): Result<ChargeRecord> {
    if (charge.status === 'voided') return { done: charge }
    if (charge.status === 'authorized') return { done: this.#release(charge) }
    if (charge.status !== 'pending' && charge.status !== 'requires_action')
      return { refused: wrongStatus(charge, 'voided') }
    if (charge.status === 'pending' && behaviourOf(charge.method).uncancellable)
      return { refused: uncancellable(charge) }
    return { done: this.#change({ ...charge, status: 'voided' }) }
  }

  /** Voids the charge under this key. Null: it is not known, and no charge will ever be made under it. */
  cancel(key: string): Result<ChargeRecord | null> {
    const charge = this.index.byKey(key)
    if (!charge) {
      this.#addTombstone(key)
      return { done: null }
    }
    if (charge.status === 'declined' || charge.status === 'failed' || charge.status === 'refunded')
      return { done: charge }
    return charge.captured > 0 ? { refused: partlyCaptured(charge) } : this.void(charge)
  }

  /** What the customer said on the 3-D Secure page. Too late, it changes nothing. */
  decide(charge: ChargeRecord, approved: boolean): ChargeRecord {
    if (charge.status !== 'requires_action') return charge
    if (!approved) return this.#change({ ...charge, status: 'declined', decline_code: 'authentication_failed' })
    return this.#change(this.#paid(charge))
  }

  #make(key: string, request: ChargeRequest, authorizationMs: number): ChargeRecord {
    const behaviour = behaviourOf(request.method)
    const now = this.#now()
    const waiting: ChargeRecord = {
      ...request,
      id: newId('ch'),
      key,
      status: 'pending',
      decline_code: null,
      captured: 0,
      released: 0,
      refunded: 0,
      capture_before: null,
      created_at: new Date(now).toISOString(),
      updated_at: new Date(now).toISOString(),
      authorization_ms: authorizationMs,
      pays_at: null,
      events: 0,
      captures: [],
      refunds: [],
      disputes: [],
    }
    if (behaviour.decline) return this.#change({ ...waiting, status: 'declined', decline_code: behaviour.decline })
    if (behaviour.action) return this.#change({ ...waiting, status: 'requires_action' })
    if (behaviour.pending) {
      const expires = request.expires_at === null ? now : Date.parse(request.expires_at)
      const from = behaviour.pending.from === 'expiry' ? expires : now
      return this.#change({ ...waiting, pays_at: from + behaviour.pending.payAfterMs })
    }
    // One line, so that a kill cannot leave the stale event without the real one.
    const stale: WebhookNote[] = behaviour.shuffledWebhooks ? [{ id: newId('evt'), status: 'pending' }] : []
    return this.#change(this.#paid(waiting), stale)
  }

  /** The charge with its money set aside or, where that was asked for or the method does so, taken. */
  #paid(charge: ChargeRecord): ChargeRecord {
    if (!charge.capture && !behaviourOf(charge.method).capturedAtOnce) {
      const end = new Date(this.#now() + charge.authorization_ms)
      return { ...charge, status: 'authorized', capture_before: end.toISOString() }
    }
    const capture: Capture = {
      id: newId('cap'),
      key: null,
      amount: charge.amount,
      final: true,
      status: 'succeeded',
      failure_code: null,
      created_at: this.#time(),
    }
    return tallied({ ...charge, captures: [capture] })
  }

  #newCapture(charge: ChargeRecord, asked: Pick<Capture, 'key' | 'amount' | 'final'>): Capture {
    const fails = behaviourOf(charge.method).firstCaptureRefused === true && charge.captures.length === 0
    return {
      id: newId('cap'),
      ...asked,
      status: fails ? 'failed' : 'succeeded',
      failure_code: fails ? 'capture_refused' : null,
      created_at: this.#time(),
    }
  }

  #newRefund(charge: ChargeRecord, asked: Pick<RefundRecord, 'key' | 'amount'>): RefundRecord {
    const { refunds } = behaviourOf(charge.method)
    const fails = refunds === 'refused' || (refunds === 'first_refused' && charge.refunds.length === 0)
    const status = refunds === 'pending' ? 'pending' : 'succeeded'
    return {
      id: newId('re'),
      ...asked,
      charge: charge.id,
      currency: charge.currency,
      status: fails ? 'failed' : status,
      failure_code: fails ? 'refund_refused' : null,
      created_at: this.#time(),
      fails_at: refunds === 'fail_later' ? this.#now() + REFUND_FAILS_AFTER_MS : null,
    }
  }

  #release(charge: ChargeRecord): ChargeRecord {
    return this.#change(tallied({ ...charge, released: charge.released + capturable(charge) }))
  }

  /** The answer of a key that was refused before; null when it was not. */
  #refusedBefore(use: Omit<RefusedKey, 'code' | 'message'>, charge: ChargeRecord): Refusal | null {
    const past = this.#refusedKeys.get(useOf(use))
    if (!past) return null
    const isRepeated = past.charge === use.charge && past.amount === use.amount && past.final === use.final
    return isRepeated ? refusedBefore(past, charge) : keyReused(use.key)
  }

  /** Refuses a key for ever, also where what stood in its way goes away later. */
  #refuse(use: Omit<RefusedKey, 'code' | 'message'>, refusal: Refusal): Result<never> {
    const refused = { ...use, code: refusal.code, message: refusal.message }
    this.#refusedKeys.set(useOf(use), refused)
    this.#record({ refused })
    return { refused: refusal }
  }

  #change(charge: ChargeRecord, earlierEvents: readonly WebhookNote[] = []): ChargeRecord {
    const events = [...earlierEvents, { id: newId('evt') }]
    const changed = { ...charge, updated_at: this.#time(), events: charge.events + events.length }
    this.#keep(changed)
    this.#record({ charge: changed, events })
    this.#schedule(changed)
    return changed
  }

  #keep(charge: ChargeRecord): void {
    this.index.keep(charge)
    this.#latest = Math.max(this.#latest, Date.parse(charge.updated_at))
    for (const refund of charge.refunds) this.#chargeByRefundKey.set(refund.key, charge.id)
    for (const { key } of charge.captures) if (key !== null) this.#chargeByCaptureKey.set(key, charge.id)
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
    const due = dueAt(charge)
    if (due === null) return
    const wait = Math.min(Math.max(due - this.#now(), 0), LONGEST_TIMER_MS)
    this.#timers.set(
      charge.id,
      setTimeout(() => this.#actWhenDue(charge.id), wait),
    )
  }

  /** One thing that is due; the change starts the clock of the next. */
  #actWhenDue(id: string): void {
    const charge = this.index.known(id)
    const now = this.#now()
    if ((dueAt(charge) ?? Infinity) > now) return this.#schedule(charge)
    const refund = charge.refunds.find(({ fails_at }) => fails_at !== null && fails_at <= now)
    if (refund) this.#change(withRefund(charge, failed(refund)))
    else if (charge.status === 'pending') this.#change(this.#paid(charge))
    else this.#release(charge)
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

  #time(): string {
    return new Date(this.#now()).toISOString()
  }

  #now(): number {
    if (this.#tickTime === null) {
      this.#tickTime = Math.max(this.#started().now(), this.#latest)
      queueMicrotask(() => (this.#tickTime = null))
    }
    return this.#tickTime
  }

  #record(line: ChargeLine): void {
    this.#started().record(line)
  }

  #started(): ChargeStorePorts {
    if (!this.#ports) throw new Error('The store has not started')
    return this.#ports
  }
}

/** setTimeout takes no more than 31 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** When something happens to the charge by itself, in milliseconds since 1970: it is paid, it runs out, a refund fails. */
function dueAt({ status, pays_at, capture_before, refunds }: ChargeRecord): number | null {
  const times = refunds.flatMap(({ fails_at }) => fails_at ?? [])
  if (status === 'pending' && pays_at !== null) times.push(pays_at)
  if (capture_before !== null) times.push(Date.parse(capture_before))
  return times.length === 0 ? null : Math.min(...times)
}

function captureResult(charge: ChargeRecord, capture: Capture): Result<ChargeRecord> {
  return capture.status === 'failed' ? { refused: captureRefused(charge, capture) } : { done: charge }
}

function withRefund(charge: ChargeRecord, refund: RefundRecord): ChargeRecord {
  const refunds = charge.refunds.map((each) => (each.id === refund.id ? refund : each))
  return tallied({ ...charge, refunds })
}

function failed(refund: RefundRecord): RefundRecord {
  return { ...refund, status: 'failed', failure_code: 'refund_failed', fails_at: null }
}

/** A repeated request may leave the amount out. */
function isSame(amount: number | undefined, known: number): boolean {
  return amount === undefined || amount === known
}

/** Captures and refunds have keys of their own. */
function useOf({ what, key }: Pick<RefusedKey, 'what' | 'key'>): string {
  return `${what} ${key}`
}

function newId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`
}
