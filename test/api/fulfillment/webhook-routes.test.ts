import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Webhook } from 'standardwebhooks'
import { takeDueTracking } from '../../../db/fulfillment/tracking'
import { signatureOf } from '../../../providers/carrier/easypost/tracking'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { orderStatements } from '../../support/order-statements'
import { insertShipment } from '../../support/shipments'

const SECRET = 'whsec_dGVzdC1vbmx5LXdlYmhvb2stc2VjcmV0LWtleQ=='
const OTHER_SECRET = 'whsec_YW5vdGhlci1zZWNyZXQtb2Ytc29tZWJvZHktZWxzZQ=='
const EASYPOST_SECRET = 'a secret of EasyPost'

let api: TestApi
const logged: string[] = []
beforeAll(async () => {
  api = await startApi(
    {
      CARRIER_SANDBOX_WEBHOOK_SECRET: SECRET,
      EASYPOST_API_KEY: 'EZTK_of_a_test',
      EASYPOST_WEBHOOK_SECRET: EASYPOST_SECRET,
      EASYPOST_API_URL: 'http://127.0.0.1:9',
    },
    (line) => logged.push(JSON.stringify(line)),
  )
})
beforeEach(() => api.database.pool.query('delete from tracking_event'))
afterAll(() => api.close())

const { placed } = orderStatements(() => api.database.pool)

interface Sent {
  readonly change?: object
  /** Beside the parcel. */
  readonly beside?: object
  readonly secret?: string
  readonly at?: Date
  readonly id?: string
  /** Sent instead of what was signed. */
  readonly raw?: string
  /** Signed as it is. */
  readonly signed?: string
  readonly without?: string
}

const tracking = (id: string, change: object = {}) => ({
  ...{ id, tracking_number: '7700011', type: 'in_transit', happened_at: '2026-01-02T03:04:05.000Z' },
  ...{ detail: null, expected_at: null },
  ...change,
})

/** As the sandbox carrier sends it. */
function send(sent: Sent = {}): Promise<Answer> {
  const { at = new Date(), id = `evt_${randomUUID()}`, without } = sent
  const event = { id, type: 'tracking.updated', tracking: tracking(id, sent.change), ...sent.beside }
  const signed = sent.signed ?? JSON.stringify(event)
  const headers: Record<string, string> = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(sent.secret ?? SECRET).sign(id, at, signed),
  }
  if (without) delete headers[without]
  return api.call('post', '/webhooks/carriers/sandbox', { raw: sent.raw ?? signed, headers })
}

function sendEasyPost(event: unknown, secret = EASYPOST_SECRET): Promise<Answer> {
  const body = Buffer.from(JSON.stringify(event))
  const headers = { 'x-hmac-signature': signatureOf(body, secret) }
  return api.call('post', '/webhooks/carriers/easypost', { raw: body, headers })
}

const detailsOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    ...{ message: 'Said', status: 'in_transit', status_detail: null },
    datetime: new Date(Date.UTC(2026, 0, 1) + index * 1_000).toISOString(),
  }))
const trackerEvent = (change: object = {}) => ({
  ...{ id: `evt_${randomUUID()}`, object: 'Event', description: 'tracker.updated' },
  result: { object: 'Tracker', tracking_code: '9400', tracking_details: detailsOf(2), ...change },
})

const kept = async () => (await api.database.pool.query('select * from tracking_event order by happened_at')).rows

