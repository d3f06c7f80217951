import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { issueStackKey } from '../../db/platform/api-key'
import { createPool } from '../../db/pool'
import { connectTemporal } from '../../temporal'
import { readBuildId } from '../../workers/build-id'
import { apiProgram, carrierProgram, sandboxProgram, workerProgram, type ApplicationOptions } from './application'
import { claim, release } from './claim'
import { writeJson } from './files'
import { requireFormat } from './format'
import { choosePorts, type Ports } from './ports'
import { endLeftovers, ProcessKeeper, type Program, type ProcessRecord } from './programs'
import { moveStranded, rollOut } from './rollout'
import { timed, type Say } from './say'
import { servicePorts, startServices, type ServiceAddresses } from './services'
import {
  lockFile,
  logFolder,
  makeStackFolder,
  readRecords,
  type Secrets,
  secretsOf,
  STACK_FOLDER,
  stackFile,
  type StackFile,
  writeRecords,
} from './state'

export interface StackOptions {
  /** Holds all data, logs and state of this stack; one stack runs per folder. Default `.holdfast`. */
  readonly folder?: string
  /** API and worker processes; 0 APIs starts the stores alone, the database empty. */
  readonly apis?: number
  readonly workers?: number
  /** Added to the environment of sandboxes, workers and APIs. */
  readonly env?: Record<string, string>
  /** The folder of the compiled programs; default `dist`. */
  readonly programs?: string
  /** Services that run elsewhere and are not started. */
  readonly given?: Partial<ServiceAddresses>
  /** The Temporal namespace, made where it is missing. */
  readonly namespace?: string
  /** False when the data is nobody's: a power cut may cost it, and data of another format is deleted. */
  readonly durable?: boolean
  /** Logical databases of Redis. */
  readonly databases?: number
  /** Added to every port that is tried first. */
  readonly portOffset?: number
  readonly say?: Say
  /** Gives the start up: what runs by then is ended. */
  readonly interrupted?: AbortSignal
}

