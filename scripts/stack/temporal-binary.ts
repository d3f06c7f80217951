import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../config'
import { cacheFolder } from './files'
import { isExecutable, onPath } from './path'
import { timed, type Say } from './say'

const MODULE = join(ROOT, 'tools', 'temporal')
/** Older servers lack what support relies on (problems of a workflow as a search attribute). */
const OLDEST_SERVER = [1, 30] as const

/**
 * The program `temporal`: from the PATH, from the user's cache, by the SDK's download, or built once with Go from
 * `tools/temporal`. Throws with these ways spelled out when none works.
 */
export async function findTemporal(say: Say): Promise<string> {
  const found = (await fromPath(say)) ?? fromCache()
  if (found !== undefined) return found
  mkdirSync(cacheFolder(), { recursive: true })
  return (await downloaded(say)) ?? (await built(say)) ?? advise()
}

/** What is there already, without fetching or building anything. */
export async function temporalAtHand(say: Say): Promise<string | undefined> {
  return (await fromPath(say)) ?? fromCache()
}

export function temporalVersion(): string {
  const version = /github\.com\/temporalio\/cli v(\S+)/.exec(readFileSync(join(MODULE, 'go.mod'), 'utf8'))?.[1]
  if (version === undefined) throw new Error(`${MODULE}/go.mod does not name the Temporal CLI.`)
  return version
}

async function fromPath(say: Say): Promise<string | undefined> {
  const path = onPath('temporal')
  if (path === undefined) return undefined
  const { stdout } = await promisify(execFile)(path, ['--version']).catch(() => ({ stdout: '' }))
  const [, major, minor] = /Server (\d+)\.(\d+)/.exec(stdout) ?? []
  const [oldestMajor, oldestMinor] = OLDEST_SERVER
  if (Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor)) return path
  say(
    `${path} is passed over: it is not a Temporal of server version ${OLDEST_SERVER.join('.')} or newer (${stdout.trim()}).`,
  )
  return undefined
}

function cachedPath(): string {
  return join(cacheFolder(), `temporal-${temporalVersion()}`)
}

function fromCache(): string | undefined {
  return isExecutable(cachedPath()) ? cachedPath() : undefined
}

/** The SDK downloads a server to start it at once; it runs in a process of its own, so that its ways stay there. */
async function downloaded(say: Say): Promise<string | undefined> {
  const folder = `${cachedPath()}.download`
  const script = `
    const { TestWorkflowEnvironment } = require('@temporalio/testing')
    const executable = { type: 'cached-download', version: 'v${temporalVersion()}', downloadDir: ${JSON.stringify(folder)} }
    TestWorkflowEnvironment.createLocal({ server: { executable } }).then((environment) => environment.teardown())
      .then(() => process.exit(0), () => process.exit(1))`
  mkdirSync(folder, { recursive: true })
  try {
    // Whether its first start was quick enough does not matter; the file does.
    await timed(say, 'Downloading Temporal', () =>
      output(process.execPath, ['-e', script], { cwd: ROOT, timeout: 180_000 }),
    ).catch(() => '')
    const file = readdirSync(folder).find((name) => name.startsWith('temporal') && isExecutable(join(folder, name)))
    if (file === undefined) return undefined
    renameSync(join(folder, file), cachedPath())
    return cachedPath()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function built(say: Say): Promise<string | undefined> {
  const go = onPath('go') ?? ['/usr/local/go/bin/go'].find(existsSync)
  if (go === undefined) return undefined
  const unfinished = `${cachedPath()}.${process.pid}`
  const args = ['build', '-ldflags=-s -w', '-o', unfinished, 'github.com/temporalio/cli/cmd/temporal']
  say('Temporal could not be downloaded; building it once with Go, which takes some minutes.')
  try {
    await timed(say, 'Building Temporal', () =>
      output(go, args, { cwd: MODULE, env: { ...process.env, CGO_ENABLED: '0' } }),
    )
    renameSync(unfinished, cachedPath())
    return cachedPath()
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return undefined
  } finally {
    rmSync(unfinished, { force: true })
  }
}

function advise(): never {
  throw new Error(
    [
      'Temporal is missing. Any of these will do:',
      '  - set TEMPORAL_ADDRESS to a running server;',
      '  - put the program `temporal` on the PATH (https://docs.temporal.io/cli);',
      `  - put a copy at ${cachedPath()};`,
      '  - let this computer reach https://temporal.download, from where the SDK fetches it;',
      '  - install Go 1.26.4 or newer (https://go.dev/dl), with which it is built.',
    ].join('\n'),
  )
}

function output(
  command: string,
  args: string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; timeout?: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} failed:\n${text.slice(-2_000)}`)),
    )
  })
}
