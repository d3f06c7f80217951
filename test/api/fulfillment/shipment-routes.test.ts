import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { BUNDLE_PATH } from '../../../workers/bundle'
import { type CheckoutWorker, startCheckoutWorker } from '../../support/checkout-worker'
import type { Answer } from '../../support/http'
import { Parcels } from '../../support/parcels'
import { until } from '../../support/wait'

// Carrier and payment provider are away for a while in some of these, and found to be back with a delay.
jest.setTimeout(120_000)

let rig: CheckoutWorker
let parcels: Parcels
let warehouse: string
beforeAll(async () => {
  rig = await startCheckoutWorker({ workflows: { workflowBundle: { codePath: BUNDLE_PATH } } })
  parcels = new Parcels(rig.shop, rig.carrier)
  warehouse = await parcels.warehouse()
}, 60_000)
afterAll(() => rig?.stop(), 30_000)

interface Allocated {
  readonly orderId: string
  readonly id: string
  readonly sku: string
  readonly total: number
}

/** A shipment that nobody has picked yet. */
async function allocated({ quantity = 2, method = 'pm_card_visa', word = '' } = {}): Promise<Allocated> {
  const sku = await parcels.product({ [warehouse]: quantity })
  const { id, total } = await parcels.paid({ lines: { [sku]: quantity }, method, ...(word && { word }) })
  await rig.relay(id)
  return { orderId: id, id: await parcels.shipmentOf(id), sku, total }
}

async function packed(options: Parameters<typeof allocated>[0] = {}): Promise<Allocated> {
  const shipment = await allocated(options)
  await parcels.step(shipment.id, 'pick')
  expect(await parcels.step(shipment.id, 'pack')).toMatchObject({ status: 200, body: { status: 'packed' } })
  return shipment
}

async function labelled(options: Parameters<typeof allocated>[0] = {}): Promise<Allocated> {
  const shipment = await packed(options)
  expect([200, 202]).toContain((await parcels.step(shipment.id, 'label')).status)
  await parcels.becomes(shipment.id, 'labelled')
  return shipment
}

const get = (path: string): Promise<Answer> => rig.shop.admin('get', path)
const idsOf = ({ body }: Answer): string[] => body.data.map(({ id }: { id: string }) => id)
const INVALID = { status: 409, body: { code: 'invalid_state' } }
const STEPS = ['pick', 'pack', 'label', 'ship', 'cancel'] as const

describe('the list of shipments', () => {
  it('is newest first, by status, warehouse and order, page by page', async () => {
    const [one, two] = [await allocated(), await allocated()]
    const own = await parcels.warehouse()
    const inWarehouse = await get(`/v1/admin/shipments?warehouse_id=${warehouse}&status=allocated&limit=100`)
    const ids = idsOf(inWarehouse)
    expect(ids.indexOf(two.id)).toBeLessThan(ids.indexOf(one.id))
    expect(idsOf(await get(`/v1/admin/shipments?order_id=${one.orderId}`))).toEqual([one.id])
    expect(idsOf(await get(`/v1/admin/shipments?order_id=${one.orderId}&status=shipped`))).toEqual([])
    expect(idsOf(await get(`/v1/admin/shipments?warehouse_id=${own}`))).toEqual([])
    const first = (await get('/v1/admin/shipments?limit=1')).body
    expect(first).toMatchObject({ data: [{ id: two.id }], has_more: true })
    expect(idsOf(await get(`/v1/admin/shipments?limit=1&cursor=${first.next_cursor}`))).toEqual([one.id])
    expect(idsOf(await get(`/v1/admin/shipments?order_id=${newId('order')}`))).toEqual([])
  })

  it('is refused of a warehouse that there is not', async () => {
    const answer = await get(`/v1/admin/shipments?warehouse_id=${newId('warehouse')}`)
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/warehouse_id', code: 'unknown' }] } })
  })

  it.each(['status=sent', 'warehouse_id=Main', 'order_id=shp_1', 'limit=0', 'limit=101', 'cursor=x', 'wave=1'])(
    'does not take %s',
    async (query) => expect((await get(`/v1/admin/shipments?${query}`)).status).toBe(400),
  )
})

