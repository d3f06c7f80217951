import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { z } from 'zod'

/** What the sandbox's programs share of HTTP. */

export interface Answer {
  readonly status: number
  /** Sent as JSON, unless there is `html` or `pdf`. */
  readonly body: unknown
  readonly html?: string
  readonly pdf?: Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** The answer is held back until then, milliseconds since 1970. */
  readonly notBefore?: number
  /** The connection is dropped instead. */
  readonly dropped?: boolean
}

/** Answers each request by `handle`; what that throws is a 500. */
export function listener(
  program: string,
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): RequestListener {
  return (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (request.destroyed && !request.complete) return // the caller left in the middle of its request
      console.error(`${program}:`, error)
      if (response.headersSent) response.destroy()
      else write(response, problem(500, 'internal', 'Something went wrong in the sandbox.'))
    })
  }
}

export function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?')
  if (mark < 0) return { path: target, query: new URLSearchParams() }
  return { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) }
}

/** The whole body; null when it has more bytes than `limit`. Rejects when the caller leaves before its end. */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= limit) chunks.push(chunk)
    })
    request.on('end', () => resolve(length <= limit ? Buffer.concat(chunks) : null))
    request.on('error', reject)
  })
}

export function bodyTooLarge(limit: number): Answer {
  return problem(413, 'body_too_large', `A body has at most ${limit} bytes.`)
}

/** Acts upon a body that fits the schema; an empty one is `{}`. */
export function parsed<T>(body: Buffer, schema: z.ZodType<T>, act: (body: T) => Answer): Answer {
  let value: unknown = {}
  try {
    if (body.length > 0) value = JSON.parse(body.toString('utf8'))
  } catch {
    return problem(400, 'invalid_json', 'The body is not valid JSON.')
  }
  const result = schema.safeParse(value)
  return result.success ? act(result.data) : invalid(result.error)
}

/** The key of a request, or why it has none. */
export function idempotencyKey(headers: IncomingMessage['headers']): string | Answer {
  const key = headers['idempotency-key']
  if (typeof key === 'string' && key.length > 0 && key.length <= 255) return key
  return problem(400, 'idempotency_key_required', 'An Idempotency-Key header of 1 to 255 characters is required.')
}

export function listAnswer(data: readonly unknown[], next: number | null): Answer {
  return { status: 200, body: { data, has_more: next !== null, next_cursor: next === null ? null : String(next) } }
}

export function invalid(error: z.ZodError): Answer {
  const errors = error.issues.map((issue) => ({ pointer: `/${issue.path.join('/')}`, message: issue.message }))
  return { status: 400, body: { code: 'validation_failed', message: 'The request is not valid.', errors } }
}

export function problem(status: number, code: string, message: string): Answer {
  return { status, body: { code, message } }
}

const HTML_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}

export function write(response: ServerResponse, { status, body, html, pdf, headers }: Answer): void {
  const payload = pdf ?? html ?? JSON.stringify(body)
  const content =
    pdf !== undefined
      ? { 'content-type': 'application/pdf' }
      : html !== undefined
        ? HTML_HEADERS
        : { 'content-type': 'application/json' }
  response.writeHead(status, {
    ...content,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(payload),
    ...headers,
  })
  response.end(payload)
}
