import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { markForSearch } from '../../../db/search/pending'
import type { ProductId } from '../../../domain/ids'
import { imageFile } from '../../../domain/catalog/image'
import { createLog } from '../../../log'
import { indexPending } from '../../../workers/loops/indexer'
import { seedProducts } from '../../support/catalog'
import { type Answer, type CallOptions, startApi, type TestApi } from '../../support/http'

/**
 * What others were attacked with, by class, against catalog, search, pages, pictures, reviews and events. SECURITY.md
 * lists the classes with their tests, those in other files too.
 */

const SOON_MS = 2_000
const log = createLog('silent', 'test')

let api: TestApi
let staff: string
beforeAll(async () => {
  api = await startApi()
  staff = await api.key('catalog')
})
afterAll(() => api.close())

let number = 0

interface Made {
  readonly id: string
  readonly slug: string
  readonly sku: string
}

async function product(fields: object = {}): Promise<Made> {
  const sku = `ATTACK-${++number}`
  const { status, body } = await api.call('post', '/v1/admin/products', {
    key: staff,
    body: { title: `Attacked ${sku}`, variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }], ...fields },
  })
  expect(status).toBe(201)
  return { id: body.id, slug: body.slug, sku }
}

async function index(...products: readonly Made[]): Promise<void> {
  const { pool, search } = api.deps
  await markForSearch(
    pool,
    search.engines.map(({ name }) => name),
    products.map(({ id }) => id as ProductId),
  )
  for (const engine of search.engines) while ((await indexPending({ pool, engine, log })) > 0);
}

const get = (path: string, options?: CallOptions): Promise<Answer> => api.call('get', path, options)
const inQuery = (parameters: Record<string, string>): string => new URLSearchParams(parameters).toString()

async function cart(email: string): Promise<{ token: string }> {
  const { body } = await api.call('post', '/v1/store/carts', { body: { currency: 'GBP' } })
  await api.call('patch', `/v1/store/carts/${body.id}`, { token: body.token, body: { email } })
  return body
}

async function picture(): Promise<Buffer> {
  const background = { r: ++number % 256, g: 9, b: 99 }
  return sharp({ create: { width: 50, height: 50, channels: 3, background } })
    .png()
    .toBuffer()
}

const upload = async (id: string, query = '') =>
  api.call('post', `/v1/admin/products/${id}/images${query}`, {
    key: staff,
    raw: await picture(),
    headers: { 'content-type': 'image/png' },
  })

async function count(table: string): Promise<number> {
  const { rows } = await api.database.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)
  return rows[0]?.n ?? -1
}

async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  const result = await work()
  expect(performance.now() - begun).toBeLessThan(ms)
  return result
}

describe('SQL injection, first order (CVE-2026-40887): SQL in a filter is a value', () => {
  const SQL = [
    "'; drop table review; --",
    "' or '1'='1",
    "x' union select secret_hash from api_key --",
    '1; select pg_sleep(20)',
    "') || pg_sleep(20) || ('",
    String.raw`\'; delete from product; --`,
    '$1',
  ]

  it.each(SQL)('%s', async (sql) => {
    const { id } = await product()
    const before = await count('product')
    await within(10_000, async () => {
      for (const name of ['category', 'brand', 'attr.color']) {
        expect((await get(`/v1/store/search?${inQuery({ [name]: sql })}`)).body.total).toBe(0)
      }
      for (const name of ['category', 'brand']) {
        expect((await get(`/v1/store/products?${inQuery({ [name]: sql })}`)).body.data).toEqual([])
      }
      expect((await get(`/v1/store/search?${inQuery({ q: sql })}`)).status).toBe(200)
      expect((await get(`/v1/store/search/suggest?${inQuery({ q: sql })}`)).status).toBe(200)
      for (const place of ['products', 'pages/product', 'pages/category', 'categories']) {
        expect((await get(`/v1/store/${place}/${encodeURIComponent(sql)}`)).status).toBe(404)
      }
      for (const name of ['sort', 'price_min', 'in_stock', 'currency', 'limit', 'cursor', 'rating_min', sql]) {
        expect((await get(`/v1/store/search?${inQuery({ [name]: sql })}`)).status).toBe(400)
      }
    })
    expect(await count('product')).toBe(before)
    expect((await get(`/v1/store/products/${id}`)).status).toBe(200)
  })

  it('in the key of a cursor', async () => {
    await product()
    await product()
    const { body } = await get('/v1/store/products?limit=1&sort=price_asc')
    const key = Buffer.from(body.next_cursor, 'base64url').toString()
    for (const altered of [key.replace(/prod_\w+/, "x' or true --"), key.replace(/\d+/, '0) or (1=1')]) {
      const cursor = Buffer.from(altered).toString('base64url')
      expect(altered).not.toBe(key)
      expect((await get(`/v1/store/products?${inQuery({ limit: '1', sort: 'price_asc', cursor })}`)).status).toBe(400)
    }
  })
})

