import { newId } from '../../../db/id'
import { cartToken, hashToken } from '../../../db/cart/cart'
import type { CartId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'
import { type PastOrder, pastOrders } from '../../support/orders'

let api: TestApi
let staff: string
beforeAll(async () => {
  api = await startApi()
  staff = await api.key('catalog')
})
afterAll(() => api.close())

let number = 0

/** A product of its own, so that no test sees another's reviews. */
async function product(): Promise<{ id: string; slug: string; sku: string }> {
  const sku = `R${++number}`
  await seedProducts(api.database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock: 5 }])
  const { rows } = await api.database.pool.query(
    'select p.id, p.slug, v.sku from product p join variant v on v.product_id = p.id where v.sku = $1',
    [sku],
  )
  return rows[0]
}

/** The token of a new cart, with an e-mail address or without. */
async function token(email: string | null): Promise<string> {
  const { body } = await api.call('post', '/v1/store/carts', { body: { currency: 'GBP' } })
  if (email !== null) {
    await api.call('patch', `/v1/store/carts/${body.id}`, { token: body.token, body: { email } })
  }
  return body.token
}

/** The token of a cart that was bought, or whose order stands otherwise. */
async function bought(email: string, sku: string, status: PastOrder['status'] = 'confirmed'): Promise<string> {
  const cartId = newId('cart')
  const secret = cartToken('x', cartId as CartId)
  const [orderId] = await pastOrders(api.database.pool, [{ email, skus: [sku], status }])
  await api.database.pool.query(
    `insert into cart (id, token_hash, currency, state, order_id, expires_at) values ($1, $2, 'GBP', 'bought', $3, now())`,
    [cartId, hashToken(secret), orderId],
  )
  await api.database.pool.query('update orders set cart_id = $2 where id = $1', [orderId, cartId])
  return secret
}

const review = (id: string, cart: string, body: object = {}) =>
  api.call('post', `/v1/store/products/${id}/reviews`, { token: cart, body: { rating: 4, text: 'Sturdy.', ...body } })
const shown = (id: string, query = '') => api.call('get', `/v1/store/products/${id}/reviews${query}`)
const decide = (id: string, verb: 'approve' | 'reject', version: number, body: object = {}): Promise<Answer> =>
  api.call('post', `/v1/admin/reviews/${id}/${verb}`, { key: staff, body, headers: { 'if-match': `"${version}"` } })

async function approved(id: string, email: string, body: object = {}): Promise<string> {
  const written = await review(id, await token(email), body)
  expect((await decide(written.body.id, 'approve', 1)).status).toBe(200)
  return written.body.id
}