it('answers 404 for a shipment that is not there, or is something else', async () => {
  const id = newId('shipment')
  expect((await get(`/v1/admin/shipments/${id}`)).status).toBe(404)
  expect((await get(`/v1/admin/shipments/${id}/label.pdf`)).status).toBe(404)
  for (const step of STEPS) expect((await parcels.step(id, step)).status).toBe(404)
  const { orderId } = await allocated()
  for (const step of STEPS) expect((await parcels.step(orderId, step)).status).toBe(404)
})

describe('pick', () => {
  it('takes all of it, once, whoever says so how often', async () => {
    const { id, orderId } = await allocated()
    const answers = await Promise.all(Array.from({ length: 5 }, () => parcels.step(id, 'pick')))
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { id, status: 'picking' } })
    const { events } = await parcels.order(orderId)
    expect(events.filter(({ type }: { type: string }) => type === 'shipment.picked')).toHaveLength(1)
    expect(await parcels.order(orderId)).toMatchObject({ status: 'processing' })
  })

  it('answers the same key alike, and in the same moment says that it runs', async () => {
    const { id, sku } = await allocated()
    const key = randomUUID()
    const lines = [{ sku, quantity: 1 }]
    const answers = await Promise.all(Array.from({ length: 8 }, () => parcels.step(id, 'pick', { lines }, key)))
    for (const { status, body } of answers) {
      if (status === 200) expect(body).toMatchObject({ status: 'picking', lines: [{ sku, quantity: 1 }] })
      else expect([status, body.code]).toEqual([409, 'request_in_progress'])
    }
    const again = await parcels.step(id, 'pick', { lines }, key)
    expect(again).toMatchObject({ status: 200, body: { status: 'picking' } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await parcels.step(id, 'pick', {}, key)).toMatchObject({ status: 422 })
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 1, reserved: 1, available: 0 })
  })

  it('repeated under its key, is answered as it was, whatever is in the shipment by then', async () => {
    const { id, orderId, sku } = await allocated({ quantity: 3 })
    const [lines, key] = [[{ sku, quantity: 3 }], randomUUID()]
    expect(await parcels.step(id, 'pick', { lines }, key)).toMatchObject({ status: 200 })
    expect((await parcels.cancel(orderId, { lines: [{ sku, quantity: 1 }] })).status).toBe(200)
    const again = await parcels.step(id, 'pick', { lines }, key)
    expect(again).toMatchObject({ status: 200, body: { status: 'picking', lines: [{ sku, quantity: 2 }] } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  it('may be counted again until it is packed; what is missing is never paid for', async () => {
    const { id, sku } = await allocated({ quantity: 3 })
    const count = (quantity: number) => parcels.step(id, 'pick', { lines: [{ sku, quantity }] })
    const found = (quantity: number) => ({ status: 200, body: { status: 'picking', lines: [{ sku, quantity }] } })
    expect(await count(3)).toMatchObject(found(3))
    for (const _ of ['counted', 'said again']) expect(await count(2)).toMatchObject(found(2))
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 2, reserved: 2, available: 0 })
    await parcels.step(id, 'pack')
    expect(await count(1)).toMatchObject(INVALID)
    for (const body of [{}, { lines: [{ sku, quantity: 2 }] }])
      expect(await parcels.step(id, 'pick', body)).toMatchObject({ status: 200, body: { status: 'packed' } })
  })

  it('of nothing leaves nothing to send: what was to be in it waits for stock', async () => {
    const { id, sku, orderId } = await allocated()
    const picked = await parcels.step(id, 'pick', { lines: [{ sku: sku.toLowerCase(), quantity: 0 }] })
    expect(picked).toMatchObject({ status: 200, body: { status: 'cancelled' } })
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 0, reserved: 0, available: 0 })
    for (const step of ['pick', 'pack', 'label', 'ship']) expect(await parcels.step(id, step)).toMatchObject(INVALID)
    expect((await parcels.order(orderId)).events.at(-1)).toMatchObject({ type: 'order.back_ordered' })
  })

  it.each<[string, (sku: string) => object, string]>([
    ['a negative quantity', (sku) => ({ lines: [{ sku, quantity: -1 }] }), '/lines/0/quantity'],
    ['a part of a unit', (sku) => ({ lines: [{ sku, quantity: 0.5 }] }), '/lines/0/quantity'],
    ['a huge quantity', (sku) => ({ lines: [{ sku, quantity: 1e9 }] }), '/lines/0/quantity'],
    ['more than is asked for', (sku) => ({ lines: [{ sku, quantity: 3 }] }), '/lines/0/quantity'],
    ['a SKU of nothing', () => ({ lines: [{ sku: 'NIX', quantity: 1 }] }), '/lines/0/sku'],
    [
      'a SKU twice',
      (sku) => ({
        lines: [
          { sku, quantity: 1 },
          { sku: sku.toLowerCase(), quantity: 1 },
        ],
      }),
      '/lines/1/sku',
    ],
    ['no lines', () => ({ lines: [] }), '/lines'],
    ['what it does not know', () => ({ status: 'shipped' }), '/status'],
  ])('does not take %s', async (_what, bodyOf, pointer) => {
    const { id, sku } = await shared()
    const answer = await parcels.step(id, 'pick', bodyOf(sku))
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
    expect(await parcels.read(id)).toMatchObject({ status: 'allocated', lines: [{ sku, quantity: 2 }] })
  })
})