describe('SQL injection, second order (CVE-2026-25993): SQL that was stored is a value', () => {
  it('in titles, brands, categories, attributes and synonyms', async () => {
    const sql = `Mug'); drop table search_document; --`
    const made = await product({ title: sql, brand: sql, categories: [sql], attributes: { color: sql } })
    await index(made)
    const { body } = await get(`/v1/store/search?${inQuery({ q: sql })}`)
    expect(body.data[0]).toMatchObject({ id: made.id, title: sql })
    for (const name of ['brand', 'category', 'attr.color']) {
      const [{ value }] = body.facets[name]
      expect((await get(`/v1/store/search?${inQuery({ [name]: value })}`)).body.total).toBe(1)
    }
    const { headers } = await get('/v1/admin/search/synonyms', { key: staff })
    const synonyms = await api.call('put', '/v1/admin/search/synonyms', {
      key: staff,
      headers: { 'if-match': headers.get('etag') ?? '' },
      body: { data: [{ root: null, terms: [sql, "cup' or 1=1 & | ! <-> :*"] }] },
    })
    expect(synonyms.status).toBe(200)
    expect((await get(`/v1/store/search?${inQuery({ q: sql })}`)).status).toBe(200)
    const page = await get(`/v1/store/pages/product/${made.slug}`)
    expect(page.body).toMatchObject({ product: { title: sql }, breadcrumbs: [{ title: sql }] })
    expect(await count('search_document')).toBeGreaterThan(0)
  })
})

