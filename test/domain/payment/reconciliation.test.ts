import type { CaptureId, OrderId, PaymentId, RefundId } from '../../../domain/ids'
import {
  compareBooks,
  comparePayment,
  compareUnknown,
  describeDifference,
  findMoved,
  type OurCapture,
  type OurPayment,
  type OurRefund,
  type TheirCharge,
  type TheirMovement,
} from '../../../domain/payment/reconciliation'

const ORDER = 'order_1' as OrderId

const CAPTURE: OurCapture = {
  id: 'cap_1' as CaptureId,
  key: 'order_1/capture/1',
  reference: 'cp_1',
  amount: 300,
  status: 'succeeded',
  cause: 'staff',
  movement: null,
}
const REFUND: OurRefund = {
  id: 'ref_1' as RefundId,
  key: 'order_1/refund/1',
  reference: 're_1',
  amount: 100,
  status: 'succeeded',
  isElsewhere: false,
  movement: null,
}

/** 500 authorized, 300 captured, 100 refunded: by both sides. */
const OURS: OurPayment = {
  id: 'pay_1' as PaymentId,
  orderId: ORDER,
  provider: 'sandbox',
  key: 'order_1/charge/1',
  reference: 'ch_1',
  currency: 'GBP',
  status: 'authorized',
  amount: 500,
  captured: 300,
  released: 0,
  refunded: 100,
  refunding: 0,
  disputed: 0,
  elsewhere: 0,
  pays: true,
  isRecent: false,
  isAtWork: false,
  captures: [CAPTURE],
  refunds: [REFUND],
  disputes: [],
  ledger: { authorized: 200, clearing: 200, payable: 0, disputed: 0 },
  order: { stage: 'won', wasConfirmed: true, owed: 500, kept: 200 },
}
const THEIRS: TheirCharge = {
  reference: 'ch_1',
  key: 'order_1/charge/1',
  orderId: ORDER,
  amount: 500,
  currency: 'GBP',
  isAuthorized: true,
  captured: 300,
  released: 0,
  refunded: 100,
  captures: [{ reference: 'cp_1', key: 'order_1/capture/1', amount: 300 }],
  refunds: [{ reference: 're_1', key: 'order_1/refund/1', amount: 100, status: 'succeeded' }],
  disputes: [],
}
const DISPUTE = { reference: 'dp_1', amount: 50, status: 'open' } as const
const DISPUTED: Partial<OurPayment> = {
  disputed: 50,
  disputes: [DISPUTE],
  ledger: { ...OURS.ledger, clearing: 150, disputed: 50 },
  order: { ...OURS.order, kept: 150 },
}

type Case = [string, Partial<OurPayment>, Partial<TheirCharge> | null, [kind: string, ours: number, theirs: number][]]