describe('pack', () => {
  it('comes after pick, and once', async () => {
    const { id } = await allocated()
    expect(await parcels.step(id, 'pack')).toMatchObject(INVALID)
    await parcels.step(id, 'pick')
    const key = randomUUID()
    expect(await parcels.step(id, 'pack', {}, key)).toMatchObject({ status: 200, body: { status: 'packed' } })
    expect(await parcels.step(id, 'pack')).toMatchObject({ status: 200, body: { status: 'packed' } })
    expect(await parcels.step(id, 'pick')).toMatchObject({ status: 200, body: { status: 'packed' } })
    expect(await parcels.step(id, 'pack', { boxes: [BOX] }, key)).toMatchObject({ status: 422 })
  })

  const BOX = { weight_grams: 500, length_mm: 200, width_mm: 100, height_mm: 50 }
  it.each<[string, object, string]>([
    ['no boxes', { boxes: [] }, '/boxes'],
    ['a box without weight', { boxes: [{ ...BOX, weight_grams: 0 }] }, '/boxes/0/weight_grams'],
    ['a negative length', { boxes: [{ ...BOX, length_mm: -1 }] }, '/boxes/0/length_mm'],
    ['a box like a house', { boxes: [BOX, { ...BOX, height_mm: 10_001 }] }, '/boxes/1/height_mm'],
    ['a ship of boxes', { boxes: Array.from({ length: 101 }, () => BOX) }, '/boxes'],
    ['a weight in words', { boxes: [{ ...BOX, weight_grams: '500' }] }, '/boxes/0/weight_grams'],
  ])('does not take %s', async (_what, body, pointer) => {
    const { id } = await shared()
    expect(await parcels.step(id, 'pack', body)).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
  })
})

