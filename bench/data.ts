import { rmSync } from 'node:fs'
import { removePostgresData } from '../scripts/stack/postgres'

/** Data of a stack that a bench makes anew each time, also what a killed run has left. */
export function deleteData(folder: string): void {
  removePostgresData(folder)
  rmSync(folder, { recursive: true, force: true })
}
