import type { Client } from 'pg'
import { type HoldfastEvent, parseEvent } from '../../domain/events'

/** How many relays may share the work. Rows carry the partition of their aggregate (`outbox.partition`). */
export const RELAY_PARTITIONS = 4

/** Advisory locks are numbers that a database shares: this class is the relay's. */
const RELAY_LOCK_CLASS = 0x401d

/** A row as it was written. */
export interface OutboxRow {
  readonly id: number
  readonly eventId: string
  readonly aggregate: string
  readonly seq: number
  readonly type: string
  readonly payload: unknown
  readonly createdAt: Date
}

/** What consumers are given: the row, for who passes it on, and the event that it holds, for who reads it. */
export interface OutboxEvent extends OutboxRow {
  /** Null when this program does not know the type: consumers pass over it and go on (see {@link parseEvent}). */
  readonly event: HoldfastEvent | null
}

export function readRow(row: OutboxRow): OutboxEvent {
  return { ...row, event: parseEvent(row.type, row.payload) }
}

/** The statements of one relay of one partition, on a connection of its own: the lock and the marks live and die with it. */
export class OutboxPartition {
  private readonly client: Client
  private readonly partition: number

  constructor(client: Client, partition: number) {
    this.client = client
    this.partition = partition
  }

  /** True when this connection now is the partition's only publisher. */
  async lock(): Promise<boolean> {
    const { rows } = await this.client.query<{ locked: boolean }>('select pg_try_advisory_lock($1, $2) as locked', [
      RELAY_LOCK_CLASS,
      this.partition,
    ])
    if (!rows[0]?.locked) return false
    await this.heartbeat()
    return true
  }

  async heartbeat(): Promise<void> {
    await this.client.query(
      `insert into relay_partition (partition, backend_pid, heartbeat_at)
       values ($1, pg_backend_pid(), clock_timestamp())
       on conflict (partition) do update set backend_pid = excluded.backend_pid, heartbeat_at = excluded.heartbeat_at`,
      [this.partition],
    )
  }

  /** Ends the connection of a publisher that has not been heard of for `seconds`: it froze, and its lock with it. */
  async evictFrozen(seconds: number): Promise<boolean> {
    const { rows } = await this.client.query<{ evicted: boolean }>(
      `select pg_terminate_backend(r.backend_pid) as evicted
       from relay_partition r
       join pg_locks l on l.pid = r.backend_pid and l.locktype = 'advisory' and l.classid = $2 and l.objid = $1 and l.granted
       where r.partition = $1 and r.heartbeat_at < clock_timestamp() - make_interval(secs => $3)`,
      [this.partition, RELAY_LOCK_CLASS, seconds],
    )
    return rows[0]?.evicted ?? false
  }

  /** The oldest unpublished events after the event `after`: in order per aggregate, whose rows are written one after another. */
  async next(limit: number, after = 0): Promise<OutboxEvent[]> {
    const { rows } = await this.client.query<OutboxRow>({
      name: 'outbox.next',
      text: `
        select id, event_id as "eventId", aggregate, seq, type, payload, created_at as "createdAt"
        from outbox
        where partition = $1 and published_at is null and id > $3
        order by id
        limit $2`,
      values: [this.partition, limit, after],
    })
    return rows.map(readRow)
  }

  async markPublished(events: readonly OutboxEvent[]): Promise<void> {
    await this.client.query({
      name: 'outbox.mark',
      text: `update outbox set published_at = clock_timestamp() where id = any ($1::bigint[])`,
      values: [events.map((event) => event.id)],
    })
  }
}
