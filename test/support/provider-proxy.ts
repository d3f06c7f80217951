import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A call to the payment provider, as it passes by. */
export interface ProviderCall {
  readonly method: string
  readonly path: string
  /** The order it is about, as far as the call says. */
  readonly orderId: string | null
}

interface Charge {
  id: string
  reference: string
  amount: number
}

/**
 * Stands between Holdfast and the sandbox and spoils what a test wants spoilt, order by order, so that scenarios can run
 * side by side. Everything else passes through.
 */
export interface ProviderProxy {
  readonly url: string
  /** The sandbox behind it; to be set before the first call. */
  target: string
  /** Answers the calls of this order that `which` picks with 503, or this status, without passing them on. */
  fail(orderId: string, which?: (call: ProviderCall) => boolean, status?: number): void
  /** Changes the charges of every order with this amount before Holdfast sees them. */
  alter(amount: number, change: Record<string, unknown>): void
  heal(orderId: string): void
  /** Keeps the calls of this order that `which` picks, and answers 503: the provider may get them later. */
  keepBack(orderId: string, which: (call: ProviderCall) => boolean): void
  /** Lets the calls that were kept back arrive, and keeps no more. */
  release(orderId: string): Promise<void>
  close(): Promise<void>
}

export async function startProviderProxy(): Promise<ProviderProxy> {
  const failing = new Map<string, { which: (call: ProviderCall) => boolean; status: number }>()
  const keeping = new Map<string, { which: (call: ProviderCall) => boolean; kept: (() => Promise<unknown>)[] }>()
  const altered = new Map<number, Record<string, unknown>>()
  const orderOfCharge = new Map<string, string>()

  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: ProviderProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: '',
    fail: (orderId, which = () => true, status = 503) => void failing.set(orderId, { which, status }),
    alter: (amount, change) => void altered.set(amount, change),
    heal: (orderId) => void failing.delete(orderId),
    keepBack: (orderId, which) => void keeping.set(orderId, { which, kept: [] }),
    release: async (orderId) => {
      const late = keeping.get(orderId)?.kept ?? []
      keeping.delete(orderId)
      for (const arrive of late) await arrive()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return proxy

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request)
    const call = { method: request.method ?? 'GET', path: request.url ?? '/', orderId: orderOf(request, body) }
    const failure = failing.get(call.orderId ?? '')
    if (failure?.which(call)) {
      response.writeHead(failure.status, { 'content-type': 'application/json' }).end('{"code":"refused"}')
      return
    }
    const arrive = (): Promise<Response> =>
      fetch(proxy.target + call.path, {
        method: call.method,
        headers: forwarded(request),
        ...(body === '' ? {} : { body }),
      })
    const keeper = keeping.get(call.orderId ?? '')
    if (keeper?.which(call)) {
      keeper.kept.push(arrive)
      response.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"late"}')
      return
    }
    const answer = await arrive()
    const seen = JSON.parse(await answer.text(), (_, value: unknown) => (isCharge(value) ? spoil(value) : value))
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(seen))
  }

  function orderOf(request: IncomingMessage, body: string): string | null {
    const given = decodeURIComponent(`${request.url} ${body} ${request.headers['idempotency-key'] ?? ''}`)
    const charge = /ch_[0-9a-z]+/.exec(given)?.[0]
    return /order_[0-9a-z]{26}/.exec(given)?.[0] ?? orderOfCharge.get(charge ?? '') ?? null
  }

  function spoil(charge: Charge): unknown {
    orderOfCharge.set(charge.id, charge.reference)
    return { ...charge, ...altered.get(charge.amount) }
  }
}

function isCharge(value: unknown): value is Charge {
  return typeof value === 'object' && value !== null && 'reference' in value && 'amount' in value && 'id' in value
}

function forwarded(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of ['content-type', 'idempotency-key'] as const) {
    const value = request.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
