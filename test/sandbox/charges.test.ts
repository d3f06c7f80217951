import type { PublicCharge } from '../../sandbox/charge'
import { newKey, SandboxClient, until } from './client'
import { startSandboxProcess, type SandboxProcess } from './process'

let sandbox: SandboxProcess
let client: SandboxClient

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  client = new SandboxClient(sandbox.url)
})
afterAll(() => sandbox.kill())

test('a card that works is authorized', async () => {
  const key = newKey()
  const { status, body } = await client.charge(key)
  expect(status).toBe(201)
  expect(body).toMatchObject({
    id: expect.stringMatching(/^ch_/),
    key,
    reference: `order_${key}`,
    amount: 510,
    currency: 'GBP',
    method: 'pm_card_visa',
    status: 'authorized',
    decline_code: null,
    captured: 0,
    released: 0,
    refunded: 0,
    captures_in_parts: true,
    captures: [],
    refunds: [],
    disputes: [],
    action_url: null,
    updated_at: body.created_at,
  })
  expect(Date.parse(body.capture_before as string) - Date.parse(body.created_at)).toBe(7 * 86_400_000)
  expect(new Date(body.created_at).toISOString()).toBe(body.created_at)
  expect((await client.call('GET', `/v1/charges/${body.id}`)).body).toEqual(body)
})

test('with capture it is taken at once', async () => {
  const captured = {
    status: 'captured',
    captured: 510,
    capture_before: null,
    captures: [{ id: expect.stringMatching(/^cap_/), key: null, amount: 510, final: true, status: 'succeeded' }],
  }
  expect(await client.made(newKey(), { capture: true })).toMatchObject(captured)
  expect(await client.made(newKey(), { method: 'pm_sandbox_captured_at_once' })).toMatchObject(captured)
})

test.each([
  ['pm_card_chargeDeclined', 'generic_decline'],
  ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
  ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
  ['pm_of_nobody', 'unknown_payment_method'],
  ['__proto__', 'unknown_payment_method'],
])('%s is declined: %s', async (method, code) => {
  const key = newKey()
  const answers = [await client.charge(key, { method }), await client.charge(key, { method })]
  for (const { status, body } of answers) {
    expect(status).toBe(402)
    expect(body).toMatchObject({ status: 'declined', decline_code: code })
  }
  expect(await client.byKey(key)).toHaveLength(1)
})

describe('a key', () => {
  test('makes one charge, however many ask at once', async () => {
    const key = newKey()
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.charge(key)))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1)
    expect(await client.byKey(key)).toHaveLength(1)
  })

  test('answers the charge as it stands now', async () => {
    const key = newKey()
    const { id } = await client.made(key)
    await client.call('POST', `/v1/charges/${id}/void`)
    expect(await client.charge(key)).toMatchObject({ status: 201, body: { id, status: 'voided' } })
  })

  test.each([{ amount: 511 }, { currency: 'EUR' }, { method: 'pm_card_mastercard' }, { capture: true }])(
    'is refused for another request: %p',
    async (change) => {
      const key = newKey()
      const { id } = await client.made(key)
      expect(await client.charge(key, change)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
      expect(await client.byKey(key)).toMatchObject([{ id, amount: 510 }])
    },
  )

  test('is required', async () => {
    const body = { amount: 1, currency: 'GBP', method: 'pm_card_visa', reference: 'order_1' }
    expect(await client.call('POST', '/v1/charges', body)).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    })
    const { id } = await client.made(newKey(), { capture: true })
    expect((await client.call('POST', `/v1/charges/${id}/refunds`)).status).toBe(400)
    expect((await client.call('POST', `/v1/charges/${id}/capture`)).status).toBe(400)
  })
})

test.each(['voided', 'declined'])('a charge that is %s cannot be captured or refunded', async (status) => {
  const method = status === 'declined' ? 'pm_card_chargeDeclined' : 'pm_card_visa'
  const { id } = await client.made(newKey(), { method })
  const voided = await client.call('POST', `/v1/charges/${id}/void`)
  expect(voided.status).toBe(status === 'declined' ? 409 : 200)
  const headers = { 'idempotency-key': newKey() }
  expect(await client.call('POST', `/v1/charges/${id}/capture`, {}, headers)).toMatchObject({
    status: 409,
    body: { code: `charge_${status}` },
  })
  expect(await client.call('POST', `/v1/charges/${id}/refunds`, {}, headers)).toMatchObject({
    status: 409,
    body: { code: 'amount_exceeds_available' },
  })
})

