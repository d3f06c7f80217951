import { constants, createReadStream } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

/** How the lines of a program are told apart from those of others, and of older versions of it. */
export interface JournalForm {
  /** Of the first line. It rises when lines are no longer what they were: older journals are refused then, not misread. */
  readonly format: number
  /** Each line has one of these names. */
  readonly kinds: readonly string[]
}

const LAZY_FLUSH_MS = 250
/** Every write returns when it is on disk: one trip instead of a write and an fdatasync. */
const APPEND_AND_SYNC = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_DSYNC

/** Append-only JSON lines on disk. What `durable` has confirmed survives a SIGKILL and a power cut. */
export class Journal<Line extends object> {
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
  static async open<Line extends object>(
    path: string,
    length: number,
    { format }: JournalForm,
    onFailure: (error: unknown) => void,
  ): Promise<Journal<Line>> {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, APPEND_AND_SYNC)
    await file.truncate(length)
    await file.sync()
    await syncFolder(dirname(path))
    const journal = new Journal<Line>(file, onFailure)
    if (length === 0) journal.#keep({ format })
    return journal
  }

  /** Writes a fact that somebody may be told of once {@link durable} is over. */
  append(line: Line): void {
    this.#keep(line)
  }

  /** Writes a fact whose loss does no harm, with the next batch or a little later. */
  appendLazily(line: Line): void {
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

  #keep(line: object): void {
    this.#lines.push(JSON.stringify(line))
    this.#awaited = true
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
export async function readJournal<Line extends object>(
  path: string,
  form: JournalForm,
  take: (line: Line) => void,
): Promise<number> {
  let length = 0
  let rest: Buffer = Buffer.alloc(0)
  let damaged: string | null = null
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const data = Buffer.concat([rest, chunk as Buffer])
      let start = 0
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
        if (damaged !== null) throw unreadable(path, damaged)
        const line = parseLine(data.toString('utf8', start, end), form)
        if (line) {
          if (length > 0) take(line as Line)
          else if (!isOfThisFormat(line, form)) throw unreadable(path, 'another version of the sandbox wrote it')
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

function parseLine(text: string, { kinds }: JournalForm): object | null {
  try {
    const line: unknown = JSON.parse(text)
    const isKnown = typeof line === 'object' && line !== null && ['format', ...kinds].some((kind) => kind in line)
    return isKnown ? line : null
  } catch {
    return null
  }
}

function isOfThisFormat(line: object, { format }: JournalForm): boolean {
  return 'format' in line && line.format === format
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