describe('label', () => {
  it('comes after pack; one is bought, however often and at once it is asked for', async () => {
    const { id, orderId } = await packed()
    const key = randomUUID()
    const answers = await Promise.all(
      [key, key, ...Array.from({ length: 3 }, randomUUID)].map((one) => parcels.step(id, 'label', {}, one)),
    )
    for (const { status, body } of answers)
      if (status === 409) expect(body.code).toBe('request_in_progress')
      else expect([200, 202]).toContain(status)
    expect(await parcels.becomes(id, 'labelled')).toMatchObject({ carrier: 'sandbox' })
    expect(await parcels.step(id, 'label', {}, key)).toMatchObject({ status: 200, body: { status: 'labelled' } })
    expect(await parcels.step(id, 'label', { service: 'express' }, key)).toMatchObject({ status: 422 })
    expect(await parcels.step(id, 'label')).toMatchObject({ status: 200 })
    expect(await parcels.labels(orderId)).toHaveLength(1)
  })

  it('is bought of the carrier and service that are asked for', async () => {
    const { id } = await packed()
    const label = await parcels.step(id, 'label', { carrier: 'sandbox', service: 'express' })
    expect([200, 202]).toContain(label.status)
    expect(await parcels.becomes(id, 'labelled')).toMatchObject({ carrier: 'sandbox', service: 'express' })
  })

  it('cannot be of a carrier or service that is not there', async () => {
    const { id } = await packed()
    const unknown = await parcels.step(id, 'label', { carrier: 'pigeon' })
    expect(unknown).toMatchObject({ status: 400, body: { errors: [{ pointer: '/carrier' }] } })
    const refused = await parcels.step(id, 'label', { service: 'pigeon' })
    expect(refused).toMatchObject({ status: 409, body: { code: 'label_refused', carrier_code: 'no_service' } })
    const key = randomUUID()
    const refusals = [await parcels.step(id, 'label', { service: 'pigeon' }, key)]
    refusals.push(await parcels.step(id, 'label', { service: 'pigeon' }, key))
    for (const { status, body, headers } of refusals)
      expect([status, body.code, headers.get('idempotent-replayed')]).toEqual([409, 'label_refused', null])
    for (const body of [{ carrier: '' }, { service: 'x'.repeat(101) }, { price: 1 }])
      expect((await parcels.step(id, 'label', body)).status).toBe(400)
    expect([200, 202]).toContain((await parcels.step(id, 'label')).status)
  })

  it.each([`standard'; drop table label; --`, "' or '1'='1", '$1'])(
    'SQL injection, first order: the carrier or service %s is a value',
    async (sql) => {
      const { id, orderId } = await packed()
      const carrier = await parcels.step(id, 'label', { carrier: sql })
      expect(carrier).toMatchObject({ status: 400, body: { errors: [{ pointer: '/carrier' }] } })
      const service = await parcels.step(id, 'label', { service: sql })
      expect(service).toMatchObject({ status: 409, body: { code: 'label_refused', carrier_code: 'no_service' } })
      expect(await parcels.order(orderId)).toMatchObject({ commands: [{ kind: 'label', state: 'refused' }] })
    },
  )

  it('is 202 while its carrier does not answer', async () => {
    const { id, orderId } = await packed()
    await parcels.carrierFaults({ error_rate: 1 })
    const key = randomUUID()
    const asked = await parcels.step(id, 'label', {}, key)
    expect(asked).toMatchObject({
      status: 202,
      body: { status: 'packed', command: { shipment_id: id, kind: 'label', state: 'pending', code: null } },
    })
    expect((await parcels.order(orderId)).commands).toEqual([asked.body.command])
    await parcels.carrierFaults()
    await parcels.becomes(id, 'labelled')
    // The 202 was not kept as an answer; the 200 is.
    for (const replayed of [null, 'true']) {
      const again = await parcels.step(id, 'label', {}, key)
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, replayed])
    }
    expect((await parcels.order(orderId)).commands).toMatchObject([{ id: asked.body.command.id, state: 'done' }])
  })

  it('is refused while the order is on hold, and before pack', async () => {
    const { id, orderId } = await packed()
    await rig.shop.admin('post', `/v1/admin/orders/${orderId}/hold`, { reason_code: 'look' })
    expect(await parcels.step(id, 'label')).toMatchObject({ status: 409, body: { code: 'order_on_hold' } })
    expect(await parcels.step((await shared()).id, 'label')).toMatchObject(INVALID)
  })

  it('can be read as PDF, as long as its carrier answers', async () => {
    const { id, orderId } = await labelled()
    const label = await get(`/v1/admin/shipments/${id}/label.pdf`)
    const { label_url: url } = await parcels.read(id)
    expect(url).toMatch(new RegExp(`^https?://.*/v1/admin/shipments/${id}/label[.]pdf$`))
    const { body: order } = await get(`/v1/admin/orders/${orderId}`)
    expect(order.shipments.map((one: { label_url: string }) => one.label_url)).toEqual([url])
    expect([label.status, label.headers.get('content-type')]).toEqual([200, 'application/pdf'])
    expect(label.headers.get('cache-control')).toBe('private, no-store')
    await parcels.carrierFaults({ error_rate: 1 })
    expect(await get(`/v1/admin/shipments/${id}/label.pdf`)).toMatchObject({
      status: 503,
      body: { code: 'unavailable', dependency: 'carrier' },
    })
    await parcels.carrierFaults()
    expect((await get(`/v1/admin/shipments/${(await shared()).id}/label.pdf`)).status).toBe(404)
  })
})

