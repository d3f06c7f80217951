import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { formatMajor } from '../../domain/money'
import { seconds, timed } from '../stack/say'
import { readStack } from '../stack/state'

const POLL_MS = 500
/** It works as long as it takes; that nobody begins it means that no worker is there. */
const BEGIN_DEADLINE_MS = 30_000
const PAGE = 100

interface Money {
  readonly amount: number
  readonly currency: string
}

interface Difference {
  readonly id: string
  readonly state: string
  readonly kind: string
  readonly object: string
  readonly order_id: string | null
  readonly ours: Money
  readonly theirs: Money
}

interface Run {
  readonly id: string
  readonly state: 'requested' | 'running' | 'completed' | 'failed'
  readonly failure: string | null
  readonly compared: Readonly<Record<string, number>>
  readonly healed: number
  readonly waiting: number
  readonly providers: readonly { readonly provider: string; readonly since: string }[]
}

interface RunWithDifferences extends Run {
  readonly differences: { readonly data: readonly Difference[]; readonly next_cursor: string | null }
}

/** Compares the books of the running shop with its payment providers now. Exits 1 where they differ, 2 when it cannot. */
async function main(): Promise<void> {
  const stack = readStack()
  if (!stack) throw new Error('Holdfast is not running in this folder. `npm start` starts it.')
  const call = callerOf(stack.api, stack.admin_key)
  const begun = Date.now()
  const { id } = await call<Run>('POST', '')
  const run = await timed(console.log, 'Comparing, as long as the providers take to answer', () =>
    ended(() => call<Run>('GET', `/${id}`), begun),
  )
  console.log(describe(run, seconds(begun)))
  if (run.state === 'failed') throw new Error(run.failure ?? 'It failed.')
  let open = 0
  let cursor: string | null = null
  do {
    const page: string = cursor === null ? '' : `&cursor=${cursor}`
    const { differences }: RunWithDifferences = await call('GET', `/${id}?limit=${PAGE}${page}`)
    for (const difference of differences.data) {
      if (difference.state === 'open') open++
      console.log(describeDifference(difference))
    }
    cursor = differences.next_cursor
  } while (cursor !== null)
  console.log(
    open === 0 ? 'Nothing differs.' : `${open} differences wait for a person: docs/runbook.md says what to do.`,
  )
  process.exitCode = open === 0 ? 0 : 1
}

async function ended(read: () => Promise<Run>, begun: number): Promise<Run> {
  for (;;) {
    const run = await read()
    if (run.state === 'completed' || run.state === 'failed') return run
    if (run.state === 'requested' && Date.now() > begun + BEGIN_DEADLINE_MS)
      throw new Error('It does not begin: is a worker of the queue `platform` running, and Temporal?')
    await delay(POLL_MS)
  }
}

function describe({ id, compared, healed, waiting, providers }: Run, took: string): string {
  const counts = Object.entries(compared).map(([what, count]) => `${what.replaceAll('_', ' ')}: ${count}`)
  const since = providers.map((part) => `${part.provider} since ${part.since}`).join(', ')
  const late = `${healed} payments were late and agree now, ${waiting} are in flight.\nWhat moved within RECONCILIATION_QUIET_SECONDS (ten minutes, if not set) waits for the next run.`
  return `${id}: compared ${counts.join(', ')}; ${since} (${took}).\n${late}`
}

function describeDifference({ id, state, kind, object, order_id, ours, theirs }: Difference): string {
  const text = (money: Money): string => `${money.currency} ${formatMajor(money)}`
  const order = order_id === null ? '' : `, ${order_id}`
  return `${id}  ${state}  ${kind}  ${object}${order}: ${text(ours)} ours, ${text(theirs)} theirs`
}

function callerOf(api: string, key: string): <T>(method: 'GET' | 'POST', path: string) => Promise<T> {
  return async <T>(method: 'GET' | 'POST', path: string) => {
    const response = await fetch(`${api}/v1/admin/reconciliations${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(method === 'POST' && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
      },
      ...(method === 'POST' && { body: '{}' }),
    })
    const answer = (await response.json()) as T & { detail?: string }
    if (!response.ok) throw new Error(`The API answered ${response.status}: ${answer.detail ?? ''}`)
    return answer
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
})
