import { until } from '../client'
import { startSandboxProcess, type SandboxProcess } from '../process'
import { addressIn, BOX, CarrierClient, newLabelKey, parcelTo } from './client'

let carrier: SandboxProcess
let client: CarrierClient

beforeAll(async () => {
  carrier = await startSandboxProcess({ program: 'carrier/main.ts' })
  client = new CarrierClient(carrier.url)
})
afterEach(() => client.faults({}))
afterAll(() => carrier.kill())

describe('rates', () => {
  const rates = async (request: object) => {
    const { status, body } = await client.call('POST', '/v1/rates', request)
    expect(status).toBe(200)
    return body.data.map(({ service, price, days }) => [service, price.amount, days])
  }

  test.each([
    [
      'GB',
      [
        ['economy', 230, 5],
        ['standard', 350, 3],
        ['express', 710, 1],
      ],
    ],
    [
      'DE',
      [
        ['economy', 650, 8],
        ['standard', 1_030, 5],
        ['express', 2_170, 2],
      ],
    ],
    [
      'JP',
      [
        ['economy', 1_370, 14],
        ['standard', 2_250, 9],
        ['express', 4_630, 3],
      ],
    ],
  ])('to %s, by weight', async (country, expected) => {
    expect(await rates(parcelTo(country))).toEqual(expected)
  })

  test('each box counts, and a box that is too heavy for one service is left to the others', async () => {
    const heavy = { ...BOX, weight_grams: 25_000 }
    const [standard] = await rates({ ...parcelTo('GB'), boxes: [BOX, heavy] })
    expect(standard).toEqual(['standard', 350 + 290 + 50 * 30, 3])
    expect(await rates({ ...parcelTo('GB'), boxes: [{ ...BOX, weight_grams: 30_001 }] })).toEqual([])
  })

  test('in the currency of what is inside, in its own decimals', async () => {
    const of = async (currency: string) => {
      const { body } = await client.call('POST', '/v1/rates', { ...parcelTo('GB'), value: { amount: 1, currency } })
      return body.data[0].price
    }
    expect(await of('JPY')).toEqual({ amount: 230, currency: 'JPY' })
    expect(await of('KWD')).toEqual({ amount: 2_300, currency: 'KWD' })
  })

  test('it does not go everywhere', async () => {
    expect(await rates(parcelTo('GB', 'sandbox:nowhere'))).toEqual([])
    expect(await client.buy(newLabelKey(), { line2: 'sandbox:nowhere' })).toMatchObject({
      status: 422,
      body: { code: 'not_served' },
    })
  })
})

describe('a key', () => {
  test('buys one label, however many ask at once', async () => {
    const key = newLabelKey()
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.buy(key)))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1)
    expect(answers[0]?.body).toMatchObject({
      key,
      status: 'live',
      service: 'standard',
      price: { amount: 350, currency: 'GBP' },
      tracking_number: expect.stringMatching(/^77\d{13}$/),
      handed_over_at: null,
    })
    expect(await client.byKey(key)).toEqual([answers[0]?.body])
  })

  test.each([
    { service: 'express' },
    { boxes: [BOX, BOX] },
    { to: addressIn('FR') },
    { value: { amount: 1, currency: 'EUR' } },
  ])('is refused for another request: %p', async (change) => {
    const key = newLabelKey()
    const { id } = await client.bought(key)
    expect(await client.buy(key, change)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
    expect(await client.byKey(key)).toMatchObject([{ id, service: 'standard' }])
  })

  test('is required', async () => {
    expect(await client.call('POST', '/v1/labels', { ...parcelTo('GB'), service: 'standard' })).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    })
  })

  test.each([
    [{ line2: 'sandbox:refused' }, 'address_refused'],
    [{ service: 'by balloon' }, 'unknown_service'],
    [{ service: 'economy', boxes: [{ ...BOX, weight_grams: 20_001 }] }, 'too_heavy'],
  ])('that asks for what is not sold buys nothing, again and again: %p', async (change, code) => {
    const key = newLabelKey()
    for (let time = 0; time < 2; time++)
      expect(await client.buy(key, change)).toMatchObject({ status: 422, body: { code } })
    expect(await client.byKey(key)).toEqual([])
  })
})

describe('voiding', () => {
  test('takes a label back, by id and by key, again and again', async () => {
    const key = newLabelKey()
    const { id } = await client.bought(key)
    for (let time = 0; time < 2; time++) {
      expect(await client.call('POST', `/v1/labels/${id}/void`)).toMatchObject({
        status: 200,
        body: { status: 'voided' },
      })
      expect(await client.voidKey(key)).toMatchObject({ status: 200, body: { key, label: { id, status: 'voided' } } })
    }
    expect(await client.buy(key)).toMatchObject({ status: 201, body: { id, status: 'voided' } })
    expect(await client.handOver({ id } as never)).toMatchObject({ status: 409, body: { code: 'label_voided' } })
  })

  test('a key that was never used is refused for ever', async () => {
    const key = newLabelKey()
    for (let time = 0; time < 2; time++)
      expect(await client.voidKey(key)).toMatchObject({ status: 200, body: { label: null } })
    expect(await client.buy(key)).toMatchObject({ status: 409, body: { code: 'key_refused' } })
    expect(await client.byKey(key)).toEqual([])
  })

  test('of many askers at once with a purchase, one way or the other wins for all', async () => {
    const keys = Array.from({ length: 30 }, newLabelKey)
    const answers = await Promise.all(keys.map((key) => Promise.all([client.buy(key), client.voidKey(key)])))
    for (const [index, [bought, voided]] of answers.entries()) {
      expect(voided.status).toBe(200)
      expect(bought.status).toBe(voided.body.label === null ? 409 : 201)
      const left = await client.byKey(keys[index] as string)
      expect(left.map(({ status }) => status)).toEqual(voided.body.label === null ? [] : ['voided'])
    }
  })

  test('not of a parcel that the carrier has, nor of a label that it keeps', async () => {
    const key = newLabelKey()
    const label = await client.bought(key)
    expect((await client.handOver(label)).status).toBe(200)
    expect(await client.voidKey(key)).toMatchObject({
      status: 409,
      body: { code: 'label_used', label: { id: label.id } },
    })
    const kept = newLabelKey()
    await client.bought(kept, { line2: 'sandbox:keeps' })
    expect(await client.voidKey(kept)).toMatchObject({ status: 409, body: { code: 'void_refused' } })
  })
})

