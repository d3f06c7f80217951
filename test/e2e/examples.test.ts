import { randomUUID } from 'node:crypto'
import { type OpenApiDocument, openApiDocument } from '../../api/http/openapi'
import { routes } from '../../api/routes'
import { type CallOptions, callApi } from '../support/http'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'

/** Every call that the API's document shows is made, and answered with the status that stands beside it. */

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly security?: readonly Record<string, unknown>[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>
  readonly 'x-example-answer'?: number
}

interface Body {
  readonly mediaType: string
  readonly example: unknown
}

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly example?: unknown
  readonly schema: { readonly $ref?: string; readonly example?: unknown }
}

const document = openApiDocument(routes, 'test')
const operations = operationsOf(document)
const shown = operations.filter(({ operation }) => operation['x-example-answer'] !== undefined)

let stack: TestStack
let shop: Shop
/** Whose order is paid. */
let buyer: Buyer
/** What the stand-ins of the document stand for, by prefix. */
const known: Record<string, string> = {}
beforeAll(async () => {
  stack = await testStack()
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  await makeShop()
  buyer = await shop.buyer({ '85123A': 1 })
  known['order'] = (await buyer.checkout()).body.id
  const money = (path: string, body: object) => shop.admin('post', `/v1/admin/orders/${known['order']}/${path}`, body)
  known['cap'] = (await money('captures', { amount: 100 })).body.id
  known['ref'] = (await money('refunds', { amount: 10, reason_code: 'goodwill' })).body.id
  const review = { rating: 4, text: 'Pretty.' }
  const path = `/v1/store/products/${known['prod']}/reviews`
  known['rev'] = (await shop.call('post', path, { token: buyer.token, body: review })).body.id
}, 60_000)
afterAll(() => stack?.stop(), 30_000)

it.each(shown)('$method $path is answered as the document says', async ({ method, path, operation }) => {
  const { ids, token } = await stateFor(operation.operationId)
  const call = callOf(path, operation)
  const real = (text: string) => text.replaceAll(STAND_IN, (_all, prefix: string) => ids[prefix] ?? `no ${prefix}`)
  const answer = await callApi(stack.api, method, real(call.path), {
    ...sent(call.body, (body) => JSON.parse(real(JSON.stringify(body)))),
    ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
    ...callerOf(operation, token),
  })
  expect([answer.status, answer.body]).toEqual([operation['x-example-answer'], answer.body])
})

it('shows a call of everything that a storefront sends, and no example without its answer', () => {
  const isStream = ({ responses }: Operation) => responses['200']?.content?.['text/event-stream'] !== undefined
  const silent = operations.filter(({ operation }) => operation['x-example-answer'] === undefined)
  const ofStore = silent.filter(({ path, operation }) => path.startsWith('/v1/store/') && !isStream(operation))
  const unclaimed = silent.filter(({ operation }) => bodyOf(operation) !== undefined)
  expect([...ofStore, ...unclaimed].map(({ method, path }) => `${method} ${path}`)).toEqual([])
})

const STAND_IN = /\b([a-z]+)_01h455vb4pex5vsknk084sn02q\b/g

/** The product and the category that the demo shop has, too. */
async function makeShop(): Promise<void> {
  const made = await shop.admin('post', '/v1/admin/products', {
    title: 'White Hanging Heart T-Light Holder',
    categories: ['Kitchen'],
    variants: [{ sku: '85123A', prices: [{ amount: 255, currency: 'GBP' }] }],
  })
  known['prod'] = made.body.id
  known['cat'] = made.body.categories[0].id
  const warehouse = { name: 'London', country: 'GB', priority: 1 }
  known['wh'] = (await shop.admin('post', '/v1/admin/warehouses', warehouse)).body.id as string
  const counted = { sku: '85123A', warehouse_id: known['wh'], set_on_hand: 1_000, reason: 'counted' }
  await shop.admin('post', '/v1/admin/inventory/adjustments', counted)
}

/** Whose token and which ids a call has: a fresh cart, and the order in the state that the call is for. */
async function stateFor(operationId: string): Promise<{ ids: Record<string, string>; token: string }> {
  const orders: Record<string, { card: string; order: (body: any) => string }> = {
    postStoreCheckoutsByIdPayments: { card: 'pm_card_chargeDeclined', order: (body) => body.checkout.order_id },
    postStoreCheckoutsByIdCancel: { card: 'pm_card_authenticationRequired', order: (body) => body.order_id },
  }
  const left = orders[operationId]
  if (left) {
    const other = await shop.buyer({ '85123A': 1 })
    const { body } = await other.checkout({ method: left.card })
    return { ids: { ...known, order: left.order(body) }, token: other.token }
  }
  if (/Orders.*Cancel/.test(operationId)) {
    const other = await shop.buyer({ '85123A': 2 })
    return { ids: { ...known, order: (await other.checkout()).body.id }, token: other.token }
  }
  if (/Orders|Checkouts/.test(operationId)) return { ids: known, token: buyer.token }
  const fresh = await shop.buyer({ '85123A': 1 })
  await fresh.cart('patch', '', { email: `${randomUUID()}@example.com` })
  return { ids: { ...known, cart: fresh.cartId }, token: fresh.token }
}

/** As a reader of `/docs` would send it. */
function callOf(path: string, operation: Operation) {
  const given = (kind: Parameter['in']): [string, string][] =>
    (operation.parameters ?? [])
      .filter((parameter) => parameter.in === kind && (exampleOf(parameter) !== undefined || parameter.required))
      .map((parameter) => [parameter.name, String(exampleOf(parameter))])
  const query = new URLSearchParams(given('query')).toString()
  const address = given('path').reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)),
    path,
  )
  const idempotencyKey = Object.fromEntries(given('header'))['Idempotency-Key']
  return { path: query === '' ? address : `${address}?${query}`, body: bodyOf(operation), idempotencyKey }
}

/** JSON, or text of another medium. */
function sent(body: Body | undefined, real: (json: unknown) => unknown): Partial<CallOptions> {
  if (body === undefined) return {}
  if (body.mediaType === 'application/json') return { body: real(body.example) }
  return { raw: String(body.example), headers: { 'content-type': body.mediaType } }
}

function exampleOf({ example, schema }: Parameter): unknown {
  const component = schema.$ref && document.components?.schemas?.[schema.$ref.split('/').at(-1) as string]
  return example ?? schema.example ?? (component as { example?: unknown } | undefined)?.example
}

function bodyOf({ requestBody }: Operation): Body | undefined {
  return Object.entries(requestBody?.content ?? {})
    .map(([mediaType, { example }]) => ({ mediaType, example }))
    .find(({ example }) => example !== undefined)
}

function callerOf({ security = [] }: Operation, token: string): { key?: string; token?: string } {
  if (security.some((scheme) => 'adminKey' in scheme)) return { key: stack.adminKey }
  return security.some((scheme) => 'cartToken' in scheme) ? { token } : {}
}

function operationsOf({ paths = {} }: OpenApiDocument): { method: string; path: string; operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({ method, path, operation })),
  )
}
