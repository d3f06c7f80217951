import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PublicCharge } from '../../sandbox/charge'

export interface SandboxAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Of a JSON answer: a charge, a refund, a list, or a refusal. */
  readonly body: PublicCharge & { data: PublicCharge[]; next_cursor: string | null; charge: PublicCharge | null }
}

/** Speaks to a sandbox as any program would. A dropped connection throws. */
export class SandboxClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<SandboxAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: text }),
    })
    const answer = await response.text()
    const json = response.headers.get('content-type') === 'application/json'
    return { status: response.status, headers: response.headers, text: answer, body: json ? JSON.parse(answer) : {} }
  }

  charge(key: string, change: Record<string, unknown> = {}): Promise<SandboxAnswer> {
    const body = { amount: 510, currency: 'GBP', method: 'pm_card_visa', reference: `order_${key}`, ...change }
    return this.call('POST', '/v1/charges', body, { 'idempotency-key': key })
  }

  /** A charge that is there: the test fails where it is not. */
  async made(key: string, change: Record<string, unknown> = {}): Promise<PublicCharge> {
    const { status, body } = await this.charge(key, change)
    if (status !== 201 && status !== 402) throw new Error(`No charge was made: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async byKey(key: string): Promise<PublicCharge[]> {
    return (await this.call('GET', `/v1/charges?key=${encodeURIComponent(key)}`)).body.data
  }

  /** Every charge there is, through all pages. */
  async all(limit = 1_000): Promise<PublicCharge[]> {
    const charges: PublicCharge[] = []
    for (let cursor: string | null = '0'; cursor !== null; ) {
      const { body } = await this.call('GET', `/v1/charges?limit=${limit}&cursor=${cursor}`)
      charges.push(...body.data)
      cursor = body.next_cursor
    }
    return charges
  }
}

export function newKey(): string {
  return `${randomUUID()}/charge/1`
}

/** Waits until `look` finds something; throws after 15 s. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(20)) {
    const found = await look()
    if (found) return found as Exclude<T, false | null | undefined>
  }
  throw new Error(`Waited in vain until ${what}`)
}