describe('a cancelled key', () => {
  const cancel = (key: string) => client.call('POST', '/v1/charges/cancel', { key })

  test.each(['pm_card_visa', 'pm_card_authenticationRequired', 'pm_sandbox_async'])(
    'voids a charge of %s',
    async (method) => {
      const key = newKey()
      const { id } = await client.made(key, { method })
      for (let time = 0; time < 2; time++)
        expect(await cancel(key)).toMatchObject({ status: 200, body: { key, charge: { id, status: 'voided' } } })
    },
  )

  test('is refused for ever when it was not known', async () => {
    const key = newKey()
    expect(await cancel(key)).toMatchObject({ status: 200, body: { key, charge: null } })
    expect(await cancel(key)).toMatchObject({ status: 200, body: { key, charge: null } })
    expect(await client.charge(key)).toMatchObject({ status: 409, body: { code: 'key_refused', tombstone: { key } } })
    expect(await client.byKey(key)).toEqual([])
  })

  test('changes nothing about a charge that is dead already', async () => {
    const key = newKey()
    await client.made(key, { method: 'pm_card_chargeDeclined' })
    expect(await cancel(key)).toMatchObject({ status: 200, body: { charge: { status: 'declined' } } })
  })

  test('does not stop money that was taken', async () => {
    const key = newKey()
    await client.made(key, { capture: true })
    expect(await cancel(key)).toMatchObject({
      status: 409,
      body: { code: 'charge_captured', charge: { captured: 510 } },
    })
  })

  test('does not stop a charge of which something was taken', async () => {
    const key = newKey()
    const { id } = await client.made(key)
    await client.call('POST', `/v1/charges/${id}/capture`, { amount: 200 }, { 'idempotency-key': newKey() })
    expect(await cancel(key)).toMatchObject({
      status: 409,
      body: { code: 'charge_captured', charge: { status: 'authorized', captured: 200, released: 0 } },
    })
  })

  test('of many askers at once with a charge, one way or the other wins for all', async () => {
    const keys = Array.from({ length: 30 }, newKey)
    const answers = await Promise.all(keys.map((key) => Promise.all([client.charge(key), cancel(key)])))
    for (const [index, [charge, cancelled]] of answers.entries()) {
      expect(cancelled.status).toBe(200)
      expect(charge.status).toBe(cancelled.body.charge === null ? 409 : 201)
      const left = await client.byKey(keys[index] as string)
      expect(left.map(({ status }) => status)).toEqual(cancelled.body.charge === null ? [] : ['voided'])
    }
  })
})

describe('special methods', () => {
  test('slow: the charge is there at once, its answer after 5 s, also for a second asker', async () => {
    const key = newKey()
    const start = Date.now()
    const asked = Promise.all([
      client.charge(key, { method: 'pm_sandbox_slow' }),
      client.charge(key, { method: 'pm_sandbox_slow' }),
    ])
    await until('the charge is there', async () => (await client.byKey(key)).length > 0)
    expect(Date.now() - start).toBeLessThan(4_000)
    const [first, second] = await asked
    expect(Date.now() - start).toBeGreaterThanOrEqual(4_990)
    expect(second).toMatchObject({ status: 201, body: { id: first.body.id, status: 'authorized' } })
  })

  test('timeout after charge: the first answer is lost, the charge is not', async () => {
    const key = newKey()
    await expect(client.charge(key, { method: 'pm_sandbox_timeout_after_charge' })).rejects.toThrow('fetch failed')
    expect(await client.byKey(key)).toMatchObject([{ status: 'authorized' }])
    expect((await client.charge(key, { method: 'pm_sandbox_timeout_after_charge' })).status).toBe(201)
  })

  test('flaky: works the third time', async () => {
    const key = newKey()
    const statuses = []
    for (let time = 0; time < 4; time++)
      statuses.push((await client.charge(key, { method: 'pm_sandbox_flaky' })).status)
    expect(statuses).toEqual([503, 503, 201, 201])
  })

  test.each([
    [false, 'authorized', 0],
    [true, 'captured', 510],
  ])('async with capture %p: pending, then %s', async (capture, status, captured) => {
    const key = newKey()
    const start = Date.now()
    expect(await client.made(key, { method: 'pm_sandbox_async', capture })).toMatchObject({ status: 'pending' })
    await until('it is paid', async () => (await client.byKey(key))[0]?.status === status)
    expect(Date.now() - start).toBeGreaterThanOrEqual(1_990)
    expect(await client.byKey(key)).toMatchObject([{ captured }])
  })

  test('late: cannot be cancelled, is paid 5 s after it expires', async () => {
    const key = newKey()
    const expires = Date.now() + 500
    const { id } = await client.made(key, { method: 'pm_sandbox_late', expires_at: new Date(expires).toISOString() })
    const refusals = [
      await client.call('POST', '/v1/charges/cancel', { key }),
      await client.call('POST', `/v1/charges/${id}/void`),
    ]
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        status: 409,
        body: { code: 'charge_not_cancellable', charge: { id, status: 'pending' } },
      })
    }
    await until('it is paid', async () => (await client.byKey(key))[0]?.status === 'authorized')
    expect(Date.now()).toBeGreaterThanOrEqual(expires + 4_990)
    expect(await client.call('POST', '/v1/charges/cancel', { key })).toMatchObject({
      status: 200,
      body: { charge: { status: 'voided' } },
    })
  })
})