describe('stored and reflected XSS (CVE-2026-22849, CVE-2021-37710)', () => {
  const SCRIPT = `"><img src=x onerror=alert(1)>`

  it("a picture's text is kept as text", async () => {
    const { id } = await product()
    const { body } = await upload(id, `?${inQuery({ alt: SCRIPT })}`)
    expect(body.alt).toBe(SCRIPT)
    const answer = await get(`/v1/admin/products/${id}`, { key: staff })
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('what is refused is answered as JSON that no browser runs', async () => {
    for (const path of [`/v1/store/pages/product/${encodeURIComponent(SCRIPT)}`, `/v1/store/search?${SCRIPT}=1`]) {
      const { headers } = await get(path)
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    }
  })
})

describe('mass assignment (CVE-2026-72843, CVE-2013-2506): what a caller may not set is refused by name', () => {
  const OWNED = { id: 'prod_01h455vb4pex5vsknk084sn02q', version: 99, seller_id: 'mallory', rating: 5, created_at: 'x' }

  it.each(Object.entries(OWNED))('%s of a product, made or changed', async (name, value) => {
    const { id } = await product()
    const before = (await get(`/v1/admin/products/${id}`, { key: staff })).body
    const made = await api.call('post', '/v1/admin/products', {
      key: staff,
      body: { title: 'X', variants: [{ sku: `OWNED-${name}`, prices: [] }], [name]: value },
    })
    const changed = await api.call('patch', `/v1/admin/products/${id}`, {
      key: staff,
      headers: { 'if-match': '*' },
      body: { [name]: value },
    })
    for (const { status, body } of [made, changed]) {
      expect({ status, pointers: body.errors.map((error: { pointer: string }) => error.pointer) }).toEqual({
        status: 400,
        pointers: [`/${name}`],
      })
    }
    expect((await get(`/v1/admin/products/${id}`, { key: staff })).body).toEqual(before)
  })

  it.each(['status', 'verified', 'product_id', 'buyer'])('%s of a review', async (name) => {
    const { id } = await product()
    const { token } = await cart('mallory@example.com')
    const written = await api.call('post', `/v1/store/products/${id}/reviews`, {
      token,
      body: { rating: 5, text: 'Buy!', [name]: 'approved' },
    })
    expect(written).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect((await get(`/v1/store/products/${id}/reviews`)).body.data).toEqual([])
  })

  it('how often something happened', async () => {
    const { id } = await product()
    const event = { type: 'view', product_id: id, count: 1_000_000 }
    expect((await api.call('post', '/v1/store/events', { body: { events: [event] } })).status).toBe(400)
  })

  it("a picture's name and size", async () => {
    const { id } = await product()
    for (const query of ['name=x', 'width=1', 'position=0']) expect((await upload(id, `?${query}`)).status).toBe(400)
  })
})

describe('batch exhaustion (CVE-2026-33756, CVE-2026-35401): every list has an end', () => {
  const many = <T>(length: number, one: (index: number) => T): T[] => Array.from({ length }, (_, index) => one(index))

  it.each(['products', 'search', 'categories', 'brands'])('101 of /v1/store/%s', async (list) => {
    expect((await get(`/v1/store/${list}?limit=101`)).status).toBe(400)
  })

  it('101 events, 11 attributes, 1,001 synonyms, 51 pins, and more of a product than it can have', async () => {
    const { id } = await product()
    const events = many(101, () => ({ type: 'view', product_id: id }))
    const sent = [
      await api.call('post', '/v1/store/events', { body: { events } }),
      await get(`/v1/store/search?${many(11, (n) => `attr.a${n}=x`).join('&')}`),
      await api.call('put', '/v1/admin/search/synonyms', {
        key: staff,
        headers: { 'if-match': '*' },
        body: { data: many(1_001, (n) => ({ terms: [`a${n}`, `b${n}`] })) },
      }),
      await api.call('put', '/v1/admin/search/curations', {
        key: staff,
        headers: { 'if-match': '*' },
        body: { data: [{ query: 'x', pins: many(51, () => id) }] },
      }),
      ...(await Promise.all(
        [
          { variants: many(1_001, (n) => ({ sku: `S${n}`, prices: [] })) },
          { categories: many(1_001, (n) => `Category ${n}`) },
          { attributes: Object.fromEntries(many(1_001, (n) => [`a${n}`, 'x'])) },
        ].map((body) =>
          api.call('patch', `/v1/admin/products/${id}`, { key: staff, headers: { 'if-match': '*' }, body }),
        ),
      )),
    ]
    expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 400))
  })
})

