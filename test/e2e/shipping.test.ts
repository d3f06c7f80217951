import { auditHolds, Parcels, WITHIN_MS } from '../support/parcels'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** From the paid order to the delivered one, over HTTP: what warehouses do, and what it means for stock and money. */

let stack: TestStack
let shop: Shop
let parcels: Parcels
let manual: string
beforeAll(async () => {
  stack = await testStack()
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  parcels = new Parcels(shop, stack.stack.file.carrier)
  await parcels.settings({ return_window_days: 0 })
  manual = await parcels.warehouse('manual')
}, 180_000)
afterAll(() => stack?.stop(), 60_000)

const GBP = (amount: number) => ({ amount, currency: 'GBP' })
const statusesOf = (order: { shipments: { status: string }[] }) => order.shipments.map(({ status }) => status)

describe('a warehouse that people run', () => {
  it('sends what they pick, pack, label and hand over; the rest of the story tells itself', async () => {
    const sku = await parcels.product({ [manual]: 5 }, 1_250)
    const { id, buyer, total } = await parcels.paid({ lines: { [sku]: 2 }, shippingMethod: 'express' })
    expect(total).toBe(2_995)
    const [shipment] = await parcels.shipments(id)
    expect(shipment).toMatchObject({
      order_id: id,
      warehouse_id: manual,
      status: 'allocated',
      lines: [{ sku, quantity: 2 }],
      label_url: null,
      tracking_number: null,
    })
    const picks = (await shop.admin('get', `/v1/admin/warehouses/${manual}/pick-list`)).body
    expect(picks.data).toContainEqual(
      expect.objectContaining({ sku, quantity: 2, shipments: [{ id: shipment.id, quantity: 2 }] }),
    )

    const boxes = [{ weight_grams: 900, length_mm: 300, width_mm: 200, height_mm: 100 }]
    expect(await parcels.step(shipment.id, 'pick')).toMatchObject({ status: 200, body: { status: 'picking' } })
    expect(await parcels.order(id)).toMatchObject({ status: 'processing', fulfillment_status: 'unfulfilled' })
    expect(await parcels.step(shipment.id, 'pack', { boxes })).toMatchObject({
      status: 200,
      body: { status: 'packed' },
    })
    await parcels.step(shipment.id, 'label')
    const labelled = await parcels.becomes(shipment.id, 'labelled')
    expect(labelled).toMatchObject({
      carrier: 'sandbox',
      service: 'express',
      tracking_number: expect.any(String),
      tracking_url: expect.stringMatching(/^http/),
      label_url: expect.stringMatching(new RegExp(`^http.*/v1/admin/shipments/${shipment.id}/label[.]pdf$`)),
      expected_at: expect.any(String),
    })
    const label = await fetch(labelled.label_url, {
      headers: { authorization: `Bearer ${stack.adminKey}` },
    })
    expect([label.status, label.headers.get('content-type')]).toEqual([200, 'application/pdf'])
    expect(
      Buffer.from(await label.arrayBuffer())
        .subarray(0, 5)
        .toString(),
    ).toBe('%PDF-')
    expect(await parcels.captures(id)).toEqual([])
    expect(await shop.stock(sku)).toEqual({ on_hand: 5, reserved: 2, available: 3 })

    await parcels.shipped(shipment.id)
    expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
    expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: 0 })
    expect(await shop.stock(sku)).toEqual({ on_hand: 3, reserved: 0, available: 3 })
    const [movement] = (await shop.admin('get', `/v1/admin/inventory/${sku}/movements?limit=1`)).body.data
    expect(movement).toMatchObject({ delta: -2, on_hand: 3, cause: 'shipment', reference: shipment.id })
    expect(await parcels.ledger(id)).toEqual({ psp_clearing: total, revenue: -2_500, shipping_revenue: -495 })

    const order = await parcels.orderBecomes(id, 'completed')
    expect(order).toMatchObject({
      payment_status: 'captured',
      fulfillment_status: 'delivered',
      lines: [{ sku, quantity: 2, cancelled: 0, shipped: 2, delivered: 2 }],
      shipments: [{ status: 'delivered' }],
      actions: [],
    })
    const types = order.events.map(({ type }: { type: string }) => type)
    expect(types.filter((type: string) => type.startsWith('order.')).slice(-5)).toEqual([
      'order.confirmed',
      'order.processing',
      'order.shipped',
      'order.delivered',
      'order.completed',
    ])
    const own = (await buyer.order(id)).body
    expect(own).toMatchObject({ status: 'completed', shipments: [{ status: 'delivered', label_url: null }] })
    // What the carrier tells may come in any order, and late.
    await until(
      'all of its way is shown',
      async () => (await parcels.read(shipment.id)).events.map(({ type }: { type: string }) => type) as string[],
      (types) => ['in_transit', 'delivered'].every((type) => types.includes(type)),
      WITHIN_MS,
    )
  }, 120_000)
})

