import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Ajv2020 from 'ajv/dist/2020'
import { Agent, setGlobalDispatcher } from 'undici'
import { createApp } from '../../api/app'
import { createLog } from '../../log'
import { AdmissionGate } from '../../api/checkout/admission'
import { LoadMeter } from '../../api/http/load-shedding'
import { InteractionBuffer } from '../../api/recommendation/interaction-buffer'
import { createMetrics } from '../../api/platform/metrics'
import { PageServer } from '../../api/page/serve'
import { answersOf, openApiDocument } from '../../api/http/openapi'
import type { ApiDeps } from '../../api/deps'
import { isMediaAnswer, type Route } from '../../api/http/route'
import { routes } from '../../api/routes'
import { closeServer, createHttpServer } from '../../api/http/server'
import { closeTemporalClient, createTemporalClient } from '../../api/http/temporal'
import { readSettings, type Settings } from '../../config'
import { createApiKey, type Role } from '../../db/platform/api-key'
import { createPool, createReplicaPool, type Pool } from '../../db/pool'
import { ReplicaRouter } from '../../db/replica'
import { CatalogEntryCache } from '../../db/cart/recent'
import { createRedis } from '../../db/redis'
import { createImageStore } from '../../providers/image-store'
import { createCarriers } from '../../providers/carrier'
import { createPaymentProviders } from '../../providers/payment'
import { createSearch } from '../../providers/search'
import { noTaxProvider } from '../../providers/tax'
import { testDatabase, type TestDatabase } from './database'
import { testRedis } from './redis'
import { testServices } from './services'

/**
 * The API in this process, on a database and a Redis of its own, and a client for it. Each answer is compared with the
 * OpenAPI document: its status must be listed for the route, its body must fit the schema.
 */
export interface TestApi {
  readonly url: string
  readonly deps: ApiDeps
  readonly database: TestDatabase
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** The secret of a new key. */
  key(role?: Role): Promise<string>
  readonly unseen: typeof unseen
  close(): Promise<void>
}

export interface CallOptions {
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Buffer
  /** A cart's token. */
  readonly token?: string | undefined
  /** An admin key. */
  readonly key?: string | undefined
  readonly idempotencyKey?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // The schema has been checked against the document; tests read what they expect to be there.
  readonly body: any
}

/** @param logTo receives the lines of the log; without it there are none */
export async function startApi(
  overrides: Readonly<Record<string, string>> = {},
  logTo?: (line: Record<string, unknown>) => void,
): Promise<TestApi> {
  const database = await testDatabase()
  const settings = readSettings({
    NODE_ENV: 'test',
    DATABASE_URL: database.url,
    REDIS_URL: (await testRedis()).url,
    TEMPORAL_ADDRESS: testServices().temporal,
    TEMPORAL_UI_URL: testServices().temporalUi,
    LOG_LEVEL: logTo ? 'debug' : 'silent',
    ...overrides,
  })
  const replica = createReplicaPool(settings)
  const deps = depsOf(settings, replica, logTo)
  const server = createHttpServer(createApp(deps), deps.pages)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A count or a cached cart that goes past a Redis still connecting would make a test see two truths.
  if (!overrides['REDIS_URL'] && deps.redis.status !== 'ready') await once(deps.redis, 'ready')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    deps,
    database,
    call: (method, path, options) => callApi(url, method, path, options),
    key: async (role = 'admin') => (await createApiKey(database.pool, { name: role, role, expiresAt: null })).secret,
    unseen,
    close: async () => {
      await closeServer(server, 1_000)
      deps.pages.close()
      deps.reads.stop()
      deps.load.stop()
      deps.redis.disconnect()
      await deps.search.close()
      await Promise.all([
        deps.pool.end(),
        replica?.end(),
        closeTemporalClient(deps.temporal),
        deps.providers.close(),
        deps.carriers.close(),
      ])
      await database.drop()
    },
  }
}

/** What this test file's calls were answered with: `post /v1/store/carts 201`. */
const seen = new Set<string>()

/** The statuses that the tag's routes list for themselves and that no call of this file has been answered with. */
export function unseen(tag: string): string[] {
  return routes
    .filter((route) => route.tag === tag)
    .flatMap((route) => Object.keys(route.answers).map((status) => `${route.method} ${route.path} ${status}`))
    .filter((name) => !seen.has(name))
}

