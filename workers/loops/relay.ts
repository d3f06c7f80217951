import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { Settings } from '../../config'
import { type OutboxEvent, OutboxPartition } from '../../db/platform/outbox'
import type { Log } from '../../log'

/**
 * Where events go. Each drops what it has already seen: what was published and not yet marked comes again. An event is
 * marked when every sink has it; a sink that is away holds up that mark, and none of the others.
 */
export interface Sink {
  readonly name: string
  /** Takes all of them, in this order, or throws. */
  publish(events: readonly OutboxEvent[]): Promise<void>
}

const BATCH = 500
const IDLE_MS = 100
const LOCK_AGAIN_MS = 1_000
const AFTER_FAILURE_MS = 500
const SETTLED_MS = 60_000
const BEAT_MS = 3_000
const FROZEN_SECONDS = 10
const STATEMENT_TIMEOUT_MS = 10_000

interface RelayDeps {
  readonly settings: Pick<Settings, 'DATABASE_URL'>
  readonly sinks: readonly Sink[]
  readonly log: Log
}

/**
 * Publishes one partition of the outbox until `signal` is aborted. Of all processes the one whose connection holds the
 * partition's lock publishes; the others wait for it, and take over within a second or two when it dies.
 */
export async function runRelay(deps: RelayDeps, partition: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await withConnection(deps.settings, (client) => relayOn(deps, new OutboxPartition(client, partition), signal))
    } catch (error) {
      deps.log.warn({ err: error, partition }, 'the relay lost its connection and begins again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

async function relayOn({ sinks, log }: RelayDeps, outbox: OutboxPartition, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await outbox.lock())) {
    if (await outbox.evictFrozen(FROZEN_SECONDS)) log.warn('a relay froze and its connection was ended')
    await pause(LOCK_AGAIN_MS, signal)
  }
  const outlets = sinks.map((sink) => new Outlet(sink, outbox, log))
  let lastBeat = Date.now()
  while (!signal.aborted) {
    const oldest = await outbox.next(BATCH)
    let hasMoved = false
    for (const outlet of outlets) hasMoved = (await outlet.deliver(oldest)) || hasMoved
    const delivered = oldest.filter((event) => outlets.every((outlet) => outlet.has(event)))
    if (delivered.length > 0) {
      await outbox.markPublished(delivered)
      for (const outlet of outlets) outlet.forget(delivered)
    }
    if (!hasMoved) await pause(IDLE_MS, signal)
    if (Date.now() - lastBeat > BEAT_MS) {
      await outbox.beat()
      lastBeat = Date.now()
    }
  }
}

/**
 * One sink of one partition, and which unmarked events it has. While another sink is away it goes on with later events. It
 * keeps the numbers of a minute's: an event that was written and is not seen for so long after has been rolled back, for
 * no transaction lasts that long.
 */
class Outlet {
  private readonly sink: Sink
  private readonly outbox: OutboxPartition
  private readonly log: Log
  private readonly taken = new Map<number, number>()
  /** Everything up to this event is taken. */
  private takenUpTo = 0
  private restsUntil = 0

  constructor(sink: Sink, outbox: OutboxPartition, log: Log) {
    this.sink = sink
    this.outbox = outbox
    this.log = log
  }

  has({ id }: OutboxEvent): boolean {
    return id <= this.takenUpTo || this.taken.has(id)
  }

  /** Takes what it does not have yet; true when there was something, and it did. */
  async deliver(oldest: readonly OutboxEvent[]): Promise<boolean> {
    if (Date.now() < this.restsUntil) return false
    const events = await this.firstNew(oldest)
    if (events.length === 0) return false
    try {
      await this.sink.publish(events)
    } catch (error) {
      this.restsUntil = Date.now() + AFTER_FAILURE_MS
      this.log.warn(
        { err: error, sink: this.sink.name, events: events.length },
        'a sink did not take its events; they are kept',
      )
      return false
    }
    for (const event of events) this.taken.set(event.id, event.createdAt.getTime())
    return true
  }

  /** They are marked and will not be read again. */
  forget(events: readonly OutboxEvent[]): void {
    for (const { id } of events) this.taken.delete(id)
  }

  private async firstNew(oldest: readonly OutboxEvent[]): Promise<OutboxEvent[]> {
    const isNew = (event: OutboxEvent): boolean => !this.has(event)
    let events = oldest
    while (events.length === BATCH && !events.some(isNew)) {
      this.settle()
      events = await this.outbox.next(BATCH, Math.max(this.takenUpTo, events.at(-1)?.id ?? 0))
    }
    return events.filter(isNew)
  }

  private settle(): void {
    const settled = [...this.taken].filter(([, createdAt]) => createdAt < Date.now() - SETTLED_MS).map(([id]) => id)
    this.takenUpTo = Math.max(this.takenUpTo, ...settled)
    for (const id of settled) this.taken.delete(id)
  }
}

async function withConnection(settings: RelayDeps['settings'], work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({
    connectionString: settings.DATABASE_URL,
    application_name: 'holdfast-relay',
    connectionTimeoutMillis: 3_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 2_000,
    keepAlive: true,
  })
  // Without a listener a broken connection would end the process; the next statement says what happened.
  client.on('error', () => undefined)
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