describe('a webhook of a carrier', () => {
  it('is answered once it is kept', async () => {
    expect(
      await send({ id: 'evt_1', change: { detail: 'at_depot', expected_at: '2026-01-05T00:00:00Z' } }),
    ).toMatchObject({ status: 204 })
    expect(await kept()).toMatchObject([
      {
        ...{
          carrier: 'sandbox',
          event_id: 'evt_1',
          tracking_number: '7700011',
          type: 'in_transit',
          detail: 'at_depot',
        },
        ...{ happened_at: new Date('2026-01-02T03:04:05Z'), expected_at: new Date('2026-01-05T00:00:00Z') },
        ...{ shipment_id: null, done_at: null, tries: 0 },
      },
    ])
  })

  it('that comes twice, or many times at once, is kept once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => send({ id: 'evt_same' })))
    answers.push(await send({ id: 'evt_same' }))
    expect(answers.map(({ status }) => status)).toEqual(Array(11).fill(204))
    expect(await kept()).toHaveLength(1)
  })

  it('that comes out of order is kept with the time at which it happened', async () => {
    for (const [type, hour] of [
      ['delivered', 9],
      ['accepted', 7],
      ['in_transit', 8],
    ] as const)
      expect(await send({ change: { type, happened_at: `2026-01-02T0${hour}:00:00Z` } })).toMatchObject({ status: 204 })
    expect((await kept()).map(({ type }) => type)).toEqual(['accepted', 'in_transit', 'delivered'])
  })

  it('before its label is known is kept for later', async () => {
    expect(await send({ change: { tracking_number: '77later' } })).toMatchObject({ status: 204 })
    expect(await takeDueTracking(api.database.pool, 10)).toMatchObject([{ trackingNumber: '77later', owner: null }])
  })

  it('of nothing that is a parcel is answered, and nothing is kept', async () => {
    expect(await send({ signed: '{"id": "evt_1", "type": "account.updated"}' })).toMatchObject({ status: 204 })
    expect(
      await sendEasyPost({ id: 'evt_1', description: 'batch.updated', result: { object: 'Batch' } }),
    ).toMatchObject({ status: 204 })
    expect(await kept()).toEqual([])
  })

  it('of EasyPost tells all that its tracker knows, each step once', async () => {
    const event = trackerEvent()
    for (let time = 0; time < 2; time++) expect(await sendEasyPost(event)).toMatchObject({ status: 204 })
    expect(await sendEasyPost(trackerEvent({ tracking_details: detailsOf(3) }))).toMatchObject({ status: 204 })
    expect(await kept()).toMatchObject(Array(3).fill({ carrier: 'easypost', tracking_number: '9400' }))
  })

  it.each(['nobody', 'payments', '__proto__', 'constructor', '%00', 'Sandbox', 'x'.repeat(50)])(
    'of a carrier that is not here is not found: %s',
    async (name) => {
      const answer = await api.call('post', `/webhooks/carriers/${name}`, { raw: '{}' })
      expect([400, 404]).toContain(answer.status)
    },
  )

  it.each([
    '',
    '{',
    'null',
    '[]',
    '"text"',
    '5',
    '{}',
    '{"id":"evt_1"}',
    '{"id":1,"type":2,"tracking":3}',
    '\u0000',
    'ÿ',
  ])('that is signed and makes no sense is refused: %j', async (signed) => {
    expect(await send({ signed })).toMatchObject({ status: 401 })
    expect(await kept()).toEqual([])
  })

  it.each([
    { type: 'vanished' },
    { type: '__proto__' },
    { type: null },
    { tracking_number: '' },
    { tracking_number: 7 },
    { tracking_number: null },
    { happened_at: 'soon' },
    { happened_at: 5 },
    { id: '' },
    { id: { $ne: null } },
  ])('that says what no carrier says of a parcel is refused: %j', async (change) => {
    expect(await send({ change })).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(await kept()).toEqual([])
  })

  it.each([
    { detail: { a: 1 } },
    { detail: 5 },
    { detail: 'a\u0000b' },
    { expected_at: 'never' },
    { expected_at: [] },
    { tracking_number: '7'.repeat(5_000) },
    { tracking_number: '7\u0000' },
    { happened_at: '0000-01-01T00:00:00Z' },
    { id: 'x'.repeat(5_000) },
  ])('never fails: what no column can hold is left out: %j', async (change) => {
    expect(await send({ change })).toMatchObject({ status: 204 })
  })

  it('over 1 MiB is refused before it is read to its end', async () => {
    const raw = Buffer.alloc(1_048_577, 0x20)
    for (const carrier of ['sandbox', 'easypost'])
      expect(await api.call('post', `/webhooks/carriers/${carrier}`, { raw })).toMatchObject({
        status: 413,
        body: { code: 'body_too_large' },
      })
  })

  it('no line of the log holds what was sent or a secret', async () => {
    await send({ change: { detail: 'Marked Buyer' } })
    await send({ secret: OTHER_SECRET, change: { detail: 'Marked Buyer' } })
    expect(logged.join('\n')).not.toMatch(/Marked|whsec_|of EasyPost/)
  })
})

