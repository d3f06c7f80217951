import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import type { Settings } from '../config'
import { type OutboxEvent, OutboxPartition } from '../db/outbox'
import type { Log } from '../log'

/** Where events go. Each drops what it has already seen: what was published and not yet marked comes again. */
export interface Sink {
  readonly name: string
  /** Takes all of them, in this order, or throws. */
  publish(events: readonly OutboxEvent[]): Promise<void>
}

const BATCH = 500
const IDLE_MS = 100
const LOCK_AGAIN_MS = 1_000
const AFTER_FAILURE_MS = 500
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
  let lastBeat = Date.now()
  while (!signal.aborted) {
    const events = await outbox.next(BATCH)
    if (events.length > 0 && (await publish(sinks, events, log))) await outbox.markPublished(events)
    else await pause(events.length > 0 ? AFTER_FAILURE_MS : IDLE_MS, signal)
    if (Date.now() - lastBeat > BEAT_MS) {
      await outbox.beat()
      lastBeat = Date.now()
    }
  }
}

async function publish(sinks: readonly Sink[], events: readonly OutboxEvent[], log: Log): Promise<boolean> {
  for (const sink of sinks) {
    try {
      await sink.publish(events)
    } catch (error) {
      log.warn({ err: error, sink: sink.name, events: events.length }, 'a sink did not take its events; they are kept')
      return false
    }
  }
  return true
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
