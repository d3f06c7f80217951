import fc from 'fast-check'
import { openApiDocument } from '../../../api/http/openapi'
import { isMediaAnswer, isRawBody, type Route } from '../../../api/http/route'
import { routes } from '../../../api/routes'
import { newId } from '../../../db/id'
import { bent, fitting, hostile, junk, type Schema } from '../../support/arbitrary'
import { pastOrders } from '../../support/orders'
import { seedProducts } from '../../support/catalog'
import { type Answer, type CallOptions, startApi, type TestApi } from '../../support/http'
import { testNamespace } from '../../support/temporal'

/**
 * Whatever is sent, the API answers what the OpenAPI document lists and never a 500; and what it refuses has changed
 * nothing. Requests are made from the document: fitting ones, ones with one thing wrong, and junk.
 */

const CASES_PER_ROUTE = 100
const AT_ONCE = 20
/** Change it to try others; a failure prints the request. */
const SEED = 20_261_121

interface Sent {
  readonly method: string
  readonly path: string
  readonly options: CallOptions
}

const document = openApiDocument(routes, 'test')
const resolve = (ref: string): Schema =>
  (document.components?.schemas as Record<string, Schema>)[ref.split('/').at(-1) as string] as Schema

let api: TestApi
let admin: string
let cart: { id: string; token: string }
let known: Record<string, readonly string[]>

beforeAll(async () => {
  const { namespace } = await testNamespace()
  api = await startApi({ CHECKOUT_WAIT_MS: '1', TEMPORAL_NAMESPACE: namespace, REQUEST_TIMEOUT_MS: '2000' })
  admin = await api.key('admin')
  await seedProducts(api.database.pool, [
    { sku: '85123A', title: 'White Hanging Heart T-Light Holder', prices: { GBP: 255 }, stock: 1_000 },
    { sku: '22423', title: 'Regency Cakestand', prices: { GBP: 1_275 }, stock: 3 },
  ])
  const { body } = await api.call('post', '/v1/store/carts', { body: { currency: 'GBP' } })
  cart = body
  const made = await api.call('post', '/v1/admin/categories', { key: admin, body: { title: 'Home' } })
  await api.database.pool.query("update product set brand = 'Acme'")
  const { rows } = await api.database.pool.query<{ product: string; warehouse: string }>(
    'select (select min(id) from product) as product, (select min(id) from warehouse) as warehouse',
  )
  // Nothing of it can be captured, refunded or cancelled, so that no call waits for a provider.
  const [over = ''] = await pastOrders(api.database.pool, [{ skus: ['85123A'], status: 'cancelled' }])
  known = {
    sku: ['85123a', '22423'],
    id: [
      cart.id,
      rows[0]?.product ?? '',
      rows[0]?.warehouse ?? '',
      made.body.id,
      over,
      newId('order'),
      newId('cart'),
      newId('import'),
      newId('apiKey'),
    ],
    capture_id: [newId('capture')],
    refund_id: [newId('refund')],
    provider: ['sandbox'],
    slug: ['acme'],
  }
})
afterAll(() => api.close())

describe('bad input gets a listed answer, never a 500, and changes nothing', () => {
  it.each(routes.filter(takesInput).map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s',
    async (_name, route) => {
      const requests = fc.sample(requestOf(route), { numRuns: CASES_PER_ROUTE, seed: SEED })
      let before = await fingerprint()
      for (let from = 0; from < requests.length; from += AT_ONCE) {
        const answers = await Promise.all(requests.slice(from, from + AT_ONCE).map(send))
        const after = await fingerprint()
        if (!answers.some((answer) => mayHaveChanged(route, answer))) expect(after).toEqual(before)
        before = after
      }
    },
    60_000,
  )
})

async function send(sent: Sent): Promise<Answer> {
  try {
    const answer = await api.call(sent.method, sent.path, sent.options)
    if (answer.status >= 500 && answer.body.code !== 'no_worker')
      throw new Error(`answered ${answer.status} ${answer.body.code}`)
    return answer
  } catch (cause) {
    throw new Error(`${JSON.stringify(sent).slice(0, 3_000)}\n${(cause as Error).message}`, { cause })
  }
}

/** A checkout that was refused or declined is an outcome: it is kept under its key. */
function mayHaveChanged(route: Route, { status }: Answer): boolean {
  return status < 400 || (/checkout/.test(route.path) && (status === 402 || status === 409))
}

function takesInput(route: Route): boolean {
  return Boolean(route.params || route.query || route.body)
}

function requestOf(route: Route): fc.Arbitrary<Sent> {
  return fc
    .record({
      path: pathOf(route),
      query: queryOf(route),
      body: bodyOf(route),
      headers: headersOf(route),
      credentials: credentialsOf(route),
    })
    .map(({ path, query, body, headers, credentials }) => ({
      method: route.method,
      path: path + query,
      options: { ...credentials, ...(body === undefined ? {} : { raw: body }), headers: { ...headers } },
    }))
}

