import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Account, type AccountOptions, type StripeObject } from './stripe/account'
import { expanded, type ListObject, listObject } from './stripe/expand'
import { type Form, listOf, pathsOf, readForm } from './stripe/form'
import { behaviourOf } from './stripe/methods'
import { invalid, Refusal } from './stripe/refusal'

/**
 * A Stripe account over HTTP, for tests: what our adapter asks of Stripe, as docs.stripe.com describes it (intents, captures
 * in parts, refunds, disputes, balance transactions, events, idempotency keys, signatures). It refuses every parameter that
 * it does not know. It is no proof of what Stripe does; `stripe.test.ts` says what runs against Stripe itself.
 */
export interface StripeStub {
  readonly url: string
  readonly account: Account
  /** Every request so far. */
  readonly requests: readonly StubRequest[]
  /** The next request that fits is answered with this error and has no effect. Without `saved`, nor is it kept. */
  failNext(fits: RegExp, status: number, options?: { readonly saved?: boolean }): void
  /** The next request that fits has its effect, and its answer is lost. */
  loseNext(fits: RegExp): void
  /** All requests that fit wait this long before they begin. */
  slowDown(fits: RegExp, ms: number): void
  /** Every request is answered 503, or no more. */
  fail(on: boolean): void
  /** As a day later: what was asked for under a key is asked for anew. */
  forgetKeys(): void
  /** Lists hide what is younger than this. */
  lag(ms: number): void
  /** An event as Stripe delivers it, signed now or at another time. */
  delivery(event: StripeObject, options?: { readonly secret?: string; readonly at?: number }): Delivery
  stop(): Promise<void>
}

export interface StubRequest {
  /** `POST /v1/payment_intents` */
  readonly name: string
  /** Its query, or its body. */
  readonly text: string
  /** What it was answered; null until then. */
  answer: unknown
}

export interface Delivery {
  readonly rawBody: Buffer
  readonly headers: { readonly 'stripe-signature': string }
}

export interface StripeStubOptions extends Partial<AccountOptions> {
  readonly secretKey: string
  readonly webhookSecret: string
}

/** Long enough to hold two requests under one key at the same time. */
const LATENCY_MS = 3
const SLOW_MS = 900
const VERSION = '2026-10-28.endive'

interface Fault {
  readonly fits: RegExp
  readonly status: number | 'lost'
  readonly saved: boolean
}

