import { EasyPostCarrier } from '../../../../providers/carrier/easypost/carrier'
import { CarrierRejected, CarrierUndecided, type LabelRequest } from '../../../../providers/carrier/carrier'
import { addressIn } from '../../../sandbox/carrier/client'
import {
  EASYPOST_KEY,
  EASYPOST_SECRET,
  type EasyPostStub,
  REFUSED_ZIP,
  startEasyPostStub,
} from '../../../support/easypost-stub'
import { until } from '../../../support/wait'

let stub: EasyPostStub
let easypost: EasyPostCarrier
const adapter = (change: object = {}) =>
  new EasyPostCarrier({
    ...{ apiKey: EASYPOST_KEY, webhookSecret: EASYPOST_SECRET, url: stub.url, timeoutMs: 2_000, inFlightMs: 600 },
    ...change,
  })
beforeEach(async () => {
  stub = await startEasyPostStub()
  easypost = adapter()
})
afterEach(async () => {
  await easypost.close()
  await stub.stop()
})

let count = 0
const request = (change: Partial<LabelRequest> = {}): LabelRequest => ({
  ...{ key: `order_1/label/${++count}`, service: 'USPS.Priority', reference: null },
  ...{ from: addressIn('US'), to: addressIn('US', '2nd floor'), value: { amount: 1, currency: 'USD' } },
  boxes: [{ weight_grams: 1_000, length_mm: 254, width_mm: 200, height_mm: 1 }],
  ...change,
})
const buy = async (asked: LabelRequest) => {
  let reference = asked.reference
  const outcome = await easypost.buyLabel(asked, async (id) => void (reference = id))
  return { outcome, reference: reference as string }
}

test('speaks in ounces and inches, rounded up, and in its own words for an address', async () => {
  await buy(request())
  expect(stub.requests[0]).toEqual({
    name: 'POST /v2/shipments',
    body: {
      shipment: {
        from_address: { name: 'Sample Buyer', street1: '1 High St', city: 'Leeds', zip: 'LS1 4DY', country: 'US' },
        to_address: {
          ...{ name: 'Sample Buyer', street1: '1 High St', street2: '2nd floor', city: 'Leeds', zip: 'LS1 4DY' },
          country: 'US',
        },
        parcel: { weight: 35.3, length: 10, width: 7.9, height: 0.1 },
        reference: 'order_1/label/1',
        options: { label_format: 'PDF' },
      },
    },
  })
})

test('keeps the shipment before it pays, and pays nothing where it may not', async () => {
  const refusal = new Error('the label is not wanted any more')
  await expect(easypost.buyLabel(request(), () => Promise.reject(refusal))).rejects.toBe(refusal)
  expect(stub.requests.map(({ name }) => name)).toEqual(['POST /v2/shipments'])
  await buy(request())
  expect(stub.requests.map(({ name }) => name.replace(/shp_\w+/, ':id')).slice(1)).toEqual([
    'POST /v2/shipments',
    'POST /v2/shipments/:id/buy',
  ])
})

test('buying again asks the shipment, and finds what was bought meanwhile', async () => {
  const { outcome, reference } = await buy(request())
  const asked = request({ reference })
  expect(await buy(asked)).toMatchObject({ outcome })
  expect(stub.requests.filter(({ name }) => name.endsWith('/buy'))).toHaveLength(1)
})

test('two purchases of one shipment at once are one', async () => {
  stub.refuseNext(/\/buy$/, 503, 'SERVICE.UNAVAILABLE')
  let reference: string | null = null
  await easypost.buyLabel(request(), async (id) => void (reference = id)).catch(() => undefined)
  const outcomes = await Promise.all([buy(request({ reference })), buy(request({ reference }))])
  expect(outcomes[0]).toEqual(outcomes[1])
  expect(stub.shipments.size).toBe(1)
})

test.each(['SHIPMENT.POSTAGE.TIMED_OUT', 'SHIPMENT.POSTAGE.NO_RESPONSE', 'SHIPMENT.PURCHASE.IN_PROGRESS'])(
  'what the carrier behind it did not answer is unknown: %s',
  async (code) => {
    stub.refuseNext(/\/buy$/, 422, code)
    await expect(buy(request())).rejects.toThrow(CarrierUndecided)
  },
)

test.each(['SHIPMENT.POSTAGE.FAILURE', 'ADDRESS.VERIFY.FAILURE'])('%s is a refusal', async (code) => {
  stub.refuseNext(/\/buy$/, 422, code)
  expect((await buy(request())).outcome).toEqual({ outcome: 'refused', code })
})

test('a purchase that is on its way when its label is voided is asked back when it arrives', async () => {
  stub.holdNext(/\/buy$/, 400)
  let reference: string | null = null
  const purchase = easypost.buyLabel(request(), async (id) => void (reference = id))
  await until('it is sent', () => stub.requests.some(({ name }) => name.endsWith('/buy')))
  const sentAt = new Date().toISOString()
  const voiding = () => easypost.voidLabel(request({ reference, sentAt }))
  await expect(voiding()).rejects.toThrow(CarrierUndecided)
  await purchase
  expect(await voiding()).toEqual({ outcome: 'pending' })
  expect([...stub.shipments.values()]).toMatchObject([{ refund_status: 'submitted' }])
})

