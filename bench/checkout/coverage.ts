import { readdirSync, readFileSync, rmSync } from 'node:fs'
import type { Profiler } from 'node:inspector'
import { SourceMap } from 'node:module'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** How often each function was called: by `<source file>#<where it begins>`, the file's path from the root. */
export type CallCounts = ReadonlyMap<string, number>

const POLL_MS = 50
const WRITTEN_DEADLINE_MS = 20_000

/** Reads what the coverage hook counts in some processes that run compiled programs. */
export class Coverage {
  private readonly folder: string
  private readonly programs: string
  private readonly pids: readonly number[]
  private readonly bundle: Bundle

  /**
   * @param folder where the hook writes
   * @param programs the folder of the compiled programs
   * @param pids processes that run with the hook
   */
  constructor(folder: string, programs: string, pids: readonly number[]) {
    this.folder = folder
    this.programs = programs
    this.pids = pids
    this.bundle = new Bundle(join(programs, 'workflow-bundle.js'))
  }

  /** The calls since the last time, of all threads. Loading a file calls none of its functions. */
  async take(): Promise<CallCounts> {
    const threads = this.files('.thread').length
    for (const pid of this.pids) process.kill(pid, 'SIGHUP')
    const deadline = Date.now() + WRITTEN_DEADLINE_MS
    while (this.files('.json').length < threads) {
      if (Date.now() > deadline) throw new Error(`Only ${this.files('.json').length} of ${threads} threads answered.`)
      await pause(POLL_MS)
    }
    const counts = new Map<string, number>()
    for (const file of this.files('.json')) {
      const scripts = JSON.parse(readFileSync(file, 'utf8')) as Profiler.ScriptCoverage[]
      for (const script of scripts) this.add(script, counts)
      rmSync(file)
    }
    return counts
  }

  private files(ending: string): string[] {
    const ours = readdirSync(this.folder).filter((name) => this.pids.some((pid) => name.startsWith(`${pid}-`)))
    return ours.filter((name) => name.endsWith(ending)).map((name) => join(this.folder, name))
  }

  private add({ url, functions }: Profiler.ScriptCoverage, counts: Map<string, number>): void {
    for (const { functionName, ranges } of functions) {
      // The whole function; parts of it are not counted.
      const [whole] = ranges
      // A file's own code begins at 0, and in the bundle it is a function named after the file.
      if (!whole || whole.count === 0 || whole.startOffset === 0 || functionName.startsWith('./')) continue
      const { startOffset, count } = whole
      const file = url.includes('workflow-bundle') ? this.bundle.sourceAt(startOffset) : this.sourceOf(url)
      if (file === null) continue
      const key = `${file}#${startOffset}`
      counts.set(key, (counts.get(key) ?? 0) + count)
    }
  }

  private sourceOf(url: string): string | null {
    if (!url.startsWith('file:') && !url.startsWith('/')) return null
    const path = relative(this.programs, url.startsWith('file:') ? fileURLToPath(url) : url)
    return path.startsWith('..') ? null : path.replace(/\.js$/, '.ts')
  }
}

/** The workflows and what they import, in one file with its source map in its last line. */
class Bundle {
  private readonly map: SourceMap
  private readonly lineStarts: readonly number[]

  constructor(path: string) {
    const text = readFileSync(path, 'utf8')
    const encoded = text.slice(text.lastIndexOf('base64,') + 'base64,'.length)
    this.map = new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()))
    this.lineStarts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
  }

  /** Null for what is not ours. */
  sourceAt(offset: number): string | null {
    const line = this.lineStarts.findLastIndex((start) => start <= offset)
    const entry = this.map.findEntry(line, offset - (this.lineStarts[line] as number))
    const source = 'originalSource' in entry ? entry.originalSource : ''
    return /\/((domain|workflows)\/[^:]+\.ts)$/.exec(source)?.[1] ?? null
  }
}
