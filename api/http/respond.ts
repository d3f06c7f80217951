import type { ServerResponse } from 'node:http'
import type { Request, Response } from 'express'
import type { Log } from '../../log'
import { problemOf } from './problem'

type Headers = Readonly<Record<string, string>>

/**
 * What helmet would set for an API that serves no pages of its own. Written with the status line in one go: setting
 * headers one by one cost a third of a small request.
 */
export const SECURITY_HEADERS: Headers = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
}

/** Sends JSON. Not kept by caches unless the headers say otherwise. */
export function sendJsonText(
  request: Request,
  response: Response,
  status: number,
  text: string,
  headers?: Headers,
): void {
  send(request, response, status, text, {
    'Content-Type': 'application/json; charset=utf-8',
    ...headers,
  })
}

export function sendEmpty(response: Response, status: number, headers?: Headers): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'X-Request-Id': response.req.requestId, ...headers }).end()
}

/** Hands the response to `write` once its head is out: event streams, plain text. */
export async function sendBytes(
  response: Response,
  status: number,
  headers: Headers,
  write: (response: ServerResponse) => void | Promise<void>,
): Promise<void> {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'Cache-Control': 'no-store',
    'X-Request-Id': response.req.requestId,
    ...headers,
  })
  await write(response)
}

/** Turns anything thrown into its problem document. What has begun to be answered can only be cut off. */
export function sendProblem(error: unknown, request: Request, response: Response, log: Log): void {
  const { problem, headers } = problemOf(error, request.requestId)
  if (problem.status >= 500) {
    log[problem.status === 500 ? 'error' : 'warn'](
      { request_id: request.requestId, code: problem.code, err: error },
      'request failed',
    )
  }
  if (response.headersSent) {
    response.destroy()
    return
  }
  // What is left of a refused body is read and thrown away, so that the caller sees the answer.
  if (!request.readableEnded) request.resume()
  const extra = (error as { headers?: Headers } | null)?.headers
  send(request, response, problem.status, JSON.stringify(problem), {
    'Content-Type': 'application/problem+json; charset=utf-8',
    ...headers,
    ...extra,
  })
}

function send(request: Request, response: Response, status: number, text: string, headers: Headers): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'Cache-Control': 'no-store',
    'X-Request-Id': request.requestId,
    'Content-Length': String(Buffer.byteLength(text)),
    ...headers,
  })
  response.end(text)
}