describe('ship', () => {
  it('comes after the label, takes the money once, and is done once', async () => {
    const { id, orderId, total } = await labelled()
    const key = randomUUID()
    const answers = await Promise.all(
      [key, key, randomUUID(), randomUUID()].map((one) => parcels.step(id, 'ship', {}, one)),
    )
    for (const { status, body } of answers)
      if (status === 409) expect(body.code).toBe('request_in_progress')
      else expect([200, 202]).toContain(status)
    await parcels.hasLeft(id)
    for (const step of ['ship', 'label', 'pack', 'pick'])
      expect(await parcels.step(id, step)).toMatchObject({ status: 200, body: { status: 'shipped' } })
    expect(await parcels.step(id, 'cancel')).toMatchObject(INVALID)
    expect(await parcels.captures(orderId)).toEqual([[total, 'succeeded']])
  })

  it('of one that a warehouse was told to let leave says that it has left', async () => {
    const { id, orderId, total } = await labelled()
    await rig.pool.query(`update shipment set operation = 'external' where id = $1`, [id])
    const asked = await parcels.step(id, 'ship')
    expect(asked).toMatchObject({ status: 202, body: { status: 'labelled', command: { state: 'pending' } } })
    expect(await parcels.captures(orderId)).toEqual([[total, 'succeeded']])
    expect(await parcels.step(id, 'ship')).toMatchObject({ status: 200, body: { status: 'shipped' } })
    const { commands } = await parcels.order(orderId)
    expect(commands.map(({ kind, state }: { kind: string; state: string }) => [kind, state])).toEqual(
      expect.arrayContaining([
        ['ship', 'done'],
        ['ship', 'done'],
      ]),
    )
  })

  it.each(['allocated', 'picking', 'packed'])('is refused to one that is %s', async (status) => {
    const { id } = status === 'packed' ? await packed() : await allocated()
    if (status === 'picking') await parcels.step(id, 'pick')
    expect(await parcels.step(id, 'ship')).toMatchObject(INVALID)
  })

  it('is 402 when the money is refused, and 409 while the order is on hold', async () => {
    const refused = await labelled({ method: 'pm_sandbox_capture_refused' })
    const key = randomUUID()
    const answer = await parcels.step(refused.id, 'ship', {}, key)
    expect(answer).toMatchObject({ status: 402, body: { code: 'capture_failed' } })
    expect(await parcels.read(refused.id)).toMatchObject({ status: 'labelled' })
    // A refusal is not kept under its key: the same request tries again.
    const again = await parcels.step(refused.id, 'ship', {}, key)
    expect([200, 202]).toContain(again.status)
    expect(again.headers.get('idempotent-replayed')).toBeNull()
    expect((await parcels.captures(refused.orderId)).map(([, status]) => status)[0]).toBe('failed')
    await parcels.hasLeft(refused.id)
    const { id, orderId } = await labelled()
    await rig.shop.admin('post', `/v1/admin/orders/${orderId}/hold`, { reason_code: 'look' })
    expect(await parcels.step(id, 'ship')).toMatchObject({ status: 409, body: { code: 'order_on_hold' } })
  })

  it('is 202 while the payment provider does not answer', async () => {
    const { id, orderId } = await labelled()
    await rig.shop.faults({ error_rate: 1 })
    const asked = await parcels.step(id, 'ship')
    expect(asked).toMatchObject({ status: 202, body: { status: 'labelled', command: { kind: 'ship' } } })
    const key = randomUUID()
    for (let tries = 0; tries < 2; tries++) {
      const cancel = await parcels.step(id, 'cancel', {}, key)
      expect(cancel).toMatchObject({
        status: 202,
        body: { status: 'labelled', command: { shipment_id: id, kind: 'cancel', state: 'pending' } },
      })
      expect(cancel.headers.get('idempotent-replayed')).toBeNull()
    }
    await rig.shop.faults()
    await parcels.hasLeft(id)
    const { commands } = await until(
      'the cancellation is answered',
      () => parcels.order(orderId),
      (order) => order.commands.every(({ state }: { state: string }) => state !== 'pending'),
    )
    expect(commands.slice(1)).toMatchObject([
      { kind: 'ship', state: 'done' },
      { kind: 'cancel', state: 'refused', code: 'already_shipped' },
    ])
    expect(await parcels.step(id, 'cancel', {}, key)).toMatchObject(INVALID)
  })

  it('is undone in the end, when it was cancelled while its money was asked for in vain', async () => {
    const { id, orderId } = await labelled({ method: 'pm_sandbox_capture_refused' })
    await rig.shop.faults({ error_rate: 1 })
    expect(await parcels.step(id, 'ship')).toMatchObject({ status: 202 })
    expect(await parcels.step(id, 'cancel')).toMatchObject({ status: 202, body: { status: 'labelled' } })
    await rig.shop.faults()
    await parcels.becomes(id, 'cancelled')
    const { commands, shipments } = await parcels.order(orderId)
    expect(commands.at(-1)).toMatchObject({ kind: 'cancel', state: 'done', code: null })
    expect(shipments.map(({ status }: { status: string }) => status)).toEqual(['cancelled', 'allocated'])
  })

  it('takes no body', async () => {
    const { id } = await shared()
    expect((await parcels.step(id, 'ship', { amount: 1 })).status).toBe(400)
    expect((await parcels.step(id, 'cancel', { force: true })).status).toBe(400)
  })
})

