import cors from 'cors'
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import { DomainError } from '../domain/errors'
import { dispatcherOf } from './http/dispatch'
import { docsRouter } from './http/docs'
import { limitRate } from './http/rate-limit'
import { requestIdOf } from './http/request-id'
import { sendEmpty, sendProblem } from './http/respond'
import type { ApiDeps } from './deps'
import type { Method, Route } from './http/route'
import { routes } from './routes'
import { webRouter } from './http/web'

declare global {
  namespace Express {
    interface Request {
      /** The caller's X-Request-Id, or a new one. In every answer and every log line. */
      requestId: string
    }
  }
}

/** Builds the app; `api/http/server.ts` gives it its server, `api/main.ts` listens. */
export function createApp(deps: ApiDeps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.set('trust proxy', deps.settings.TRUST_PROXY)
  app.set('case sensitive routing', true)
  app.use(identify)
  if (deps.settings.CORS_ORIGINS.length > 0) app.use(allowOrigins(deps.settings.CORS_ORIGINS))
  app.use(limitRate(deps))
  for (const [path, methods] of byPath(routes)) mount(app, path, methods, deps)
  app.use(docsRouter())
  app.use(webRouter({ paysByStripe: deps.settings.STRIPE_PUBLISHABLE_KEY !== '' }))
  app.use((request: Request, response: Response) => {
    sendProblem(new DomainError('not_found', 'There is no such address.'), request, response, deps.log)
  })
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    sendProblem(error, request, response, deps.log)
  })
  return app
}

function identify(request: Request, _response: Response, next: NextFunction): void {
  request.requestId = requestIdOf(request.headers)
  next()
}

/** Browsers on these origins may call; nobody else's pages may read an answer. */
function allowOrigins(origins: readonly string[]): RequestHandler {
  return cors({
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Content-Type', 'Authorization', 'X-Cart-Token', 'Idempotency-Key', 'If-Match', 'X-Request-Id'],
    exposedHeaders: [
      'ETag',
      'Idempotent-Replayed',
      'Location',
      'RateLimit',
      'RateLimit-Policy',
      'Retry-After',
      'X-Request-Id',
    ],
    maxAge: 600,
  })
}

function byPath(all: readonly Route[]): Map<string, Route[]> {
  const paths = new Map<string, Route[]>()
  for (const route of all) {
    const same = paths.get(route.path)
    if (same) same.push(route)
    else paths.set(route.path, [route])
  }
  return paths
}

function mount(app: Express, path: string, methods: readonly Route[], deps: ApiDeps): void {
  const mounted = app.route(path.replaceAll('{', ':').replaceAll('}', ''))
  for (const route of methods) mounted[route.method](dispatcherOf(route, deps))
  const allow = allowOf(methods.map((route) => route.method))
  mounted.all((request: Request, response: Response) => {
    if (request.method === 'OPTIONS') return sendEmpty(response, 204, { Allow: allow })
    const refusal = new DomainError('method_not_allowed', `Allowed here: ${allow}.`)
    sendProblem(Object.assign(refusal, { headers: { Allow: allow } }), request, response, deps.log)
  })
}

function allowOf(methods: readonly Method[]): string {
  const names = methods.map((method) => method.toUpperCase())
  return [...names, ...(names.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
}