/** A running stack. What ends by itself is started again at the same address until {@link Stack.stop}. */
export interface Stack {
  /** What `stack.json` says now. */
  readonly file: StackFile
  readonly services: ServiceAddresses
  readonly secrets: Secrets
  /** The settings its processes were given. */
  readonly env: Record<string, string>
  /** Sends a signal; the process is started again when it ends. SIGKILL resolves once it is gone. */
  kill(name: string, signal?: NodeJS.Signals): Promise<void>
  /** Ends a process and leaves it down. */
  halt(name: string, signal?: NodeJS.Signals): Promise<void>
  /** Starts what was halted and waits until it serves. */
  revive(name: string): Promise<void>
  /** Waits until a process serves, through restarts. */
  ready(name: string, withinMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Ports tried first. Off the usual ones of Postgres and Redis, which often run already. */
const PORTS: Ports = {
  sandbox: 4010,
  carrier: 4015,
  postgres: 5440,
  redis: 6390,
  temporal: 7233,
  'temporal-ui': 8233,
}
const FIRST_API_PORT = 3000
const FIRST_WORKER_PORT = 3900

const STOP_ORDER = [/^api/, /^worker/, /^(sandbox|carrier)/, /^(temporal|redis|postgres)/]
const LOG_CHECK_MS = 60_000
/** Its workers serve by then: Temporal has to hear of them. */
const ROLLOUT_MS = 60_000
/** A shop on one computer has no more open checkouts. What is left over becomes a case. */
const MOVED_MAX = 10_000

/** Starts a stack and resolves when all of it serves. On failure everything is ended and the reason is thrown. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const folder = options.folder ?? STACK_FOLDER
  const say = options.say ?? (() => undefined)
  makeStackFolder(folder)
  const holder = claim(lockFile(folder), folder)
  if (holder !== undefined) {
    throw new Error(`Holdfast is already running in this folder (process ${holder.pid}). \`npm stop\` ends it.`)
  }
  const supervisor = new Supervisor(folder, say)
  const giveUp = (): void => void supervisor.stop()
  options.interrupted?.addEventListener('abort', giveUp)
  try {
    rmSync(stackFile(folder), { force: true })
    await endLeftovers(readRecords(folder), say)
    requireFormat(folder, { durable: options.durable ?? true, say })
    return await supervisor.start(options)
  } catch (error) {
    await supervisor.stop()
    throw options.interrupted?.aborted ? new Error('It was stopped before it was ready.') : error
  } finally {
    options.interrupted?.removeEventListener('abort', giveUp)
  }
}

class Supervisor {
  private readonly folder: string
  private readonly say: Say
  private readonly keepers = new Map<string, ProcessKeeper>()
  private readonly logCheck: NodeJS.Timeout
  private stopping: Promise<void> | undefined
  private addresses: Omit<StackFile, 'processes'> | undefined
  private releasePorts = (): void => undefined

  constructor(folder: string, say: Say) {
    this.folder = folder
    this.say = say
    this.logCheck = setInterval(() => this.keepers.forEach((keeper) => keeper.boundLog()), LOG_CHECK_MS)
    this.logCheck.unref()
  }

  async start(options: StackOptions): Promise<Stack> {
    const secrets = secretsOf(this.folder)
    const names = processNames(options)
    const given = options.given ?? {}
    const namespace = options.namespace ?? 'default'
    const wishes = { ...portWishes(names), ...pick(PORTS, servicePorts(given)) }
    const chosen = await choosePorts(this.folder, shifted(wishes, options.portOffset ?? 0), this.say)
    this.releasePorts = chosen.release
    const ports = chosen.ports
    const run = (program: Program): Promise<void> => this.run(program)
    const common = {
      folder: this.folder,
      say: this.say,
      durable: options.durable ?? true,
      migrated: names.apis.length > 0,
      run,
    }
    const databases = options.databases === undefined ? {} : { databases: options.databases }
    const services = await startServices({ ...common, ...databases, ports, secrets, given, namespace })

    const programs = options.programs ?? join(ROOT, 'dist')
    const env = {
      ...settingsFor(services, secrets, ports),
      IMAGE_STORE: join(this.folder, 'images'),
      TEMPORAL_NAMESPACE: namespace,
      // A worker that is started again after a compilation is none of another build: the others would get nothing more.
      BUILD_ID: readBuildId({ BUILD_ID: '' }),
      ...options.env,
    }
    const adminKey =
      names.apis.length > 0 ? await this.startApplication({ folder: this.folder, env, programs }, names, ports) : ''
    const apis = names.apis.map((name) => `http://127.0.0.1:${ports[name]}`)
    this.addresses = {
      api: apis[0] ?? '',
      apis,
      admin_key: adminKey,
      temporal: services.TEMPORAL_ADDRESS,
      temporal_ui: services.TEMPORAL_UI_URL,
      postgres: services.DATABASE_URL,
      redis: services.REDIS_URL,
      sandbox: `http://127.0.0.1:${ports['sandbox']}`,
      carrier: `http://127.0.0.1:${ports['carrier']}`,
    }
    this.record()
    return this.handle(services, secrets, env)
  }

  /** Ends everything in order; a second call waits for the first. */
  stop(): Promise<void> {
    this.stopping ??= this.endAll()
    return this.stopping
  }

  private async startApplication(options: ApplicationOptions, names: ProcessNames, ports: Ports): Promise<string> {
    const port = (name: string): number => ports[name] as number
    const pool = createPool(
      { DATABASE_URL: options.env['DATABASE_URL'] as string, DATABASE_POOL_MAX: 1 },
      { name: 'holdfast-start' },
    )
    try {
      const [adminKey] = await Promise.all([
        issueStackKey(pool),
        this.run(sandboxProgram(options, port('sandbox'), port(names.apis[0] as string))),
        this.run(carrierProgram(options, port('carrier'), port(names.apis[0] as string))),
        ...names.workers.map((name) => this.run(workerProgram(options, name, port(name)))),
        ...names.apis.map((name) => this.run(apiProgram(options, name, port(name)))),
      ])
      if (names.workers.length > 0) await this.rollOut(options.env)
      return adminKey
    } finally {
      await pool.end()
    }
  }

  /** All workers are of one build. What an earlier one began and nobody serves any more goes on with it. */
  private async rollOut(env: Record<string, string>): Promise<void> {
    const temporal = await connectTemporal({
      TEMPORAL_ADDRESS: env['TEMPORAL_ADDRESS'] as string,
      TEMPORAL_NAMESPACE: env['TEMPORAL_NAMESPACE'] as string,
    })
    try {
      const buildId = env['BUILD_ID'] as string
      const before = await timed(this.say, 'Waiting for Temporal to hear of the workers', () =>
        rollOut(temporal, { buildId, withinMs: ROLLOUT_MS }),
      )
      const moved = before === null ? 0 : await moveStranded(temporal, MOVED_MAX)
      if (moved > 0) this.say(`            open checkouts of an earlier build that go on with this one: ${moved}`)
    } finally {
      await temporal.connection.close()
    }
  }

  private async run(program: Program): Promise<void> {
    if (this.stopping !== undefined) throw new Error('The stack is being stopped.')
    const logFile = join(logFolder(this.folder), `${program.name}.log`)
    const keeper = new ProcessKeeper(program, { logFile, say: this.say, changed: () => this.record() })
    this.keepers.set(program.name, keeper)
    await timed(this.say, `Waiting for ${program.name}`, () => keeper.start())
  }

  private handle(services: ServiceAddresses, secrets: Secrets, env: Record<string, string>): Stack {
    const keeper = (name: string): ProcessKeeper => {
      const found = this.keepers.get(name)
      if (found === undefined) throw new Error(`There is no process ${name}.`)
      return found
    }
    const file = (): StackFile => this.file()
    return {
      get file() {
        return file()
      },
      services,
      secrets,
      env,
      kill: (name, signal) => keeper(name).kill(signal),
      halt: (name, signal) => keeper(name).stop(signal),
      revive: (name) => keeper(name).start(),
      ready: (name, withinMs) => keeper(name).ready(withinMs === undefined ? {} : { withinMs }),
      stop: () => this.stop(),
    }
  }

  private async endAll(): Promise<void> {
    clearInterval(this.logCheck)
    rmSync(stackFile(this.folder), { force: true })
    this.addresses = undefined
    for (const pattern of STOP_ORDER) {
      const group = [...this.keepers.values()].filter((keeper) => pattern.test(keeper.name))
      await Promise.all(group.map((keeper) => keeper.stop()))
    }
    this.releasePorts()
    release(lockFile(this.folder))
  }

  private file(): StackFile {
    if (this.addresses === undefined) throw new Error('The stack is not running.')
    return { ...this.addresses, processes: this.records().map(({ name, pid }) => ({ name, pid })) }
  }

  private record(): void {
    writeRecords(this.folder, this.records())
    if (this.addresses !== undefined) writeJson(stackFile(this.folder), this.file())
  }

  private records(): ProcessRecord[] {
    return [...this.keepers.values()].map((keeper) => keeper.record).filter((record) => record !== undefined)
  }
}

interface ProcessNames {
  readonly apis: readonly string[]
  readonly workers: readonly string[]
}

function processNames({ apis = 1, workers = 1 }: StackOptions): ProcessNames {
  const named = (kind: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${kind}-${index + 1}`)
  return { apis: named('api', apis), workers: apis === 0 ? [] : named('worker', workers) }
}

function portWishes({ apis, workers }: ProcessNames): Ports {
  const numbered = (names: readonly string[], first: number): Ports =>
    Object.fromEntries(names.map((name, index) => [name, first + index]))
  const sandboxes = apis.length > 0 ? pick(PORTS, ['sandbox', 'carrier']) : {}
  return { ...numbered(apis, FIRST_API_PORT), ...numbered(workers, FIRST_WORKER_PORT), ...sandboxes }
}

function pick(ports: Ports, names: readonly string[]): Ports {
  return Object.fromEntries(Object.entries(ports).filter(([name]) => names.includes(name)))
}

function shifted(ports: Ports, offset: number): Ports {
  return Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, port + offset]))
}

/** What sandboxes, workers and APIs are told, in the names of `config.ts`. */
function settingsFor(services: ServiceAddresses, secrets: Secrets, ports: Ports): Record<string, string> {
  return {
    ...services,
    API_HOST: '127.0.0.1',
    SANDBOX_URL: `http://127.0.0.1:${ports['sandbox']}`,
    SANDBOX_WEBHOOK_SECRET: secrets.webhook,
    CARRIER_SANDBOX_URL: `http://127.0.0.1:${ports['carrier']}`,
    CARRIER_SANDBOX_WEBHOOK_SECRET: secrets.carrierWebhook,
    TOKEN_SECRET: secrets.token,
  }
}