test.each<Case>([
  ['what is the same', {}, {}, []],
  [
    'a capture made at the provider',
    {},
    { captured: 400, captures: [...THEIRS.captures, { reference: 'cp_2', key: null, amount: 100 }] },
    [
      ['movement_unknown', 0, 100],
      ['authorized', 200, 100],
      ['captured', 300, 400],
    ],
  ],
  [
    'a refund made at the provider',
    {},
    { refunded: 150, refunds: [...THEIRS.refunds, { reference: 're_2', key: null, amount: 50, status: 'succeeded' }] },
    [
      ['movement_unknown', 0, -50],
      ['refunded', 100, 150],
    ],
  ],
  [
    'a refund that the provider has not decided, and one that came back',
    {},
    {
      refunds: [
        ...THEIRS.refunds,
        { reference: 're_2', key: null, amount: 50, status: 'pending' },
        { reference: 're_3', key: null, amount: 50, status: 'failed' },
      ],
    },
    [],
  ],
  [
    'our capture that the provider does not have',
    {},
    { captured: 0, captures: [] },
    [
      ['authorized', 200, 500],
      ['captured', 300, 0],
      ['movement_missing', 300, 0],
    ],
  ],
  [
    'our refund that failed there',
    {},
    { refunded: 0, refunds: [{ reference: 're_1', key: 'order_1/refund/1', amount: 100, status: 'failed' }] },
    [
      ['refunded', 100, 0],
      ['movement_missing', -100, 0],
    ],
  ],
  [
    'a refund that was given back in another way',
    {
      refunded: 150,
      elsewhere: 50,
      refunds: [
        REFUND,
        { ...REFUND, id: 'ref_2' as RefundId, key: 'k', reference: null, amount: 50, isElsewhere: true },
      ],
    },
    {},
    [],
  ],
  [
    'another amount',
    {},
    { amount: 600 },
    [
      ['charge_amount', 500, 600],
      ['authorized', 200, 300],
    ],
  ],
  [
    'another currency: nothing else can be compared',
    {},
    { currency: 'EUR', captured: 0 },
    [['charge_amount', 500, 500]],
  ],
  ['another order', {}, { orderId: 'order_2' }, [['charge_amount', 500, 500]]],
  ['what was let go at the provider', {}, { isAuthorized: false, released: 200 }, [['authorized', 200, 0]]],
  [
    'what we let go and the provider holds',
    { status: 'captured', released: 200, ledger: { ...OURS.ledger, authorized: 0 } },
    {},
    [['authorized', 0, 200]],
  ],
  [
    'a lost webhook: the attempt waits, the money is there',
    {
      ...{ status: 'sent', captured: 0, refunded: 0, captures: [], refunds: [] },
      ledger: { authorized: 0, clearing: 0, payable: 0, disputed: 0 },
      order: { stage: 'open', wasConfirmed: false, owed: 500, kept: 0 },
    },
    { captured: 0, refunded: 0, captures: [], refunds: [] },
    [['authorized', 0, 500]],
  ],
  [
    'a charge that the provider does not have',
    {},
    null,
    [
      ['authorized', 200, 0],
      ['captured', 300, 0],
      ['refunded', 100, 0],
      ['movement_missing', 300, 0],
      ['movement_missing', -100, 0],
    ],
  ],
  [
    'a dispute that we do not know',
    {},
    { disputes: [DISPUTE] },
    [
      ['movement_unknown', 0, -50],
      ['disputed', 0, 50],
    ],
  ],
  ['a dispute that both know', DISPUTED, { disputes: [DISPUTE] }, []],
  [
    'a dispute that is lost there and open here',
    DISPUTED,
    { disputes: [{ ...DISPUTE, status: 'lost' }] },
    [['dispute_lost', 0, 50]],
  ],
  [
    'a dispute that is lost there and won here',
    { disputes: [{ ...DISPUTE, status: 'won' }] },
    { disputes: [{ ...DISPUTE, status: 'lost' }] },
    [
      ['disputed', 0, 50],
      ['dispute_lost', 0, 50],
    ],
  ],
  [
    'a dispute that is won there and open here',
    DISPUTED,
    { disputes: [{ ...DISPUTE, status: 'won' }] },
    [
      ['movement_unknown', 0, 50],
      ['disputed', 50, 0],
    ],
  ],
  [
    'a dispute that both have lost',
    { ...DISPUTED, disputes: [{ ...DISPUTE, status: 'lost' }] },
    { disputes: [{ ...DISPUTE, status: 'lost' }] },
    [],
  ],
  [
    'money that is held for an order that is over',
    { order: { ...OURS.order, stage: 'over' } },
    {},
    [['held_for_nothing', 0, 200]],
  ],
  [
    'a ledger that lacks a capture',
    { ledger: { ...OURS.ledger, authorized: 500, clearing: -100 } },
    {},
    [
      ['ledger_authorized', 200, 500],
      ['ledger_clearing', 200, -100],
    ],
  ],
  ['a ledger that lacks a refund on its way', { refunding: 30 }, {}, [['ledger_payable', 30, 0]]],
  ['more kept than the order costs', { order: { ...OURS.order, owed: 150 } }, {}, [['order_total', 150, 200]]],
])('%s', (_what, ours, theirs, expected) => {
  const found = comparePayment({ ...OURS, ...ours }, theirs && { ...THEIRS, ...theirs })
  expect(found.map(({ kind, ours: our, theirs: their }) => [kind, our, their])).toEqual(expected)
})