describe('parser DoS and ReDoS (CVE-2025-15284, CVE-2024-45296, CVE-2026-26996): junk is refused as fast as sense', () => {
  const LONG = 7_000

  it.each([
    ['one word of a query', '/v1/store/search?q=', 'a'],
    ['words of a query', '/v1/store/search?q=', 'a%20'],
    ['marks in a query', '/v1/store/search?q=', "'!-"],
    ['combining marks', '/v1/store/search?q=a', '%CC%81'],
    ['braces in a completion', '/v1/store/search/suggest?q=', '({['],
    ['a slug of hyphens', '/v1/store/pages/product/', 'a-'],
    ['slashes', '/v1/store/pages/', '/'],
    ['dots in a path', '/v1/store/', '%2e%2e%2f'],
    ['parameters', '/v1/store/search?', 'a=1&'],
    ['brackets in a parameter', '/v1/store/search?a', '[a]'],
    ['a cursor', '/v1/store/products?cursor=', 'eyJ'],
  ])('thousands of: %s', async (_what, path, piece) => {
    const { status } = await within(SOON_MS, () => get(path + piece.repeat(LONG / piece.length)))
    expect([200, 400, 404]).toContain(status)
  })

  it.each([
    ['if-none-match', 'W/"'],
    ['if-match', '"'],
    ['content-type', 'a/b; '],
    ['authorization', 'Bearer '],
    ['accept', '*/*;q=0.1,'],
    ['x-forwarded-for', '1.1.1.1, '],
  ])('thousands of words in the header %s', async (name, piece) => {
    const { slug } = await product()
    const headers = { [name]: piece.repeat(LONG / piece.length).trim() }
    const { status } = await within(SOON_MS, () => get(`/v1/store/pages/product/${slug}`, { headers }))
    expect(status).toBe(200)
  })
})

it('JSON depth bomb (CVE-2025-59466): half a million levels are refused and nothing dies of it', async () => {
  const { id } = await product()
  const bombs = ['['.repeat(500_000) + ']'.repeat(500_000), `${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`]
  for (const raw of bombs) {
    const answer = await within(2 * SOON_MS, () =>
      api.call('patch', `/v1/admin/products/${id}`, { key: staff, headers: { 'if-match': '*' }, raw }),
    )
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ code: 'too_deep' }] } })
  }
  expect((await get('/livez')).status).toBe(200)
})

describe('prototype pollution (CVE-2022-24999, CVE-2019-10744)', () => {
  afterEach(() => expect(({} as Record<string, unknown>)['polluted']).toBeUndefined())

  it.each([
    '{"__proto__":{"polluted":1}}',
    '{"attributes":{"__proto__":{"polluted":1}}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"attributes":{"constructor":{"prototype":{"polluted":1}}}}',
  ])('a body %s is refused', async (raw) => {
    const { id } = await product()
    const headers = { 'if-match': '*' }
    expect((await api.call('patch', `/v1/admin/products/${id}`, { key: staff, headers, raw })).status).toBe(400)
  })

  it.each([
    '__proto__[polluted]=1',
    'constructor[prototype][polluted]=1',
    '__proto__.polluted=1',
    '__proto__=1',
    'constructor=1',
    'hasOwnProperty=1',
  ])('a parameter %s is refused', async (parameter) =>
    expect((await get(`/v1/store/search?${parameter}`)).status).toBe(400),
  )

  it.each(['__proto__', 'constructor', 'prototype', 'tostring'])('an attribute named %s is a name', async (name) => {
    const { status, body } = await get(`/v1/store/search?attr.${name}=x`)
    expect(status === 400 || body.total === 0).toBe(true)
  })
})

