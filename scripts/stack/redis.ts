import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { onPath } from './path'
import type { Program } from './programs'
import type { Say } from './say'

export interface RedisOptions {
  readonly folder: string
  readonly port: number
  /** False for data that is thrown away: nothing is written to disk. */
  readonly durable: boolean
  readonly databases?: number
  readonly say: Say
}

/** Redis from the PATH; as root on Debian and Ubuntu the distribution's package is installed first. */
export function redisProgram(options: RedisOptions): Program {
  const command = findRedis() ?? installRedis(options.say)
  const data = join(options.folder, 'redis')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  return {
    name: 'redis',
    command,
    args: [
      ...['--port', String(options.port), '--bind', '127.0.0.1', '--dir', data, '--daemonize', 'no', '--save', ''],
      ...['--appendonly', options.durable ? 'yes' : 'no', '--appendfsync', 'everysec'],
      ...['--databases', String(options.databases ?? 16)],
    ],
    cwd: data,
    isReady: () => pongs(options.port),
    stopSignal: 'SIGTERM',
    stopMs: 10_000,
  }
}

export function findRedis(): string | undefined {
  return onPath('redis-server', 'valkey-server')
}

export const REDIS_ADVICE =
  'Redis is missing. Install it (Debian, Ubuntu: `sudo apt-get install redis-server`; macOS: `brew install redis`) or set REDIS_URL.'

function installRedis(say: Say): string {
  if (process.getuid?.() !== 0 || !isDebian()) throw new Error(REDIS_ADVICE)
  say('Redis is missing; installing the package redis-server with apt-get.')
  try {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'pipe' })
    // The package would also start a server of its own on the default port; runlevel 1 keeps it from doing so.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    execFileSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'redis-server'], { stdio: 'pipe', env })
  } catch (error) {
    throw new Error(`${REDIS_ADVICE}\napt-get said: ${error instanceof Error ? error.message : String(error)}`)
  }
  const found = findRedis()
  if (found === undefined) throw new Error(REDIS_ADVICE)
  return found
}

function isDebian(): boolean {
  return existsSync('/etc/debian_version') && readFileSync('/etc/os-release', 'utf8').match(/debian|ubuntu/i) !== null
}

/** Redis answers an error while it loads its file, and PONG afterwards. */
function pongs(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const finish = (ready: boolean): void => {
      socket.destroy()
      resolve(ready)
    }
    socket.setTimeout(1_000, () => finish(false))
    socket.once('error', () => finish(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => finish(data.toString().startsWith('+PONG')))
  })
}
