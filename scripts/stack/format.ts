import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { removePostgresData } from './postgres'
import type { Say } from './say'
import { FORMAT, formatOf, removeSecrets } from './state'
import { removeTemporalData } from './temporal'

/**
 * Sees to it that what a stack's folder holds can be read by this version. Data of another format that is somebody's
 * (`durable`) is left to its owner: it throws, and the message is one line. Data that is nobody's is deleted.
 */
export function requireFormat(folder: string, { durable, say }: { durable: boolean; say: Say }): void {
  const format = formatOf(folder)
  if (format === undefined || format === FORMAT) return
  const mismatch = `The data in ${folder} has format ${format}; this version reads format ${FORMAT}.`
  if (durable) throw new Error(`${mismatch} \`npm run reset\` deletes it and begins anew.`)
  say(`${mismatch} Making it anew.`)
  removeData(folder)
}

/** The secrets last: whoever is killed before that finds the format of the data still there. Ports and logs stay. */
function removeData(folder: string): void {
  removePostgresData(folder)
  removeTemporalData(folder)
  for (const name of ['redis', 'images', 'sandbox.journal', 'carrier.journal'])
    rmSync(join(folder, name), { recursive: true, force: true })
  removeSecrets(folder)
}
