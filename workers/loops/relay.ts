import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { Settings } from '../../config'
import { type OutboxEvent, OutboxPartition } from '../../db/platform/outbox'
import type { Log } from '../../log'
import type { Consumer } from '../consumers/consumer'

const BATCH = 500
const IDLE_MS = 100
const LOCK_AGAIN_MS = 1_000
const AFTER_FAILURE_MS = 500
const SETTLED_MS = 60_000
const HEARTBEAT_MS = 3_000
const FROZEN_SECONDS = 10
const STATEMENT_TIMEOUT_MS = 10_000

interface RelayDeps {
  readonly settings: Pick<Settings, 'DATABASE_URL'>
  readonly consumers: readonly Consumer[]
  readonly log: Log
}

/**
 * Gives the events of one partition of the outbox to every consumer until `signal` is aborted, and marks those that all
 * consumers have. A consumer that is away delays that mark, and no other consumer. Of all processes the one whose connection
 * holds the partition's lock does this; the others wait for the lock, and take over within a second or two when it dies.
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

async function relayOn({ consumers, log }: RelayDeps, outbox: OutboxPartition, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await outbox.lock())) {
    if (await outbox.evictFrozen(FROZEN_SECONDS)) log.warn('a relay froze and its connection was ended')
    await pause(LOCK_AGAIN_MS, signal)
  }
  const subscriptions = consumers.map((consumer) => new Subscription(consumer, outbox, log))
  let lastHeartbeat = Date.now()
  while (!signal.aborted) {
    const oldest = await outbox.next(BATCH)
    let hasMoved = false
    for (const subscription of subscriptions) hasMoved = (await subscription.deliver(oldest)) || hasMoved
    const delivered = oldest.filter((event) => subscriptions.every((subscription) => subscription.has(event)))
    if (delivered.length > 0) {
      await outbox.markPublished(delivered)
      for (const subscription of subscriptions) subscription.forget(delivered)
    }
    if (!hasMoved) await pause(IDLE_MS, signal)
    if (Date.now() - lastHeartbeat > HEARTBEAT_MS) {
      await outbox.heartbeat()
      lastHeartbeat = Date.now()
    }
  }
}

/**
 * One consumer of one partition, and which of the unmarked events it has. It goes on with later events while another
 * consumer is away. It remembers the number of each event of the last minute, and of older ones only the highest: an event
 * with a lower number that it has not seen by then was rolled back, because no transaction lasts a minute.
 */
class Subscription {
  private readonly consumer: Consumer
  private readonly outbox: OutboxPartition
  private readonly log: Log
  private readonly taken = new Map<number, number>()
  /** Everything up to this event is taken. */
  private takenUpTo = 0
  private retryAt = 0

  constructor(consumer: Consumer, outbox: OutboxPartition, log: Log) {
    this.consumer = consumer
    this.outbox = outbox
    this.log = log
  }

  has({ id }: OutboxEvent): boolean {
    return id <= this.takenUpTo || this.taken.has(id)
  }

  /** Takes what it does not have yet; true when there was something, and it did. */
  async deliver(oldest: readonly OutboxEvent[]): Promise<boolean> {
    if (Date.now() < this.retryAt) return false
    const events = await this.firstNew(oldest)
    if (events.length === 0) return false
    try {
      await this.consumer.consume(events)
    } catch (error) {
      this.retryAt = Date.now() + AFTER_FAILURE_MS
      this.log.warn(
        { err: error, consumer: this.consumer.name, events: events.length },
        'a consumer did not take its events; they are kept',
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
