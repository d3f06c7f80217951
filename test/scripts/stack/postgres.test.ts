import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { choosePorts } from '../../../scripts/stack/ports'
import {
  databaseUrl,
  ensureDatabase,
  isLeftOver,
  postgresProgram,
  removePostgresData,
} from '../../../scripts/stack/postgres'
import { ProcessKeeper, type Program } from '../../../scripts/stack/programs'

const asRoot = process.getuid?.() === 0

/** One folder in which each test puts its stacks, as a person puts clones. */
let parent: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

test('a clone made where another was deleted begins with data of its own', async () => {
  const folder = stackFolder('clone')
  const first = await postgresProgram(options(folder, 'first'))
  rmSync(folder, { recursive: true })
  stackFolder('clone')
  const { ports, release } = await choosePorts(folder, { postgres: 32_000 + (process.pid % 1_000) }, () => undefined)
  const postgres = { ...options(folder, 'second'), port: ports.postgres ?? 0 }
  const keeper = new ProcessKeeper(await postgresProgram(postgres), {
    logFile: join(folder, 'postgres.log'),
    say: () => undefined,
    changed: () => undefined,
  })
  try {
    await keeper.start()
    await ensureDatabase(postgres)
    expect(await userAt(databaseUrl(postgres.port, 'second'))).toBe('holdfast')
  } finally {
    await keeper.stop()
    release()
    removePostgresData(folder)
    rmSync(homeOf(first), { recursive: true, force: true })
  }
})

test('a moved clone keeps its data, a copied one gets its own, and what nobody links to is left over', async () => {
  const folder = stackFolder('clone')
  const home = homeOf(await postgresProgram(options(folder, 'same')))
  cpSync(folder, join(parent, 'copy'), { recursive: true, verbatimSymlinks: true })
  const copy = homeOf(await postgresProgram(options(join(parent, 'copy'), 'same')))
  renameSync(folder, join(parent, 'moved'))
  const moved = homeOf(await postgresProgram(options(join(parent, 'moved'), 'same')))
  try {
    expect(copy).not.toBe(moved)
    expect(moved).toBe(asRoot ? home : join(parent, 'moved', 'postgres'))
    expect(isLeftOver(moved)).toBe(false)
    rmSync(join(parent, 'moved'), { recursive: true })
    expect(isLeftOver(moved)).toBe(asRoot)
  } finally {
    removePostgresData(join(parent, 'copy'))
    rmSync(moved, { recursive: true, force: true })
  }
})

function stackFolder(name: string): string {
  const folder = join(parent, name)
  mkdirSync(folder, { recursive: true })
  return folder
}

function options(folder: string, password: string) {
  return { folder, port: 0, password, durable: false, say: () => undefined }
}

/** The folder around the data. */
function homeOf(program: Program): string {
  return dirname(program.cwd ?? '')
}

async function userAt(connectionString: string): Promise<string> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>('select current_user as name')
    return rows[0]?.name ?? ''
  } finally {
    await client.end()
  }
}
