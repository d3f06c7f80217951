import { setTimeout as pause } from 'node:timers/promises'
import { isPostgresUnavailable, type Pool } from './pool'

/** A place in Postgres's write-ahead log, as a number: everything written before it is seen by whoever has got there. */
export type Lsn = bigint

/** `0/16B3748` → a number that compares. */
export function parseLsn(text: string): Lsn {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** Where the log is: what is committed before this call lies before it. */
export async function currentLsn(pool: Pool): Promise<Lsn> {
  const { rows } = await pool.query<{ lsn: string }>({
    name: 'replica.currentLsn',
    text: 'select pg_current_wal_insert_lsn()::text as lsn',
  })
  return parseLsn(rows[0]?.lsn ?? '0/0')
}

const LOOK_MS = 200
/** A replica further behind is not read. */
const BEHIND_MS = 1_000
/** How long a reader of the latest waits for the replica. */
const CATCH_UP_MS = 50
const CATCH_UP_LOOK_MS = 5

/**
 * Chooses where to read what may be a moment old: from the replica while it is there, not further behind than a second,
 * and has got as far as the caller must see; else from the primary. Purchases never ask here.
 */
export class ReplicaRouter {
  private readonly primary: Pool
  private readonly replica: Pool | null
  private readonly stopped = new AbortController()
  /** Where the primary was, oldest first, as far back as a replica may be behind. */
  private history: { readonly at: number; readonly lsn: Lsn }[] = []
  private replayed: Lsn = -1n

  constructor(primary: Pool, replica: Pool | null) {
    this.primary = primary
    this.replica = replica
    if (replica) void this.watch(replica)
  }

  get hasReplica(): boolean {
    return this.replica !== null
  }

  /**
   * Runs statements that only read. What the replica cannot do, the primary does.
   *
   * @param lsn what the caller has written or been told of; null when that is not known, and then it is the primary
   */
  async read<T>(lsn: Lsn | null, work: (db: Pool) => Promise<T>): Promise<T> {
    if (!this.replica || lsn === null || this.replayed < lsn || !this.isUpToDate()) return work(this.primary)
    try {
      return await work(this.replica)
    } catch (error) {
      if (!isPostgresUnavailable(error) && !isRecoveryConflict(error)) throw error
      this.replayed = -1n
      return work(this.primary)
    }
  }

  /**
   * Runs statements that only read and must see all that is committed by now, whoever wrote it: the caller's own writes
   * among it. The replica is given a moment to get there; it pays where the statements cost more than to ask where it is.
   */
  async readLatest<T>(work: (db: Pool) => Promise<T>): Promise<T> {
    if (!this.replica || !this.isUpToDate()) return work(this.primary)
    const lsn = await currentLsn(this.primary)
    await this.catchUp(this.replica, lsn)
    return this.read(lsn, work)
  }

  stop(): void {
    this.stopped.abort()
  }

  /** Whether the replica is there and not further behind than it may be. */
  isUpToDate(): boolean {
    const [oldest] = this.history
    return oldest !== undefined && this.replayed >= oldest.lsn && Date.now() - oldest.at <= 2 * BEHIND_MS
  }

  private async catchUp(replica: Pool, lsn: Lsn): Promise<void> {
    const deadline = Date.now() + CATCH_UP_MS
    while (this.replayed < lsn && Date.now() < deadline) {
      const replayed = await replayedLsn(replica).catch(() => -1n)
      if (replayed < 0n) return
      this.replayed = replayed
      if (replayed < lsn) await pause(CATCH_UP_LOOK_MS)
    }
  }

  private async watch(replica: Pool): Promise<void> {
    const { signal } = this.stopped
    while (!signal.aborted) {
      await this.look(replica).catch(() => {
        this.replayed = -1n
      })
      await pause(LOOK_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  private async look(replica: Pool): Promise<void> {
    const at = Date.now()
    const lsn = await currentLsn(this.primary)
    this.history = [...this.history.filter((past) => past.at > at - BEHIND_MS), { at, lsn }]
    this.replayed = await replayedLsn(replica)
  }
}

async function replayedLsn(replica: Pool): Promise<Lsn> {
  const { rows } = await replica.query<{ lsn: string | null }>({
    name: 'replica.replayed',
    text: 'select pg_last_wal_replay_lsn()::text as lsn',
  })
  return parseLsn(rows[0]?.lsn ?? '0/0')
}

/** The replica had to choose between the log and us. */
function isRecoveryConflict(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === '40001' || code === '40P01'
}
