import { randomUUID } from 'node:crypto'
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Express } from 'express'
import { DomainError, type ErrorCode } from '../../domain/errors'
import { problemOf } from './problem'

const HEADERS_TIMEOUT_MS = 10_000
/** A whole request, body and all: an upload of 1 GiB on a slow line. JSON bodies have a deadline of their own. */
const REQUEST_TIMEOUT_MS = 3_600_000
const KEEP_ALIVE_TIMEOUT_MS = 65_000

/** What answers a request at once where it can. */
interface FinishedPages {
  /** False: it was not answered, and Express is asked. */
  sendIfReady(request: IncomingMessage, response: ServerResponse): boolean
}

/**
 * The HTTP server of an Express app. Its request and response classes already have Express's prototypes: otherwise
 * Express calls `Object.setPrototypeOf` on both for each request, which makes V8 forget their shape and costs two thirds
 * of a small request (expressjs/express#5998). Mounted sub-apps would undo it; Routers do not. Finished pages are sent
 * before Express sees the request.
 */
export function createHttpServer(app: Express, pages: FinishedPages): Server {
  // Classes of their own: objects made by calling Node's on a prototype of Express's keep their properties in a slower place.
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  usePrototype(app, 'request', AppRequest.prototype)
  usePrototype(app, 'response', AppResponse.prototype)
  const server = createServer(
    {
      IncomingMessage: AppRequest,
      ServerResponse: AppResponse,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 2_000,
    },
    (request, response) => {
      if (!pages.sendIfReady(request, response)) app(request, response)
    },
  )
  server.on('clientError', answerClientError)
  return server
}

/** What never became a request: no HTTP, headers too long or too slow. Express sees none of it. */
function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, code]: [string, ErrorCode] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'validation_failed']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'request_timeout']
        : ['400 Bad Request', 'validation_failed']
  const { problem } = problemOf(new DomainError(code, 'This is no HTTP request that we can read.'), randomUUID())
  const body = JSON.stringify({ ...problem, status: Number(status.slice(0, 3)) })
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/problem+json; charset=utf-8\r\n` +
      `X-Request-Id: ${problem.request_id}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** Stops accepting, lets what is in hand finish, and cuts off what is still there after `deadlineMs`. */
export async function closeServer(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs)
  await closed
  clearInterval(idle)
  clearTimeout(deadline)
}

/** The app takes the prototype for its own, with what it had before behind it. */
function usePrototype(app: Express, name: 'request' | 'response', prototype: object): void {
  Object.setPrototypeOf(prototype, app[name])
  Object.assign(app, { [name]: prototype })
}