describe('forged webhooks (CVE-2026-11462, CVE-2026-0656): what the carrier did not sign changes nothing', () => {
  it.each([
    ['by another secret', { secret: OTHER_SECRET }],
    ['not at all', { without: 'webhook-signature' }],
    ['without a time', { without: 'webhook-timestamp' }],
    ['without an id', { without: 'webhook-id' }],
    ['six minutes ago', { at: new Date(Date.now() - 360_000) }],
    ['six minutes ahead', { at: new Date(Date.now() + 360_000) }],
    [
      'for another body',
      {
        raw: JSON.stringify({
          id: 'evt_1',
          type: 'tracking.updated',
          tracking: tracking('evt_1', { type: 'delivered' }),
        }),
      },
    ],
  ])('signed %s', async (_, sent: Sent) => {
    expect(await send(sent)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    expect(await kept()).toEqual([])
  })

  it('signed for one carrier and sent as another', async () => {
    const id = 'evt_1'
    const body = JSON.stringify({ id, type: 'tracking.updated', tracking: tracking(id) })
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(Date.now() / 1_000)),
      'webhook-signature': new Webhook(SECRET).sign(id, new Date(), body),
      'x-hmac-signature': signatureOf(Buffer.from(body), SECRET),
    }
    expect(await api.call('post', '/webhooks/carriers/easypost', { raw: body, headers })).toMatchObject({ status: 401 })
    expect(await kept()).toEqual([])
  })

  it.each(['', 'hmac-sha256-hex=', 'hmac-sha256-hex=00', 'sha1=00', '0'.repeat(80), 'é'.repeat(40)])(
    'with a signature of EasyPost that is none: %j',
    async (signature) => {
      const headers = { 'x-hmac-signature': Buffer.from(signature).toString('latin1') }
      const raw = JSON.stringify(trackerEvent())
      expect(await api.call('post', '/webhooks/carriers/easypost', { raw, headers })).toMatchObject({ status: 401 })
      expect(await sendEasyPost(trackerEvent(), 'another secret')).toMatchObject({ status: 401 })
      expect(await kept()).toEqual([])
    },
  )

  it('whatever is wrong with it, the answer is the same: it tells nothing of what would be right (CVE-2026-25050)', async () => {
    const answers = [
      await send({ secret: OTHER_SECRET }),
      await send({ without: 'webhook-id' }),
      await send({ signed: '{' }),
    ]
    const told = answers.map(({ status, body: { request_id: _, instance: __, ...rest } }) =>
      JSON.stringify([status, rest]),
    )
    expect(new Set(told).size).toBe(1)
  })
})

describe('another order’s shipment (CVE-2026-31887, CVE-2026-22588): an event belongs to the label with its number', () => {
  it('whatever it says of orders, shipments and labels', async () => {
    const [mine, other] = [
      await insertShipment(api.database.pool, await placed()),
      await insertShipment(api.database.pool, await placed()),
    ]
    const foreign = {
      order_id: other.orderId,
      shipment_id: other.shipmentId,
      label: other.labelId,
      key: `${other.orderId}/label/1`,
    }
    await send({ change: { tracking_number: mine.trackingNumber, ...foreign }, beside: foreign })
    expect(await takeDueTracking(api.database.pool, 10)).toMatchObject([
      { owner: { orderId: mine.orderId, shipmentId: mine.shipmentId } },
    ])
  })

  it('and to the carrier that sold it', async () => {
    const { trackingNumber } = await insertShipment(api.database.pool, await placed())
    await sendEasyPost(trackerEvent({ tracking_code: trackingNumber, tracking_details: detailsOf(1) }))
    expect(await takeDueTracking(api.database.pool, 10)).toMatchObject([{ carrier: 'easypost', owner: null }])
  })
})

describe('mass assignment (CVE-2026-72843): what a carrier may not say is not heard', () => {
  it('when it was received, whose it is, and that it is done', async () => {
    const more = {
      received_at: '2000-01-01T00:00:00Z',
      done_at: '2000-01-01T00:00:00Z',
      shipment_id: 'shp_1',
      tries: 99,
      carrier: 'easypost',
    }
    expect(await send({ change: more, beside: more })).toMatchObject({ status: 204 })
    const [row] = await kept()
    expect(row).toMatchObject({ carrier: 'sandbox', done_at: null, shipment_id: null, tries: 0 })
    expect(row.received_at.getTime()).toBeGreaterThan(Date.now() - 60_000)
  })
})

describe('SQL injection (CVE-2026-40887, CVE-2026-25993): SQL in an event is a value', () => {
  it.each([
    "'; drop table tracking_event; --",
    "') on conflict do update set done_at = now() --",
    '$1::text',
    '{a,b}',
    '{"a","b"}',
    '\\',
  ])('when it is stored and when it is taken: %s', async (text) => {
    expect(await send({ change: { id: text, tracking_number: text, detail: text } })).toMatchObject({ status: 204 })
    expect(await kept()).toMatchObject([{ event_id: text, tracking_number: text, detail: text, done_at: null }])
    expect(await takeDueTracking(api.database.pool, 10)).toMatchObject([
      { eventId: text, trackingNumber: text, detail: text },
    ])
  })
})

