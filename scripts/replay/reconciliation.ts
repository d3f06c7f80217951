import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client'

/** What a run of the shop's own comparison with its providers came to. */
export interface Reconciled {
  readonly state: string
  readonly failure: string | null
  readonly compared: Readonly<Record<string, number>>
  /** Payments that it left to a later run. */
  readonly waiting: number
  readonly difference_count: number
}

const POLL_MS = 500
const DEADLINE_MS = 10 * 60_000
const PATH = '/v1/admin/reconciliations'

/** Has the shop compare its books with its providers now, and waits for the end. Throws when that does not come. */
export async function reconcile(client: Client): Promise<Reconciled> {
  const deadline = Date.now() + DEADLINE_MS
  const { id } = await client.json<{ id: string }>('POST', PATH, { body: {}, key: randomUUID(), expected: [202] })
  for (;;) {
    const run = await client.json<Reconciled>('GET', `${PATH}/${id}`, { expected: [200] })
    if (run.state === 'completed' || run.state === 'failed') return run
    if (Date.now() > deadline) throw new Error(`The reconciliation ${id} does not end.`)
    await delay(POLL_MS)
  }
}