/** Mostly things that are there; an event stream that began would not end, so for those nothing is. */
function pathOf(route: Route): fc.Arbitrary<string> {
  const streams = Object.values(route.answers).some(
    (answer) => isMediaAnswer(answer) && answer.mediaType === 'text/event-stream',
  )
  const names = Array.from(route.path.matchAll(/\{(\w+)\}/g), (match) => match[1] as string)
  const odd = fc.oneof(
    fc.constantFrom(
      '%00',
      '%ff',
      '%',
      '%2e%2e%2f',
      '__proto__',
      'null',
      '%F0%9F%91%BB',
      '%ED%A0%80',
      'x'.repeat(2_000),
    ),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).map(encodeURIComponent),
  )
  const segments = names.map((name) => {
    const here = (known[name] ?? []).map(encodeURIComponent)
    const own = route.path.startsWith('/v1/store/carts') && name === 'id' ? [cart.id] : here
    return streams || own.length === 0
      ? odd
      : fc.oneof({ arbitrary: fc.constantFrom(...own), weight: 4 }, { arbitrary: odd, weight: 1 })
  })
  return fc
    .tuple(...segments)
    .map((values) => values.reduce((path, value, index) => path.replace(`{${names[index]}}`, () => value), route.path))
}

function queryOf(route: Route): fc.Arbitrary<string> {
  const parameters = ((operationOf(route).parameters ?? []) as { name: string; in: string; schema: Schema }[]).filter(
    (one) => one.in === 'query',
  )
  if (parameters.length === 0) return fc.constant('')
  const names = fc.constantFrom(...parameters.map((parameter) => parameter.name), 'nope', '__proto__', 'limit[gt]')
  const value = fc.oneof(
    ...parameters.map((parameter) => fitting(parameter.schema, resolve).map(String)),
    hostile.map((given) => (typeof given === 'string' ? given : JSON.stringify(given)).slice(0, 2_000)),
  )
  return fc
    .array(fc.tuple(names, value), { maxLength: 3 })
    .map((pairs) =>
      pairs.length === 0
        ? ''
        : `?${pairs.map(([name, text]) => `${name}=${encodeURIComponent(text.replace(/\p{Surrogate}/gu, '?'))}`).join('&')}`,
    )
}

function bodyOf(route: Route): fc.Arbitrary<string | undefined> {
  if (!route.body) return fc.constant(undefined)
  if (isRawBody(route.body)) return fc.oneof(fc.constant(''), fc.string({ unit: 'binary', maxLength: 500 }), junk)
  const content = (operationOf(route).requestBody as { content: Record<string, { schema: Schema }> }).content
  const schema = content['application/json']?.schema as Schema
  const asText = (value: unknown) => JSON.stringify(value)
  return fc.oneof(
    { arbitrary: fitting(schema, resolve).map(asText), weight: 3 },
    { arbitrary: bent(schema, resolve).map(asText), weight: 8 },
    { arbitrary: hostile.map(asText), weight: 2 },
    { arbitrary: junk, weight: 1 },
    { arbitrary: fc.constantFrom(undefined, '', '"'.padEnd(1_100_000, 'x')), weight: 1 },
  )
}

function headersOf(route: Route): fc.Arbitrary<Record<string, string>> {
  const seldom = <T extends string>(...values: T[]) =>
    fc.integer({ min: 0, max: 11 }).chain((roll) => (roll === 0 ? fc.constantFrom(...values) : fc.constant(undefined)))
  return fc
    .record({
      'content-type': seldom('text/plain', 'application/json; charset=latin1', '', 'application/x-www-form-urlencoded'),
      'content-encoding': seldom('gzip', 'br'),
      'if-match': seldom('"1"', '*', 'nonsense', 'W/"x"'),
      'idempotency-key':
        route.idempotency === 'none'
          ? fc.constant(undefined)
          : fc.oneof(
              { arbitrary: fc.uuid(), weight: 10 },
              { arbitrary: fc.constantFrom(undefined, 'same', 'x'.repeat(300), 'a b'), weight: 2 },
            ),
    })
    .map((headers) => {
      const type = route.body && isRawBody(route.body) ? { 'content-type': route.body.mediaType } : {}
      return {
        ...type,
        ...Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
      } as Record<string, string>
    })
}

/** Nearly always good ones: the others are refused before anything else is looked at. */
function credentialsOf(route: Route): fc.Arbitrary<CallOptions> {
  if (route.caller === 'anyone') return fc.constant({})
  const good = (): CallOptions => (route.caller === 'cart' ? { token: cart.token } : { key: admin })
  return fc.oneof(
    { arbitrary: fc.constant(null).map(good), weight: 20 },
    {
      arbitrary: fc.constantFrom<CallOptions>(
        {},
        { token: 'ct_x' },
        { key: 'hf_x' },
        { headers: { authorization: 'Basic x' } },
      ),
      weight: 1,
    },
  )
}

function operationOf(route: Route): { parameters?: unknown; requestBody?: unknown } {
  return (document.paths?.[route.path] as Record<string, object>)[route.method] as {
    parameters?: unknown
    requestBody?: unknown
  }
}

/** One figure per table, over every row; when a key was last used is no effect of a request. */
async function fingerprint(): Promise<unknown> {
  const { rows } = await api.database.pool.query(statement)
  return rows[0]
}

const TABLES = [
  'product',
  'variant',
  'variant_cost',
  'category',
  'category_attribute',
  'product_category',
  'brand',
  'price',
  'listing',
  'warehouse',
  'stock_level',
  'stock_movement',
  'store_settings',
  'import',
  'import_chunk',
  'import_rejection',
  'cart',
  'orders',
  'order_line',
  'order_event',
  'reservation',
  'payment',
  'capture',
  'refund',
  'dispute',
  'ledger_entry',
  'outbox',
  'inbox',
  'idempotency',
  'attention',
  'repair',
  'api_key',
]
const statement = `select ${TABLES.map(
  (table) =>
    `(select coalesce(sum(hashtextextended((to_jsonb(t) - 'last_used_at')::text, 0)), 0)::text from ${table} t) as ${table}`,
).join(', ')}`