describe('a review', () => {
  it('waits for staff, is then shown, and counts in the catalog', async () => {
    const { id, slug } = await product()
    const written = await review(slug, await token('a@example.com'), { title: ' Good ', rating: 5 })
    expect(written).toMatchObject({
      status: 201,
      body: { product_id: id, rating: 5, title: 'Good', text: 'Sturdy.', verified: false, status: 'pending' },
    })
    expect((await shown(id)).body).toMatchObject({ data: [], summary: { average: null, count: 0 } })
    const waiting = await api.call('get', '/v1/admin/reviews?status=pending&limit=100', { key: staff })
    expect(waiting.body.data.map((one: { id: string }) => one.id)).toContain(written.body.id)

    const before = await versionOf(id)
    const decided = await decide(written.body.id, 'approve', 1)
    expect(decided).toMatchObject({ status: 200, body: { status: 'approved', reason: null, version: 2 } })
    expect(decided.headers.get('etag')).toBe('"2"')
    const { body } = await shown(slug)
    expect(body).toMatchObject({
      data: [{ id: written.body.id, rating: 5 }],
      summary: { average: 5, count: 1, histogram: { '5': 1, '1': 0 } },
    })
    expect((await api.call('get', `/v1/store/products/${id}`)).body.rating).toEqual({ average: 5, count: 1 })
    expect(await versionOf(id)).toBe(before + 1)
    const { rows } = await api.database.pool.query(
      "select seq from outbox where aggregate = $1 and type = 'product.updated' order by seq",
      [id],
    )
    expect(rows).toEqual([{ seq: before + 1 }])
  })

  it('is one per buyer and product: a second one changes the first, and waits again', async () => {
    const { id } = await product()
    const cart = await token('B@example.com')
    const first = await review(id, cart, { rating: 2 })
    await decide(first.body.id, 'approve', 1)
    const second = await review(id, cart, { rating: 3, text: 'Better.' })
    expect(second).toMatchObject({ status: 200, body: { id: first.body.id, rating: 3, status: 'pending' } })
    expect((await shown(id)).body).toMatchObject({ data: [], summary: { count: 0 } })
    expect((await api.call('get', `/v1/store/products/${id}`)).body.rating).toBeNull()
    expect(await review((await product()).id, cart)).toMatchObject({ status: 201 })
  })

  it('is not for who only says that an address is theirs, nor for who bought something else by it', async () => {
    const { id, sku } = await product()
    const other = await product()
    const first = await review(id, await token('c@example.com'))
    const stranger = await review(id, await token(' C@example.com '.trim()), { text: 'Taken over.' })
    expect(stranger).toMatchObject({ status: 409, body: { code: 'review_exists' } })
    const elsewhere = await bought('c@example.com', other.sku)
    expect(await review(id, elsewhere)).toMatchObject({ status: 409, body: { code: 'review_exists' } })
    const buyer = await review(id, await bought('c@example.com', sku), { text: 'As I found it.' })
    expect(buyer).toMatchObject({ status: 200, body: { id: first.body.id, text: 'As I found it.', verified: true } })
    expect(await review(id, await bought('c@example.com', sku))).toMatchObject({ status: 409 })
  })

  it('is verified when the cart that writes it has bought the product', async () => {
    const { id, sku } = await product()
    expect((await review(id, await bought('d@example.com', sku, 'cancelled'))).body.verified).toBe(false)
    expect((await review(id, await bought('e@example.com', sku, 'pending'))).body.verified).toBe(false)
    expect((await review(id, await bought('f@example.com', sku))).body.verified).toBe(true)
    const other = await product()
    expect((await review(other.id, await bought('f@example.com', sku))).body.verified).toBe(false)
  })

  it('is not verified by what a stranger bought whose address was typed', async () => {
    const { id, sku } = await product()
    await bought('victim@example.com', sku)
    const typed = await review(id, await token('victim@example.com'))
    expect(typed).toMatchObject({ status: 201, body: { verified: false } })
    const other = await product()
    const buyerOfOther = await bought('victim@example.com', other.sku)
    expect(await review(id, buyerOfOther)).toMatchObject({ status: 409 })
    expect((await review(other.id, buyerOfOther)).body.verified).toBe(true)
  })

  it('needs an e-mail address, a token that opens something, and a product on sale', async () => {
    const { id } = await product()
    expect(await review(id, await token(null))).toMatchObject({ status: 422, body: { code: 'email_required' } })
    expect(await review(id, 'ct_nothing')).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(await review('nothing', await token('g@example.com'))).toMatchObject({ status: 404 })
    await api.database.pool.query("update product set status = 'draft' where id = $1", [id])
    expect(await review(id, await token('g@example.com'))).toMatchObject({ status: 404 })
    expect(await shown(id)).toMatchObject({ status: 404 })
  })

  it('keeps no e-mail address', async () => {
    const { id } = await product()
    await review(id, await token('secret.person@example.com'))
    const { rows } = await api.database.pool.query('select * from review where product_id = $1', [id])
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain('secret.person')
  })

  it('is kept as text, word for word (stored XSS: CVE-2026-22849, CVE-2021-37710)', async () => {
    const { id } = await product()
    const text = `<script>alert(1)</script><img src=x onerror="alert('1')"> '; drop table review; --`
    await approved(id, 'h@example.com', { text, title: '<b>bold</b>' })
    const answer = await shown(id)
    expect(answer.body.data[0]).toMatchObject({ text, title: '<b>bold</b>' })
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it.each([
    ['no rating', { rating: undefined }],
    ['rating 0', { rating: 0 }],
    ['rating 6', { rating: 6 }],
    ['rating 4.5', { rating: 4.5 }],
    ['rating "5"', { rating: '5' }],
    ['no text', { text: ' ' }],
    ['a text too long', { text: 'x'.repeat(5_001) }],
    ['a title too long', { title: 'x'.repeat(201) }],
    ['a status of its own (mass assignment: CVE-2026-72843)', { status: 'approved' }],
    ['a verification of its own', { verified: true }],
    ['a NUL', { text: 'a\0b' }],
  ])('is refused with %s', async (_what, body) => {
    const { id } = await product()
    expect(await review(id, await token('i@example.com'), body)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
  })

  it('is written once per idempotency key, also by several at once', async () => {
    const { id } = await product()
    const cart = await token('j@example.com')
    const body = { rating: 4, text: 'Sturdy.' }
    const post = (key: string, sent: object = body) =>
      api.call('post', `/v1/store/products/${id}/reviews`, { token: cart, body: sent, idempotencyKey: key })
    const first = await post('once')
    const again = await post('once')
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await post('once', { ...body, rating: 1 })).toMatchObject({ status: 422 })
    const other = await product()
    const many = await Promise.all(Array.from({ length: 8 }, () => review(other.id, cart)))
    expect(many.map(({ status }) => status).toSorted()).toEqual([...Array.from({ length: 7 }, () => 200), 201])
  })
})

describe('GET …/reviews', () => {
  it('goes page by page, the newest or the best first, each once', async () => {
    const { id } = await product()
    const written: string[] = []
    for (const [index, rating] of [3, 5, 1, 5, 3].entries()) {
      written.push(await approved(id, `p${index}@example.com`, { rating }))
    }
    expect(await pages(id, 'newest')).toEqual(written.toReversed())
    expect(await pages(id, 'rating')).toEqual([3, 1, 4, 0, 2].map((index) => written[index]))
    expect((await shown(id)).body.summary).toEqual({
      average: 3.4,
      count: 5,
      histogram: { '1': 1, '2': 0, '3': 2, '4': 0, '5': 2 },
    })
  })

  it.each([
    'sort=worst',
    'cursor=x',
    'cursor=e30',
    'cursor=eyJyYXRpbmciOjksImlkIjoicmV2XyJ9',
    'status=pending',
    'limit=0',
  ])('refuses ?%s', async (query) => {
    const { id } = await product()
    expect(await shown(id, `?${query}`)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })
})

describe('moderation', () => {
  it('judges what was read: a review changed meanwhile is refused', async () => {
    const { id } = await product()
    const cart = await token('k@example.com')
    const { body } = await review(id, cart)
    await review(id, cart, { text: 'Buy cheap pills!' })
    expect(await decide(body.id, 'approve', 1)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    expect(await decide(body.id, 'reject', 2, { reason: 'Advertising' })).toMatchObject({
      status: 200,
      body: { status: 'rejected', reason: 'Advertising', version: 3 },
    })
    const read = await api.call('get', `/v1/admin/reviews/${body.id}`, { key: staff })
    expect(read).toMatchObject({ status: 200, body: { status: 'rejected' } })
    expect(read.headers.get('etag')).toBe('"3"')
  })

  it.each([
    ['approve', {}],
    ['reject', { reason: 'Advertising' }],
  ] as const)('answers a repeated %s as it did, and refuses its key for another', async (verb, body) => {
    const { id } = await product()
    const written = await review(id, await token(`${verb}@example.com`))
    const path = `/v1/admin/reviews/${written.body.id}/${verb}`
    const judge = (more: object = {}) =>
      api.call('post', path, {
        key: staff,
        body: { ...body, ...more },
        idempotencyKey: verb,
        headers: { 'if-match': '"1"' },
      })
    const first = await judge()
    const again = await judge()
    expect(again).toMatchObject({ status: 200, body: first.body })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await judge({ reason: 'Another' })).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  it('takes back what it approved, and the rating with it', async () => {
    const { id } = await product()
    const first = await approved(id, 'l@example.com', { rating: 1 })
    await approved(id, 'm@example.com', { rating: 5 })
    expect((await shown(id)).body.summary.average).toBe(3)
    await decide(first, 'reject', 2, { reason: 'Not about the product' })
    expect((await shown(id)).body.summary).toMatchObject({ average: 5, count: 1 })
  })

  it('counts all of many decided at once', async () => {
    const { id } = await product()
    const written = await Promise.all(
      Array.from({ length: 6 }, async (_, n) => (await review(id, await token(`n${n}@example.com`))).body.id),
    )
    await Promise.all(written.map((one: string) => decide(one, 'approve', 1)))
    expect((await shown(id)).body.summary).toMatchObject({ count: 6, average: 4 })
    const { rows } = await api.database.pool.query('select rating_count from product_signal where product_id = $1', [
      id,
    ])
    expect(rows).toEqual([{ rating_count: 6 }])
  })

  it('wants an If-Match, a reason to reject, and a key that may', async () => {
    const { id } = await product()
    const { body } = await review(id, await token('o@example.com'))
    const path = `/v1/admin/reviews/${body.id}`
    for (const verb of ['approve', 'reject']) {
      expect(await api.call('post', `${path}/${verb}`, { key: staff, body: { reason: 'x' } })).toMatchObject({
        status: 428,
      })
    }
    expect(await decide(body.id, 'reject', 9, { reason: 'x' })).toMatchObject({ status: 412 })
    expect(await decide(body.id, 'reject', 1)).toMatchObject({ status: 400 })
    const readonly = await api.key('readonly')
    expect(await api.call('post', `${path}/approve`, { key: readonly, body: {} })).toMatchObject({ status: 403 })
    expect(await decide('rev_01h455vb4pex5vsknk084sn02q', 'approve', 1)).toMatchObject({ status: 404 })
  })
})

it('what has a key waits while the same key is being answered', async () => {
  const { id } = await product()
  const cart = await token('q@example.com')
  const { body } = await review(id, await token('r@example.com'))
  const judge = (verb: string) =>
    api.call('post', `/v1/admin/reviews/${body.id}/${verb}`, {
      key: staff,
      body: { reason: 'x' },
      idempotencyKey: verb,
      headers: { 'if-match': '"1"' },
    })
  const held = await holdTable(api.database.pool, 'review')
  const post = () =>
    api.call('post', `/v1/store/products/${id}/reviews`, {
      token: cart,
      body: { rating: 4, text: 'Sturdy.' },
      idempotencyKey: 'at-once',
    })
  const [first, approving, rejecting] = [post(), judge('approve'), judge('reject')]
  await held.waitedForBy(3)
  for (const one of [post(), judge('approve'), judge('reject')])
    expect(await one).toMatchObject({ status: 409, body: { code: 'request_in_progress' } })
  await held.release()
  expect(await first).toMatchObject({ status: 201 })
  expect([(await approving).status, (await rejecting).status].sort()).toEqual([200, 412])
})

it('every listed status has been seen', () => expect(api.unseen('Reviews')).toEqual([]))

async function pages(id: string, sort: string): Promise<string[]> {
  const seen: string[] = []
  for (let cursor = ''; ; ) {
    const { body } = await shown(id, `?limit=2&sort=${sort}${cursor}`)
    seen.push(...body.data.map((one: { id: string }) => one.id))
    if (!body.has_more) return seen
    cursor = `&cursor=${body.next_cursor}`
  }
}

async function versionOf(id: string): Promise<number> {
  const { rows } = await api.database.pool.query<{ version: number }>('select version from product where id = $1', [id])
  return rows[0]?.version ?? 0
}