describe('cancel', () => {
  it('undoes a shipment, and puts its units into another one', async () => {
    const { id, orderId, sku } = await labelled()
    const key = randomUUID()
    const answers = await Promise.all([key, key, randomUUID()].map((one) => parcels.step(id, 'cancel', {}, one)))
    for (const { status, body } of answers)
      if (status === 409) expect(body.code).toBe('request_in_progress')
      else expect([status, body.status]).toEqual([200, 'cancelled'])
    expect(await parcels.step(id, 'cancel')).toMatchObject({ status: 200, body: { status: 'cancelled' } })
    const [next, ...others] = await parcels.shipments(orderId)
    expect([next, others]).toMatchObject([{ status: 'allocated', lines: [{ sku, quantity: 2 }] }, []])
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 2, reserved: 2, available: 0 })
  })
})

describe('a capture for a shipment', () => {
  const capture = (orderId: string, body: object) =>
    rig.shop.admin('post', `/v1/admin/orders/${orderId}/captures`, body)

  it('is of that order alone, once, and what it needs', async () => {
    const [mine, other] = [await allocated(), await allocated()]
    expect((await capture(mine.orderId, { shipment_id: other.id })).status).toBe(404)
    expect((await capture(mine.orderId, { shipment_id: newId('shipment') })).status).toBe(404)
    expect((await capture(mine.orderId, { shipment_id: mine.orderId })).status).toBe(400)
    const both = { shipment_id: mine.id, amount: { amount: 1, currency: 'GBP' } }
    expect((await capture(mine.orderId, both)).status).toBe(400)
    expect(await capture(mine.orderId, { shipment_id: mine.id })).toMatchObject({
      status: 201,
      body: { amount: { amount: mine.total, currency: 'GBP' } },
    })
    expect(await capture(mine.orderId, { shipment_id: mine.id })).toMatchObject({
      status: 409,
      body: { code: 'amount_exceeds_available' },
    })
    await parcels.step(other.id, 'pick', { lines: [{ sku: other.sku, quantity: 0 }] })
    expect(await capture(other.orderId, { shipment_id: other.id })).toMatchObject(INVALID)
  })
})

