import { constants, createReadStream } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ChargeRecord, ChargeStatus } from './charge'

/** One fact. A line is written whole or not at all, so what belongs together is in one. */
export type JournalLine =
  | { readonly format: number }
  | { readonly charge: ChargeRecord; readonly events: readonly WebhookNote[] }
  | { readonly tombstone: Tombstone }
  | { readonly refused: RefusedKey }
  | { readonly delivered: string }

/** Of the first line. It rises when lines are no longer what they were: older journals are refused then, not misread. */
const FORMAT = 2

/** An event caused by a change. `status` is there when the event tells of an earlier status than its line. */
export interface WebhookNote {
  readonly id: string
  readonly status?: ChargeStatus
}

/** A key that was cancelled before it was used: no charge will ever be made under it. */
export interface Tombstone {
  readonly id: string
  readonly key: string
  readonly created_at: string
}

/** A key under which a capture or a refund was refused before it was begun: it stays so. */
export interface RefusedKey {
  readonly what: 'capture' | 'refund'
  readonly key: string
  readonly charge: string
  /** As asked; null: all that was there. */
  readonly amount: number | null
  readonly final: boolean
  readonly code: string
  readonly message: string
}

const LAZY_FLUSH_MS = 250
/** Every write returns when it is on disk: one trip instead of a write and an fdatasync. */
const APPEND_AND_SYNC = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_DSYNC

/** Append-only JSON lines on disk. What `durable` has confirmed survives a SIGKILL and a power cut. */
export class Journal {
  readonly #file: FileHandle
  readonly #onFailure: (error: unknown) => void
  #lines: string[] = []
  #awaited = false
  #batch: Promise<void> | null = null
  #nextBatch: Promise<void> | null = null
  #lazyTimer: NodeJS.Timeout | null = null

  private constructor(file: FileHandle, onFailure: (error: unknown) => void) {
    this.#file = file
    this.#onFailure = onFailure
  }

  /**
   * Opens the journal for appending behind its last whole line.
   * @param length bytes that {@link readJournal} found good; a torn line behind them is cut off.
   * @param onFailure called when the disk fails: nothing can be promised then, the program has to end.
   */
  static async open(path: string, length: number, onFailure: (error: unknown) => void): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, APPEND_AND_SYNC)
    await file.truncate(length)
    await file.sync()
    await syncFolder(dirname(path))
    const journal = new Journal(file, onFailure)
    if (length === 0) journal.append({ format: FORMAT })
    return journal
  }

  /** Writes a fact that somebody may be told of once {@link durable} is over. */
  append(line: JournalLine): void {
    this.#lines.push(JSON.stringify(line))
    this.#awaited = true
  }

  /** Writes a fact whose loss does no harm, with the next batch or a little later. */
  appendLazily(line: JournalLine): void {
    this.#lines.push(JSON.stringify(line))
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyTimer = null
      void this.#startBatch()
    }, LAZY_FLUSH_MS)
  }

  /** Resolves when everything appended so far is on disk. Callers at the same time share one write. */
  durable(): Promise<void> {
    if (this.#awaited) return this.#startBatch()
    return this.#batch ?? Promise.resolve()
  }

  async close(): Promise<void> {
    if (this.#lazyTimer) clearTimeout(this.#lazyTimer)
    await this.#startBatch()
    await this.#file.close()
  }

  /** The batch that will take what is in memory now: it starts when the one on its way to the disk is through. */
  #startBatch(): Promise<void> {
    this.#nextBatch ??= (this.#batch ?? nextTick()).then(() => {
      this.#batch = this.#nextBatch
      this.#nextBatch = null
      return this.#write()
    })
    return this.#nextBatch
  }

  async #write(): Promise<void> {
    const written = this.#batch
    const lines = this.#lines
    this.#lines = []
    this.#awaited = false
    try {
      if (lines.length > 0) await this.#file.appendFile(`${lines.join('\n')}\n`)
    } catch (error) {
      this.#onFailure(error)
      await new Promise(() => {})
    }
    if (this.#batch === written) this.#batch = null
  }
}

/**
 * Reads every whole line. A torn last line, left by a kill in the middle of a write, is passed over.
 * @returns the bytes that hold whole lines. Throws when a line before the last is damaged, or another version wrote it.
 */
export async function readJournal(path: string, take: (line: JournalLine) => void): Promise<number> {
  let length = 0
  let rest: Buffer = Buffer.alloc(0)
  let damaged: string | null = null
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const data = Buffer.concat([rest, chunk as Buffer])
      let start = 0
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
        if (damaged !== null) throw unreadable(path, damaged)
        const line = parseLine(data.toString('utf8', start, end))
        if (line) {
          if (length === 0 && !isOfThisFormat(line)) throw unreadable(path, 'another version of the sandbox wrote it')
          take(line)
          length += end + 1 - start
        } else damaged = `the line at byte ${length} is damaged`
        start = end + 1
      }
      rest = data.subarray(start)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return length
}

function parseLine(text: string): JournalLine | null {
  try {
    const line: unknown = JSON.parse(text)
    const isKnown = typeof line === 'object' && line !== null && KINDS.some((kind) => kind in line)
    return isKnown ? (line as JournalLine) : null
  } catch {
    return null
  }
}

const KINDS = ['format', 'charge', 'tombstone', 'refused', 'delivered']

function isOfThisFormat(line: JournalLine): boolean {
  return 'format' in line && line.format === FORMAT
}

function unreadable(path: string, why: string): Error {
  return new Error(`${path}: ${why}. Move the file away to start with an empty journal.`)
}

/** A new file is only there after a power cut when its folder was written too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync()
  await folder.close()
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