describe('enumeration (CVE-2026-25050, CVE-2026-31888): what is not for sale is not there', () => {
  const withoutIds = ({ status, body: { instance: _, request_id: __, ...body } }: Answer) => ({ status, body })

  it('a product off sale, one without a price, and one that never was are answered alike', async () => {
    const archived = await product()
    await api.call('patch', `/v1/admin/products/${archived.id}`, {
      key: staff,
      headers: { 'if-match': '*' },
      body: { status: 'archived' },
    })
    const priceless = await product({ variants: [{ sku: `NONE-${++number}`, prices: [] }] })
    const ids = [archived.id, 'prod_01h455vb4pex5vsknk084sn02q', priceless.id]
    const alike = async (path: string, of: readonly string[]): Promise<void> => {
      const answers = await Promise.all(of.map((id) => get(`/v1/store/${path.replace('%', id)}`)))
      expect(answers.map(({ status }) => status)).toEqual(of.map(() => 404))
      expect(new Set(answers.map((answer) => JSON.stringify(withoutIds(answer)))).size).toBe(1)
    }
    for (const path of ['products/%', 'pages/product/%']) await alike(path, ids)
    for (const path of ['products/%/recommendations', 'products/%/reviews']) await alike(path, ids.slice(0, 2))
  })

  it('without a key, an id that is there and one that is not are answered alike', async () => {
    const { id } = await product()
    const answers = await Promise.all(
      [id, 'prod_01h455vb4pex5vsknk084sn02q'].map((one) => get(`/v1/admin/products/${one}`)),
    )
    expect(answers.map(({ status }) => status)).toEqual([401, 401])
    expect(withoutIds(answers[0] as Answer)).toEqual(withoutIds(answers[1] as Answer))
  })

  it('a review that waits is neither shown nor counted', async () => {
    const { id } = await product()
    const { token } = await cart('waits@example.com')
    await api.call('post', `/v1/store/products/${id}/reviews`, { token, body: { rating: 1, text: 'Waits.' } })
    expect((await get(`/v1/store/products/${id}/reviews`)).body).toMatchObject({ data: [], summary: { count: 0 } })
  })
})

describe('IDOR on nested ids (CVE-2026-22588, CVE-2026-31821)', () => {
  it('a picture of one product cannot be changed or deleted through another', async () => {
    const [mine, yours] = [await product(), await product()]
    const image = (await upload(yours.id)).body
    const through = (id: string) => `/v1/admin/products/${id}/images/${image.id}`
    const patch = { key: staff, headers: { 'if-match': '*' }, body: { alt: 'Mine now' } }
    expect((await api.call('patch', through(mine.id), patch)).status).toBe(404)
    expect((await api.call('delete', through(mine.id), { key: staff })).status).toBe(404)
    const { body } = await get(`/v1/admin/products/${yours.id}`, { key: staff })
    expect(body).toMatchObject({ version: 2, images: [{ id: image.id, alt: '' }] })
    expect((await fetch(api.url + image.urls['400'])).status).toBe(200)
  })

  it('a buyer who reviews what another has reviewed leaves that review alone', async () => {
    const { id } = await product()
    const write = async (email: string, text: string) =>
      api.call('post', `/v1/store/products/${id}/reviews`, {
        token: (await cart(email)).token,
        body: { rating: 3, text },
      })
    const [first, second] = [await write('one@example.com', 'First.'), await write('two@example.com', 'Second.')]
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body.id).not.toBe(first.body.id)
    const { rows } = await api.database.pool.query('select text from review where product_id = $1 order by id', [id])
    expect(rows).toEqual([{ text: 'First.' }, { text: 'Second.' }])
  })
})

describe('SSRF (CVE-2021-37711): nothing that is sent makes this server ask another', () => {
  let asked: string[]
  let inner: Server
  let bucket: Server
  let other: TestApi | undefined
  const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  beforeAll(async () => {
    inner = createServer((request, response) => {
      asked.push(`inner ${request.url}`)
      response.end('secret')
    })
    await new Promise<void>((resolve) => inner.listen(0, '127.0.0.1', resolve))
    bucket = createServer((request, response) => {
      asked.push(`bucket ${request.url}`)
      response.writeHead(302, { location: `${addressOf(inner)}/latest/meta-data` }).end()
    })
    await new Promise<void>((resolve) => bucket.listen(0, '127.0.0.1', resolve))
  })
  beforeEach(() => {
    asked = []
  })
  afterAll(async () => {
    await other?.close()
    for (const server of [inner, bucket]) server.closeAllConnections()
    for (const server of [inner, bucket]) server.close()
  })

  it('an upload or an import is never an address', async () => {
    const { id } = await product()
    const body = { url: `${addressOf(inner)}/latest/meta-data` }
    for (const path of [`/v1/admin/products/${id}/images`, '/v1/admin/imports']) {
      expect((await api.call('post', path, { key: staff, body })).status).toBe(415)
    }
    expect(asked).toEqual([])
  })

  it('a bucket that redirects is not followed, and no name leads out of it', async () => {
    other = await startApi({
      IMAGE_STORE: `${addressOf(bucket)}/pictures`,
      S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: 'secret',
    })
    const file = imageFile('0'.repeat(32), 400)
    expect((await other.call('get', `/images/${file}`)).status).toBe(503)
    expect(asked).toEqual([`bucket /pictures/${file}`])
    for (const name of ['..%2f..%2fsecret', '%2e%2e%2f', `${file}%3fx=1`, `${file}%23`, `@169.254.169.254`]) {
      expect((await other.call('get', `/images/${name}`)).status).toBe(404)
    }
    expect(asked).toHaveLength(1)
  })
})