describe('words in the address', () => {
  test('slow: the label is there at once, its answer after 5 s', async () => {
    const key = newLabelKey()
    const start = Date.now()
    const asked = client.buy(key, { line2: 'flat 2, sandbox:slow' })
    await until('the label is there', async () => (await client.byKey(key)).length > 0)
    expect(Date.now() - start).toBeLessThan(4_000)
    expect((await asked).status).toBe(201)
    expect(Date.now() - start).toBeGreaterThanOrEqual(4_990)
  })

  test('dropped: the first answer is lost, the label is not', async () => {
    const key = newLabelKey()
    await expect(client.buy(key, { line2: 'SANDBOX:DROPPED' })).rejects.toThrow('fetch failed')
    const [label] = await client.byKey(key)
    expect(await client.buy(key, { line2: 'SANDBOX:DROPPED' })).toMatchObject({ status: 201, body: { id: label?.id } })
  })

  test('flaky: works the third time', async () => {
    const key = newLabelKey()
    const statuses = []
    for (let time = 0; time < 4; time++) statuses.push((await client.buy(key, { line2: 'sandbox:flaky' })).status)
    expect(statuses).toEqual([503, 503, 201, 201])
  })

  test('one that nobody knows does nothing', async () => {
    for (const line2 of ['sandbox:constructor', 'sandbox:__proto__', 'sandbox:', 'Sandbox Lane 3'])
      expect((await client.buy(newLabelKey(), { line2 })).status).toBe(201)
  })
})

describe('the label as a document', () => {
  test.each(['John Smith', 'Мария Ivanova', 'Ελένη', 'أحمد', '山田', '\u0000\u202e\ud800'])(
    'is a PDF for %p',
    async (name) => {
      const label = await client.bought(newLabelKey(), { to: { ...addressIn('GB'), name } })
      const { status, headers, bytes } = await client.call('GET', `/v1/labels/${label.id}/label.pdf`)
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe('application/pdf')
      expect(bytes.subarray(0, 5).toString()).toBe('%PDF-')
      expect(bytes.subarray(-6).toString()).toContain('%%EOF')
      expect(bytes.length).toBeGreaterThan(2_000)
    },
  )

  test('of no label there is none', async () => {
    expect((await client.call('GET', '/v1/labels/lb_0/label.pdf')).status).toBe(404)
  })
})

describe('requests that make no sense', () => {
  test.each([
    ['{', 400],
    ['[]', 400],
    [{ ...parcelTo('GB'), service: 'standard', boxes: [] }, 400],
    [{ ...parcelTo('GB'), service: 'standard', boxes: [{ ...BOX, weight_grams: -1 }] }, 400],
    [{ ...parcelTo('GB'), service: 'standard', boxes: [{ ...BOX, weight_grams: 1.5 }] }, 400],
    [{ ...parcelTo('GB'), service: 'standard', to: { ...addressIn('GB'), country: 'Britain' } }, 400],
    [{ ...parcelTo('GB'), service: 'standard', extra: 1 }, 400],
  ])('%p is %p', async (body, status) => {
    expect((await client.call('POST', '/v1/labels', body, { 'idempotency-key': newLabelKey() })).status).toBe(status)
  })

  test.each([
    ['GET', '/v1/labels/lb_0', 404],
    ['POST', '/v1/labels/lb_0/void', 404],
    ['GET', '/v1/tracking/1', 404],
    ['GET', '/track/1', 404],
    ['GET', '/v1/rates', 405],
    ['GET', '/v1/nothing', 404],
    ['GET', '/v1/labels?limit=0', 400],
  ])('%s %s is %p', async (method, path, status) => {
    expect((await client.call(method, path)).status).toBe(status)
  })
})

describe('faults', () => {
  test('an error comes before the effect, a lost answer after it', async () => {
    await client.faults({ error_rate: 1 })
    const [failed, lost] = [newLabelKey(), newLabelKey()]
    expect(await client.buy(failed)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
    expect((await client.call('GET', '/livez')).status).toBe(200)
    await client.faults({ drop_answer_rate: 1 })
    await expect(client.buy(lost)).rejects.toThrow('fetch failed')
    await client.faults({})
    expect(await client.byKey(failed)).toEqual([])
    expect(await client.byKey(lost)).toHaveLength(1)
  })

  test('equal seeds do equal harm', async () => {
    const runs: string[] = []
    for (const seed of [7, 7, 8]) {
      await client.faults({ error_rate: 0.3, drop_answer_rate: 0.3, seed })
      const seen: number[] = []
      for (let time = 0; time < 30; time++)
        seen.push(
          await client.buy(newLabelKey()).then(
            ({ status }) => status,
            () => 0,
          ),
        )
      runs.push(seen.join(' '))
    }
    expect(runs[1]).toBe(runs[0])
    expect(runs[2]).not.toBe(runs[0])
  })

  test.each([{ error_rate: 2 }, { speed: 0 }, { lost_rate: -1 }, { eror_rate: 1 }])('%p is refused', async (faults) => {
    expect((await client.faults(faults)).status).toBe(400)
  })
})
