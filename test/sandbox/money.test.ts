import type { Movement } from '../../sandbox/movements'
import { ChargeClient, newKey, SandboxClient, until } from './client'
import { startSandboxProcess, type SandboxProcess } from './process'

let sandbox: SandboxProcess
let client: SandboxClient

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  client = new SandboxClient(sandbox.url)
})
afterEach(() => client.call('PUT', '/v1/faults', {}))
afterAll(() => sandbox.kill())

const EXCEEDS = { status: 409, body: { code: 'amount_exceeds_available' } }

async function authorized(method = 'pm_card_visa'): Promise<ChargeClient> {
  return new ChargeClient(client, (await client.made(newKey(), { method })).id)
}

async function captured(method = 'pm_card_visa'): Promise<ChargeClient> {
  return new ChargeClient(client, (await client.made(newKey(), { method, capture: true })).id)
}

describe('a capture', () => {
  test('takes parts; the charge stays authorized until nothing is left', async () => {
    const charge = await authorized()
    const key = newKey()
    const first = await charge.capture({ amount: 200 }, key)
    expect(first).toMatchObject({
      status: 200,
      body: {
        ...{ status: 'authorized', captured: 200, released: 0, capture_before: expect.any(String) },
        captures: [{ id: expect.stringMatching(/^cap_/), key, amount: 200, final: false, status: 'succeeded' }],
      },
    })
    expect((await charge.capture({ amount: 200 }, key)).body).toEqual(first.body)
    expect(await charge.capture({ amount: 201 }, key)).toMatchObject({ status: 422 })
    expect(await charge.capture({ amount: 200, final: true }, key)).toMatchObject({ status: 422 })
    expect(await charge.capture({ amount: 310, currency: 'EUR' })).toMatchObject({
      status: 422,
      body: { code: 'currency_mismatch' },
    })
    expect(await charge.capture({ amount: 311 })).toMatchObject(EXCEEDS)
    expect((await charge.capture()).body).toMatchObject({ status: 'captured', captured: 510, capture_before: null })
    expect(await charge.capture()).toMatchObject({ status: 409, body: { code: 'charge_captured' } })
    expect(await charge.void()).toMatchObject({ status: 409, body: { code: 'charge_captured' } })
  })

  test.each([
    ['a final one', 'pm_card_visa', { amount: 200, final: true }],
    ['the only one of a charge that allows one', 'pm_sandbox_single_capture', { amount: 200 }],
  ])('releases the rest: %s', async (_, method, body) => {
    const charge = await authorized(method)
    const key = newKey()
    const taken = { status: 'captured', captured: 200, released: 310 }
    for (let time = 0; time < 2; time++) expect((await charge.capture(body, key)).body).toMatchObject(taken)
    expect(await charge.now()).toMatchObject({ captures_in_parts: method === 'pm_card_visa' })
    expect((await charge.capture({ amount: 1 })).status).toBe(409)
  })

  test('is kept as failed when it is refused; another key works', async () => {
    const charge = await authorized('pm_sandbox_capture_refused')
    const key = newKey()
    for (let time = 0; time < 2; time++) {
      expect(await charge.capture({ amount: 200 }, key)).toMatchObject({
        status: 402,
        body: { code: 'capture_refused', charge: { status: 'authorized', captured: 0 } },
      })
    }
    expect((await charge.capture({ amount: 200 })).body).toMatchObject({
      captured: 200,
      captures: [
        { key, amount: 200, status: 'failed', failure_code: 'capture_refused' },
        { amount: 200, status: 'succeeded', failure_code: null },
      ],
    })
  })

  test('of twenty at once as many succeed as there is money', async () => {
    const charge = await authorized()
    const answers = await Promise.all(Array.from({ length: 20 }, () => charge.capture({ amount: 100 })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
    expect(await charge.now()).toMatchObject({ status: 'authorized', captured: 500 })
  })

  test('needs the key for itself', async () => {
    const [one, other] = [await authorized(), await authorized()]
    const key = newKey()
    await one.capture({ amount: 200 }, key)
    expect(await other.capture({ amount: 200 }, key)).toMatchObject({ status: 422 })
    expect((await one.refund({ amount: 200 }, key)).status).toBe(201)
  })
})

test('a void of a partly captured charge releases the rest', async () => {
  const charge = await authorized()
  await charge.capture({ amount: 200 })
  expect((await charge.void()).body).toMatchObject({ status: 'captured', captured: 200, released: 310 })
  const other = await authorized()
  await other.capture({ amount: 200 })
  await other.refund()
  expect(await other.now()).toMatchObject({ status: 'authorized', refunded: 200 })
  expect((await other.void()).body).toMatchObject({ status: 'refunded', captured: 200, released: 310 })
})

test('a void releases all of an authorized charge, as often as one asks', async () => {
  const charge = await authorized()
  for (let time = 0; time < 2; time++)
    expect(await charge.void()).toMatchObject({ status: 200, body: { status: 'voided', captured: 0, released: 510 } })
})

test('an authorization that runs out is released', async () => {
  await client.call('PUT', '/v1/faults', { authorization_seconds: 1 })
  const [whole, part] = [await authorized(), await authorized()]
  await client.call('PUT', '/v1/faults', {})
  await part.capture({ amount: 200 })
  const { created_at, capture_before } = await whole.now()
  expect(Date.parse(capture_before as string) - Date.parse(created_at)).toBe(1_000)
  await until('they have run out', async () => (await part.now()).status !== 'authorized')
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(capture_before as string))
  expect(await part.now()).toMatchObject({ status: 'captured', captured: 200, released: 310, capture_before: null })
  await until('the other one too', async () => (await whole.now()).status === 'voided')
})

describe('a refund', () => {
  test('gives parts back, never more than was captured', async () => {
    const charge = await captured()
    const key = newKey()
    const first = await charge.refund({ amount: 500 }, key)
    expect(first).toMatchObject({
      status: 201,
      body: { id: expect.stringMatching(/^re_/), key, status: 'succeeded', amount: 500, currency: 'GBP' },
    })
    expect(first.body).not.toHaveProperty('fails_at')
    expect((await charge.refund({ amount: 500 }, key)).body).toEqual(first.body)
    expect((await charge.refund({ amount: 400 }, key)).status).toBe(422)
    const rest = await Promise.all(Array.from({ length: 12 }, () => charge.refund({ amount: 1 })))
    const count = (wanted: number) => rest.filter(({ status }) => status === wanted).length
    expect([count(201), count(409)]).toEqual([10, 2])
    expect(await charge.now()).toMatchObject({ status: 'refunded', captured: 510, refunded: 510 })
  })

  test('of nothing is refused', async () => {
    expect(await (await authorized()).refund({ amount: 1 })).toMatchObject(EXCEEDS)
    expect(await (await authorized()).refund()).toMatchObject(EXCEEDS)
  })

  test('that was refused stays refused under its key, whatever happens later', async () => {
    const charge = await authorized()
    const [refund, capture] = [newKey(), newKey()]
    await charge.capture({ amount: 100 })
    expect(await charge.refund({ amount: 200 }, refund)).toMatchObject(EXCEEDS)
    await charge.capture({ amount: 100 })
    expect(await charge.refund({ amount: 200 }, refund)).toMatchObject(EXCEEDS)
    expect(await charge.refund({ amount: 100 }, refund)).toMatchObject({ status: 422 })
    expect((await charge.refund({ amount: 200 })).status).toBe(201)
    const waiting = new ChargeClient(client, (await client.made(newKey(), { method: 'pm_sandbox_async' })).id)
    expect(await waiting.capture({}, capture)).toMatchObject({ status: 409, body: { code: 'charge_pending' } })
    await until('it is paid', async () => (await waiting.now()).status === 'authorized')
    expect(await waiting.capture({}, capture)).toMatchObject({ status: 409, body: { code: 'charge_pending' } })
  })

  test('is kept as failed when the bank refuses it', async () => {
    const charge = await captured('pm_sandbox_refund_refused')
    const key = newKey()
    for (let time = 0; time < 2; time++) {
      expect(await charge.refund(undefined, key)).toMatchObject({
        status: 402,
        body: { status: 'failed', failure_code: 'refund_refused' },
      })
    }
    expect((await charge.refund()).status).toBe(402)
    expect(await charge.now()).toMatchObject({ status: 'captured', refunded: 0, refunds: [{ status: 'failed' }, {}] })
  })

  test('refused once: another key works', async () => {
    const charge = await captured('pm_sandbox_refund_refused_once')
    const key = newKey()
    for (let time = 0; time < 2; time++) expect((await charge.refund({ amount: 200 }, key)).status).toBe(402)
    expect(await charge.refund({ amount: 200 })).toMatchObject({ status: 201, body: { status: 'succeeded' } })
    expect((await charge.refund({ amount: 200 }, key)).status).toBe(402)
    expect(await charge.now()).toMatchObject({ refunded: 200 })
  })

  test.each([
    ['succeeded', { status: 'refunded', refunded: 510 }],
    ['failed', { status: 'captured', refunded: 0 }],
  ])('stays pending until somebody settles it: %s', async (status, result) => {
    const charge = await captured('pm_sandbox_refund_pending')
    const key = newKey()
    const { body } = await charge.refund({ amount: 510 }, key)
    expect(body).toMatchObject({ status: 'pending' })
    expect(await charge.now()).toMatchObject({ status: 'captured', refunded: 0 })
    expect(await charge.refund({ amount: 1 })).toMatchObject(EXCEEDS)
    for (let time = 0; time < 2; time++)
      expect(await charge.settle(body.id, status)).toMatchObject({ status: 200, body: result })
    const other = status === 'failed' ? 'succeeded' : 'failed'
    expect(await charge.settle(body.id, other)).toMatchObject({ status: 409, body: { code: `refund_${status}` } })
    expect((await charge.refund({ amount: 510 }, key)).body).toMatchObject({ id: body.id, status })
    expect((await charge.settle('re_0', 'failed')).status).toBe(404)
    expect((await charge.settle(body.id, 'pending')).status).toBe(400)
  })

  test('may fail after it has succeeded', async () => {
    const charge = await captured('pm_sandbox_refund_fails_later')
    const start = Date.now()
    expect((await charge.refund()).body).toMatchObject({ status: 'succeeded' })
    expect(await charge.now()).toMatchObject({ status: 'refunded', refunded: 510 })
    await until('it has failed', async () => (await charge.now()).status === 'captured')
    expect(Date.now() - start).toBeGreaterThanOrEqual(1_990)
    expect(await charge.now()).toMatchObject({
      refunded: 0,
      refunds: [{ status: 'failed', failure_code: 'refund_failed' }],
    })
  })
})

describe('a dispute', () => {
  test('takes what was captured and has not gone back; a won one brings it back', async () => {
    const charge = await captured()
    await charge.refund({ amount: 10 })
    const opened = await charge.dispute()
    const [dispute] = opened.body.disputes
    expect(opened).toMatchObject({ status: 201, body: { status: 'captured', refunded: 10 } })
    expect(dispute).toEqual({
      id: expect.stringMatching(/^dp_/),
      amount: 500,
      status: 'open',
      created_at: expect.any(String),
    })
    expect(await charge.refund({ amount: 1 })).toMatchObject(EXCEEDS)
    expect(await charge.dispute({ amount: 1 })).toMatchObject(EXCEEDS)
    for (let time = 0; time < 2; time++)
      expect((await charge.close(dispute?.id ?? '', 'won')).body.disputes).toMatchObject([{ status: 'won' }])
    expect(await charge.close(dispute?.id ?? '', 'lost')).toMatchObject({ status: 409, body: { code: 'dispute_won' } })
    expect((await charge.refund({ amount: 1 })).status).toBe(201)
    expect((await charge.close('dp_0', 'won')).status).toBe(404)
  })

  test('that is lost keeps what it took', async () => {
    const charge = await captured()
    const { body } = await charge.dispute({ amount: 500 })
    await charge.close(body.disputes[0]?.id ?? '', 'lost')
    expect(await charge.refund({ amount: 11 })).toMatchObject(EXCEEDS)
    expect((await charge.refund({ amount: 10 })).status).toBe(201)
  })

  test('of what was not captured is refused', async () => {
    expect(await (await authorized()).dispute()).toMatchObject(EXCEEDS)
  })
})

describe('movements', () => {
  const since = async (after: number, charge: ChargeClient) => {
    const { id } = await charge.now()
    return (await client.movements(after)).filter((movement) => movement.charge === id)
  }
  const lastNumber = async () => (await client.movements()).at(-1)?.number ?? 0
  const told = (movements: readonly Movement[]) => movements.map(({ type, amount }) => [type, amount])

  test('tell of every movement of money, with its sign', async () => {
    const before = await lastNumber()
    const charge = await authorized()
    const [capture, refund] = [newKey(), newKey()]
    await charge.capture({ amount: 300 }, capture)
    await charge.refund({ amount: 100 }, refund)
    const { body } = await charge.dispute({ amount: 50 })
    await charge.close(body.disputes[0]?.id ?? '', 'won')
    const { id, key, reference, captures, refunds, disputes } = await charge.now()
    const movements = await since(before, charge)
    const of = { charge: id, key, reference, currency: 'GBP', number: expect.any(Number) }
    expect(movements).toEqual([
      {
        ...of,
        type: 'capture',
        object: captures[0]?.id,
        object_key: capture,
        amount: 300,
        created_at: expect.any(String),
      },
      {
        ...of,
        type: 'refund',
        object: refunds[0]?.id,
        object_key: refund,
        amount: -100,
        created_at: expect.any(String),
      },
      {
        ...of,
        type: 'dispute',
        object: disputes[0]?.id,
        object_key: null,
        amount: -50,
        created_at: expect.any(String),
      },
      {
        ...of,
        type: 'dispute_won',
        object: disputes[0]?.id,
        object_key: null,
        amount: 50,
        created_at: expect.any(String),
      },
    ])
  })

  test('tell nothing of a refund before it succeeds, and of a failure only when it had succeeded', async () => {
    const before = await lastNumber()
    const pending = await captured('pm_sandbox_refund_pending')
    const one = (await pending.refund({ amount: 100 })).body.id
    const two = (await pending.refund({ amount: 200 })).body.id
    expect(told(await since(before, pending))).toEqual([['capture', 510]])
    await pending.settle(one, 'failed')
    await pending.settle(two, 'succeeded')
    expect(told(await since(before, pending))).toEqual([
      ['capture', 510],
      ['refund', -200],
    ])
    const failing = await captured('pm_sandbox_refund_fails_later')
    await failing.refund({ amount: 100 })
    await until('it fails', async () => (await failing.now()).refunds[0]?.status === 'failed')
    expect(told(await since(before, failing))).toEqual([
      ['capture', 510],
      ['refund', -100],
      ['refund_failed', 100],
    ])
    const refused = await captured('pm_sandbox_refund_refused')
    await refused.refund()
    expect(told(await since(before, refused))).toEqual([['capture', 510]])
    const uncaptured = await authorized('pm_sandbox_capture_refused')
    await uncaptured.capture()
    await uncaptured.void()
    expect(await since(before, uncaptured)).toEqual([])
  })

  test('are numbered without gaps, and listed from a number or a time on', async () => {
    await captured()
    const all = await client.movements()
    expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1))
    expect(await client.movements(0, 2)).toEqual(all)
    const last = all.at(-1) as Movement
    await until('the clock has moved', () => Date.now() > Date.parse(last.created_at))
    const { id } = await (await captured()).now()
    const later = (await client.movements(last.number))[0] as Movement
    const query = `/v1/movements?since=${encodeURIComponent(later.created_at)}`
    expect(await client.call('GET', query)).toMatchObject({
      status: 200,
      body: { data: [{ charge: id }], has_more: false, next_cursor: null },
    })
    expect((await client.call('GET', `${query}&after=${later.number}`)).body.data).toEqual([])
    expect((await client.call('GET', '/v1/movements?after=-1')).status).toBe(400)
    expect((await client.call('POST', '/v1/movements')).status).toBe(405)
  })
})
