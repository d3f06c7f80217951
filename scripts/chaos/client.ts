import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

export interface Answer {
  readonly status: number
  readonly replayed: boolean
  // Whatever the API says; the oracle judges it.
  readonly body: { readonly [field: string]: unknown }
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  /** A file, sent as it is instead of `body`. */
  readonly file?: { readonly type: string; readonly bytes: Uint8Array<ArrayBuffer> }
  readonly ifMatch?: string
  readonly token?: string
  readonly adminKey?: string
  readonly key?: string
}

/** One thing a client was told. */
export interface ReceivedAnswer extends Answer {
  readonly request: Request
  readonly sentAt: number
  readonly at: number
}

const ANSWER_MS = 12_000
const AGAIN_MS = 250
const PATIENCE_MS = 60_000

/** A client as a careful shop writes it: what is not answered, or answered 5xx or 429, is sent again under the same key. */
export class Client {
  readonly received: ReceivedAnswer[] = []
  readonly apis: readonly string[]
  private turn: number

  constructor(apis: readonly string[], turn = 0) {
    this.apis = apis
    this.turn = turn
  }

  /** The first answer that is one. Throws when there was none for a minute. */
  async send(request: Request): Promise<Answer> {
    const keyed = request.method === 'POST' && request.key === undefined ? { ...request, key: randomUUID() } : request
    const deadline = Date.now() + PATIENCE_MS
    while (Date.now() < deadline) {
      const answer = await this.once(keyed)
      if (answer && answer.status < 500 && answer.status !== 429 && answer.body['code'] !== 'request_in_progress')
        return answer
      await delay(AGAIN_MS)
    }
    throw new Error(`${request.method} ${request.path} was not answered for ${PATIENCE_MS / 1000} s`)
  }

  /** Null: no answer came. */
  private async once(request: Request): Promise<Answer | null> {
    const sentAt = Date.now()
    const api = this.apis[this.turn++ % this.apis.length] as string
    try {
      const response = await fetch(api + request.path, {
        method: request.method,
        headers: {
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(request.file === undefined ? {} : { 'content-type': request.file.type }),
          ...(request.ifMatch === undefined ? {} : { 'if-match': request.ifMatch }),
          ...(request.token === undefined ? {} : { 'x-cart-token': request.token }),
          ...(request.adminKey === undefined ? {} : { authorization: `Bearer ${request.adminKey}` }),
          ...(request.key === undefined ? {} : { 'idempotency-key': request.key }),
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        ...(request.file === undefined ? {} : { body: request.file.bytes }),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      const text = await response.text()
      const answer = {
        status: response.status,
        replayed: response.headers.get('idempotent-replayed') === 'true',
        body: text === '' ? {} : (JSON.parse(text) as Answer['body']),
      }
      this.received.push({ ...answer, request, sentAt, at: Date.now() })
      return answer
    } catch {
      return null
    }
  }
}
