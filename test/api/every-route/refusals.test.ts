import type { z } from 'zod'
import fc from 'fast-check'
import { connect } from 'node:net'
import { allows } from '../../../api/http/auth'
import { answersOf, openApiDocument } from '../../../api/http/openapi'
import { isRawBody, type Route } from '../../../api/http/route'
import { routes } from '../../../api/routes'
import { ROLES } from '../../../db/platform/api-key'
import { newId } from '../../../db/id'
import { ID_PREFIXES, type Noun } from '../../../domain/ids'
import { fitting, type Schema } from '../../support/arbitrary'
import { type CallOptions, startApi, type TestApi } from '../../support/http'

/**
 * The refusals that come with a kind of route rather than with its noun: each that the OpenAPI document lists is seen here
 * once for each route. What a route refuses by its own rules is seen in the test of its noun.
 */

let api: TestApi
let admin: string
beforeAll(async () => {
  api = await startApi()
  admin = await api.key('admin')
})
afterAll(() => api.close())

const document = openApiDocument(routes, 'test')
const resolve = (ref: string): Schema =>
  (document.components?.schemas as Record<string, Schema>)[ref.split('/').at(-1) as string] as Schema

describe.each([
  [
    'without credentials',
    401,
    'unauthenticated',
    (route: Route) => ({ ...fittingCall(route), key: undefined, token: undefined }),
  ],
  ['with an unknown id', 404, 'not_found', (route: Route) => fittingCall(route)],
  ['with a body that is no JSON', 400, 'invalid_json', (route: Route) => ({ ...fittingCall(route), raw: '{' })],
  [
    'with a body over 1 MiB',
    413,
    'body_too_large',
    (route: Route) => ({ ...fittingCall(route), raw: Buffer.alloc(1_048_577, 0x20) }),
  ],
  [
    'with a body of another type',
    415,
    'unsupported_media_type',
    (route: Route) => ({
      ...fittingCall(route),
      raw: '{}',
      headers: { ...fittingCall(route).headers, 'content-type': 'text/plain' },
    }),
  ],
  ['without the key it requires', 400, 'idempotency_key_required', (route: Route) => withoutKey(fittingCall(route))],
] as const)('%s', (_name, status, code, callOf) => {
  it.each(listing(status, code))('%s', async (_route, route) => {
    expect(await api.call(route.method, pathOf(route), callOf(route))).toMatchObject({ status, body: { code } })
  })
})

describe('with an unknown parameter or a bad key', () => {
  it.each(listing(400, 'validation_failed').filter(([, route]) => route.query || route.idempotency !== 'none'))(
    '%s',
    async (_name, route) => {
      const call = fittingCall(route)
      const answer = await api.call(
        route.method,
        pathOf(route) + (route.query ? '?no_such_parameter=1' : ''),
        route.query ? call : { ...call, idempotencyKey: 'not a key' },
      )
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    },
  )
})

describe('with a key whose role does not allow it', () => {
  it.each(listing(403, 'insufficient_scope'))('%s', async (_name, route) => {
    const rule = route.caller
    if (typeof rule === 'string') throw new Error('not an admin route')
    const role = ROLES.find((one) => !allows(one, rule.admin, rule.access))
    const answer = await api.call(route.method, pathOf(route), { ...fittingCall(route), key: await api.key(role) })
    expect(answer).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } })
  })
})

it('408 when a body does not arrive, for every route with one', async () => {
  const slow = await startApi({ REQUEST_TIMEOUT_MS: '100', DATABASE_URL: api.database.url })
  const statuses = await Promise.all(
    listing(408, 'request_timeout').map(async ([name, route]) => [name, await halfSent(slow.url, route)]),
  )
  expect(statuses.filter(([, status]) => status !== 408)).toEqual([])
  await slow.close()
})

it('429 when there were too many, for every route that counts', async () => {
  const strict = await startApi({ RATE_LIMIT_PER_MINUTE: '1', RATE_LIMIT_LOOPBACK: '1' })
  const counted = listing(429, 'rate_limited')
  await strict.call('post', '/v1/store/carts')
  for (const [, route] of counted) {
    const answer = await strict.call(route.method, pathOf(route), fittingCall(route))
    expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited' } })
  }
  await strict.close()
})