describe('a refund of units that were sent', () => {
  const refund = (orderId: string, body: object, key?: string) =>
    rig.shop.admin('post', `/v1/admin/orders/${orderId}/refunds`, { reason_code: 'came_back', ...body }, key)

  it('puts them back on their shelves if it says so, once', async () => {
    const { id, orderId, sku } = await labelled()
    const lines = [{ sku, quantity: 1 }]
    const early = await refund(orderId, { lines, restock: true })
    expect(early).toMatchObject({ status: 409, body: { code: 'cancel_instead' } })
    await parcels.shipped(id)
    expect(await rig.shop.stock(sku)).toMatchObject({ on_hand: 0 })
    const amount = await refund(orderId, { amount: 1, restock: true })
    expect(amount).toMatchObject({ status: 400, body: { errors: [{ pointer: '/restock' }] } })
    expect((await refund(orderId, { amount: 1 })).status).toBeLessThan(300)
    expect(await rig.shop.stock(sku)).toMatchObject({ on_hand: 0 })
    const key = randomUUID()
    for (let tries = 0; tries < 3; tries++) {
      const { status, body } = await refund(orderId, { lines, restock: true }, key)
      expect([status < 300, body.restock]).toEqual([true, true])
    }
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 1, reserved: 0, available: 1 })
    expect((await refund(orderId, { all: true, restock: true })).status).toBeLessThan(300)
    expect(await rig.shop.stock(sku)).toEqual({ on_hand: 2, reserved: 0, available: 2 })
    const { body } = await get(`/v1/admin/inventory/${sku}/movements?limit=2`)
    expect(body.data).toMatchObject([
      { cause: 'restock', delta: 1 },
      { cause: 'restock', delta: 1 },
    ])
  })
})

describe('callers', () => {
  it('may look with any key that may see orders, and act with one that may change them', async () => {
    const { id } = await shared()
    const [readonly, support, catalog] = await Promise.all(
      (['readonly', 'support', 'catalog'] as const).map((role) => rig.api.key(role)),
    )
    const call = (method: string, path: string, key?: string) =>
      rig.api.call(method, path, { ...(key !== undefined && { key }), ...(method === 'post' && { body: {} }) })
    for (const path of ['/v1/admin/shipments', `/v1/admin/shipments/${id}`]) {
      expect((await call('get', path)).status).toBe(401)
      expect((await call('get', path, catalog)).status).toBe(403)
      expect((await call('get', path, readonly)).status).toBe(200)
    }
    for (const step of STEPS) {
      const path = `/v1/admin/shipments/${id}/${step}`
      expect((await call('post', path)).status).toBe(401)
      expect((await call('post', path, readonly)).status).toBe(403)
    }
    expect((await call('post', `/v1/admin/shipments/${(await allocated()).id}/pick`, support)).status).toBe(200)
  })
})

/** One that the tests which are refused leave as it is. */
function shared(): Promise<Allocated> {
  kept ??= allocated()
  return kept
}
let kept: Promise<Allocated> | undefined

it('every answer that the routes list has been seen, but for those of the pick list', () => {
  expect(rig.api.unseen('Shipments').filter((name) => !name.includes('pick-list'))).toEqual([])
})
