import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client'

/** Staff who move the money of orders. */

const POLL_MS = 250
/** Longer than the provider is away. */
const DECIDED_MS = 120_000

export interface MoneyMove {
  readonly what: 'capture' | 'refund'
  readonly orderId: string
  readonly key: string
  readonly body: object
}

/** Waits until it has succeeded, and answers how much that was, in pence. Throws when the shop refuses, or the move fails. */
export async function moveMoney(client: Client, { what, orderId, key, body }: MoneyMove): Promise<number> {
  const path = `/v1/admin/orders/${orderId}/${what}s`
  const { id } = await client.json<{ id: string }>('POST', path, { body, key, expected: [201, 202] })
  for (const deadline = Date.now() + DECIDED_MS; ; await delay(POLL_MS)) {
    const move = await client.json<Move>('GET', `${path}/${id}`, { expected: [200] })
    if (move.status === 'succeeded') return move.amount.amount
    if (move.status === 'failed' || Date.now() > deadline) throw new Error(`${path}/${id} is ${move.status}`)
  }
}

interface Move {
  readonly status: string
  readonly amount: { readonly amount: number }
}
