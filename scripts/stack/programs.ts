import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { identityOf, isAlive, type ProcessIdentity } from './identity'
import type { Say } from './say'

/** A program the stack runs: how it is started, when it is ready, how it is asked to end. */
export interface Program {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Record<string, string | undefined>
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  /** Resolves true once it serves; asked again until then. */
  readonly isReady: () => Promise<boolean>
  readonly stopSignal: NodeJS.Signals
  /** After this long without an end it is killed. */
  readonly stopMs: number
}

export interface ProcessRecord extends ProcessIdentity {
  readonly name: string
  readonly stopSignal: NodeJS.Signals
}

const READY_MS = 120_000
const LOG_LIMIT = 20_000_000

/**
 * One program kept running: started again at the same address whenever it ends without having been asked to. It is
 * the leader of a process group of its own, so that Ctrl-C at the terminal reaches only the parent, which then ends
 * its children in order. Its output goes straight to a file, which outlives the parent.
 */
export class ProcessKeeper {
  readonly program: Program
  private readonly logFile: string
  private readonly say: Say
  private readonly changed: () => void
  private child: ChildProcess | undefined
  private wanted = false
  private begun = 0
  private failures = 0
  private identity: ProcessIdentity | undefined

  constructor(program: Program, options: { logFile: string; say: Say; changed: () => void }) {
    this.program = program
    this.logFile = options.logFile
    this.say = options.say
    this.changed = options.changed
    mkdirSync(dirname(this.logFile), { recursive: true })
    closeSync(openSync(this.logFile, 'w'))
  }

  get name(): string {
    return this.program.name
  }

  get record(): ProcessRecord | undefined {
    if (this.identity === undefined) return undefined
    return { name: this.name, ...this.identity, stopSignal: this.program.stopSignal }
  }

  /** Starts the program and waits until it serves. Throws with the end of its log when it does not. */
  async start(): Promise<void> {
    this.wanted = true
    this.failures = 0
    if (this.child === undefined) this.spawn()
    await this.ready({ patience: 3 })
  }

  /** Waits until the program serves; throws when it ends `patience` times before. */
  async ready(options: { patience?: number; withinMs?: number } = {}): Promise<void> {
    const deadline = Date.now() + (options.withinMs ?? READY_MS)
    const limit = this.failures + (options.patience ?? Number.POSITIVE_INFINITY)
    while (Date.now() < deadline) {
      if (!this.wanted) throw new Error(`${this.name} was stopped.`)
      if (this.failures >= limit) throw this.failure('ended while it started')
      if (this.child !== undefined && (await this.program.isReady())) return
      await delay(60)
    }
    throw this.failure(`was not ready in ${Math.round((options.withinMs ?? READY_MS) / 1000)} s`)
  }

  /** Sends a signal to the program; unless it was asked to end by {@link stop} it is started again. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.child
    if (child === undefined) return
    const ended = once(child)
    child.kill(signal)
    if (signal === 'SIGKILL') await ended
  }

  /** Ends the program for good: politely, after its deadline by force. */
  async stop(signal: NodeJS.Signals = this.program.stopSignal): Promise<void> {
    this.wanted = false
    const child = this.child
    if (child === undefined) return
    const ended = once(child)
    child.kill(signal)
    const timer = setTimeout(() => this.force(child), this.program.stopMs)
    await ended
    clearTimeout(timer)
  }

  /** Keeps a long-running log from filling the disk. */
  boundLog(): void {
    if (statSync(this.logFile).size > LOG_LIMIT) truncateSync(this.logFile)
  }

  private spawn(): void {
    const { command, args, env, cwd, uid, gid } = this.program
    const log = openSync(this.logFile, 'a')
    const child = spawn(command, args, {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    closeSync(log)
    this.begun = Date.now()
    this.child = child
    child.once('error', (error) => this.ended(child, error.message))
    child.once('exit', (code, signal) => this.ended(child, signal ?? `exit code ${code}`))
    this.identity = child.pid === undefined ? undefined : identityOf(child.pid)
    this.changed()
  }

  private ended(child: ChildProcess, how: string): void {
    if (this.child !== child) return
    this.child = undefined
    this.identity = undefined
    if (!this.wanted) return this.changed()
    this.failures = Date.now() - this.begun > 10_000 ? 1 : this.failures + 1
    const pause = this.failures <= 1 ? 0 : Math.min(100 * 2 ** (this.failures - 2), 5_000)
    this.say(`${this.name} ended (${how}), starting it again. Log: ${this.logFile}`)
    setTimeout(() => this.wanted && this.child === undefined && this.spawn(), pause)
  }

  private force(child: ChildProcess): void {
    this.say(`${this.name} did not end in ${this.program.stopMs / 1000} s and is killed.`)
    if (child.pid !== undefined) killGroup(child.pid)
  }

  private failure(what: string): Error {
    return new Error(`${this.name} ${what}. The end of ${this.logFile}:\n${lastLines(this.logFile)}`)
  }
}

/** Ends processes that an earlier parent left behind. Only the very processes that were recorded are touched. */
export async function endLeftovers(records: readonly ProcessRecord[], say: Say): Promise<void> {
  const left = records.filter(isAlive)
  if (left.length === 0) return
  say(`Ending what an earlier run left behind: ${left.map((record) => `${record.name} (${record.pid})`).join(', ')}`)
  for (const record of left) signalTo(record.pid, record.stopSignal)
  if (await allGone(left, 5_000)) return
  for (const record of left.filter(isAlive)) killGroup(record.pid)
  if (!(await allGone(left, 5_000)))
    throw new Error(`Could not end ${left.filter(isAlive).map((record) => record.pid)}.`)
}

async function allGone(records: readonly ProcessRecord[], withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs
  while (records.some(isAlive)) {
    if (Date.now() > deadline) return false
    await delay(30)
  }
  return true
}

function killGroup(pid: number): void {
  signalTo(-pid, 'SIGKILL')
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function once(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
}

function lastLines(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-15)
  return lines.map((line) => `  ${line.slice(0, 400)}`).join('\n')
}
