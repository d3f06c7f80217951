import { request as httpRequest } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { seedProducts } from '../support/catalog'
import { startApi, type TestApi } from '../support/http'

const CARTS = '/v1/store/carts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

describe('every answer', () => {
  it("carries the caller's request id, or a new one", async () => {
    const given = await api.call('get', '/livez', { headers: { 'x-request-id': 'mine-1' } })
    expect(given.headers.get('x-request-id')).toBe('mine-1')
    const bad = await api.call('get', '/livez', { headers: { 'x-request-id': 'with spaces' } })
    expect(bad.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
  })

  it.each(['/', '/docs', '/assets/style.css', '/docs/ui/swagger-ui.css'])('also %s', async (path) => {
    const { status, headers } = await api.call('get', path, { headers: { 'x-request-id': 'mine-2' } })
    expect(status).toBe(200)
    expect(headers.get('x-request-id')).toBe('mine-2')
  })

  it('has the headers of an API that serves no pages, and does not say what it runs on', async () => {
    const { headers } = await api.call('get', '/livez')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('x-powered-by')).toBeNull()
  })

  it('is a problem document where there is nothing', async () => {
    const { status, headers, body } = await api.call('get', '/v1/nowhere')
    expect({ status, type: headers.get('content-type') }).toEqual({
      status: 404,
      type: 'application/problem+json; charset=utf-8',
    })
    expect(body).toMatchObject({
      type: '/problems#not_found',
      title: expect.any(String),
      code: 'not_found',
      retryable: false,
      request_id: headers.get('x-request-id'),
    })
  })

  it('names the methods that are allowed', async () => {
    const { status, headers, body } = await api.call('delete', CARTS)
    expect({ status, code: body.code, allow: headers.get('allow') }).toEqual({
      status: 405,
      code: 'method_not_allowed',
      allow: 'POST, OPTIONS',
    })
    const options = await api.call('options', CARTS)
    expect({ status: options.status, allow: options.headers.get('allow') }).toEqual({
      status: 204,
      allow: 'POST, OPTIONS',
    })
    expect((await api.call('head', '/livez')).status).toBe(200)
  })

  it('is 404 for an address that cannot be decoded, and for one that no id has', async () => {
    expect((await raw('GET /v1/store/carts/%ff HTTP/1.1\r\nHost: x\r\nX-Cart-Token: x\r\n\r\n')).status).toBe(404)
    expect((await api.call('get', `${CARTS}/%00`, { token: 'x' })).status).toBe(404)
  })
})

describe('a JSON body', () => {
  const post = (raw: string | Buffer, headers: Record<string, string> = {}) => api.call('post', CARTS, { raw, headers })

  it.each([
    ['no JSON', '{"currency":', 400, 'invalid_json'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'invalid_json'],
    ['another type', '[]', 400, 'validation_failed'],
    ['an unknown field', '{"colour":"red"}', 400, 'validation_failed'],
    ['a NUL', '{"currency":"G\\u0000P"}', 400, 'validation_failed'],
    ['half a surrogate pair', '{"currency":"\\ud800"}', 400, 'validation_failed'],
    ['a name that reaches the prototype', '{"__proto__":{"currency":"GBP"}}', 400, 'validation_failed'],
    ['a hundred thousand levels', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400, 'validation_failed'],
    ['over 1 MiB', `"${'x'.repeat(1_048_576)}"`, 413, 'body_too_large'],
  ])('is refused with %s', async (_name, body, status, code) => {
    expect(await post(body)).toMatchObject({ status, body: { code } })
  })

  it('may be 20 levels deep, not 21', async () => {
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    expect((await post(nested(20))).body.errors[0].code).toBe('unrecognized_key')
    expect((await post(nested(21))).body.errors[0].code).toBe('too_deep')
  })

  it('must say that it is JSON in UTF-8, not compressed', async () => {
    const wrong: Record<string, string>[] = [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-encoding': 'gzip' },
    ]
    for (const headers of wrong) {
      expect(await post('{}', headers)).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    }
    expect((await post('{}', { 'content-type': 'Application/JSON; charset="UTF-8"' })).status).toBe(201)
  })

  it('is refused when it grows over 1 MiB on the way, and the connection goes on', async () => {
    const answer = await chunked(
      CARTS,
      Array.from({ length: 40 }, () => 'x'.repeat(50_000)),
    )
    expect(answer).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
  })

  it('is waited for, but not for ever', async () => {
    const slow = await startApi({ REQUEST_TIMEOUT_MS: '200' })
    const answer = await raw(
      `POST ${CARTS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"curr`,
      slow.url,
    )
    expect(answer.status).toBe(408)
    expect(answer.text).toContain('request_timeout')
    await slow.close()
  })
})

describe('idempotency keys', () => {
  it('are 1 to 255 printable characters', async () => {
    for (const idempotencyKey of ['x'.repeat(256), 'with space', 'é']) {
      expect(await api.call('post', CARTS, { idempotencyKey })).toMatchObject({
        status: 400,
        body: { errors: [{ in: 'header' }] },
      })
    }
  })
})