function depsOf(settings: Settings, replica: Pool | null, logTo?: (line: Record<string, unknown>) => void): ApiDeps {
  const pool = createPool(settings, { name: 'holdfast-test-api' })
  const redis = createRedis(settings)
  const metrics = createMetrics()
  return {
    settings,
    pool,
    redis,
    temporal: createTemporalClient(settings),
    tax: noTaxProvider,
    providers: createPaymentProviders(settings),
    carriers: createCarriers(settings),
    search: createSearch(settings, pool),
    log: createLog(settings.LOG_LEVEL, 'test', { write: (line) => logTo?.(JSON.parse(line)) }),
    metrics,
    admissionGate: new AdmissionGate(),
    catalogEntryCache: new CatalogEntryCache(),
    reads: new ReplicaRouter(pool, replica),
    pages: new PageServer({
      redis,
      metrics,
      maxBytes: settings.PAGE_CACHE_MB * 2 ** 20,
      origins: settings.CORS_ORIGINS,
    }),
    load: new LoadMeter(pool),
    images: createImageStore(settings),
    interactions: new InteractionBuffer(),
    lifecycle: { stopping: false },
  }
}

/** Given up by us long before the server does, which does so after 65 s: a request never meets the end of its connection. */
setGlobalDispatcher(new Agent({ keepAliveMaxTimeout: 30_000 }))

/** Calls an API, whichever process it is in, and compares the answer with the document. */
export async function callApi(url: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { body, raw, token, key, idempotencyKey, headers } = options
  const response = await fetch(url + path, {
    method: method.toUpperCase(),
    redirect: 'manual',
    headers: {
      ...(body !== undefined || raw !== undefined ? { 'content-type': 'application/json' } : {}),
      ...(token === undefined ? {} : { 'x-cart-token': token }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...headers,
    },
    ...(raw !== undefined ? { body: raw } : body !== undefined ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  const isJson = (response.headers.get('content-type') ?? '').includes('json')
  const answer = {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  }
  const route = routeOf(method, path)
  if (route) {
    seen.add(`${route.method} ${route.path} ${answer.status}`)
    checkAnswer(route, answer)
  }
  return answer
}

/** Throws when the document does not allow this answer. */
export function checkAnswer(route: Route, { status, headers, body }: Answer): void {
  const name = `${route.method} ${route.path} → ${status}`
  const codes = answersOf(route).get(status)
  if (!codes) throw new Error(`${name} is not listed: ${JSON.stringify(body)}`)
  if (!headers.get('x-request-id')) throw new Error(`${name} has no X-Request-Id`)
  if (codes.size > 0 && !codes.has(body.code)) throw new Error(`${name}: the code ${body.code} is not listed`)
  const spec = route.answers[status]
  if (spec && isMediaAnswer(spec)) return
  const problem = codes.size > 0
  const type = problem ? 'application/problem+json' : 'application/json'
  if (spec === null) return
  if (!headers.get('content-type')?.startsWith(type)) throw new Error(`${name} is ${headers.get('content-type')}`)
  const pointer = `/paths/${escape(route.path)}/${route.method}/responses/${status}/content/${escape(type)}/schema`
  const validate = schemas().getSchema(`openapi#${pointer}`)
  if (!validate) throw new Error(`${name} has no schema in the document`)
  if (!validate(body))
    throw new Error(`${name} does not fit its schema: ${JSON.stringify(validate.errors)}\n${JSON.stringify(body)}`)
}

export function routeOf(method: string, path: string): Route | undefined {
  const pathname = path.split('?')[0] as string
  return routes.find((route) => route.method === method.toLowerCase() && patternOf(route.path).test(pathname))
}

let ajv: Ajv2020 | undefined

function schemas(): Ajv2020 {
  if (!ajv) {
    ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
    ajv.addSchema({ $id: 'openapi', ...openApiDocument(routes, 'test') })
  }
  return ajv
}

const patterns = new Map<string, RegExp>()

function patternOf(path: string): RegExp {
  let pattern = patterns.get(path)
  if (!pattern)
    patterns.set(path, (pattern = new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`)))
  return pattern
}

/** For a JSON pointer inside a URI fragment. */
function escape(step: string): string {
  return encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))
}
