import { setTimeout as delay } from 'node:timers/promises'

/** A charge as the sandbox's journal has it. Amounts in minor units. */
export interface JournalCharge {
  readonly id: string
  readonly key: string
  readonly reference: string
  readonly amount: number
  readonly status: string
  readonly captured: number
  readonly released: number
  readonly refunded: number
  /** Until when the stock is held that it pays for. */
  readonly expires_at: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly captures: readonly JournalMove[]
  readonly refunds: readonly JournalMove[]
  readonly disputes: readonly { readonly id: string; readonly amount: number; readonly status: string }[]
}

interface JournalMove {
  readonly id: string
  readonly key: string | null
  readonly amount: number
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly created_at: string
}

const AGAIN_MS = 200
const PATIENCE_MS = 30_000

/** All charges that were asked for under this order's name, oldest first. */
export async function readCharges(sandbox: string, orderId: string): Promise<readonly JournalCharge[]> {
  const { body } = await ask(`${sandbox}/v1/charges?reference=${orderId}`)
  return (body as { data: JournalCharge[] }).data
}

/** The customer's bank takes back what was captured of the order's charges and has not gone back. Empty when it is nothing. */
export async function openDisputes(sandbox: string, orderId: string): Promise<void> {
  for (const { id } of await readCharges(sandbox, orderId)) await ask(`${sandbox}/v1/charges/${id}/dispute`, {})
}

/** Ends all disputes of the order. */
export async function closeDisputes(sandbox: string, orderId: string, status: 'won' | 'lost'): Promise<void> {
  for (const { id, disputes } of await readCharges(sandbox, orderId))
    for (const dispute of disputes) await ask(`${sandbox}/v1/charges/${id}/disputes/${dispute.id}/close`, { status })
}

/** The provider has decided about a refund that it had taken. */
export async function settleRefund(
  sandbox: string,
  refund: { readonly charge: string; readonly reference: string; readonly status: 'succeeded' | 'failed' },
): Promise<void> {
  const { charge, reference, status } = refund
  await ask(`${sandbox}/v1/charges/${charge}/refunds/${reference}/settle`, { status })
}

/** Asks until there is an answer: faults are for the shop. What was refused had its effect before, or there is nothing to do. */
async function ask(url: string, body?: object): Promise<{ body: unknown }> {
  const request = body && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(AGAIN_MS)) {
    try {
      const answer = await fetch(url, request)
      const text = await answer.text()
      if (answer.status < 500) return { body: JSON.parse(text) }
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
  }
}
