import { startApi, type TestApi } from '../../support/http'

const KEYS = '/v1/admin/api-keys'

let api: TestApi
let admin: string
beforeAll(async () => {
  api = await startApi()
  admin = await api.key('admin')
})
afterAll(() => api.close())

describe('admin keys', () => {
  it('are made, shown once, listed without their secret, and revoked', async () => {
    const made = await api.call('post', KEYS, { key: admin, body: { name: 'night shift', role: 'support' } })
    expect(made).toMatchObject({ status: 201, body: { name: 'night shift', role: 'support', revoked_at: null } })
    const { id, secret, hint } = made.body
    expect(secret).toMatch(/^hf_[\w-]{43}$/)
    expect(secret.endsWith(hint)).toBe(true)

    const listed = await api.call('get', `${KEYS}?limit=1`, { key: admin })
    expect(listed.body.data).toEqual([expect.objectContaining({ id, name: 'night shift' })])
    expect(listed.body.data[0].secret).toBeUndefined()
    const next = await api.call('get', `${KEYS}?limit=1&cursor=${listed.body.next_cursor}`, { key: admin })
    expect(next.body.data[0].id).not.toBe(id)

    expect((await api.call('delete', `${KEYS}/${id}`, { key: admin })).status).toBe(204)
    expect((await api.call('delete', `${KEYS}/${id}`, { key: admin })).status).toBe(204)
    const { body } = await api.call('get', KEYS, { key: admin })
    expect(body.data.find((key: { id: string }) => key.id === id).revoked_at).not.toBeNull()
    expect((await api.call('get', KEYS, { key: secret })).status).toBe(401)
  })

  it('are made once per idempotency key; the repetition has no secret', async () => {
    const make = () =>
      api.call('post', KEYS, { key: admin, body: { name: 'once', role: 'readonly' }, idempotencyKey: 'make-key' })
    const first = await make()
    const again = await make()
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
    expect(again.body.secret).toBeUndefined()
    const other = await api.call('post', KEYS, {
      key: admin,
      body: { name: 'other', role: 'readonly' },
      idempotencyKey: 'make-key',
    })
    expect(other.status).toBe(422)
  })

  it('refuse to be made twice at once under one key', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        api.call('post', KEYS, {
          key: admin,
          body: { name: 'parallel', role: 'readonly' },
          idempotencyKey: 'parallel-key',
        }),
      ),
    )
    const ids = answers.filter((answer) => answer.status === 201).map((answer) => answer.body.id)
    expect(new Set(ids).size).toBe(1)
    expect(answers.filter((answer) => answer.status === 409).length + ids.length).toBe(8)
  })

  it('open nothing once they have expired, without a scheme, or when they are made up', async () => {
    const { body } = await api.call('post', KEYS, {
      key: admin,
      body: { name: 'short', role: 'admin', expires_at: '2999-01-01T00:00:00Z' },
    })
    expect((await api.call('get', KEYS, { key: body.secret })).status).toBe(200)
    await api.database.pool.query(`update api_key set expires_at = now() where id = $1`, [body.id])
    const fresh = await startApi({ DATABASE_URL: api.database.url })
    expect((await fresh.call('get', KEYS, { key: body.secret })).status).toBe(401)
    await fresh.close()
    for (const authorization of ['', 'Bearer', 'Bearer hf_nonsense', admin, `Basic ${admin}`]) {
      const answer = await api.call('get', KEYS, { headers: { authorization } })
      expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    }
  })

  it.each([
    [{ name: '', role: 'admin' }, '/name'],
    [{ name: 'x', role: 'king' }, '/role'],
    [{ name: 'x', role: 'admin', expires_at: '2001-01-01T00:00:00Z' }, '/expires_at'],
    [{ name: 'x', role: 'admin', expires_at: 'tomorrow' }, '/expires_at'],
  ])('refuses to make %j', async (body, pointer) => {
    expect(await api.call('post', KEYS, { key: admin, body })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer }] },
    })
  })

  it.each(['support', 'catalog', 'readonly'] as const)('are no business of a key with the role %s', async (role) => {
    const key = await api.key(role)
    for (const [method, path, body] of [
      ['get', KEYS, undefined],
      ['post', KEYS, { name: 'mine', role: 'admin' }],
      ['delete', `${KEYS}/key_00000000000000000000000000`, undefined],
    ] as const) {
      const answer = await api.call(method, path, { key, ...(body ? { body } : {}) })
      expect(answer).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } })
    }
  })

  it('are kept as a hash alone', async () => {
    const { rows } = await api.database.pool.query('select row_to_json(k)::text as row from api_key k')
    for (const { row } of rows) expect(row).not.toContain(admin)
  })
})

it('answers every status that its routes list', () => {
  expect(api.unseen('API keys')).toEqual([])
})
