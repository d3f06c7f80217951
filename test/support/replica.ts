import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { migrate } from '../../db/platform/migrate'
import { databaseUrl, ensureDatabase, postgresProgram, removePostgresData } from '../../scripts/stack/postgres'
import { ProcessKeeper, type Program } from '../../scripts/stack/programs'

const PASSWORD = 'replica-test'

export interface ReplicatedDatabase {
  readonly primaryUrl: string
  readonly replicaUrl: string
  /** Stops the replica from applying what it receives, or lets it go on. */
  pause(): Promise<void>
  resume(): Promise<void>
  killReplica(): Promise<void>
  reviveReplica(): Promise<void>
  stop(): Promise<void>
}

/** A Postgres of its own, migrated and empty, with a real streaming replica. Takes some seconds. */
export async function replicatedDatabase(
  folder: string,
  ports: { primary: number; replica: number },
): Promise<ReplicatedDatabase> {
  for (const name of Object.keys(ports)) mkdirSync(join(folder, name), { recursive: true })
  const optionsOf = (name: 'primary' | 'replica') => ({
    folder: join(folder, name),
    port: ports[name],
    password: PASSWORD,
    durable: false,
    say: () => undefined,
  })
  const primary = await started('primary', await postgresProgram(optionsOf('primary')), folder)
  await ensureDatabase(optionsOf('primary'))
  const primaryUrl = databaseUrl(ports.primary, PASSWORD)
  await migrate(primaryUrl)
  const standby = await postgresProgram(optionsOf('replica'))
  await copy(primary.program, standby, ports.primary)
  const replica = await started('replica', standby, folder)
  // Nobody knows how far the replica is until it has replayed something; an idle primary writes a record in 15 s at most.
  await asSuperuser(ports.primary, (client) => client.query('select pg_log_standby_snapshot()'))
  const control = (statement: string) => asSuperuser(ports.replica, (client) => client.query(statement))
  return {
    primaryUrl,
    replicaUrl: databaseUrl(ports.replica, PASSWORD),
    pause: async () => void (await control('select pg_wal_replay_pause()')),
    resume: async () => void (await control('select pg_wal_replay_resume()')),
    killReplica: () => replica.stop('SIGKILL'),
    reviveReplica: () => replica.start(),
    stop: async () => {
      await Promise.all([replica.stop('SIGQUIT'), primary.stop('SIGQUIT')])
      removePostgresData(optionsOf('primary').folder)
      removePostgresData(optionsOf('replica').folder)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function started(name: string, program: Program, folder: string): Promise<ProcessKeeper> {
  const keeper = new ProcessKeeper(program, {
    logFile: join(folder, `${name}.log`),
    say: () => undefined,
    changed: () => undefined,
  })
  await keeper.start()
  return keeper
}

/** What `pg_basebackup` does; the binaries from npm come without it. */
async function copy(from: Program, to: Program, port: number): Promise<void> {
  const [source, target] = [from.cwd as string, to.cwd as string]
  rmSync(target, { recursive: true, force: true })
  await asSuperuser(port, async (client) => {
    await client.query("select pg_backup_start('replica', true)")
    cpSync(source, target, { recursive: true, filter: (path) => !path.endsWith('postmaster.pid') })
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    writeFileSync(join(target, 'backup_label'), rows[0]?.labelfile ?? '')
  })
  writeFileSync(join(target, 'standby.signal'), '')
  const address = `host=127.0.0.1 port=${port} user=postgres password=${PASSWORD}`
  appendFileSync(join(target, 'postgresql.auto.conf'), `primary_conninfo = '${address}'\n`)
  if (to.uid !== undefined) execFileSync('chown', ['-R', `${to.uid}:${to.gid}`, target])
  chmodSync(target, 0o700)
}

async function asSuperuser<T>(port: number, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres` })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