describe('a warehouse that works by itself', () => {
  it('sends the order, and nobody does anything', async () => {
    const automatic = await parcels.warehouse('automatic')
    const sku = await parcels.product({ [automatic]: 3 })
    const { id, total } = await parcels.paid({ lines: { [sku]: 1 } })
    const order = await parcels.orderBecomes(id, 'completed')
    expect(statusesOf(order)).toEqual(['delivered'])
    expect(order.totals).toMatchObject({ total: GBP(total), captured: GBP(total), refunded: GBP(0) })
    expect(await shop.stock(sku)).toEqual({ on_hand: 2, reserved: 0, available: 2 })
    expect(await parcels.labels(id)).toMatchObject([{ key: `${id}/label/1` }])
    expect(await shop.cases(id)).toEqual([])
  }, 120_000)
})

describe('two warehouses', () => {
  let south: string
  let north: string
  beforeAll(async () => {
    south = await parcels.warehouse()
    north = await parcels.warehouse()
  })

  /** An order of three units at 3.33 from one warehouse and two at 0.35 from the other, sent by express. */
  async function splitOrder(method?: string): Promise<{ id: string; total: number; ids: string[] }> {
    const [one, other] = [await parcels.product({ [south]: 3 }, 333), await parcels.product({ [north]: 2 }, 35)]
    const order = await parcels.paid({
      lines: { [one]: 3, [other]: 2 },
      shippingMethod: 'express',
      ...(method !== undefined && { method }),
    })
    const shipments = await parcels.shipments(order.id, 2)
    expect(new Set(shipments.map(({ warehouse_id }) => warehouse_id))).toEqual(new Set([south, north]))
    const first = shipments.find(({ warehouse_id }) => warehouse_id === south)
    const second = shipments.find(({ warehouse_id }) => warehouse_id === north)
    return { id: order.id, total: order.total, ids: [first.id, second.id] }
  }

  const isOver = async (id: string, total: number): Promise<void> => {
    await parcels.orderBecomes(id, 'completed')
    expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: 0 })
    expect(await parcels.ledger(id)).toEqual({ psp_clearing: total, revenue: 495 - total, shipping_revenue: -495 })
  }

  it('take the money in two parts, to the penny; the fee goes with the first', async () => {
    const { id, total, ids } = await splitOrder()
    const [first, second] = ids as [string, string]
    await parcels.labelled(first)
    await parcels.shipped(first)
    expect(await parcels.order(id)).toMatchObject({
      status: 'processing',
      payment_status: 'partially_captured',
      fulfillment_status: expect.stringMatching(/^partially_/),
    })
    expect(await parcels.captures(id)).toEqual([[3 * 333 + 495, 'succeeded']])
    await parcels.labelled(second)
    await parcels.shipped(second)
    expect(await parcels.captures(id)).toEqual([
      [3 * 333 + 495, 'succeeded'],
      [2 * 35, 'succeeded'],
    ])
    await isOver(id, total)
  }, 120_000)

  it('sent in the same moment take it once each', async () => {
    const { id, total, ids } = await splitOrder()
    for (const shipment of ids) await parcels.labelled(shipment)
    await Promise.all([...ids, ...ids].map((shipment) => parcels.step(shipment, 'ship')))
    await isOver(id, total)
    const amounts = (await parcels.captures(id)).map(([amount]) => amount)
    expect(amounts.reduce((sum, amount) => sum + amount, 0)).toBe(total)
  }, 120_000)

  it.each([
    ['that can be taken once only is taken whole with the first', 'pm_sandbox_single_capture', 1],
    ['that was taken at once is not taken again', 'pm_sandbox_captured_at_once', 0],
  ])(
    'money %s',
    async (_how, method, captures) => {
      const { id, total, ids } = await splitOrder(method)
      for (const shipment of ids) {
        await parcels.labelled(shipment)
        await parcels.shipped(shipment)
        expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: 0 })
      }
      const ours = (await parcels.order(id)).events.filter(
        ({ type }: { type: string }) => type === 'payment.capture_requested',
      )
      expect(ours).toHaveLength(captures)
      await isOver(id, total)
    },
    120_000,
  )
})