describe('browsers', () => {
  it('may call from the origins of the allow list alone', async () => {
    const shop = await startApi({ CORS_ORIGINS: 'https://shop.example, https://admin.example' })
    const allowed = await shop.call('options', CARTS, {
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    })
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    expect(allowed.headers.get('access-control-allow-headers')).toContain('X-Cart-Token')
    const answer = await shop.call('post', CARTS, { headers: { origin: 'https://shop.example' } })
    expect(answer.headers.get('access-control-expose-headers')).toContain('Idempotent-Replayed')
    const stranger = await shop.call('post', CARTS, { headers: { origin: 'https://evil.example' } })
    expect(stranger.headers.get('access-control-allow-origin')).toBeNull()
    await shop.close()
  })
})

describe('the rate limit', () => {
  it('counts per address over all processes, and leaves loopback and probes out', async () => {
    const first = await startApi({ RATE_LIMIT_PER_MINUTE: '3', RATE_LIMIT_LOOPBACK: '1' })
    const second = await startApi({
      RATE_LIMIT_PER_MINUTE: '3',
      RATE_LIMIT_LOOPBACK: '1',
      REDIS_URL: first.deps.settings.REDIS_URL,
    })
    const answers = [
      await first.call('post', CARTS),
      await second.call('post', CARTS),
      await first.call('post', CARTS),
      await second.call('post', CARTS),
    ]
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 429])
    expect(answers[0]?.headers.get('ratelimit')).toMatch(/r=2; t=\d+/)
    expect(answers[3]).toMatchObject({ body: { code: 'rate_limited', retryable: true } })
    expect(Number(answers[3]?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await first.call('get', '/livez')).status).toBe(200)
    await Promise.all([first.close(), second.close()])
    for (let count = 0; count < 5; count++) expect((await api.call('post', CARTS)).status).toBe(201)
  })

  it('is kept by each process alone while Redis is away', async () => {
    const alone = await startApi({
      RATE_LIMIT_PER_MINUTE: '2',
      RATE_LIMIT_LOOPBACK: '1',
      REDIS_URL: 'redis://127.0.0.1:1/0',
    })
    const answers = [await alone.call('post', CARTS), await alone.call('post', CARTS), await alone.call('post', CARTS)]
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 429])
    await alone.close()
  })

  it("takes the address from the proxy's header only as far as proxies are trusted", async () => {
    const behind = await startApi({ RATE_LIMIT_PER_MINUTE: '1', TRUST_PROXY: '1' })
    const from = (address: string) => behind.call('post', CARTS, { headers: { 'x-forwarded-for': address } })
    expect((await from('203.0.113.7')).status).toBe(201)
    expect((await from('203.0.113.8')).status).toBe(201)
    expect((await from('198.51.100.1, 203.0.113.7')).status).toBe(429)
    await behind.close()
  })
})

