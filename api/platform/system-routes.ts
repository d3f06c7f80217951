import { z } from 'zod'
import { ERROR_CODES } from '../../domain/errors'
import { checkHealth, type Health } from './health'
import { gaugeRefresher } from './metrics'
import { openApiDocument } from '../http/openapi'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { VERSION } from '../../config'

const TAG = 'System'

const livez = defineRoute({
  method: 'get',
  path: '/livez',
  tag: TAG,
  summary: 'Whether the process answers',
  caller: 'anyone',
  answers: { 200: z.strictObject({ status: z.literal('ok') }) },
}).handle(async () => ({ status: 200, body: { status: 'ok' } }))

const dependency = z.strictObject({ status: z.enum(['up', 'degraded', 'down']), ms: z.int() })
const readiness = z
  .strictObject({
    status: z.enum(['ready', 'degraded', 'unavailable', 'stopping']),
    dependencies: z.strictObject({
      postgres: dependency,
      redis: dependency,
      temporal: dependency,
      search: dependency,
      replica: dependency.optional().meta({ description: 'only where there is one; `degraded`: the primary is read' }),
    }),
  })
  .meta({ id: 'Readiness' })

const readyz = defineRoute({
  method: 'get',
  path: '/readyz',
  tag: TAG,
  summary: 'Whether requests should be sent here',
  description:
    'Without Redis, Temporal, the search engine or the replica the API serves what it can: that is degraded, not down.',
  caller: 'anyone',
  answers: { 200: readiness, 503: readiness },
}).handle(async (_input, deps) => {
  const dependencies = await checkHealth(deps)
  const body = { status: readinessOf(dependencies, deps), dependencies }
  return body.status === 'ready' || body.status === 'degraded' ? { status: 200, body } : { status: 503, body }
})

const version = defineRoute({
  method: 'get',
  path: '/version',
  tag: TAG,
  summary: 'What is running',
  caller: 'anyone',
  answers: { 200: z.strictObject({ name: z.literal('holdfast'), version: z.string(), node: z.string() }) },
}).handle(async () => ({ status: 200, body: { name: 'holdfast', version: VERSION, node: process.versions.node } }))

const refreshers = new WeakMap<ApiDeps, () => Promise<void>>()

const metrics = defineRoute({
  method: 'get',
  path: '/metrics',
  tag: TAG,
  summary: 'For Prometheus',
  caller: 'anyone',
  answers: { 200: { mediaType: 'text/plain; version=0.0.4; charset=utf-8' } },
}).handle(async (_input, deps) => {
  let refresh = refreshers.get(deps)
  if (!refresh) refreshers.set(deps, (refresh = gaugeRefresher(deps.metrics, deps)))
  await Promise.all([refresh(), checkHealth(deps)])
  const text = await deps.metrics.registry.metrics()
  return { status: 200, send: (response) => void response.end(text) }
})

const problems = defineRoute({
  method: 'get',
  path: '/problems',
  tag: TAG,
  summary: 'Every problem code with its status',
  caller: 'anyone',
  answers: {
    200: z.strictObject({ data: z.array(z.strictObject({ code: z.string(), status: z.int(), title: z.string() })) }),
  },
}).handle(async () => ({
  status: 200,
  body: { data: Object.entries(ERROR_CODES).map(([code, { status, title }]) => ({ code, status, title })) },
}))

/** Written once, when the first caller asks: the routes do not change while the process lives. */
let document: string | undefined

/** The document describes all routes, itself too, so it is handed the whole list. */
export function systemRoutes(all: () => readonly Route[]): readonly Route[] {
  const openApi = defineRoute({
    method: 'get',
    path: '/openapi.json',
    tag: TAG,
    summary: 'This document',
    caller: 'anyone',
    answers: { 200: z.looseObject({ openapi: z.string() }) },
  }).handle(async () => {
    document ??= JSON.stringify(openApiDocument(all(), VERSION))
    return { status: 200, json: document, headers: { 'Cache-Control': 'public, max-age=60' } }
  })
  return [livez, readyz, version, metrics, problems, openApi]
}

function readinessOf(dependencies: Health, { lifecycle }: ApiDeps): 'ready' | 'degraded' | 'unavailable' | 'stopping' {
  if (lifecycle.stopping) return 'stopping'
  if (dependencies.postgres.status === 'down') return 'unavailable'
  return Object.values(dependencies).every(({ status }) => status === 'up') ? 'ready' : 'degraded'
}
