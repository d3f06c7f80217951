import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { holderOf } from '../stack/claim'
import { isAlive } from '../stack/identity'
import { onPath } from '../stack/path'
import { findPostgres, isLeftOver, REACHABLE } from '../stack/postgres'
import { findRedis, REDIS_ADVICE } from '../stack/redis'
import { lockFile, readRecords, readStack, STACK_FOLDER } from '../stack/state'
import { temporalAtHand, temporalVersion } from '../stack/temporal-binary'

interface Finding {
  readonly mark: 'ok' | '--' | '!!'
  readonly what: string
  readonly detail: string
}

/** Says what is found, what is missing and how to get it, and what is running. Fails when something is missing. */
async function doctor(): Promise<void> {
  const findings = [node(), postgres(), redis(), await temporal(), ...running(), ...leftovers()]
  const width = Math.max(...findings.map(({ what }) => what.length))
  for (const { mark, what, detail } of findings) console.log(`${mark}  ${what.padEnd(width)}  ${detail}`)
  if (findings.some(({ mark }) => mark === '!!')) process.exitCode = 1
}

function node(): Finding {
  return { mark: 'ok', what: 'Node', detail: process.version }
}

function postgres(): Finding {
  const what = 'Postgres'
  if (process.env['DATABASE_URL']) return { mark: 'ok', what, detail: 'DATABASE_URL' }
  const found = findPostgres()
  if (found !== undefined) return { mark: 'ok', what, detail: `${found.version} from npm` }
  return { mark: '!!', what, detail: 'npm has none for this platform; set DATABASE_URL' }
}

function redis(): Finding {
  const what = 'Redis'
  if (process.env['REDIS_URL']) return { mark: 'ok', what, detail: 'REDIS_URL' }
  const found = findRedis()
  return found === undefined ? { mark: '!!', what, detail: REDIS_ADVICE } : { mark: 'ok', what, detail: found }
}

async function temporal(): Promise<Finding> {
  const what = 'Temporal'
  if (process.env['TEMPORAL_ADDRESS']) return { mark: 'ok', what, detail: 'TEMPORAL_ADDRESS' }
  const found = await temporalAtHand(() => undefined)
  if (found !== undefined) return { mark: 'ok', what, detail: found }
  const way = onPath('go') ? ', else built with Go in some minutes' : '; without network and Go it says what to do'
  return { mark: '--', what, detail: `${temporalVersion()} will be downloaded at the next start${way}` }
}

function running(): Finding[] {
  const parent = holderOf(lockFile(STACK_FOLDER))
  const records = readRecords(STACK_FOLDER).filter(isAlive)
  const stack = readStack()
  if (parent === undefined) {
    const left = records.map(({ name, pid }) => `${name} (${pid})`).join(', ')
    if (left === '') return [{ mark: '--', what: 'Stack', detail: 'not running' }]
    return [{ mark: '--', what: 'Stack', detail: `its parent was killed and left ${left}; \`npm stop\` ends them` }]
  }
  const state =
    stack === undefined
      ? `starting or stopping (process ${parent.pid})`
      : `running (process ${parent.pid}), API ${stack.api}`
  return [
    { mark: 'ok', what: 'Stack', detail: state },
    ...records.map(({ name, pid }): Finding => ({ mark: 'ok', what: `  ${name}`, detail: `process ${pid}` })),
  ]
}

/** Data below /var/tmp of clones that are gone. */
function leftovers(): Finding[] {
  if (!existsSync(REACHABLE)) return []
  const folders = readdirSync(REACHABLE).map((name) => join(REACHABLE, name))
  const orphans = folders.filter(isLeftOver)
  return orphans.map((folder) => ({ mark: '--', what: 'Left over', detail: `its clone is gone: rm -r ${folder}` }))
}

doctor().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
