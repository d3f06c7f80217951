import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { holderOf } from './stack/claim'
import { removePostgresData } from './stack/postgres'
import { endLeftovers } from './stack/programs'
import { lockFile, readRecords, STACK_FOLDER } from './stack/state'

/** Forgets all data of this clone's own stack. Services given by an address are not touched. */
async function reset(): Promise<void> {
  for (const folder of stackFolders(STACK_FOLDER)) {
    const holder = holderOf(lockFile(folder))
    if (holder !== undefined)
      throw new Error(`${folder} is in use by process ${holder.pid}. Stop it first (\`npm stop\`).`)
  }
  for (const folder of stackFolders(STACK_FOLDER)) {
    await endLeftovers(readRecords(folder), console.log)
    removePostgresData(folder)
  }
  // The ports stay: whoever noted an address finds it again.
  const kept = new Set(['ports.json', 'build.lock'])
  for (const name of existsSync(STACK_FOLDER) ? readdirSync(STACK_FOLDER) : []) {
    if (!kept.has(name)) rmSync(join(STACK_FOLDER, name), { recursive: true, force: true })
  }
  console.log('All data is forgotten. `npm start` begins anew.')
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