describe('a lost dependency', () => {
  it('without Redis carts work as before', async () => {
    const without = await startApi({ REDIS_URL: 'redis://127.0.0.1:1/0' })
    await buyNothing(without)
    expect((await without.call('get', '/readyz')).body).toMatchObject({
      status: 'degraded',
      dependencies: { redis: { status: 'down' } },
    })
    await without.close()
  })

  it('with a Redis that hangs carts work, and soon as fast as before', async () => {
    const { server, sockets, url } = await hangingServer()
    const hanging = await startApi({ REDIS_URL: `redis://${url}/0` })
    await buyNothing(hanging)
    const startedAt = performance.now()
    await buyNothing(hanging)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await hanging.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it('without Temporal it is degraded, not down', async () => {
    const without = await startApi({ TEMPORAL_ADDRESS: '127.0.0.1:1' })
    expect(await without.call('get', '/readyz')).toMatchObject({
      status: 200,
      body: { status: 'degraded', dependencies: { temporal: { status: 'down' } } },
    })
    await without.close()
  })

  it('without Postgres it is not ready, and says so with every answer', async () => {
    const without = await startApi({ DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none' })
    expect(await without.call('get', '/readyz')).toMatchObject({ status: 503, body: { status: 'unavailable' } })
    expect((await without.call('get', '/livez')).status).toBe(200)
    const { status, headers, body } = await without.call('post', CARTS)
    expect({ status, code: body.code, dependency: body.dependency, retryable: body.retryable }).toEqual({
      status: 503,
      code: 'unavailable',
      dependency: 'postgres',
      retryable: true,
    })
    expect(headers.get('retry-after')).toBe('1')
    await without.close()
  })

  it('survives that all its connections to Postgres are cut', async () => {
    await api.database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    const answers = [await api.call('post', CARTS), await api.call('post', CARTS)]
    expect(answers.every((answer) => answer.status === 201 || answer.status === 503)).toBe(true)
    expect((await api.call('post', CARTS)).status).toBe(201)
  })
})

describe('a fault of ours', () => {
  it('is a 500 that tells nothing but its id, and a line in the log that tells the rest', async () => {
    const lines: Record<string, unknown>[] = []
    const broken = await startApi({}, (line) => lines.push(line))
    await broken.database.pool.query('alter table cart rename to cart_lost')
    const response = await fetch(broken.url + CARTS, { method: 'POST' })
    const body = (await response.json()) as { request_id: string }
    expect(response.status).toBe(500)
    expect(JSON.stringify(body)).not.toMatch(/cart_lost|relation|at .*\.ts/)
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', request_id: body.request_id }))
    await broken.close()
  })
})

describe('the log', () => {
  it('has a line per change with ids and no word of what the person typed', async () => {
    const lines: Record<string, unknown>[] = []
    const logged = await startApi({}, (line) => lines.push(line))
    const { body } = await logged.call('post', CARTS)
    const path = `${CARTS}/${body.id}`
    await logged.call('patch', path, { token: body.token, body: { email: 'personal@example.com' } })
    await logged.call('patch', path, { token: body.token, body: { email: 'personal' } })
    await logged.call('get', `${path}?email=personal`, { token: body.token })
    await logged.call('get', '/v1/admin/api-keys', { key: 'hf_personal' })
    expect(lines).toContainEqual(
      expect.objectContaining({
        method: 'patch',
        route: `${CARTS}/{id}`,
        status: 200,
        id: body.id,
        request_id: expect.any(String),
      }),
    )
    expect(JSON.stringify(lines)).not.toMatch(/personal/)
    expect(JSON.stringify(lines)).not.toContain(body.token)
    await logged.close()
  })
})

describe('what operators see', () => {
  it('is ready with everything up', async () => {
    expect(await api.call('get', '/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } })
    api.deps.lifecycle.stopping = true
    expect(await api.call('get', '/readyz')).toMatchObject({ status: 503, body: { status: 'stopping' } })
    api.deps.lifecycle.stopping = false
  })

  it('counts requests by route and status, and shows pools, queues, outbox and reservations', async () => {
    await seedProducts(api.database.pool, [{ sku: 'METRIC', title: 'Held', prices: { GBP: 1 }, stock: 5 }])
    const { body } = await api.call('post', CARTS)
    await api.call('post', `${CARTS}/${body.id}/lines`, { token: body.token, body: { sku: 'METRIC', quantity: 2 } })
    await api.call('post', `${CARTS}/${body.id}/hold`, { token: body.token })
    const text: string = (await api.call('get', '/metrics')).body
    expect(text).toMatch(/holdfast_http_requests_total\{method="post",route="\/v1\/store\/carts",status="201"\} \d+/)
    expect(text).toMatch(/holdfast_http_request_duration_seconds_bucket/)
    expect(text).toMatch(/holdfast_reservations_held_units\{kind="soft"\} 2/)
    expect(text).toMatch(/holdfast_outbox_lag_seconds 0/)
    expect(text).toMatch(/holdfast_postgres_pool_connections\{state="idle"\} \d+/)
    expect(text).toMatch(/holdfast_task_queue_backlog\{queue="checkout",type="workflow"\} 0/)
    expect(text).toMatch(/holdfast_dependency_up\{dependency="postgres"\} 1/)
  })

  it('has a version, the list of problems and the OpenAPI document', async () => {
    expect((await api.call('get', '/version')).body).toMatchObject({
      name: 'holdfast',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
    expect((await api.call('get', '/problems')).body.data).toContainEqual({
      code: 'out_of_stock',
      status: 409,
      title: expect.any(String),
    })
    expect((await api.call('get', '/openapi.json')).body).toMatchObject({ openapi: '3.1.0' })
  })

  it('answers every status that the system routes list', async () => {
    const down = await startApi({ DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none' })
    await down.call('get', '/readyz')
    expect(api.unseen('System')).toEqual([])
    await down.close()
  })
})

async function buyNothing(target: TestApi): Promise<void> {
  const { status, body } = await target.call('post', CARTS)
  expect(status).toBe(201)
  const path = `${CARTS}/${body.id}`
  expect((await target.call('patch', path, { token: body.token, body: { email: 'a@example.com' } })).body.version).toBe(
    2,
  )
  expect((await target.call('get', path, { token: body.token })).body.version).toBe(2)
}

/** Accepts connections and never says a word. */
async function hangingServer(): Promise<{ server: Server; sockets: Socket[]; url: string }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, sockets, url: `127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Sends bytes as they are and reads until the end of the first answer. */
async function raw(text: string, url = api.url): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  let answer = ''
  for await (const chunk of socket) {
    answer += chunk
    if (/\r\n\r\n.*\}$/s.test(answer)) break
  }
  return { status: Number(answer.split(' ')[1]), text: answer }
}

/** Sends a body in chunks, without saying how long it will be. */
async function chunked(path: string, chunks: readonly string[]): Promise<{ status: number; body: unknown }> {
  const { hostname, port } = new URL(api.url)
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, path, method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        let text = ''
        response.on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
      },
    )
    request.on('error', reject)
    for (const chunk of chunks) request.write(chunk)
    request.end()
  })
}
