import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../scripts/stack/files'
import { isExecutable, onPath } from '../../scripts/stack/path'

/**
 * Stripe's own stripe-mock: it holds requests to Stripe's schema, remembers nothing, and answers with examples. Its newest
 * version knows the API of some months before the one that we use.
 */
const MODULE = 'github.com/stripe/stripe-mock'
const VERSION = 'v0.203.0'
const BUILD_MS = 240_000

/** The program: from the user's cache, or built once with Go, as Temporal is. Null where neither works. */
export function stripeMockProgram(): string | null {
  const cached = join(cacheFolder(), `stripe-mock-${VERSION}`)
  return isExecutable(cached) || built(cached) ? cached : null
}

function built(cached: string): boolean {
  const go = onPath('go') ?? ['/usr/local/go/bin/go'].find(existsSync)
  if (go === undefined) return false
  const folder = `${cached}.${process.pid}`
  mkdirSync(folder, { recursive: true })
  try {
    const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0' }
    spawnSync(go, ['install', '-ldflags=-s -w', `${MODULE}@${VERSION}`], { env, timeout: BUILD_MS })
    if (!isExecutable(join(folder, 'stripe-mock'))) return false
    renameSync(join(folder, 'stripe-mock'), cached)
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface StripeMock {
  readonly url: string
  stop(): Promise<void>
}

export async function startStripeMock(program: string): Promise<StripeMock> {
  const child = spawn(program, ['-http-addr', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const port = await listening(child)
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const gone = once(child, 'close')
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function listening(child: ChildProcess): Promise<string> {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  for (;;) {
    const port = /Listening for HTTP at address: \S*:(\d+)/.exec(said)?.[1]
    if (port !== undefined) return port
    if (child.exitCode !== null) throw new Error(`stripe-mock ended: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