it('an order with nothing due is sent all the same', async () => {
  const sku = await parcels.product({ [manual]: 1 }, 0)
  const { id, total } = await parcels.paid({ lines: { [sku]: 1 } })
  expect(total).toBe(0)
  const shipment = await parcels.shipmentOf(id)
  await parcels.labelled(shipment)
  await parcels.shipped(shipment)
  expect(await parcels.orderBecomes(id, 'completed')).toMatchObject({
    payment_status: 'none',
    fulfillment_status: 'delivered',
    ledger: [],
  })
  expect(await shop.stock(sku)).toEqual({ on_hand: 0, reserved: 0, available: 0 })
}, 120_000)

describe('the money of a parcel', () => {
  const refusedParcel = async (): Promise<{ id: string; shipment: string; sku: string; total: number }> => {
    const sku = await parcels.product({ [manual]: 1 })
    const { id, total } = await parcels.paid({ lines: { [sku]: 1 }, method: 'pm_sandbox_capture_refused' })
    const shipment = await parcels.shipmentOf(id)
    await parcels.labelled(shipment)
    expect(await parcels.step(shipment, 'ship')).toMatchObject({ status: 402, body: { code: 'capture_failed' } })
    expect(await parcels.read(shipment)).toMatchObject({ status: 'labelled' })
    expect(await parcels.caseOf(id, 'capture_refused')).toMatchObject({
      allowed_repairs: expect.arrayContaining(['retryStep', 'cancelShipment', 'resolveStep']),
    })
    return { id, shipment, sku, total }
  }

  it('that is refused keeps it; it leaves once a person has had it tried again', async () => {
    const { id, shipment, total } = await refusedParcel()
    await parcels.repaired(id, { action: 'retryStep' })
    await until(
      'it is taken',
      () => parcels.moneyTaken(id),
      ({ captured }) => captured === total,
      WITHIN_MS,
    )
    await parcels.shipped(shipment)
    await parcels.orderBecomes(id, 'completed')
    expect(await parcels.captures(id)).toEqual([
      [total, 'failed'],
      [total, 'succeeded'],
    ])
  }, 120_000)

  it('that is refused for good: the parcel is undone, its units are cancelled and its label goes back', async () => {
    const { id, shipment, sku } = await refusedParcel()
    await parcels.repaired(id, { action: 'cancelShipment' })
    await parcels.orderBecomes(id, 'cancelled')
    expect(await parcels.read(shipment)).toMatchObject({ status: 'cancelled' })
    expect(await shop.stock(sku)).toEqual({ on_hand: 1, reserved: 0, available: 1 })
    await until('it is voided', () => parcels.labels(id), isVoided, WITHIN_MS)
    await until(
      'it is let go',
      () => shop.chargeStates(id),
      (states) => states.join() === 'voided',
      WITHIN_MS,
    )
  }, 120_000)

  it('is taken before, where staff ask for it; then it leaves without another capture', async () => {
    const sku = await parcels.product({ [manual]: 1 })
    const { id, total } = await parcels.paid({ lines: { [sku]: 1 } })
    const shipment = await parcels.shipmentOf(id)
    const capture = await shop.admin('post', `/v1/admin/orders/${id}/captures`, { shipment_id: shipment })
    expect(capture).toMatchObject({ status: 201, body: { amount: GBP(total) } })
    await parcels.labelled(shipment)
    await parcels.shipped(shipment)
    expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
  }, 120_000)
})