describe('lists', () => {
  test('by reference, by both, and of everything in pages', async () => {
    const reference = `order_${newKey()}`
    const keys = [newKey(), newKey(), newKey()]
    for (const key of keys) await client.made(key, { reference })
    const query = `reference=${encodeURIComponent(reference)}`
    const { body } = await client.call('GET', `/v1/charges?${query}`)
    expect(body).toMatchObject({ data: keys.map((key) => ({ key, reference })), has_more: false, next_cursor: null })
    const both = await client.call('GET', `/v1/charges?${query}&key=${encodeURIComponent(keys[1] as string)}`)
    expect(both.body.data).toMatchObject([{ key: keys[1] }])
    expect(
      (await client.call('GET', `/v1/charges?reference=other&key=${encodeURIComponent(keys[1] as string)}`)).body.data,
    ).toEqual([])

    const everything = await client.all()
    expect(await client.all(2)).toEqual(everything)
    expect(everything.slice(-3).map(({ key }) => key)).toEqual(keys)
  })

  describe('by change', () => {
    const changedSince = async (since: string, limit: number, meanwhile: () => Promise<unknown> = async () => {}) => {
      const charges: PublicCharge[] = []
      for (let cursor: string | null = '0'; cursor !== null; ) {
        const query = `updated_since=${encodeURIComponent(since)}&limit=${limit}&cursor=${cursor}`
        const { body } = await client.call('GET', `/v1/charges?${query}`)
        charges.push(...body.data)
        cursor = body.next_cursor
        if (cursor !== null) await meanwhile()
      }
      return charges
    }
    const touch = (id: string) => client.call('POST', `/v1/charges/${id}/void`)

    test('the longest unchanged first, and each once', async () => {
      const [first, second, third] = [
        await client.made(newKey()),
        await client.made(newKey()),
        await client.made(newKey()),
      ]
      await touch(second.id)
      await touch(first.id)
      for (const limit of [1, 2, 1_000]) {
        const seen = (await changedSince(first.created_at, limit)).map(({ id }) => id)
        expect(seen.slice(-3)).toEqual([third.id, second.id, first.id])
        expect(new Set(seen).size).toBe(seen.length)
      }
    })

    test('only those that changed since then', async () => {
      const old = await client.made(newKey())
      await until('the clock has moved', () => Date.now() > Date.parse(old.updated_at))
      const { id, updated_at } = await client.made(newKey())
      expect((await changedSince(updated_at, 100)).map((charge) => charge.id)).toEqual([id])
      await until('the clock has moved again', () => Date.now() > Date.parse(updated_at))
      const changed = (await touch(old.id)).body
      expect(await changedSince(changed.updated_at, 100)).toEqual([changed])
    })

    test('one that changes while somebody reads is never missed', async () => {
      const made = []
      for (let count = 0; count < 6; count++) made.push(await client.made(newKey()))
      const waiting = made.map(({ id }) => id)
      const seen = await changedSince((made[0] as PublicCharge).created_at, 2, async () => {
        const id = waiting.shift()
        if (id !== undefined) await touch(id)
      })
      expect(waiting.length).toBeLessThan(6)
      const latest = new Map(seen.map((charge) => [charge.id, charge]))
      for (const { id } of made) expect(latest.get(id)).toEqual((await client.call('GET', `/v1/charges/${id}`)).body)
    })
  })
})

describe('what makes no sense is answered clearly', () => {
  test.each([
    [{ amount: 0 }, '/amount'],
    [{ amount: 1.5 }, '/amount'],
    [{ amount: '510' }, '/amount'],
    [{ currency: 'gbp' }, '/currency'],
    [{ method: '' }, '/method'],
    [{ capture: 'yes' }, '/capture'],
    [{ return_url: 'javascript:alert(1)' }, '/return_url'],
    [{ expires_at: 'tomorrow' }, '/expires_at'],
  ])('%p', async (change, pointer) => {
    const key = newKey()
    expect(await client.charge(key, change)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ pointer }] },
    })
    expect(await client.byKey(key)).toEqual([])
  })

  test('bodies, addresses, methods', async () => {
    const headers = { 'idempotency-key': newKey() }
    expect(await client.call('POST', '/v1/charges', '{"amount":', headers)).toMatchObject({
      status: 400,
      body: { code: 'invalid_json' },
    })
    expect(await client.call('POST', '/v1/charges', 'null', headers)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
    expect(await client.call('POST', '/v1/charges', ' '.repeat(70_000), headers)).toMatchObject({ status: 413 })
    expect(await client.call('GET', '/v1/charges?limit=1001')).toMatchObject({ status: 400 })
    expect(await client.call('GET', '/v1/charges?updated_since=yesterday')).toMatchObject({ status: 400 })
    expect(await client.call('GET', '/v1/charges/ch_0')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await client.call('GET', '/nowhere')).toMatchObject({ status: 404 })
    const wrong = await client.call('DELETE', '/v1/charges')
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('POST, GET')
    expect(await client.call('GET', '/livez')).toMatchObject({ status: 200, body: { status: 'ok' } })
  })
})