interface Saved {
  readonly fingerprint: string
  answer?: Answer
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

interface Stub {
  readonly account: Account
  readonly secretKey: string
  readonly keys: Map<string, Saved>
  readonly faults: Fault[]
  readonly delays: { readonly fits: RegExp; readonly ms: number }[]
  readonly requests: StubRequest[]
  lagMs: number
  isDown: boolean
}

export async function startStripeStub(options: StripeStubOptions): Promise<StripeStub> {
  const { secretKey, webhookSecret, multicapture = true, settles = null } = options
  const stub: Stub = {
    account: new Account({ multicapture, settles }),
    secretKey,
    keys: new Map(),
    faults: [],
    delays: [],
    requests: [],
    lagMs: 0,
    isDown: false,
  }
  const server = createServer((request, response) => void serve(stub, request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    account: stub.account,
    requests: stub.requests,
    failNext: (fits, status, { saved = false } = {}) => void stub.faults.push({ fits, status, saved }),
    loseNext: (fits) => void stub.faults.push({ fits, status: 'lost', saved: false }),
    slowDown: (fits, ms) => void stub.delays.push({ fits, ms }),
    fail: (on) => (stub.isDown = on),
    forgetKeys: () => stub.keys.clear(),
    lag: (ms) => (stub.lagMs = ms),
    delivery: (event, { secret = webhookSecret, at = Date.now() } = {}) => deliver(event, secret, at),
    stop: () => stop(server),
  }
}

function deliver(event: StripeObject, secret: string, at: number): Delivery {
  const rawBody = Buffer.from(JSON.stringify({ ...event, api_version: VERSION }))
  return { rawBody, headers: stripeSignature(rawBody, secret, at) }
}

/** The header by which Stripe signs a body at a time (milliseconds). */
export function stripeSignature(rawBody: Buffer, secret: string, at: number): Delivery['headers'] {
  const time = Math.floor(at / 1_000)
  const signature = createHmac('sha256', secret).update(`${time}.`).update(rawBody).digest('hex')
  return { 'stripe-signature': `t=${time},v1=${signature}` }
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

async function serve(stub: Stub, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const name = `${request.method} ${path}`
  let text = query
  for await (const part of request) text += String(part)
  const seen: StubRequest = { name, text, answer: null }
  stub.requests.push(seen)
  await delay(LATENCY_MS + (stub.delays.find(({ fits }) => fits.test(name))?.ms ?? 0))
  const { answer, isLost, isReplay } = await respond(stub, request, name, text)
  seen.answer = answer.body
  if (isLost) return void request.socket.destroy()
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'request-id': `req_${stub.requests.length}`,
    ...(isReplay && { 'idempotent-replayed': 'true' }),
  })
  response.end(JSON.stringify(answer.body))
}

interface Response {
  readonly answer: Answer
  readonly isLost?: boolean
  readonly isReplay?: boolean
}

/** Only what began to run is saved under a key: a request that is refused before, or has to wait, is not. */
async function respond(stub: Stub, request: IncomingMessage, name: string, text: string): Promise<Response> {
  const fault = takeFault(stub, name)
  if (stub.isDown) return { answer: failure(503) }
  if (typeof fault?.status === 'number' && !fault.saved) return { answer: failure(fault.status) }
  if (request.headers.authorization !== `Bearer ${stub.secretKey}`) return { answer: badKey(request) }
  if (request.headers['stripe-version'] !== VERSION) return { answer: said(invalid('Another version')) }
  const key = request.method === 'POST' ? request.headers['idempotency-key'] : undefined
  const saved = typeof key === 'string' ? stub.keys.get(key) : undefined
  const fingerprint = `${name} ${text}`
  const form = readForm(text)
  const method = behaviourOf(String(form['payment_method']))?.answer
  if (saved) {
    if (saved.fingerprint !== fingerprint) return { answer: said(reused()) }
    if (!saved.answer) return { answer: said(inUse()) }
    return { answer: saved.answer, isReplay: true, isLost: fault?.status === 'lost' || method === 'lost' }
  }
  const entry: Saved = { fingerprint }
  if (typeof key === 'string') stub.keys.set(key, entry)
  await delay(LATENCY_MS)
  const { answer, isSaved } = fault?.saved
    ? { answer: failure(Number(fault.status)), isSaved: true }
    : run(stub, name, form)
  if (isSaved) entry.answer = answer
  else if (typeof key === 'string') stub.keys.delete(key)
  if (method === 'slow') await delay(SLOW_MS)
  return { answer, isLost: fault?.status === 'lost' || method === 'lost' }
}

function takeFault(stub: Stub, name: string): Fault | undefined {
  const at = stub.faults.findIndex(({ fits }) => fits.test(name))
  return at < 0 ? undefined : stub.faults.splice(at, 1)[0]
}

function run(stub: Stub, name: string, form: Form): { answer: Answer; isSaved: boolean } {
  const [, route, id = ''] = ROUTES.map(([pattern, handler]) => [pattern.exec(name), handler] as const)
    .filter(([match]) => match !== null)
    .map(([match, handler]) => [match, handler, match?.[1]] as const)[0] ?? [null, undefined]
  try {
    if (!route) throw new Refusal(404, 'invalid_request_error', { message: `Unrecognized request URL (${name})` })
    refuseUnknown(form, route.takes)
  } catch (error) {
    return { answer: said(error as Refusal), isSaved: false }
  }
  try {
    const body = expanded(stub.account, route.answer(stub, id, form), listOf(form['expand']))
    return { answer: { status: 200, body }, isSaved: true }
  } catch (error) {
    if (!(error instanceof Refusal))
      return { answer: { status: 500, body: { error: { message: String(error) } } }, isSaved: false }
    return { answer: said(error), isSaved: true }
  }
}

interface Route {
  readonly takes: readonly string[]
  answer(stub: Stub, id: string, form: Form): StripeObject | ListObject
}

const LISTED = ['limit', 'starting_after', 'created[gte]', 'created[lt]']

const ROUTES: readonly (readonly [RegExp, Route])[] = [
  [
    /^POST \/v1\/payment_intents$/,
    {
      takes: [
        ...['amount', 'currency', 'capture_method', 'metadata[order_id]', 'metadata[key]'],
        ...['automatic_payment_methods[enabled]', 'automatic_payment_methods[allow_redirects]'],
        'payment_method_options[card][request_multicapture]',
      ],
      answer: ({ account }, _id, form) => account.createIntent(form),
    },
  ],
  [/^GET \/v1\/payment_intents\/(\w+)$/, { takes: [], answer: ({ account }, id) => account.get(id, 'intent') }],
  [
    /^POST \/v1\/payment_intents\/(\w+)\/confirm$/,
    {
      takes: ['payment_method', 'return_url', 'error_on_requires_action'],
      answer: ({ account }, id, form) => account.confirmIntent(id, form),
    },
  ],
  [
    /^POST \/v1\/payment_intents\/(\w+)\/capture$/,
    {
      takes: ['amount_to_capture', 'final_capture', 'metadata[capture_…]'],
      answer: ({ account }, id, form) => account.captureIntent(id, form),
    },
  ],
  [/^POST \/v1\/payment_intents\/(\w+)\/cancel$/, { takes: [], answer: ({ account }, id) => account.cancelIntent(id) }],
  [
    /^POST \/v1\/refunds$/,
    {
      takes: ['payment_intent', 'amount', 'metadata[key]'],
      answer: ({ account }, _id, form) => account.createRefund(form),
    },
  ],
  [/^GET \/v1\/refunds$/, { takes: [...LISTED, 'payment_intent'], answer: list('refund') }],
  [/^GET \/v1\/disputes$/, { takes: [...LISTED, 'payment_intent'], answer: list('dispute') }],
  [/^GET \/v1\/balance_transactions$/, { takes: [...LISTED, 'source'], answer: list('balance_transaction') }],
  [/^GET \/v1\/events$/, { takes: [...LISTED, 'types'], answer: listEvents }],
]

function list(object: string) {
  return ({ account, lagMs }: Stub, _id: string, form: Form): ListObject => {
    const fits = (one: StripeObject): boolean =>
      ['payment_intent', 'source'].every((field) => form[field] === undefined || one[field] === form[field])
    return page(account.all(object).filter(fits), form, lagMs)
  }
}

function listEvents({ account, lagMs }: Stub, _id: string, form: Form): ListObject {
  const types = listOf(form['types'])
  if (types.length > 20) throw invalid('Too many types', { param: 'types' })
  return page(
    account.events.filter(({ type }) => types.includes(String(type))),
    form,
    lagMs,
  )
}

function page(newestFirst: readonly StripeObject[], form: Form, lagMs: number): ListObject {
  const { gte = '0', lt = 'Infinity' } = (form['created'] ?? {}) as Record<string, string>
  const until = lagMs === 0 ? Number(lt) : Math.min(Number(lt), (Date.now() - lagMs) / 1_000)
  const inRange = newestFirst
    .toSorted((a, b) => b.created - a.created)
    .filter(({ created }) => created >= Number(gte) && created < until)
  const after = inRange.findIndex(({ id }) => id === form['starting_after'])
  return listObject(inRange.slice(after + 1), Number(form['limit'] ?? 10), '/v1')
}

function refuseUnknown(form: Form, takes: readonly string[]): void {
  for (const path of pathsOf(form)) {
    const known = path.replace(/^metadata\[capture_\w+\]$/, 'metadata[capture_…]')
    if (known !== 'expand' && !takes.includes(known))
      throw invalid(`Received unknown parameter: ${path}`, { code: 'parameter_unknown', param: path })
  }
}

function said({ status, body }: Refusal): Answer {
  return { status, body: { error: body } }
}

function failure(status: number): Answer {
  const code = status === 429 ? { code: 'rate_limit' } : status === 409 ? { code: 'lock_timeout' } : {}
  return {
    status,
    body: { error: { type: 'api_error', message: 'An error occurred with our connection to Stripe.', ...code } },
  }
}

/** Stripe quotes the key, most of it hidden; the stub hides nothing, to see that nobody hands it on. */
function badKey(request: IncomingMessage): Answer {
  return said(
    new Refusal(401, 'invalid_request_error', { message: `Invalid API Key: ${request.headers.authorization}` }),
  )
}

function reused(): Refusal {
  return new Refusal(400, 'idempotency_error', {
    message: 'Keys for idempotent requests can only be used with the same parameters they were first used with.',
  })
}

function inUse(): Refusal {
  return new Refusal(409, 'idempotency_error', {
    code: 'idempotency_key_in_use',
    message: 'There is currently another in-progress request using this Idempotent Key.',
  })
}