it('503 without Postgres, for every route that needs it', async () => {
  const without = await startApi({ DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none' })
  const failed: string[] = []
  for (const [name, route] of listing(503, 'unavailable').filter(
    ([name, route]) => !(route.body && isRawBody(route.body)) && !WITHOUT_POSTGRES.includes(name),
  )) {
    const { status, body } = await without.call(route.method, pathOf(route) + queryOf(route), fittingCall(route))
    if (status !== 503 || body.dependency !== 'postgres') failed.push(`${name}: ${status} ${JSON.stringify(body)}`)
  }
  expect(failed).toEqual([])
  await without.close()
})

/** The first writes when Postgres is back; the other is told from the settings. */
const WITHOUT_POSTGRES = ['post /v1/store/events', 'get /v1/store/payment-methods']

/** The routes whose document lists this code with this status, though they do not say so themselves. */
function listing(status: number, code: string): [string, Route][] {
  return routes
    .filter(
      (route) =>
        !(status in route.answers) && [...(answersOf(route).get(status) ?? [])].some((listed) => listed === code),
    )
    .map((route) => [`${route.method} ${route.path}`, route])
}

/** What a route cannot be asked without. */
function queryOf({ path }: Route): string {
  return path === '/v1/store/search/suggest' ? '?q=tea' : ''
}

/** A request that nothing is wrong with but that its id is of something that is not there. */
function fittingCall(route: Route): CallOptions {
  return {
    ...(typeof route.caller === 'object' ? { key: admin } : { token: 'ct_unknown' }),
    ...(route.idempotency === 'none' ? {} : { idempotencyKey: newId('event') }),
    ...(route.body ? { raw: bodyOf(route) } : {}),
    headers: {
      ...(route.body && {
        'content-type': isRawBody(route.body) ? String([route.body.mediaType].flat()[0]) : 'application/json',
      }),
      'if-match': '"1"',
    },
  }
}

function withoutKey({ idempotencyKey: _left, ...call }: CallOptions): CallOptions {
  return call
}

/** Made once per route: of some schemas most of what is made at random is refused by a rule that no schema can tell. */
const bodies = new Map<Route, string>()

function bodyOf(route: Route): string {
  let body = bodies.get(route)
  if (body === undefined) bodies.set(route, (body = makeBody(route)))
  return body
}

function makeBody(route: Route): string {
  if (!route.body || isRawBody(route.body)) return '{}'
  const operation = (
    document.paths?.[route.path] as Record<string, { requestBody: { content: Record<string, { schema: Schema }> } }>
  )[route.method]
  const schema = operation?.requestBody.content['application/json']?.schema as Schema
  const accepts = route.body
  const made = fc.sample(
    fitting(schema, resolve).filter((one) => accepts.safeParse(one).success),
    { numRuns: 5, seed: 7 },
  )
  return made.map((body) => JSON.stringify(body)).sort((a, b) => a.length - b.length)[0] as string
}

function pathOf(route: Route): string {
  return route.path.replace(/\{(\w+)\}/g, (_whole, name: string) =>
    /^(?:\w+_)?id$/.test(name) ? unknownId(route, name) : name === 'sku' ? 'NO-SUCH-SKU' : 'nobody',
  )
}

/** An id of the noun that the route is about, by asking its schema which prefix it takes. */
function unknownId(route: Route, name: string): string {
  const schema = (route.params as z.ZodObject | undefined)?.shape[name] as z.ZodType | undefined
  const nouns = Object.keys(ID_PREFIXES) as Noun[]
  const noun = nouns.find((one) => schema?.safeParse(newId(one)).success)
  return noun ? newId(noun) : 'nothing'
}

/** Sends the head and the first byte of a body of ten, and returns the status of what comes back. */
async function halfSent(url: string, route: Route): Promise<number> {
  const { hostname, port } = new URL(url)
  const { token, key, idempotencyKey, headers } = fittingCall(route)
  const head = [
    `${route.method.toUpperCase()} ${pathOf(route)} HTTP/1.1`,
    'Host: test',
    'Content-Length: 10',
    ...Object.entries({
      ...headers,
      'x-cart-token': token,
      authorization: key && `Bearer ${key}`,
      'idempotency-key': idempotencyKey,
    })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}: ${value}`),
  ]
  const socket = connect(Number(port), hostname)
  socket.write(`${head.join('\r\n')}\r\n\r\n{`)
  for await (const chunk of socket) return Number(String(chunk).split(' ')[1])
  return 0
}
