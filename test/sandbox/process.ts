import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../config'

export const WEBHOOK_SECRET = 'whsec_dGVzdC1vbmx5LXdlYmhvb2stc2VjcmV0LWtleQ=='

export interface SandboxProcess {
  readonly url: string
  readonly journal: string
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>
}

export interface SandboxProcessOptions {
  /** Default: the payment provider. */
  readonly program?: 'main.ts' | 'carrier/main.ts'
  /** An earlier process's, to go on where it stopped; default: a new one. */
  readonly journal?: string
  /** Default: an address where nobody listens. */
  readonly webhookUrl?: string
}

/** A sandbox of its own, in a process that can be killed. */
export async function startSandboxProcess(options: SandboxProcessOptions = {}): Promise<SandboxProcess> {
  const journal = options.journal ?? join(await mkdtemp(join(tmpdir(), 'holdfast-sandbox-')), 'journal.jsonl')
  const child = spawnSandbox(
    [
      ...['--port', '0', '--journal', journal, '--secret', WEBHOOK_SECRET],
      ...['--webhook-url', options.webhookUrl ?? 'http://127.0.0.1:9/'],
    ],
    options.program,
  )
  const url = await firstAddress(child)
  return {
    url,
    journal,
    async kill() {
      await end(child, 'SIGKILL')
    },
    async stop() {
      await end(child, 'SIGTERM')
      return child.exitCode
    },
  }
}

/** What the program writes when it refuses to start, and its exit code. */
export async function failToStart(args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawnSandbox(args)
  let output = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await once(child, 'close')
  return { code: child.exitCode, output }
}

function spawnSandbox(args: string[], program = 'main.ts'): ChildProcess {
  const register = join(ROOT, 'test/sandbox/register.js')
  return spawn(process.execPath, ['--require', register, join(ROOT, 'sandbox', program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function firstAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let errors = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.once('exit', (code) => reject(new Error(`The sandbox ended with ${code}: ${errors}`)))
    child.stdout?.on('data', (chunk: Buffer) => {
      const address = /http:\/\/\S+/.exec(chunk.toString())?.[0]
      if (address) resolve(address)
    })
  })
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}
