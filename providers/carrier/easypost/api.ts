import { Pool, request as send } from 'undici'
import type { Deadline } from '../../deadline'
import { CarrierRejected, CarrierUnavailable, CarrierUndecided } from '../carrier'
import { withDeadline } from '../deadline'
import type { WireError } from './wire'

export interface EasyPostApiOptions {
  readonly apiKey: string
  /** `https://api.easypost.com`, or a server that answers as it does. */
  readonly url: string
  /** The longest any call of the port takes. */
  readonly timeoutMs: number
}

/** The requests of one call of the port, inside its deadline. */
export interface Requests {
  /** Throws {@link CarrierUnavailable} when nothing was learnt, {@link Refusal} when EasyPost said no. */
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: object): Promise<T>
  /** A file that EasyPost named, wherever it lies; null where it is not. */
  file(url: string): Promise<Buffer | null>
}

/** EasyPost said no, and said why. Not caught, it is a fault of ours. */
export class Refusal extends CarrierRejected {
  readonly status: number

  constructor(status: number, code: string, message: string) {
    super(code, message)
    this.status = status
  }
}

/** The carrier behind EasyPost may have done it: these come as a 422. */
const UNKNOWN = new Set(['SHIPMENT.PURCHASE.IN_PROGRESS', 'SHIPMENT.POSTAGE.TIMED_OUT', 'SHIPMENT.POSTAGE.NO_RESPONSE'])

const CONNECTIONS = 16
const FILE_MAX_BYTES = 8 * 1024 * 1024

/** EasyPost over HTTP. Messages hold our words and its codes, never its text: that may quote addresses. */
export class EasyPostApi {
  readonly #pool: Pool
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number

  constructor({ apiKey, url, timeoutMs }: EasyPostApiOptions) {
    this.#pool = new Pool(url, { connections: CONNECTIONS, connectTimeout: timeoutMs })
    this.#headers = {
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(`${apiKey}:`).toString('base64')}`,
    }
    this.#timeoutMs = timeoutMs
  }

  /** One call of the port: all its requests together take at most the timeout. */
  within<T>(what: string, signal: AbortSignal | undefined, act: (requests: Requests) => Promise<T>): Promise<T> {
    return withDeadline(`easypost: ${what}`, this.#timeoutMs, signal, (deadline) =>
      act({
        get: (path) => this.#ask(what, deadline, 'GET', path, null),
        post: (path, body) => this.#ask(what, deadline, 'POST', path, body),
        file: (url) => readFile(what, deadline, url),
      }),
    )
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  async #ask<T>(
    what: string,
    { signal }: Deadline,
    method: 'GET' | 'POST',
    path: string,
    body: object | null,
  ): Promise<T> {
    const where = `easypost: ${what}`
    let status: number
    let answer: unknown
    try {
      const response = await this.#pool.request({
        method,
        path: `/v2${path}`,
        headers: body === null ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
        body: body === null ? null : JSON.stringify(body),
        signal,
      })
      status = response.statusCode
      answer = await response.body.json()
    } catch (error) {
      throw new CarrierUnavailable(`${where}: no answer, or an unreadable one`, { cause: error })
    }
    if (status >= 200 && status < 300) return answer as T
    throw refused(where, status, plain((answer as WireError | null)?.error?.code))
  }
}

/** The key is not sent along: the file lies elsewhere, under an address that is its own secret. */
async function readFile(what: string, { signal }: Deadline, url: string): Promise<Buffer | null> {
  const where = `easypost: ${what}`
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) return null
  let status: number
  const chunks: Buffer[] = []
  try {
    const response = await send(url, { method: 'GET', signal })
    status = response.statusCode
    let length = 0
    for await (const chunk of response.body) {
      length += (chunk as Buffer).length
      if (length > FILE_MAX_BYTES) throw new Error('the file is too long')
      chunks.push(chunk as Buffer)
    }
  } catch (error) {
    throw new CarrierUnavailable(`${where}: the file did not come`, { cause: error })
  }
  if (status === 200) return Buffer.concat(chunks)
  if (status === 403 || status === 404 || status === 410) return null
  throw new CarrierUnavailable(`${where}: the file's store answered ${status}`)
}

function refused(where: string, status: number, code: string): Error {
  if (UNKNOWN.has(code)) return new CarrierUndecided(`${where}: answered ${status} ${code}`)
  if (status >= 500 || status === 429 || status === 408)
    return new CarrierUnavailable(`${where}: answered ${status} ${code}`)
  if (status === 401 || status === 403)
    return new CarrierRejected('not_allowed', `${where}: our key is not valid for this (${status})`)
  return new Refusal(status, code || `status_${status}`, `${where}: refused with ${status} ${code}`)
}

/** A code; what looks like anything else is left out. */
function plain(code: unknown): string {
  return typeof code === 'string' && /^[A-Z][A-Z0-9_.]{0,99}$/.test(code) ? code : ''
}
