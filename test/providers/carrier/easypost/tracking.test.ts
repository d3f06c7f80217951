import { eventsOf, readWebhook, signatureOf } from '../../../../providers/carrier/easypost/tracking'
import type { WireTracker, WireTrackingDetail } from '../../../../providers/carrier/easypost/wire'

const SECRET = 'ﬁrst ſecret'

const tracker = (...details: Partial<WireTrackingDetail>[]): WireTracker => ({
  ...{ object: 'Tracker', tracking_code: '9400', public_url: null, est_delivery_date: '2026-01-05T00:00:00Z' },
  tracking_details: details.map((detail, index) => ({
    ...{ message: 'Said', status: 'in_transit', status_detail: null, datetime: `2026-01-0${index + 1}T00:00:00Z` },
    ...detail,
  })),
})

test.each([
  ['pre_transit', 'label_created', undefined],
  ['unknown', null, undefined],
  ['error', null, undefined],
  ['cancelled', null, undefined],
  ['something new', null, undefined],
  ['in_transit', null, 'in_transit'],
  ['in_transit', 'received_at_origin_facility', 'accepted'],
  ['in_transit', 'arrived_at_facility', 'in_transit'],
  ['in_transit', 'delayed', 'exception'],
  ['out_for_delivery', 'out_for_delivery', 'out_for_delivery'],
  ['available_for_pickup', 'arrived_at_pickup_location', 'exception'],
  ['delivered', 'arrived_at_destination', 'delivered'],
  ['delivered', 'lost', 'delivered'],
  ['return_to_sender', 'return', 'returned'],
  ['failure', 'lost', 'lost'],
  ['failure', 'expired', 'exception'],
])('%s, %s is %s', (status, status_detail, type) => {
  expect(eventsOf(tracker({ status, status_detail }))[0]?.type).toBe(type)
})

test('the same detail is the same event whenever it is told, also among others and in another order', () => {
  const [first, second] = [{ status: 'in_transit' }, { status: 'delivered', datetime: '2026-01-02T00:00:00Z' }]
  const early = eventsOf(tracker(first))
  const late = eventsOf({
    ...tracker(first, second),
    tracking_details: tracker(first, second).tracking_details.toReversed(),
  })
  expect(late[0]).toEqual(early[0])
  expect(late.map(({ type }) => type)).toEqual(['in_transit', 'delivered'])
  expect(eventsOf(tracker(first, { ...first, datetime: '2026-01-01T00:00:00Z' }))).toHaveLength(1)
})

test('what was said in words, and times that are none, are left out', () => {
  const events = eventsOf(
    tracker({ message: 'Signed for by SAMPLE BUYER', status_detail: 'Sample Buyer' }, { datetime: 'soon' }),
  )
  expect(events).toEqual([
    {
      ...{ eventId: expect.stringMatching(/^[0-9a-f]{40}$/), trackingNumber: '9400', type: 'in_transit' },
      ...{ happenedAt: '2026-01-01T00:00:00.000Z', detail: 'in_transit', expectedAt: '2026-01-05T00:00:00.000Z' },
    },
  ])
})

test('a webhook is signed with the secret in its normal form', () => {
  const body = Buffer.from(JSON.stringify({ id: 'evt_1', description: 'tracker.updated', result: tracker({}) }))
  expect(signatureOf(body, SECRET)).toBe(signatureOf(body, 'first secret'))
  expect(signatureOf(Buffer.from('{}'), 'key')).toBe(
    'hmac-sha256-hex=a777724d943eb48dc69bca8a4a6d57a04db3f9ec7e1de4e581e860265bdf3032',
  )
  expect(readWebhook(body, { 'x-hmac-signature': signatureOf(body, SECRET) }, SECRET)).toHaveLength(1)
})

test.each([
  [{ id: 'evt_1', description: 'tracker.updated', result: { object: 'Tracker' } }],
  [
    {
      id: 'evt_1',
      description: 'tracker.updated',
      result: { object: 'Tracker', tracking_code: 5, tracking_details: [] },
    },
  ],
  [{ id: 'evt_1', description: 'refund.successful', result: { object: 'Refund' } }],
  [{ id: 'evt_1', description: 'x', result: [] }],
  [
    {
      ...{ id: 'evt_1', description: 'tracker.updated' },
      result: {
        object: 'Tracker',
        tracking_code: '1',
        tracking_details: [null, 1, {}, { status: 1, datetime: 5 }, []],
      },
    },
  ],
])('an event that tells of no parcel tells nothing: %j', (event) => {
  const body = Buffer.from(JSON.stringify(event))
  expect(readWebhook(body, { 'x-hmac-signature': signatureOf(body, SECRET) }, SECRET)).toEqual([])
})
