import { databaseUrl, ensureDatabase, postgresProgram } from './postgres'
import { redisProgram } from './redis'
import { temporalProgram } from './temporal'
import { migrate } from '../../db/platform/migrate'
import type { Ports } from './ports'
import type { Program } from './programs'
import { prepareNamespace } from './namespace'
import { seconds, type Say } from './say'
import type { Secrets } from './state'

/** Where the three stores are; given by the environment or started here. */
export interface ServiceAddresses {
  readonly DATABASE_URL: string
  readonly REDIS_URL: string
  readonly TEMPORAL_ADDRESS: string
  readonly TEMPORAL_UI_URL: string
}

export interface ServiceOptions {
  readonly folder: string
  readonly ports: Ports
  readonly secrets: Secrets
  readonly durable: boolean
  readonly databases?: number
  readonly migrated: boolean
  readonly namespace: string
  /** Addresses of services that run elsewhere and are not started. */
  readonly given: Partial<ServiceAddresses>
  readonly say: Say
  /** Keeps a program running and resolves when it serves. */
  readonly run: (program: Program) => Promise<void>
}

/** Given in place of services that nobody will use. */
export const UNUSED_SERVICES = { REDIS_URL: '', TEMPORAL_ADDRESS: '', TEMPORAL_UI_URL: '' }

/** Names of the ports that {@link startServices} needs. */
export function servicePorts(given: Partial<ServiceAddresses>): string[] {
  return [
    ...(given.DATABASE_URL === undefined ? ['postgres'] : []),
    ...(given.REDIS_URL === undefined ? ['redis'] : []),
    ...(given.TEMPORAL_ADDRESS === undefined ? ['temporal', 'temporal-ui'] : []),
  ]
}

/** Postgres, Redis and Temporal (with its search attributes), side by side. */
export async function startServices(options: ServiceOptions): Promise<ServiceAddresses> {
  const [postgres, redis, temporal] = await Promise.all([
    startPostgres(options),
    startRedis(options),
    startTemporal(options),
  ])
  return { ...postgres, ...redis, ...temporal }
}

async function startPostgres(options: ServiceOptions): Promise<Pick<ServiceAddresses, 'DATABASE_URL'>> {
  const begun = Date.now()
  const { say, given } = options
  const url = given.DATABASE_URL ?? (await startEmbeddedPostgres(options))
  if (given.DATABASE_URL === undefined) say(`postgres    from npm, ${seconds(begun)}`)
  else say('postgres    from DATABASE_URL')
  const ran = options.migrated ? await migrate(url) : []
  if (ran.length > 0) say(`            migrated: ${ran.join(', ')}`)
  return { DATABASE_URL: url }
}

async function startEmbeddedPostgres(options: ServiceOptions): Promise<string> {
  const postgres = { ...options, port: portOf(options, 'postgres'), password: options.secrets.postgres }
  await options.run(await postgresProgram(postgres))
  await ensureDatabase(postgres)
  return databaseUrl(postgres.port, postgres.password)
}

async function startRedis(options: ServiceOptions): Promise<Pick<ServiceAddresses, 'REDIS_URL'>> {
  const begun = Date.now()
  const { say, given } = options
  if (given.REDIS_URL !== undefined) {
    say('redis       from REDIS_URL')
    return { REDIS_URL: given.REDIS_URL }
  }
  const port = portOf(options, 'redis')
  const program = redisProgram({ ...options, port })
  await options.run(program)
  say(`redis       ${program.command}, ${seconds(begun)}`)
  return { REDIS_URL: `redis://127.0.0.1:${port}/0` }
}

async function startTemporal(
  options: ServiceOptions,
): Promise<Pick<ServiceAddresses, 'TEMPORAL_ADDRESS' | 'TEMPORAL_UI_URL'>> {
  const begun = Date.now()
  const { say, given } = options
  if (given.TEMPORAL_ADDRESS !== undefined) {
    if (given.TEMPORAL_ADDRESS !== '') await prepareNamespace(given.TEMPORAL_ADDRESS, options.namespace)
    say('temporal    from TEMPORAL_ADDRESS')
    return {
      TEMPORAL_ADDRESS: given.TEMPORAL_ADDRESS,
      TEMPORAL_UI_URL: given.TEMPORAL_UI_URL ?? 'http://127.0.0.1:8233',
    }
  }
  const port = portOf(options, 'temporal')
  const uiPort = portOf(options, 'temporal-ui')
  const program = await temporalProgram({ ...options, port, uiPort })
  await options.run(program)
  await prepareNamespace(`127.0.0.1:${port}`, options.namespace)
  say(`temporal    ${program.command}, ${seconds(begun)}`)
  return { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_UI_URL: `http://127.0.0.1:${uiPort}` }
}

function portOf({ ports }: ServiceOptions, name: string): number {
  const port = ports[name]
  if (port === undefined) throw new Error(`No port was chosen for ${name}.`)
  return port
}