test('one that never arrives is voided once it cannot arrive any more', async () => {
  stub.refuseNext(/\/buy$/, 503, 'SERVICE.UNAVAILABLE')
  let reference: string | null = null
  await easypost.buyLabel(request(), async (id) => void (reference = id)).catch(() => undefined)
  const voiding = () => easypost.voidLabel(request({ reference })).catch(() => null)
  expect(await voiding()).toBeNull()
  expect(await until('it is known', voiding)).toEqual({ outcome: 'voided' })
})

test.each([
  ['submitted', { outcome: 'pending' }],
  ['refunded', { outcome: 'voided' }],
  // Nothing was paid: the carrier takes its money at the first scan.
  ['not_applicable', { outcome: 'voided' }],
  ['rejected', { outcome: 'refused', code: 'refund_rejected' }],
] as const)('a refund that is %s', async (status, expected) => {
  const { reference } = await buy(request())
  stub.refundStatus = status
  expect(await easypost.voidLabel(request({ reference }))).toEqual(expected)
  expect(await easypost.voidLabel(request({ reference }))).toEqual(expected)
})

test('a rejected refund is asked for once more, a submitted one is not', async () => {
  const { reference } = await buy(request())
  const refunds = () => stub.requests.filter(({ name }) => name.endsWith('/refund')).length
  stub.refundStatus = 'rejected'
  await easypost.voidLabel(request({ reference }))
  stub.refundStatus = 'submitted'
  for (let time = 0; time < 3; time++) await easypost.voidLabel(request({ reference }))
  expect(refunds()).toBe(2)
})

test.each([
  ['refunded', { outcome: 'voided' }],
  ['rejected', { outcome: 'refused', code: 'refund_rejected' }],
] as const)(
  'a refund that is submitted, and %s days later, is asked about and for no more',
  async (status, expected) => {
    const { reference } = await buy(request())
    stub.refundStatus = 'submitted'
    const acceptedAt = new Date().toISOString()
    expect(await easypost.voidLabel(request({ reference }))).toEqual({ outcome: 'pending' })
    const before = stub.requests.length
    expect(await easypost.voidLabel({ ...request({ reference }), acceptedAt })).toEqual({ outcome: 'pending' })
    stub.decideRefund(reference, status)
    for (let time = 0; time < 2; time++)
      expect(await easypost.voidLabel({ ...request({ reference }), acceptedAt })).toEqual(expected)
    expect(stub.requests.slice(before).every(({ name }) => name.startsWith('GET '))).toBe(true)
    // Somebody wants it tried again.
    if (status === 'rejected') {
      stub.refundStatus = 'submitted'
      expect(await easypost.voidLabel(request({ reference }))).toEqual({ outcome: 'pending' })
    }
  },
)

test.each([
  [
    { rate: '7.5', currency: 'USD' },
    { amount: 750, currency: 'USD' },
  ],
  [
    { rate: '1000', currency: 'JPY' },
    { amount: 1_000, currency: 'JPY' },
  ],
  [
    { rate: '7.501', currency: 'KWD' },
    { amount: 7_501, currency: 'KWD' },
  ],
  [
    { rate: '0.1', currency: 'usd' },
    { amount: 10, currency: 'USD' },
  ],
  [
    { rate: '90071992547409.91', currency: 'USD' },
    { amount: 9_007_199_254_740_991, currency: 'USD' },
  ],
])('%p is %p', async (rate, price) => {
  stub.rate = rate
  expect((await easypost.rates(request()))[0]?.price).toEqual(price)
})

test.each(['7.505', '1e3', '-1', '', 'free', '90071992547409.92'])('a price of %p is no price', async (rate) => {
  stub.rate = { rate, currency: 'USD' }
  expect(await easypost.rates(request())).toEqual([])
})

test('several boxes are not sent by one label', async () => {
  const boxes = [...request().boxes, ...request().boxes]
  expect(await easypost.rates(request({ boxes }))).toEqual([])
  expect((await buy(request({ boxes }))).outcome).toEqual({ outcome: 'refused', code: 'several_boxes' })
})

test('a key that is not let in is a fault of ours, and is not shown', async () => {
  const wrong = adapter({ apiKey: 'EZTK_MustNotBeSeen' })
  const error: unknown = await wrong.rates(request()).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(CarrierRejected)
  expect(error).toMatchObject({ code: 'not_allowed' })
  expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('MustNotBeSeen')
  await wrong.close()
})

test('a refusal quotes neither the address nor what EasyPost said', async () => {
  const asked = request({ to: { ...addressIn('US'), postal_code: REFUSED_ZIP } })
  const { outcome } = await buy(asked)
  expect(outcome).toEqual({ outcome: 'refused', code: 'ADDRESS.INVALID' })
})