test('a payment that was declined holds nothing, and its ledger neither', () => {
  const none = { captured: 0, refunded: 0, captures: [], refunds: [] }
  const ledger = { authorized: 0, clearing: 0, payable: 0, disputed: 0 }
  const declined: OurPayment = { ...OURS, ...none, status: 'declined', ledger, order: { ...OURS.order, kept: 0 } }
  expect(comparePayment(declined, { ...THEIRS, ...none, isAuthorized: false })).toEqual([])
  expect(compareBooks(declined)).toEqual([])
})

test('a charge that nobody asked for is money, or nothing', () => {
  expect(compareUnknown(THEIRS)).toEqual([
    { kind: 'unknown_charge', object: 'ch_1', ours: 0, theirs: 400, currency: 'GBP' },
  ])
  expect(compareUnknown({ ...THEIRS, isAuthorized: false, captured: 0, refunded: 0 })).toEqual([])
  expect(compareUnknown({ ...THEIRS, isAuthorized: false, refunded: 300 })).toEqual([])
})

const BESIDES: OurRefund = { ...REFUND, id: 'ref_2' as RefundId, key: 'order_1/refund/2' }
const MOVED: TheirMovement = { type: 'capture', reference: 'cp_1', key: null, amount: 300, currency: 'GBP' }
test.each<[string, Partial<TheirMovement>, Partial<OurPayment>, string | null]>([
  ['a capture by its reference', {}, {}, 'cap_1'],
  ['a capture by its key', { reference: 'cp_9', key: CAPTURE.key }, {}, 'cap_1'],
  ['no capture of another amount', { amount: 301 }, {}, null],
  ['no capture in another currency', { currency: 'EUR' }, {}, null],
  ['no capture that has not succeeded', {}, { captures: [{ ...CAPTURE, status: 'pending' }] }, null],
  [
    'what was taken with the authorization, which has no key',
    { reference: 'cp_9' },
    { captures: [{ ...CAPTURE, cause: 'authorization', reference: null }] },
    'cap_1',
  ],
  ['a refund', { type: 'refund', reference: 're_1', amount: -100 }, {}, 'ref_1'],
  [
    'no refund that came back and counts as done here',
    { type: 'refund_failed', reference: 're_1', amount: 100 },
    {},
    null,
  ],
  [
    'a refund that came back',
    { type: 'refund_failed', reference: 're_1', amount: 100 },
    { refunds: [{ ...REFUND, status: 'failed' }] },
    'ref_1',
  ],
  [
    'the refund that was made in the place of one that failed',
    { type: 'refund', reference: 're_1', key: REFUND.key, amount: -100 },
    { refunds: [{ ...REFUND, status: 'failed' }, BESIDES] },
    'ref_2',
  ],
  [
    'no dispute that was won there and is open here',
    { type: 'dispute_won', reference: 'dp_1', amount: 50 },
    { disputes: [DISPUTE] },
    null,
  ],
])('finds %s', (_what, movement, ours, expected) => {
  const found = findMoved({ ...OURS, ...ours }, { ...MOVED, ...movement })
  expect(found && 'id' in found ? found.id : found).toBe(expected)
})

test('says both figures in words', () => {
  const difference = { kind: 'captured', object: 'pay_1', ours: 300, theirs: 1_050, currency: 'GBP' } as const
  expect(describeDifference(difference)).toBe(
    'What was captured: by the payment, and by the charge. `pay_1`: GBP 3.00 and GBP 10.50.',
  )
})
