import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { holderOf } from '../stack/claim'
import { isAlive } from '../stack/identity'
import { endLeftovers } from '../stack/programs'
import { lockFile, readRecords, STACK_FOLDER, stackFile } from '../stack/state'

const PATIENCE_MS = 60_000

/** Ends the stack of this clone, and whatever a killed one left. */
async function stop(): Promise<void> {
  const parent = holderOf(lockFile(STACK_FOLDER))
  if (parent === undefined) {
    await endLeftovers(readRecords(STACK_FOLDER), console.log)
    rmSync(stackFile(STACK_FOLDER), { force: true })
    return console.log('Holdfast is not running.')
  }
  process.kill(parent.pid, 'SIGTERM')
  const deadline = Date.now() + PATIENCE_MS
  while (isAlive(parent)) {
    if (Date.now() > deadline) {
      process.kill(parent.pid, 'SIGKILL')
      break
    }
    await delay(50)
  }
  await endLeftovers(readRecords(STACK_FOLDER), console.log)
  console.log('Holdfast is stopped.')
}

stop().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
