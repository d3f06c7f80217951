import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PublicCharge } from '../../sandbox/charge'
import type { Movement } from '../../sandbox/movements'

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

  /** Every movement of money behind a number. */
  async movements(after = 0, limit = 1_000): Promise<Movement[]> {
    const movements: Movement[] = []
    for (let cursor: string | null = String(after); cursor !== null; ) {
      const { text } = await this.call('GET', `/v1/movements?limit=${limit}&after=${cursor}`)
      const page = JSON.parse(text) as { data: Movement[]; next_cursor: string | null }
      movements.push(...page.data)
      cursor = page.next_cursor
    }
    return movements
  }
}

/** What happens to the money of one charge, each call under a new key unless one is given. */
export class ChargeClient {
  readonly #client: SandboxClient
  readonly #path: string

  constructor(client: SandboxClient, id: string) {
    this.#client = client
    this.#path = `/v1/charges/${id}`
  }

  capture(body?: object, key: string = newKey()): Promise<SandboxAnswer> {
    return this.#post('/capture', body, key)
  }

  refund(body?: object, key: string = newKey()): Promise<SandboxAnswer> {
    return this.#post('/refunds', body, key)
  }

  settle(refund: string, status: string): Promise<SandboxAnswer> {
    return this.#post(`/refunds/${refund}/settle`, { status })
  }

  dispute(body?: object): Promise<SandboxAnswer> {
    return this.#post('/dispute', body)
  }

  close(dispute: string, status: string): Promise<SandboxAnswer> {
    return this.#post(`/disputes/${dispute}/close`, { status })
  }

  void(): Promise<SandboxAnswer> {
    return this.#post('/void')
  }

  async now(): Promise<PublicCharge> {
    return (await this.#client.call('GET', this.#path)).body
  }

  #post(what: string, body?: object, key?: string): Promise<SandboxAnswer> {
    return this.#client.call('POST', this.#path + what, body, key === undefined ? {} : { 'idempotency-key': key })
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