describe('stored XSS (CVE-2026-22849): what a carrier says is text, and what people wrote is not kept', () => {
  it('a script in a detail', async () => {
    const detail = '<script>alert(1)</script>'
    expect(await send({ change: { detail } })).toMatchObject({ status: 204 })
    expect(await kept()).toMatchObject([{ detail }])
  })

  it('names and scripts in what EasyPost hands on', async () => {
    const [one, two] = detailsOf(2)
    const said = [
      { ...one, message: '<script>alert(1)</script>', status_detail: '"><img src=x>' },
      { ...two, message: 'Signed for by MARKED BUYER', status_detail: 'Marked Buyer' },
    ]
    expect(await sendEasyPost(trackerEvent({ tracking_details: said }))).toMatchObject({ status: 204 })
    expect(await kept()).toMatchObject([{ detail: 'in_transit' }, { detail: 'in_transit' }])
  })
})

describe('parser DoS and ReDoS (CVE-2025-15284, CVE-2024-45296): long text is judged as fast as short text', () => {
  it.each([
    'a'.repeat(900_000),
    `${'\u0000'.repeat(900)}!`,
    '2026-'.repeat(150_000),
    '-'.repeat(900_000),
    'a_'.repeat(400_000),
  ])('in every field', async (text) => {
    const start = Date.now()
    for (const field of ['id', 'tracking_number', 'happened_at', 'detail', 'expected_at', 'type'])
      expect([204, 401]).toContain((await send({ id: 'evt_1', change: { [field]: text } })).status)
    const details = [
      { status: text, datetime: text, message: text.slice(0, 1_000), status_detail: text.slice(0, 1_000) },
    ]
    await sendEasyPost(trackerEvent({ tracking_details: details.map((each) => ({ ...each, status: 'in_transit' })) }))
    expect(Date.now() - start).toBeLessThan(5_000)
  })
})

describe('SSRF (CVE-2021-37711): no address in an event is asked', () => {
  it('neither a tracking page nor a label', async () => {
    const asked: string[] = []
    const note = (message: unknown) =>
      void asked.push(String((message as { request: { origin: unknown } }).request.origin))
    const addresses = {
      public_url: 'http://169.254.169.254/',
      label_url: 'http://127.0.0.1:9/',
      tracking_url: 'file:///etc/passwd',
    }
    // Of all that asks by HTTP: `fetch` and undici.
    subscribe('undici:request:create', note)
    await send({ change: addresses, beside: addresses })
    await sendEasyPost(trackerEvent(addresses))
    unsubscribe('undici:request:create', note)
    expect(asked).toEqual([api.url, api.url])
    expect(await kept()).toHaveLength(3)
  })
})

describe('batch exhaustion (CVE-2026-33756): one event that tells of thousands of steps is kept in one statement', () => {
  it('within a second or two', async () => {
    const start = Date.now()
    expect(await sendEasyPost(trackerEvent({ tracking_details: detailsOf(8_000) }))).toMatchObject({ status: 204 })
    expect(Date.now() - start).toBeLessThan(5_000)
    const { rows } = await api.database.pool.query('select count(*)::int as n from tracking_event')
    expect(rows).toEqual([{ n: 8_000 }])
    expect(await takeDueTracking(api.database.pool, 200)).toHaveLength(200)
  })
})

describe('prototype pollution (CVE-2022-24999, CVE-2019-10744) and a depth bomb (CVE-2025-59466)', () => {
  it('names that reach the prototype reach nothing', async () => {
    const id = `evt_${randomUUID()}`
    const signed = `{"__proto__": {"isAdmin": true}, "constructor": {"prototype": {"isAdmin": true}}, "id": "${id}", "type": "tracking.updated",
      "tracking": ${JSON.stringify(tracking(id)).replace('{', '{"__proto__": {"isAdmin": true},')}}`
    expect(await send({ id, signed })).toMatchObject({ status: 204 })
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
    expect(await kept()).toHaveLength(1)
  })

  it('half a million levels are refused and nothing dies of it, signed or not', async () => {
    const bomb = `${'['.repeat(500_000)}${']'.repeat(500_000)}`
    expect(await send({ signed: bomb })).toMatchObject({ status: 401 })
    expect(await send({ raw: bomb })).toMatchObject({ status: 401 })
    expect(await send()).toMatchObject({ status: 204 })
  })
})
