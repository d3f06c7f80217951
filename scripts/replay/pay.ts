import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client'
import { type BoughtOrder, type Command, planMoney } from './money'

const POLL_MS = 250
/** Longer than the provider is away. */
const DECIDED_MS = 120_000

interface Shop {
  readonly client: Client
  readonly seed: number
  /** Tells the keys of this replay from those of others. */
  readonly run: string
}

/** Does with the money of an order what its plan says. Throws when the shop refuses, or a move fails. */
export async function moveMoney({ client, seed, run }: Shop, order: BoughtOrder): Promise<void> {
  for (const [number, command] of planMoney(order, seed).commands.entries()) {
    const key = `${run}-${order.invoice}-money-${number}`
    const path = `/v1/admin/orders/${order.id}`
    if (command.what === 'cancel') {
      await client.json('POST', `${path}/cancel`, { body: cancellation(command), key, expected: [200, 202] })
      continue
    }
    const moves = `${path}/${command.what}s`
    const { amount } = command
    const body = command.what === 'refund' ? { amount, reason_code: 'replay' } : { amount }
    const { id } = await client.json<{ id: string }>('POST', moves, { body, key, expected: [201, 202] })
    await succeeded(client, `${moves}/${id}`)
  }
}

function cancellation({ units }: Extract<Command, { what: 'cancel' }>) {
  const lines = units && [{ sku: units.sku, quantity: units.quantity }]
  return { reason_code: 'replay', ...(lines && { lines }) }
}

async function succeeded(client: Client, path: string): Promise<void> {
  for (const deadline = Date.now() + DECIDED_MS; ; await delay(POLL_MS)) {
    const { status } = await client.json<{ status: string }>('GET', path, { expected: [200] })
    if (status === 'succeeded') return
    if (status === 'failed' || Date.now() > deadline) throw new Error(`${path} is ${status}`)
  }
}
