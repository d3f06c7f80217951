import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'

export interface Call {
  readonly body?: unknown
  readonly csv?: Buffer
  /** A cart's token. */
  readonly token?: string
  readonly key?: string
  readonly timeoutMs?: number
}

export interface Answer {
  readonly status: number
  readonly text: string
}

const TIMEOUT_MS = 30_000
/** So long nothing may answer before the replay is given up. */
const PATIENCE_MS = 180_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 3_000

/** The API did not answer for long. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/**
 * Calls the API, at all of its addresses in turn, until it answers: a call that was cut off, or that found it busy or away,
 * is made again with the same idempotency key.
 */
export class Client {
  /** How often a call was made again, by reason. */
  readonly repeated = new Map<string, number>()
  private readonly apis: readonly string[]
  private readonly adminKey: string
  private readonly agent: Agent
  private calls = 0

  constructor({ apis, adminKey, connections }: { apis: readonly string[]; adminKey: string; connections: number }) {
    this.apis = apis
    this.adminKey = adminKey
    this.agent = new Agent({ connections, pipelining: 1, keepAliveTimeout: 30_000 })
  }

  async call(method: Method, path: string, call: Call = {}): Promise<Answer> {
    const deadline = Date.now() + PATIENCE_MS
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const outcome = await this.once(method, path, call)
      if ('status' in outcome) return outcome
      if (Date.now() > deadline)
        throw new Unreachable(`${method} ${path}: ${outcome.again} for ${PATIENCE_MS / 1000} s`)
      this.repeated.set(outcome.again, (this.repeated.get(outcome.again) ?? 0) + 1)
      await delay(outcome.afterMs ?? pause)
    }
  }

  /** Calls and parses the answer; any status but those expected is an error. */
  async json<T>(method: Method, path: string, call: Call & { expected: readonly number[] }): Promise<T> {
    const { status, text } = await this.call(method, path, call)
    if (call.expected.includes(status)) return JSON.parse(text) as T
    throw new Error(`${method} ${path} answered ${status}: ${text.slice(0, 500)}`)
  }

  async close(): Promise<void> {
    await this.agent.close()
  }

  private async once(
    method: Method,
    path: string,
    { body, csv, token, key, timeoutMs = TIMEOUT_MS }: Call,
  ): Promise<Answer | { again: string; afterMs?: number }> {
    try {
      const answer = await request((this.apis[this.calls++ % this.apis.length] ?? '') + path, {
        method,
        dispatcher: this.agent,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        headers: {
          ...(path.startsWith('/v1/admin/') ? { authorization: `Bearer ${this.adminKey}` } : {}),
          ...(token === undefined ? {} : { 'x-cart-token': token }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(csv === undefined ? {} : { 'content-type': 'text/csv' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        body: csv ?? (body === undefined ? null : JSON.stringify(body)),
      })
      const text = await answer.body.text()
      return againAfter(answer.statusCode, text, answer.headers['retry-after']) ?? { status: answer.statusCode, text }
    } catch (error) {
      return { again: (error as NodeJS.ErrnoException).code ?? (error as Error).name }
    }
  }
}

/** Busy or away, not refused: worth another try. */
function againAfter(status: number, text: string, header: string | string[] | undefined) {
  if (status === 429 || status === 503) {
    const seconds = Number(header)
    const code = /"code":"([a-z_]+)"/.exec(text)?.[1] ?? ''
    return { again: `${status} ${code}`, ...(seconds > 0 && { afterMs: seconds * 1000 }) }
  }
  return status === 409 && text.includes('"code":"request_in_progress"') ? { again: 'request_in_progress' } : null
}
