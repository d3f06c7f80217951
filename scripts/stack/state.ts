import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { readJson, writeJson } from './files'
import type { ProcessRecord } from './programs'

/** Where a stack lives when nothing else is said. */
export const STACK_FOLDER = join(ROOT, '.holdfast')

/** What `.holdfast/stack.json` tells scripts while the stack runs. */
export interface StackFile {
  readonly api: string
  readonly apis: readonly string[]
  readonly admin_key: string
  readonly temporal: string
  readonly temporal_ui: string
  readonly postgres: string
  readonly redis: string
  readonly sandbox: string
  readonly carrier: string
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
}

/**
 * Of all that a stack's folder holds: tables, keys in Redis, open workflows. It rises with each version that cannot go on with
 * what an older one left, for before the first release nothing is migrated.
 */
export const FORMAT = 7

/** Made once per folder and kept with its data. */
export interface Secrets {
  readonly postgres: string
  readonly token: string
  readonly webhook: string
  readonly carrierWebhook: string
}

export const stackFile = (folder: string): string => join(folder, 'stack.json')
export const lockFile = (folder: string): string => join(folder, 'lock')
export const logFolder = (folder: string): string => join(folder, 'logs')
const processFile = (folder: string): string => join(folder, 'processes.json')
const secretsFile = (folder: string): string => join(folder, 'secrets.json')

export function makeStackFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
}

export function secretsOf(folder: string): Secrets {
  const kept = readJson<Secrets>(secretsFile(folder))
  if (kept !== undefined) return kept
  if (existsSync(join(folder, 'postgres', 'data'))) {
    throw new Error(
      `${secretsFile(folder)} is gone, and with it the password of the data beside it. \`npm run reset\` begins anew.`,
    )
  }
  const secrets = {
    postgres: randomBytes(18).toString('hex'),
    token: randomBytes(32).toString('hex'),
    webhook: `whsec_${randomBytes(32).toString('base64')}`,
    carrierWebhook: `whsec_${randomBytes(32).toString('base64')}`,
  }
  writeJson(secretsFile(folder), { format: FORMAT, ...secrets })
  return secrets
}

/** The format of a folder's data; undefined when it has none. The first format did not say its number. */
export function formatOf(folder: string): number | undefined {
  const kept = readJson<{ format?: number }>(secretsFile(folder))
  return kept === undefined ? undefined : (kept.format ?? 1)
}

/** The folder has no data after this, and the next start makes new secrets. */
export function removeSecrets(folder: string): void {
  rmSync(secretsFile(folder), { force: true })
}

/** The running stack of a folder, as scripts read it. */
export function readStack(folder = STACK_FOLDER): StackFile | undefined {
  return readJson<StackFile>(stackFile(folder))
}

/** The processes a parent started, so that the next one can end what it left. */
export function readRecords(folder: string): ProcessRecord[] {
  return readJson<ProcessRecord[]>(processFile(folder)) ?? []
}

export function writeRecords(folder: string, records: readonly ProcessRecord[]): void {
  writeJson(processFile(folder), records)
}