describe('a short pick', () => {
  it('waits for the next receipt, and goes on with it', async () => {
    await parcels.settings({ short_pick: 'back_order' })
    const sku = await parcels.product({ [manual]: 3 })
    const { id, total } = await parcels.paid({ lines: { [sku]: 3 } })
    const first = await parcels.shipmentOf(id)
    const picked = await parcels.step(first, 'pick', { lines: [{ sku, quantity: 1 }] })
    expect(picked).toMatchObject({ status: 200, body: { status: 'picking', lines: [{ sku, quantity: 1 }] } })
    expect(await shop.stock(sku)).toEqual({ on_hand: 1, reserved: 1, available: 0 })
    await parcels.step(first, 'pack')
    await parcels.step(first, 'label')
    await parcels.becomes(first, 'labelled')
    await parcels.shipped(first)
    const receipt = { warehouse_id: manual, reference: `DN-${id}`, lines: [{ sku, quantity: 5 }] }
    expect(await shop.admin('post', '/v1/admin/inventory/receipts', receipt)).toMatchObject({ status: 201 })
    const [, second] = await parcels.shipments(id, 2)
    expect(second).toMatchObject({ status: 'allocated', lines: [{ sku, quantity: 2 }] })
    await parcels.labelled(second.id)
    await parcels.shipped(second.id)
    await parcels.orderBecomes(id, 'completed')
    expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: 0 })
    expect(await shop.stock(sku)).toEqual({ on_hand: 3, reserved: 0, available: 3 })
  }, 120_000)

  it('is taken from another warehouse that has it', async () => {
    const other = await parcels.warehouse('manual', 200)
    const sku = await parcels.product({ [manual]: 2, [other]: 2 })
    const { id } = await parcels.paid({ lines: { [sku]: 2 } })
    const [first] = await parcels.shipments(id)
    await parcels.step(first.id, 'pick', { lines: [{ sku, quantity: 0 }] })
    const [second] = await parcels.shipments(id)
    expect(second).toMatchObject({ status: 'allocated', lines: [{ sku, quantity: 2 }] })
    expect(second.warehouse_id).not.toBe(first.warehouse_id)
    expect(await shop.stock(sku)).toMatchObject({ on_hand: 2, reserved: 2 })
  }, 120_000)

  it('is cancelled where the shop wants that, and its money let go', async () => {
    await parcels.settings({ short_pick: 'cancel' })
    const sku = await parcels.product({ [manual]: 2 })
    const { id } = await parcels.paid({ lines: { [sku]: 2 } })
    const shipment = await parcels.shipmentOf(id)
    await parcels.step(shipment, 'pick', { lines: [{ sku, quantity: 1 }] })
    expect(await parcels.order(id)).toMatchObject({ lines: [{ quantity: 2, cancelled: 1 }] })
    await parcels.step(shipment, 'pack')
    await parcels.step(shipment, 'label')
    await parcels.becomes(shipment, 'labelled')
    await parcels.shipped(shipment)
    await parcels.orderBecomes(id, 'completed')
    expect(await parcels.moneyTaken(id)).toEqual({ captured: 1_000, refunded: 0 })
    await parcels.settings({ short_pick: 'back_order' })
  }, 120_000)
})

describe('a hold', () => {
  const hold = (id: string, what: 'hold' | 'resume') =>
    shop.admin('post', `/v1/admin/orders/${id}/${what}`, { reason_code: 'address_unclear' })

  it('stops labelling and capture, and both go on once it is over', async () => {
    const sku = await parcels.product({ [manual]: 1 })
    const { id } = await parcels.paid({ lines: { [sku]: 1 } })
    const shipment = await parcels.shipmentOf(id)
    await parcels.step(shipment, 'pick')
    await parcels.step(shipment, 'pack')
    expect(await hold(id, 'hold')).toMatchObject({ status: 200, body: { status: 'on_hold' } })
    expect(await parcels.step(shipment, 'label')).toMatchObject({ status: 409, body: { code: 'order_on_hold' } })
    expect(await parcels.labels(id)).toEqual([])
    expect((await hold(id, 'resume')).status).toBeLessThan(300)
    await parcels.step(shipment, 'label')
    await parcels.becomes(shipment, 'labelled')
    await hold(id, 'hold')
    expect(await parcels.step(shipment, 'ship')).toMatchObject({ status: 409, body: { code: 'order_on_hold' } })
    expect(await parcels.captures(id)).toEqual([])
    await hold(id, 'resume')
    await parcels.shipped(shipment)
    await parcels.orderBecomes(id, 'completed')
  }, 120_000)

  it('stops a warehouse that works by itself before its label', async () => {
    const automatic = await parcels.warehouse('automatic')
    const sku = await parcels.product({ [automatic]: 1 })
    const { id } = await parcels.paid({ lines: { [sku]: 1 } })
    await hold(id, 'hold')
    const shipment = await parcels.shipmentOf(id)
    await until(
      'it is packed, or waits',
      async () => (await parcels.read(shipment)).status,
      (status) => status === 'packed',
      WITHIN_MS,
    )
    expect(await parcels.labels(id)).toEqual([])
    await hold(id, 'resume')
    await parcels.orderBecomes(id, 'completed')
  }, 120_000)
})

const isVoided = (labels: { status: string }[]): boolean =>
  labels.length > 0 && labels.every(({ status }) => status === 'voided')

it('afterwards every invariant holds', () => auditHolds(shop), 90_000)