describe('the Host header (CVE-2026-27959)', () => {
  const EVIL = 'evil.example'

  it('is in no answer, and in no page that is kept for others', async () => {
    const { slug } = await product()
    const sent = [
      ['GET', `/v1/store/pages/product/${slug}`],
      ['GET', `/v1/store/pages/product/${slug}`],
      ['GET', '/v1/store/products?limit=1'],
      ['GET', '/openapi.json'],
      ['GET', '/v1/nowhere'],
      ['POST', '/v1/store/carts'],
    ] as const
    for (const [method, path] of sent) expect(await ask(method, path)).not.toContain(EVIL)
    expect(JSON.stringify((await get(`/v1/store/pages/product/${slug}`)).body)).not.toContain(EVIL)
  })

  /** Headers and body, as text. */
  function ask(method: string, path: string): Promise<string> {
    const { hostname, port } = new URL(api.url)
    const headers = { host: EVIL, 'x-forwarded-host': EVIL, forwarded: `host=${EVIL}` }
    return new Promise((resolve, reject) => {
      httpRequest({ hostname, port, method, path, headers }, (response) => {
        let text = response.rawHeaders.join('\n')
        response.on('data', (piece: Buffer) => (text += piece.toString()))
        response.on('end', () => resolve(text))
      })
        .on('error', reject)
        .end()
    })
  }
})

describe('keys of Redis', () => {
  const HOSTILE = ['x}:{y', 'x\r\nFLUSHALL\r\n', '*', 'x GBP y', 'pages:drop:{x}', '../x']

  it('what is asked for is no command and no other key', async () => {
    const { redis } = api.deps
    await redis.set('sentinel', 'there')
    const before = await redis.dbsize()
    for (const text of HOSTILE.map(encodeURIComponent)) {
      expect((await get(`/v1/store/pages/product/${text}`)).status).toBe(404)
      expect((await get(`/v1/store/pages/category/${text}`)).status).toBe(404)
      expect((await get(`/v1/store/pages/home?session=${text}${'x'.repeat(20)}`)).status).toBe(400)
      expect((await get(`/v1/store/pages/home?currency=${text}`)).status).toBe(400)
    }
    expect(await redis.get('sentinel')).toBe('there')
    expect(await redis.dbsize()).toBe(before)
  })

  it('one page is never taken for another whose name holds its own', async () => {
    await seedProducts(api.database.pool, [
      { sku: `KEY-${++number}`, title: 'Key', prices: { GBP: 1, EUR: 2 }, stock: 1 },
    ])
    const { slug } = await product()
    const kept = await get(`/v1/store/pages/product/${slug}`)
    expect(kept.status).toBe(200)
    expect((await get(`/v1/store/pages/product/${slug}?currency=EUR`)).status).toBe(404)
    expect((await get(`/v1/store/pages/category/${slug}`)).status).toBe(404)
  })

  it.each(['{x}', 'a b', '*', 'ünï'])('a slug %s is refused', async (slug) => {
    const body = { title: 'X', slug, variants: [] }
    expect((await api.call('post', '/v1/admin/products', { key: staff, body })).status).toBe(400)
  })
})
