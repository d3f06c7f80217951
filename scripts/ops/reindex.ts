import { setTimeout as delay } from 'node:timers/promises'
import { readStack } from '../stack/state'

const POLL_MS = 300
/** Nothing is wrong with a large catalog; a worker that is not there is. */
const SILENCE_MS = 60_000

interface Rebuild {
  readonly engine: string
  readonly build: string | null
  readonly state: string
  readonly done: number
  readonly total: number
  readonly failure: string | null
}

/** `npm run reindex [-- engine]`: rebuilds the search indexes of the running shop and waits until it is done. */
async function main(): Promise<void> {
  const stack = readStack()
  if (!stack) throw new Error('Holdfast is not running in this folder. `npm start` starts it.')
  const [engine] = process.argv.slice(2)
  const call = callerOf(stack.api, stack.admin_key)
  const wanted = await call('POST', engine === undefined ? {} : { engine })
  let last = ''
  let movedAt = Date.now()
  for (;;) {
    const builds = new Set(wanted.map(({ build }) => build))
    const now = (await call('GET')).filter(({ build }) => builds.has(build))
    const text = now.map(describe).join('; ')
    if (text !== last) {
      console.log(text)
      movedAt = Date.now()
    }
    last = text
    const over = now.filter(({ state }) => state !== 'running')
    if (over.length === wanted.length) return finish(over)
    if (Date.now() - movedAt > SILENCE_MS)
      throw new Error('It does not move on: is a worker of the queue `platform` running?')
    await delay(POLL_MS)
  }
}

function finish(rebuilds: readonly Rebuild[]): void {
  const failed = rebuilds.find(({ state }) => state !== 'completed')
  if (failed) throw new Error(`The rebuild of ${failed.engine} ${failed.state}: ${failed.failure ?? 'no reason given'}`)
}

function describe({ engine, state, done, total }: Rebuild): string {
  return `${engine}: ${state}, ${done} of ${total} products`
}

function callerOf(api: string, key: string): (method: 'GET' | 'POST', body?: unknown) => Promise<Rebuild[]> {
  return async (method, body) => {
    const response = await fetch(`${api}/v1/admin/search/reindex`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as { data: Rebuild[]; detail?: string }
    if (!response.ok) throw new Error(`It could not be begun (${response.status}): ${answer.detail ?? ''}`)
    return answer.data
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
