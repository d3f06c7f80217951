import type { Request, Response } from 'express'
import type { IdempotencyScope } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { authenticate, callerScope } from './auth'
import { hashOfJson, isStorableText, readJson, readWhole, requireMediaType } from './body'
import { type FieldError, fieldErrors, invalid } from './problem'
import { sendBytes, sendEmpty, sendJsonText, sendProblem } from './respond'
import type { ApiDeps } from '../deps'
import { type Caller, isMediaAnswer, isRawBody, type Route, type RouteAnswer } from './route'

/**
 * The Express handler of a route: caller, path, query, body, in this order, then the route's own handler, then the
 * answer. Everything thrown becomes a problem document here, so that no middleware stands behind it.
 */
export function dispatcherOf(route: Route, deps: ApiDeps): (request: Request, response: Response) => Promise<void> {
  const observe = observerOf(route, deps)
  return async (request, response) => {
    const startedAt = performance.now()
    let params: unknown
    try {
      const caller = await authenticate(route.caller, request, deps)
      params = parseParams(route, request)
      const query = parseQuery(route, request)
      const { body, json } = await readBody(route, request, deps)
      const idempotency = readIdempotency(route, request, caller, json)
      const log = deps.log.child({ request_id: request.requestId })
      const answer = await route.handle(
        {
          params,
          query,
          body,
          caller,
          headers: request.headers,
          requestId: request.requestId,
          url: request.url,
          idempotency,
          log,
        },
        deps,
      )
      await sendAnswer(route, answer, request, response)
    } catch (error) {
      sendProblem(error, request, response, deps.log)
    }
    observe(request, response, params, performance.now() - startedAt)
  }
}

async function sendAnswer(route: Route, answer: RouteAnswer, request: Request, response: Response): Promise<void> {
  if ('problem' in answer) throw Object.assign(answer.problem, { headers: answer.headers })
  if (answer.send) {
    const spec = route.answers[answer.status]
    const type = spec && isMediaAnswer(spec) ? spec.mediaType : 'application/octet-stream'
    return sendBytes(response, answer.status, { 'Content-Type': type, ...answer.headers }, answer.send)
  }
  if (answer.json !== undefined) sendJsonText(request, response, answer.status, answer.json, answer.headers)
  else if (answer.body === undefined) sendEmpty(response, answer.status, answer.headers)
  else sendJsonText(request, response, answer.status, JSON.stringify(answer.body), answer.headers)
}

function parseParams(route: Route, request: Request): unknown {
  for (const name in request.params) {
    if (!isStorableText(String(request.params[name]))) throw notFound()
  }
  if (!route.params) return undefined
  const parsed = route.params.safeParse(request.params)
  if (!parsed.success) throw notFound()
  return parsed.data
}

function parseQuery(route: Route, request: Request): unknown {
  if (!route.query) return undefined
  const query = request.query
  const errors: FieldError[] = []
  for (const name in query) {
    const value = query[name]
    // Schemas pass it over in silence.
    if (name === '__proto__')
      errors.push({ in: 'query', pointer: '', code: 'invalid_name', message: 'Holds a name that is not allowed.' })
    else if (typeof value !== 'string')
      errors.push({ in: 'query', pointer: `/${name}`, code: 'repeated', message: 'Give it once.' })
    else if (!isStorableText(value))
      errors.push({ in: 'query', pointer: `/${name}`, code: 'invalid_text', message: 'Holds a NUL.' })
  }
  if (errors.length > 0) throw invalid(errors)
  const parsed = route.query.safeParse({ ...query })
  if (!parsed.success) throw invalid(fieldErrors('query', parsed.error.issues))
  return parsed.data
}

async function readBody(route: Route, request: Request, deps: ApiDeps): Promise<{ body: unknown; json: unknown }> {
  const spec = route.body
  if (!spec) return { body: undefined, json: null }
  if (isRawBody(spec)) {
    requireMediaType(request, spec.mediaType)
    return {
      body: spec.raw === 'stream' ? request : await readWhole(request, deps.settings.REQUEST_TIMEOUT_MS),
      json: null,
    }
  }
  // No body at all is the empty object: the schema then names what is missing.
  const json = (await readJson(request, deps.settings.REQUEST_TIMEOUT_MS)) ?? {}
  const parsed = spec.safeParse(json)
  if (!parsed.success) throw invalid(fieldErrors('body', parsed.error.issues))
  return { body: parsed.data, json }
}

const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/

function readIdempotency(route: Route, request: Request, caller: Caller, json: unknown): IdempotencyScope | null {
  if (route.idempotency === 'none') return null
  const key = request.headers['idempotency-key']
  if (key === undefined) {
    if (route.idempotency === 'optional') return null
    throw new DomainError(
      'idempotency_key_required',
      'Send an Idempotency-Key header: any text of your own, new for each purchase.',
    )
  }
  if (typeof key !== 'string' || !KEY_PATTERN.test(key)) {
    throw invalid([
      {
        in: 'header',
        pointer: '/Idempotency-Key',
        code: 'invalid_format',
        message: 'Send 1 to 255 printable characters without spaces.',
      },
    ])
  }
  return {
    scope: callerScope(caller, request),
    operation: `${request.method} ${request.path}`,
    key,
    bodyHash: hashOfJson(json),
  }
}

/** Counts, times and logs a finished request. Reads that went well are logged at debug only: they are most of the load. */
function observerOf(
  route: Route,
  deps: ApiDeps,
): (request: Request, response: Response, params: unknown, ms: number) => void {
  const duration = deps.metrics.durations.labels(route.method, route.path)
  const counters = new Map<number, { inc(): void }>()
  return (request, response, params, ms) => {
    const status = response.statusCode
    let counter = counters.get(status)
    if (!counter)
      counters.set(status, (counter = deps.metrics.requests.labels(route.method, route.path, String(status))))
    counter.inc()
    duration.observe(ms / 1_000)
    const quiet = route.method === 'get' && status < 400 && ms < SLOW_MS
    if (!deps.log.isLevelEnabled(quiet ? 'debug' : 'info')) return
    const id = (params as { id?: string } | undefined)?.id
    deps.log[quiet ? 'debug' : 'info'](
      {
        request_id: request.requestId,
        method: route.method,
        route: route.path,
        status,
        ms: Math.round(ms * 10) / 10,
        ...(id === undefined ? {} : { id }),
        ...response.locals,
      },
      'request',
    )
  }
}

const SLOW_MS = 1_000

function notFound(): DomainError {
  return new DomainError('not_found', 'There is no such thing.')
}
