import { newKey, SandboxClient, until } from './client'
import { startSandboxProcess, type SandboxProcess } from './process'

let sandbox: SandboxProcess
let client: SandboxClient

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  client = new SandboxClient(sandbox.url)
})
afterEach(() => client.call('PUT', '/v1/faults', {}))
afterAll(() => sandbox.kill())

const setFaults = (faults: object) => client.call('PUT', '/v1/faults', faults)

/** One charge after the other: 201, 503, or 0 for a dropped connection. */
async function statuses(keys: string[]): Promise<number[]> {
  const seen: number[] = []
  for (const key of keys)
    seen.push(
      await client.charge(key).then(
        ({ status }) => status,
        () => 0,
      ),
    )
  return seen
}

test('an error is answered before anything happens', async () => {
  await setFaults({ error_rate: 1 })
  const key = newKey()
  expect(await client.charge(key)).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  await setFaults({})
  expect(await client.byKey(key)).toEqual([])
})

test('a dropped answer comes after the effect', async () => {
  await setFaults({ drop_answer_rate: 1 })
  const key = newKey()
  await expect(client.charge(key)).rejects.toThrow('fetch failed')
  await setFaults({})
  expect(await client.byKey(key)).toMatchObject([{ status: 'authorized' }])
})

test('equal seeds do equal harm, other seeds other harm', async () => {
  const runs: string[] = []
  for (const seed of [7, 7, 8]) {
    await setFaults({ error_rate: 0.3, drop_answer_rate: 0.3, seed })
    runs.push((await statuses(Array.from({ length: 40 }, newKey))).join(' '))
  }
  expect(runs[1]).toBe(runs[0])
  expect(runs[2]).not.toBe(runs[0])
  for (const harm of ['201', '503', '0']) expect(runs[0]?.split(' ')).toContain(harm)
})

test('a delay comes before the effect: a key cancelled meanwhile is refused', async () => {
  await setFaults({ delay_ms: 500 })
  const key = newKey()
  const late = client.charge(key)
  await setFaults({})
  expect(await client.call('POST', '/v1/charges/cancel', { key })).toMatchObject({ body: { charge: null } })
  expect(await late).toMatchObject({ status: 409, body: { code: 'key_refused' } })
})

test('neither faults nor health are subject to faults, and nonsense is refused', async () => {
  await setFaults({ error_rate: 1 })
  expect((await client.call('GET', '/livez')).status).toBe(200)
  expect((await setFaults({ error_rate: 2 })).status).toBe(400)
  expect((await setFaults({ eror_rate: 1 })).status).toBe(400)
  expect((await client.charge(newKey())).status).toBe(503)
  expect((await client.call('PUT', '/v1/faults')).status).toBe(200)
  expect((await client.charge(newKey())).status).toBe(201)
})

test('a look-up that lags finds a charge by its id at once, by key, reference and in lists later', async () => {
  await setFaults({ find_lag_ms: 1_000 })
  const key = newKey()
  const charge = await client.made(key)
  const reference = encodeURIComponent(charge.reference)
  const since = encodeURIComponent(charge.created_at)
  const ways = [`key=${encodeURIComponent(key)}`, `reference=${reference}`, `updated_since=${since}`, 'limit=1000']
  const idsBy = async (query: string) =>
    (await client.call('GET', `/v1/charges?${query}`)).body.data.map(({ id }) => id)
  const seen = await Promise.all(ways.map(idsBy))
  if (Date.now() < Date.parse(charge.created_at) + 1_000) {
    for (const ids of seen) expect(ids).not.toContain(charge.id)
  }
  expect((await client.call('GET', `/v1/charges/${charge.id}`)).body).toEqual(charge)
  expect((await client.charge(key)).body).toEqual(charge)
  for (const query of ways) await until(`it is found by ${query}`, async () => (await idsBy(query)).includes(charge.id))
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(charge.created_at) + 1_000)
})

test('a lag and short authorizations fail no request', async () => {
  await setFaults({ find_lag_ms: 1, authorization_seconds: 60 })
  expect(new Set(await statuses(Array.from({ length: 20 }, newKey)))).toEqual(new Set([201]))
  expect((await setFaults({ authorization_seconds: 0 })).status).toBe(400)
  expect((await setFaults({ find_lag_ms: -1 })).status).toBe(400)
})
