import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { isAlive, own, type ProcessIdentity } from './identity'

/** Who holds a claim: the process, and the folder it works for. */
export interface Holder extends ProcessIdentity {
  readonly folder: string
}

/**
 * Claims `path` for this process until it ends or releases it. Answers undefined when it is ours, else the living
 * process that has it. What a dead process left is taken over.
 */
export function claim(path: string, folder: string): Holder | undefined {
  const mine = `${path}.${randomUUID()}`
  writeFileSync(mine, JSON.stringify({ ...own(), folder } satisfies Holder), { mode: 0o600 })
  try {
    for (;;) {
      if (linked(mine, path)) return undefined
      const holder = readHolder(path)
      if (holder !== undefined && isAlive(holder)) return holder
      removeStale(path)
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

export function release(path: string): void {
  const holder = readHolder(path)
  if (holder !== undefined && holder.pid === process.pid && isAlive(holder)) rmSync(path, { force: true })
}

/** The living holder of a claim. */
export function holderOf(path: string): Holder | undefined {
  const holder = readHolder(path)
  return holder !== undefined && isAlive(holder) ? holder : undefined
}

/** A link either appears with its whole content or not at all. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Moves the claim away first: if a peer replaced the dead one meanwhile, the living one goes back. */
function removeStale(path: string): void {
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const moved = readHolder(aside)
  if (moved !== undefined && isAlive(moved)) linked(aside, path)
  rmSync(aside, { force: true })
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    return undefined
  }
}
