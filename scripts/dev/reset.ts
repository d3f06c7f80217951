import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { holderOf } from '../stack/claim'
import { removePostgresData } from '../stack/postgres'
import { endLeftovers } from '../stack/programs'
import { lockFile, readRecords, STACK_FOLDER } from '../stack/state'

/** The ports stay: whoever noted an address finds it again. */
const KEPT = new Set(['ports.json', 'build.lock'])

/** Forgets all data of this clone's own stack and of its tests. Services given by an address are not touched. */
async function reset(): Promise<void> {
  const holder = holderOf(lockFile(STACK_FOLDER))
  if (holder !== undefined) throw new Error(`Holdfast is running (process ${holder.pid}). Stop it first: \`npm stop\`.`)
  const used: string[] = []
  for (const folder of stackFolders(STACK_FOLDER)) {
    if (holderOf(lockFile(folder)) === undefined) await forget(folder)
    else used.push(folder)
  }
  for (const name of existsSync(STACK_FOLDER) ? readdirSync(STACK_FOLDER) : []) {
    const path = join(STACK_FOLDER, name)
    const inUse = used.some((folder) => `${folder}/`.startsWith(`${path}/`))
    if (!KEPT.has(name) && !inUse) rmSync(path, { recursive: true, force: true })
  }
  for (const folder of used) console.log(`${folder} is in use and stays.`)
  console.log('All data is forgotten. `npm start` begins anew.')
}

async function forget(folder: string): Promise<void> {
  await endLeftovers(readRecords(folder), console.log)
  removePostgresData(folder)
}

/** The clone's own stack, and those of tests and experiments inside its folder, innermost first. */
function stackFolders(folder: string): string[] {
  if (!existsSync(folder)) return []
  const inside = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const nested = inside.flatMap((entry) => stackFolders(join(folder, entry.name)))
  return existsSync(join(folder, 'processes.json')) ? [...nested, folder] : nested
}

reset().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
