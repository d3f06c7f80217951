import fc from 'fast-check'
import { createApiKey } from '../../../db/platform/api-key'
import { newId } from '../../../db/id'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { changeAttempt } from '../../../db/payment/attempt'
import { withBooks } from '../../../db/payment/books'
import { withTransaction } from '../../../db/pool'
import { moderateReview, writeReview } from '../../../db/review'
import { projectDocuments, writeDocuments } from '../../../db/search/document'
import { openCase } from '../../../db/support/attention'
import { auditDatabase, check, countInFlight, INVARIANTS } from '../../../db/support/invariant'
import type { CaptureId, ProductId, RefundId, ShipmentId, Sku } from '../../../domain/ids'
import type { Books, MoveAnswer, SeenPayment } from '../../../domain/payment/books'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements } from '../../support/goods-statements'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  for (const [label, make] of Object.entries(SHOP)) {
    const { orderId } = await make()
    await database.pool.query('update orders set email = $2 where id = $1', [orderId, label])
  }
  await describeProducts()
  await database.pool.query('update outbox set published_at = now()')
}, 120_000)
afterAll(() => database.drop())

const { cancel, confirm, placed } = orderStatements(() => database.pool)

const { labelled, sent, shipmentsOf } = goodsStatements(() => database.pool)

/** A confirmed order with its only shipment, which `come` brings somewhere. */
async function wonAnd(come: typeof sent): Promise<AcceptedOrder> {
  const order = await won()
  const goods = { ...order, skus: [order.sku as Sku] }
  const [shipment] = await shipmentsOf(goods)
  await come(goods, shipment?.id as ShipmentId)
  return order
}

const inBooks = <T>({ orderId }: AcceptedOrder, work: (books: Books) => T) => withBooks(database.pool, orderId, work)

/** A confirmed order of 2 units, authorized with 1,000. */
async function won(): Promise<AcceptedOrder> {
  const order = await placed()
  expect(await confirm(order)).not.toBeNull()
  return order
}

let references = 0
const done = (): MoveAnswer => ({ outcome: 'succeeded', reference: `ref_${++references}` })
const accepts = (): MoveAnswer => ({ outcome: 'pending', reference: `ref_${++references}` })
const refused = (): MoveAnswer => ({ outcome: 'failed', code: 'refused', reference: null })

async function capture(order: AcceptedOrder, amount: number, answer = done()): Promise<CaptureId> {
  const claimed = await inBooks(order, (books) => books.claimCapture({ amount, actor: null }))
  if ('refused' in claimed) throw new Error(claimed.refused)
  await inBooks(order, (books) => books.sendCapture(claimed.id))
  await inBooks(order, (books) => books.answerCapture(claimed.id, answer))
  return claimed.id
}

async function refund(order: AcceptedOrder, amount: number, ...answers: MoveAnswer[]): Promise<RefundId> {
  const request = { amount, cause: 'staff', reasonCode: 'goodwill', restock: false, actor: null } as const
  const claimed = await inBooks(order, (books) => books.claimRefund(request))
  const id = 'refused' in claimed ? undefined : claimed[0]?.id
  if (!id) throw new Error('It cannot be refunded')
  for (const answer of answers) await inBooks(order, (books) => books.answerRefund(id, answer))
  return id
}

/** Answers whatever refund is on its way. */
const giveBack = (order: AcceptedOrder, answer: MoveAnswer) =>
  inBooks(order, (books) => {
    for (const { id, status } of books.refunds) if (status === 'pending') books.answerRefund(id, answer)
  })

const cancelUnitsOf = (order: AcceptedOrder, quantity: number) =>
  withTransaction(database.pool, (tx) =>
    cancelUnits(tx, {
      orderId: order.orderId,
      wanted: [{ sku: order.sku as never, quantity }],
      reason: 'customer',
      reasonCode: 'changed_mind',
      actor: null,
      step: 1,
    }),
  )

const observe = (order: AcceptedOrder, change: Partial<SeenPayment>) =>
  inBooks(order, (books) => books.observe(order.paymentId, seenWith(change)))

function seenWith(change: Partial<SeenPayment>): SeenPayment {
  return {
    reference: 'ch_1',
    amount: 1_000,
    state: 'authorized',
    released: 0,
    capturesInParts: true,
    captureBefore: null,
    captures: [],
    refunds: [],
    disputes: [],
    ...change,
  }
}

const askAPerson = ({ orderId }: AcceptedOrder, object: string) =>
  openCase(database.pool, {
    orderId,
    code: 'refund_refused',
    workflowId: `fulfillment-${orderId}`,
    step: 'refundPayment',
    object,
  })

/** Orders at rest, one of each kind; the e-mail of each is its name here. */
const SHOP: Readonly<Record<string, () => Promise<AcceptedOrder>>> = {
  authorized: won,
  cancelled: async () => {
    const order = await placed()
    await cancel(order)
    await changeAttempt(database.pool, { ...order, change: { to: 'voided', reference: null, outcome: 'cancelled' } })
    return order
  },
  declined: async () => {
    const order = await placed()
    const change = { to: 'declined', reference: 'ch_1', declineCode: 'insufficient_funds' } as const
    await changeAttempt(database.pool, { ...order, change })
    await cancel(order)
    return order
  },
  captured: async () => {
    const order = await placed()
    await confirm(order, { status: 'captured' })
    return order
  },
  inParts: async () => {
    const order = await won()
    await capture(order, 600)
    await capture(order, 100, refused())
    await inBooks(order, (books) => books.captures.map(({ id }) => books.decideCapture(id, 'leave')))
    await capture(order, 300)
    return order
  },
  foundCaptured: async () => {
    const order = await won()
    const id = await capture(order, 1_000, refused())
    const key = await inBooks(order, (books) => books.captures.find((each) => each.id === id)?.key ?? null)
    await observe(order, { captures: [{ reference: 'cap_late', key, amount: 1_000 }] })
    return order
  },
  refundedInPart: async () => {
    const order = await won()
    await capture(order, 1_000)
    await refund(order, 250, done())
    return order
  },
  fewer: async () => {
    const order = await won()
    await cancelUnitsOf(order, 1)
    await capture(order, 500)
    await observe(order, { state: 'captured', released: 500 })
    return order
  },
  fewerAuthorized: async () => {
    const order = await won()
    await cancelUnitsOf(order, 1)
    return order
  },
  voided: async () => {
    const order = await won()
    await cancelUnitsOf(order, 2)
    await observe(order, { state: 'voided', released: 1_000 })
    return order
  },
  givenBack: async () => {
    const order = await won()
    await capture(order, 1_000)
    await cancelUnitsOf(order, 1)
    await giveBack(order, done())
    await cancelUnitsOf(order, 1)
    await giveBack(order, done())
    return order
  },
  onItsWay: async () => {
    const order = await won()
    await capture(order, 1_000)
    await cancelUnitsOf(order, 2)
    await giveBack(order, accepts())
    return order
  },
  elsewhere: async () => {
    const order = await won()
    await capture(order, 1_000)
    const id = await refund(order, 1_000, done(), refused())
    await inBooks(order, (books) => books.decideRefund(id, 'elsewhere'))
    return order
  },
  left: async () => {
    const order = await won()
    await capture(order, 1_000)
    await cancelUnitsOf(order, 2)
    await giveBack(order, refused())
    await inBooks(order, (books) => books.refunds.map(({ id }) => books.decideRefund(id, 'leave')))
    return order
  },
  asked: async () => {
    const order = await won()
    await capture(order, 1_000)
    await askAPerson(order, await refund(order, 100, refused()))
    return order
  },
  disputed: async () => {
    const order = await won()
    await capture(order, 1_000)
    const dispute = (number: number, status: 'open' | 'won' | 'lost') =>
      ({ reference: `dp_${number}`, amount: 10 * number, status }) as const
    await observe(order, { disputes: [dispute(1, 'open'), dispute(2, 'open'), dispute(3, 'open')] })
    await observe(order, { disputes: [dispute(1, 'open'), dispute(2, 'won'), dispute(3, 'lost')] })
    await askAPerson(order, 'dp_1')
    return order
  },
  late: async () => {
    const order = await placed()
    await cancel(order)
    await inBooks(order, (books) =>
      books.receive(
        order.paymentId,
        seenWith({ state: 'captured', captures: [{ reference: 'cap_1', key: null, amount: 1_000 }] }),
      ),
    )
    await giveBack(order, done())
    return order
  },
  labelled: () => wonAnd(labelled),
  shipped: () => wonAnd(sent),
  returned: async () => {
    const order = await wonAnd(sent)
    await refund(order, 300, done())
    return order
  },
  renewed: async () => {
    const order = await won()
    await capture(order, 400)
    await observe(order, { released: 600 })
    const renewal = newId('payment')
    for (const text of [
      `insert into payment (id, order_id, attempt, key, provider, method, amount, asked, currency, status, outcome, reference, sent_at, renews)
       select $1, order_id, 2, order_id || '/charge/2', provider, method, 600, 600, currency, 'authorized', 'completed', 'ch_2', now(), id
       from payment where id = $2`,
      `insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency)
       select order_id, $1, 'authorize', 1, account, line.amount, currency
       from payment, (values ('authorized', 600), ('authorized_contra', -600)) as line (account, amount) where id = $2`,
      `with told as (
         update orders set event_seq = event_seq + 1
         where id = (select order_id from payment where id = $2) returning id, event_seq)
       insert into order_event (id, order_id, seq, type, data)
       select '${newId('event')}', id, event_seq, 'payment.authorized', jsonb_build_object('payment_id', $1::text) from told`,
    ])
      await database.pool.query(text, [renewal, order.paymentId])
    return order
  },
}

/** Search documents of all products, and a rating of one. */
async function describeProducts(): Promise<void> {
  const { pool } = database
  const { rows } = await pool.query<{ id: ProductId }>('select id from product')
  await writeDocuments(
    pool,
    (
      await projectDocuments(
        pool,
        rows.map(({ id }) => id),
      )
    ).documents,
  )
  const { rows: bought } = await pool.query<{ productId: ProductId; tokenHash: Buffer }>(
    `select v.product_id as "productId", o.token_hash as "tokenHash"
     from orders o join order_line l on l.order_id = o.id join variant v on v.sku = l.sku
     where o.email = 'authorized'`,
  )
  const { key } = await createApiKey(pool, { name: 'c', role: 'admin', expiresAt: null })
  await withTransaction(pool, async (tx) => {
    const input = { rating: 4, title: null, text: 'Sturdy.' }
    const { id } = await writeReview(tx, { ...(bought[0] as (typeof bought)[0] & object), secret: 's', input })
    await moderateReview(tx, { id, status: 'approved', reason: null, by: key.id, mayChange: () => true })
  })
}

const order = (name: string): string => `(select id from orders where email = '${name}')`
const paymentOf = (name: string): string => `(select id from payment where order_id = ${order(name)} and attempt = 1)`
const shipmentOf = (name: string): string => `(select id from shipment where order_id = ${order(name)})`
const aBackOrder = (name: string): string =>
  `insert into back_order (order_id, sku, quantity, confirmed_at)
   select order_id, sku, 1, now() from order_line where order_id = ${order(name)}`
const anEvent = (name: string, type: string, data: string): string =>
  `with told as (update orders set event_seq = event_seq + 1 where email = '${name}' returning id, event_seq)
   insert into order_event (id, order_id, seq, type, data)
   select '${newId('event')}', id, event_seq, '${type}', ${data} from told`
const OPEN_LEDGER = 'alter table ledger_entry disable trigger user'
const OPEN_EVENTS = 'alter table order_event disable trigger user'
const aLine = (name: string, values: string): string =>
  `insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency)
   select order_id, id, ${values}, currency from payment where id = ${paymentOf(name)}`
const withoutBounds = [
  'alter table payment drop constraint never_captured_twice',
  'alter table payment drop constraint never_refunded_twice',
]

/** What would have to happen for each to be violated; nothing but a hand in the database can do most of it. */
const TAMPERED: readonly (readonly [invariant: string, ...statements: string[]])[] = [
  [
    'stock_not_oversold',
    'alter table stock_level drop constraint never_oversold',
    'update stock_level set reserved = on_hand + 1',
  ],
  ['on_hand_is_the_sum_of_its_movements', 'update stock_level set on_hand = on_hand + 1'],
  [
    'reserved_is_the_sum_of_its_reservations',
    'update stock_level set reserved = reserved + 1 where reserved < on_hand',
  ],
  ['orders_reserve_their_lines', `update reservation set state = 'released' where owner_id = ${order('authorized')}`],
  ['orders_reserve_their_lines', `update reservation set state = 'held' where owner_id = ${order('authorized')}`],
  ['orders_reserve_their_lines', `update reservation set quantity = 2 where owner_id = ${order('fewer')}`],
  ['orders_reserve_their_lines', `update reservation set state = 'committed' where owner_id = ${order('voided')}`],
  ['orders_reserve_their_lines', `update order_line set shipped = 1 where order_id = ${order('captured')}`],
  ['orders_reserve_their_lines', `update reservation set state = 'shipped' where owner_id = ${order('captured')}`],
  [
    'holds_end_in_time',
    `update reservation set state = 'held', expires_at = now() - interval '1 minute' where state = 'committed'`,
  ],
  [
    'one_live_order_per_cart',
    'drop index one_live_order_per_cart',
    `update orders set status = 'confirmed', cancel_reason = null, cart_id = (select cart_id from orders where email = 'authorized')
     where email = 'cancelled'`,
  ],
  [
    'requests_reach_their_workflow',
    `update payment set status = 'requested', attempt = 100, created_at = now() - interval '2 minutes'
     where id = ${paymentOf('declined')}`,
  ],
  ['carts_and_orders_name_each_other', `update cart set state = 'open' where state = 'bought'`],
  ['events_have_no_gaps', OPEN_EVENTS, 'delete from order_event where seq = 2'],
  [
    'every_status_change_is_legal',
    OPEN_EVENTS,
    `update order_event set from_status = 'pending' where to_status = 'confirmed'`,
  ],
  ['events_add_up_to_the_status', `update orders set status = 'processing' where status = 'confirmed'`],
  ['totals_add_up', `update orders set total = total + 1 where status = 'confirmed'`],
  ['lines_are_what_was_accepted', 'update order_line set quantity = quantity + 1'],
  ['cancelled_is_the_value_of_its_units', `update orders set cancelled = 499 where email = 'fewer'`],
  ['cancelled_is_the_value_of_its_units', `update orders set cancelled = 1000 where email = 'fewer'`],
  [
    'cancelled_is_the_value_of_its_units',
    `update order_line set cancelled = 1 where order_id = ${order('authorized')}`,
  ],
  ['cancelled_is_the_value_of_its_units', `update orders set cancelled = 1000 where email = 'declined'`],
  ['cancelled_is_the_value_of_its_units', `update order_line set cancelled = 1 where order_id = ${order('declined')}`],
  [
    'cancelled_is_the_value_of_its_units',
    `update orders set status = 'confirmed', cancel_reason = null where email = 'voided'`,
  ],
  [
    'cancelled_is_the_value_of_its_units',
    `update orders set status = 'cancelled', cancel_reason = 'customer' where email = 'fewer'`,
  ],
  ['keys_name_their_callers_attempt', `update idempotency set scope = 'cart:somebody else' where order_id is not null`],
  [
    'open_orders_come_to_an_end',
    `update orders set status = 'payment_pending', hold_expires_at = now() - interval '1 minute' where status = 'confirmed'`,
  ],
  [
    'one_attempt_at_a_time',
    'drop index one_unresolved_attempt',
    `insert into payment (id, order_id, attempt, key, provider, method, currency, status)
     select 'pay_0000000000000000000000000' || n, id, 100 + n, id || n, 'sandbox', 'pm', 'GBP', 'sent'
     from orders, generate_series(1, 2) as n where email = 'authorized'`,
  ],
  ['won_orders_are_paid_once', `update payment set status = 'voided' where id = ${paymentOf('authorized')}`],
  ['won_orders_are_paid_once', `update payment set outcome = 'cancelled' where id = ${paymentOf('captured')}`],
  ['won_orders_are_paid_once', `update payment set outcome = 'completed' where id = ${paymentOf('late')}`],
  ['won_orders_are_paid_once', `update payment set renews = null where order_id = ${order('renewed')}`],
  [
    'won_orders_are_paid_once',
    `update payment set renews = ${paymentOf('authorized')} where order_id = ${order('renewed')} and attempt = 2`,
  ],
  [
    'won_orders_are_paid_once',
    `update payment set status = 'authorized', released = 0 where id = ${paymentOf('renewed')}`,
  ],
  ['attempts_ask_for_the_total', `update payment set currency = 'EUR' where id = ${paymentOf('authorized')}`],
  ['attempts_ask_for_the_total', `update payment set amount = amount + 1 where id = ${paymentOf('declined')}`],
  ['attempts_ask_for_the_total', `update payment set amount = null where id = ${paymentOf('declined')}`],
  [
    'attempts_ask_for_the_total',
    OPEN_LEDGER,
    `update ledger_entry set amount = amount + 1 where operation = 'authorize' and payment_id = ${paymentOf('authorized')} and amount > 0`,
  ],
  [
    'attempts_ask_for_the_total',
    OPEN_LEDGER,
    `update ledger_entry set amount = 1001 where operation = 'authorize' and order_id = ${order('renewed')} and amount = 600`,
  ],
  ['captured_and_refunded_stay_in_bounds', ...withoutBounds, 'update payment set captured = amount + 1'],
  [
    'captured_and_refunded_stay_in_bounds',
    ...withoutBounds,
    `update payment set capturing = 1 where id = ${paymentOf('captured')}`,
  ],
  [
    'captured_and_refunded_stay_in_bounds',
    ...withoutBounds,
    `update payment set released = 1 where id = ${paymentOf('captured')}`,
  ],
  [
    'captured_and_refunded_stay_in_bounds',
    ...withoutBounds,
    `update payment set refunded = 1 where id = ${paymentOf('authorized')}`,
  ],
  [
    'captured_and_refunded_stay_in_bounds',
    ...withoutBounds,
    `update payment set refunding = 1001 where id = ${paymentOf('captured')}`,
  ],
  ['orders_are_not_captured_beyond_what_is_owed', `update orders set cancelled = 1 where email = 'captured'`],
  [
    'orders_are_not_captured_beyond_what_is_owed',
    `update refund set cause = 'staff' where order_id = ${order('onItsWay')}`,
    `update payment set refunding = 0 where id = ${paymentOf('onItsWay')}`,
  ],
  [
    'orders_are_not_captured_beyond_what_is_owed',
    `update payment set outcome = 'cancelled' where id = ${paymentOf('captured')}`,
  ],
  [
    'orders_are_not_captured_beyond_what_is_owed',
    `update payment set capturing = 600 where order_id = ${order('renewed')} and attempt = 2`,
    `insert into capture (id, order_id, payment_id, number, key, amount, currency, cause)
     select '${newId('capture')}', order_id, id, 2, order_id || '/capture/2', 601, currency, 'staff'
     from payment where order_id = ${order('renewed')} and attempt = 2`,
  ],
  [
    'orders_are_not_captured_beyond_what_is_owed',
    `update payment set capturing = 1 where id = ${paymentOf('declined')}`,
  ],
  ['final_attempts_have_an_outcome', `update payment set outcome = null where status = 'declined'`],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set status = 'captured' where id = ${paymentOf('authorized')}`,
  ],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set status = 'authorized' where id = ${paymentOf('captured')}`,
  ],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set status = 'captured' where id = ${paymentOf('givenBack')}`,
  ],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set status = 'refunded' where id = ${paymentOf('refundedInPart')}`,
  ],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set status = 'failed' where id = ${paymentOf('voided')}`,
  ],
  [
    'attempts_are_called_what_their_sums_make',
    `update payment set releasing = true where id = ${paymentOf('captured')}`,
  ],
  ['attempts_are_called_what_their_sums_make', `update payment set captured = 1 where id = ${paymentOf('declined')}`],
  ...['captured', 'partially_captured', 'refunded', 'voided', 'pending'].map(
    (status) =>
      [
        'payment_status_is_what_the_attempts_make',
        `update orders set payment_status = '${status}' where email = 'authorized'`,
      ] as const,
  ),
  [
    'payment_status_is_what_the_attempts_make',
    `update orders set payment_status = 'authorized' where email = 'declined'`,
  ],
  [
    'payment_status_is_what_the_attempts_make',
    `update orders set payment_status = 'captured' where email = 'refundedInPart'`,
  ],
  [
    'payment_status_is_what_the_attempts_make',
    `update orders set payment_status = 'captured' where email = 'disputed'`,
  ],
  ['payment_status_is_what_the_attempts_make', `update orders set payment_status = 'captured' where email = 'renewed'`],
  [
    'payment_status_is_what_the_attempts_make',
    `update orders set payment_status = 'partially_captured' where email = 'fewer'`,
  ],
  [
    'payment_status_is_what_the_attempts_make',
    `update orders set payment_status = 'authorized' where email = 'voided'`,
  ],
  ['attempts_become_final', `update payment set status = 'pending' where status = 'declined'`],
  [
    'money_that_pays_for_nothing_goes_back',
    `update payment set status = 'authorized' where id = ${paymentOf('declined')}`,
  ],
  ['money_that_pays_for_nothing_goes_back', `update payment set released = 999 where id = ${paymentOf('voided')}`],
  ['money_that_pays_for_nothing_goes_back', `update refund set reference = null where order_id = ${order('onItsWay')}`],
  ['money_that_pays_for_nothing_goes_back', `update refund set at_work = true where order_id = ${order('left')}`],
  ['money_that_pays_for_nothing_goes_back', `update payment set refunded = 999 where id = ${paymentOf('late')}`],
  [
    'money_that_pays_for_nothing_goes_back',
    `update payment set outcome = 'declined' where id = ${paymentOf('authorized')}`,
  ],
  ...['captured', 'capturing', 'refunded', 'refunding', 'disputed'].map(
    (sum) =>
      [
        'sums_are_of_their_captures_refunds_and_disputes',
        ...withoutBounds,
        `update payment set ${sum} = ${sum} + 1 where id = ${paymentOf('refundedInPart')}`,
      ] as const,
  ),
  [
    'sums_are_of_their_captures_refunds_and_disputes',
    `update capture set status = 'failed' where order_id = ${order('fewer')}`,
  ],
  ['sums_are_of_their_captures_refunds_and_disputes', `update dispute set status = 'won'`],
  ['captures_and_refunds_have_their_keys', `update capture set number = number + 1 where number = 3`],
  [
    'captures_and_refunds_have_their_keys',
    `update capture set number = 4, key = order_id || '/capture/4' where number = 3`,
  ],
  ['captures_and_refunds_have_their_keys', `update refund set key = order_id || '/refund/01' where number = 1`],
  ['captures_and_refunds_have_their_keys', `update refund set currency = 'EUR' where number = 2`],
  ['captures_and_refunds_have_their_keys', `update dispute set number = 4 where number = 1`],
  [
    'captures_and_refunds_have_their_keys',
    `update capture set payment_id = ${paymentOf('authorized')} where order_id = ${order('fewer')}`,
  ],
  ['what_is_not_over_is_at_work', `update refund set at_work = false where status = 'pending'`],
  ['what_is_not_over_is_at_work', `update capture set at_work = true where status = 'succeeded'`],
  ['what_is_not_over_is_at_work', `update dispute set at_work = true where status = 'won'`],
  [
    'every_payment_is_decided_once',
    anEvent('authorized', 'payment.authorized', `jsonb_build_object('payment_id', ${paymentOf('authorized')})`),
  ],
  [
    'every_payment_is_decided_once',
    anEvent('authorized', 'payment.received', `jsonb_build_object('payment_id', ${paymentOf('authorized')})`),
  ],
  [
    'every_payment_is_decided_once',
    anEvent('declined', 'payment.failed', `jsonb_build_object('payment_id', ${paymentOf('declined')})`),
  ],
  [
    'every_payment_is_decided_once',
    anEvent('declined', 'payment.pending', `jsonb_build_object('payment_id', ${paymentOf('declined')})`),
  ],
  [
    'every_payment_is_decided_once',
    anEvent('declined', 'payment.authorized', `jsonb_build_object('payment_id', ${paymentOf('declined')})`),
  ],
  [
    'every_payment_is_decided_once',
    anEvent('declined', 'payment.failed', `jsonb_build_object('payment_id', '${newId('payment')}')`),
  ],
  ['every_payment_is_decided_once', `update capture set cause = 'staff' where order_id = ${order('captured')}`],
  [
    'every_capture_and_refund_is_decided_once',
    OPEN_EVENTS,
    `update order_event set type = 'payment.pending' where type = 'payment.captured' and order_id = ${order('fewer')}`,
  ],
  ...(
    [
      ['fewer', 'captured', 'capture'],
      ['fewer', 'capture_requested', 'capture'],
      ['fewer', 'capture_failed', 'capture'],
      ['givenBack', 'refunded', 'refund'],
      ['givenBack', 'refund_requested', 'refund'],
      ['givenBack', 'refund_failed', 'refund'],
      ['asked', 'refund_failed', 'refund'],
      ['onItsWay', 'refunded', 'refund'],
    ] as const
  ).map(
    ([name, type, kind]) =>
      [
        'every_capture_and_refund_is_decided_once',
        anEvent(
          name,
          `payment.${type}`,
          `jsonb_build_object('${kind}_id', (select min(id) from ${kind} where order_id = ${order(name)}))`,
        ),
      ] as const,
  ),
  [
    'every_capture_and_refund_is_decided_once',
    anEvent('fewer', 'payment.captured', `jsonb_build_object('capture_id', '${newId('capture')}')`),
  ],
  ['every_capture_and_refund_is_decided_once', anEvent('fewer', 'payment.captured', `'{}'`)],
  [
    'every_capture_and_refund_is_decided_once',
    `update capture set status = 'pending' where order_id = ${order('fewer')}`,
  ],
  [
    'every_release_and_dispute_is_told_once',
    anEvent('voided', 'payment.released', `jsonb_build_object('payment_id', ${paymentOf('voided')}, 'amount', 1)`),
  ],
  [
    'every_release_and_dispute_is_told_once',
    OPEN_LEDGER,
    `delete from ledger_entry where operation = 'release' and order_id = ${order('fewer')}`,
  ],
  ['every_release_and_dispute_is_told_once', 'delete from dispute where number = 1'],
  ['every_release_and_dispute_is_told_once', `update dispute set status = 'lost' where number = 1`],
  ['money_at_work_is_done_or_asked_about', `update payment set releasing = true where id = ${paymentOf('authorized')}`],
  [
    'money_at_work_is_done_or_asked_about',
    `update capture set status = 'pending', at_work = true where order_id = ${order('fewer')}`,
  ],
  ['money_at_work_is_done_or_asked_about', `update refund set reference = null where order_id = ${order('onItsWay')}`],
  [
    'money_at_work_is_done_or_asked_about',
    `update refund set at_work = true, updated_at = now() - interval '1 minute' where order_id = ${order('left')}`,
  ],
  [
    'money_at_work_is_done_or_asked_about',
    'update attention set closed_at = now()',
    `update dispute set updated_at = now() - interval '1 minute'`,
  ],
  ['ledger_balances', OPEN_LEDGER, aLine('authorized', `'capture', 1, 'psp_clearing', 1`)],
  ['ledger_balances', OPEN_LEDGER, 'update ledger_entry set amount = -amount'],
  [
    'ledger_balances',
    OPEN_LEDGER,
    `delete from ledger_entry where operation = 'capture' and account in ('authorized', 'authorized_contra')`,
  ],
  [
    'ledger_balances',
    OPEN_LEDGER,
    `update ledger_entry set amount = amount * 2 where operation = 'capture' and account in ('authorized', 'authorized_contra')`,
  ],
  ['ledger_agrees_with_the_payments', `update payment set status = 'failed' where id = ${paymentOf('authorized')}`],
  ...['captured', 'released', 'refunded', 'refunding', 'disputed'].map(
    (sum) =>
      [
        'ledger_agrees_with_the_payments',
        ...withoutBounds,
        `update payment set ${sum} = ${sum} + 1 where id = ${paymentOf('refundedInPart')}`,
      ] as const,
  ),
  ...(
    [
      ['inParts', 'capture'],
      ['asked', 'refund_request'],
      ['asked', 'refund_failure'],
      ['refundedInPart', 'refund'],
      ['elsewhere', 'refund_return'],
      ['elsewhere', 'refund_elsewhere'],
      ['disputed', 'dispute'],
      ['disputed', 'dispute_won'],
      ['disputed', 'dispute_lost'],
    ] as const
  ).flatMap(([name, operation]) => {
    const where = `where operation = '${operation}' and order_id = ${order(name)}`
    return [
      ['ledger_has_every_operation', OPEN_LEDGER, `delete from ledger_entry ${where}`],
      ['ledger_has_every_operation', OPEN_LEDGER, `update ledger_entry set amount = amount * 2 ${where}`],
      ['ledger_has_every_operation', OPEN_LEDGER, `update ledger_entry set seq = seq + 7 ${where}`],
      ['ledger_has_every_operation', OPEN_LEDGER, `update ledger_entry set currency = 'EUR' ${where}`],
    ] as const
  }),
  [
    'ledger_balances',
    OPEN_LEDGER,
    `update ledger_entry set account = 'settled_elsewhere' where operation = 'refund' and account = 'psp_clearing'`,
  ],
  [
    'ledger_has_every_operation',
    OPEN_LEDGER,
    `update ledger_entry set seq = 2 where operation = 'release' and order_id = ${order('fewer')}`,
  ],
  [
    'ledger_balances',
    OPEN_LEDGER,
    `update ledger_entry set account = 'disputed' where operation = 'release' and order_id = ${order('fewer')} and amount > 0`,
  ],
  [
    'ledger_has_every_operation',
    OPEN_LEDGER,
    `update ledger_entry set seq = 2 where operation = 'authorize' and order_id = ${order('authorized')}`,
  ],
  ['ledger_has_every_operation', OPEN_LEDGER, aLine('authorized', `'dispute', 1, 'disputed', 1`)],
  ['units_lie_in_shipments', `update order_line set shipped = 1 where order_id = ${order('shipped')}`],
  ['units_lie_in_shipments', `update shipment set status = 'cancelled' where order_id = ${order('shipped')}`],
  ['units_lie_in_shipments', `update shipment set status = 'cancelled' where order_id = ${order('authorized')}`],
  ['units_lie_in_shipments', `update shipment_line set quantity = 1 where shipment_id = ${shipmentOf('authorized')}`],
  ['units_lie_in_shipments', aBackOrder('authorized')],
  ['units_lie_in_shipments', aBackOrder('voided')],
  ['no_parcel_leaves_uncaptured', `update payment set captured = captured - 1 where id = ${paymentOf('shipped')}`],
  ['no_parcel_leaves_uncaptured', `update payment set outcome = 'cancelled' where id = ${paymentOf('shipped')}`],
  ['a_cancelled_order_keeps_no_label', `update shipment set status = 'cancelled' where id = ${shipmentOf('labelled')}`],
  [
    'a_cancelled_order_keeps_no_label',
    `update orders set status = 'cancelled', cancel_reason = 'merchant' where email = 'labelled'`,
    `update label set status = 'claimed' where order_id = ${order('labelled')}`,
  ],
  ['sent_parcels_have_labels', `update label set status = 'voided' where order_id = ${order('shipped')}`],
  ['sent_parcels_have_labels', `update label set status = 'claimed' where order_id = ${order('labelled')}`],
  ['sent_parcels_have_labels', `update shipment set status = 'labelled' where id = ${shipmentOf('authorized')}`],
  ['goods_move_on', `update orders set look_at = now() - interval '2 minutes' where email = 'authorized'`],
  [
    'goods_move_on',
    `update orders set planned_at = null, updated_at = now() - interval '2 minutes' where email = 'authorized'`,
  ],
  [
    'goods_move_on',
    `insert into order_command (id, order_id, kind, created_at)
     select '${newId('command')}', id, 'cancel', now() - interval '2 minutes' from orders where email = 'authorized'`,
  ],
  ['goods_sent_are_earned', `update orders set recognized = recognized - 1 where email = 'shipped'`],
  ['goods_sent_are_earned', `update orders set recognized = 1 where email = 'authorized'`],
  ['goods_sent_are_earned', `update refund set returned = returned - 1 where order_id = ${order('returned')}`],
  [
    'goods_sent_are_earned',
    OPEN_LEDGER,
    `delete from ledger_entry where operation = 'ship' and order_id = ${order('shipped')}`,
  ],
  [
    'goods_sent_are_earned',
    OPEN_LEDGER,
    `delete from ledger_entry where operation = 'refund_request' and order_id = ${order('returned')}`,
  ],
  [
    'ledger_balances',
    OPEN_LEDGER,
    `update ledger_entry set amount = amount - 1 where operation = 'ship' and account = 'revenue' and order_id = ${order('shipped')}`,
  ],
  ['every_event_is_in_the_outbox', 'delete from outbox'],
  [
    'the_outbox_holds_only_events',
    `insert into outbox (event_id, aggregate, seq, type, payload)
     select 'evt_00000000000000000000000000', id, 1000, 'order.invented', '{}' from orders limit 1`,
  ],
  [
    'events_from_providers_are_kept_once',
    'alter table inbox drop constraint inbox_pkey',
    `insert into inbox (provider, event_id, type, charge_reference, payload) select 'p', 'e', 't', 'c', '{}' from generate_series(1, 2)`,
  ],
  ['every_event_is_published', `update outbox set published_at = null, created_at = now() - interval '1 minute'`],
  [
    'every_event_from_a_provider_is_acted_on',
    `insert into inbox (provider, event_id, type, charge_reference, payload, received_at)
     values ('p', 'e', 't', 'c', '{}', now() - interval '1 minute')`,
  ],
  ['listings_are_what_is_sold', 'update listing set price = price + 1'],
  ['listings_are_what_is_sold', 'delete from listing'],
  [
    'listings_are_what_is_sold',
    'alter table product disable trigger listings_on_update',
    `update product set status = 'archived'`,
  ],
  ['documents_are_of_what_is_sold', 'delete from search_pending', 'delete from search_document'],
  [
    'documents_are_of_what_is_sold',
    'delete from search_pending',
    `update product set status = 'archived' where id in (select product_id from search_document)`,
  ],
  ['ratings_are_of_the_approved_reviews', 'update product_signal set rating = 5'],
  ['ratings_are_of_the_approved_reviews', 'delete from review_summary'],
  ['ratings_are_of_the_approved_reviews', `update review set status = 'rejected'`],
]

describe('the invariants', () => {
  it('hold in a sound shop at rest', async () => {
    const { checks, inFlight } = await auditDatabase(database.pool)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    expect(inFlight).toBe(0)
  })

  it.each(TAMPERED.map(([name, ...statements]) => ({ name, statements, last: statements.at(-1) })))(
    '$name is seen: $last',
    async ({ name, statements }) => {
      const invariant = INVARIANTS.find((each) => each.name === name)
      if (!invariant) throw new Error(`There is no invariant ${name}`)
      const tx = await database.pool.connect()
      try {
        await tx.query('begin')
        for (const statement of statements) await tx.query(statement)
        const { violations, sample } = await check(tx, invariant)
        expect(violations).toBeGreaterThan(0)
        for (const one of sample) expect(one).toEqual(expect.any(String))
      } finally {
        await tx.query('rollback')
        tx.release()
      }
    },
  )

  it('are each corrupted at least once', () => {
    expect(new Set(TAMPERED.map(([name]) => name))).toEqual(new Set(INVARIANTS.map(({ name }) => name)))
  })
})

describe('what is in flight', () => {
  it.each<[what: string, inFlight: number, ...statements: string[]]>([
    ['an open order', 1, `update orders set status = 'payment_pending' where email = 'authorized'`],
    ['an attempt that is not final', 1, `update payment set status = 'sent' where id = ${paymentOf('declined')}`],
    [
      'what the provider has to hear',
      1,
      `update payment set pending_sync = 'cancel' where id = ${paymentOf('declined')}`,
    ],
    ['a release', 1, `update payment set releasing = true where id = ${paymentOf('authorized')}`],
    ['a capture', 1, `update capture set status = 'pending', at_work = true where order_id = ${order('fewer')}`],
    ['a refund', 1, `update refund set reference = null where order_id = ${order('onItsWay')}`],
    [
      'a refund of which a person has been asked is not',
      0,
      `update refund set status = 'pending' where order_id = ${order('asked')}`,
    ],
    [
      'what was refused just now, and nobody has been asked yet',
      2,
      'update attention set closed_at = now()',
      'update dispute set updated_at = now()',
    ],
    [
      'what was refused and never asked about is not: it is wrong',
      0,
      'update attention set closed_at = now()',
      `update refund set updated_at = now() - interval '1 minute'`,
      `update dispute set updated_at = now() - interval '1 minute'`,
    ],
    [
      'goods that no warehouse was given',
      1,
      `update orders set status = 'confirmed', planned_at = null where id = ${order('shipped')}`,
    ],
    [
      'a label that a carrier has yet to sell',
      1,
      `update label set at_work = true, failure_code = null where order_id = ${order('shipped')}`,
    ],
    [
      'a label that it refuses to sell is not: a person decides',
      0,
      `update label set at_work = true, failure_code = 'no_service' where order_id = ${order('shipped')}`,
    ],
    [
      'an event that is not published',
      1,
      'update outbox set published_at = null where id = (select min(id) from outbox)',
    ],
    [
      'an event of a provider',
      1,
      `insert into inbox (provider, event_id, type, charge_reference, payload) values ('p', 'e', 't', 'c', '{}')`,
    ],
    [
      'but for a case about no order of ours',
      1,
      `insert into attention (code, workflow_id) values ('reconciliation_difference', 'reconcile')`,
      `update payment set releasing = true where id = ${paymentOf('authorized')}`,
    ],
  ])('%s: %i', async (_what, inFlight, ...statements) => {
    const tx = await database.pool.connect()
    try {
      await tx.query('begin')
      for (const statement of statements) await tx.query(statement)
      expect(await countInFlight(tx)).toBe(inFlight)
    } finally {
      await tx.query('rollback')
      tx.release()
    }
  })
})

/** What may be done with the money of an order, or seen of it; `n` chooses of what, and how much. */
const MOVES: Readonly<Record<string, (order: AcceptedOrder, n: number) => Promise<unknown>>> = {
  claim: (order, n) => inBooks(order, (books) => books.claimCapture({ amount: 1 + (n % 1_000), actor: null })),
  send: (order, n) => inBooks(order, (books) => oneOf(books.captures, n, ({ id }) => books.sendCapture(id))),
  answerCapture: (order, n) =>
    inBooks(order, (books) =>
      oneOf(books.captures, n, ({ id, wasSent }) => wasSent && books.answerCapture(id, answer(n))),
    ),
  decideCapture: (order, n) =>
    inBooks(order, (books) => oneOf(books.captures, n, ({ id }) => books.decideCapture(id, n % 2 ? 'retry' : 'leave'))),
  refund: (order, n) => {
    const request = { cause: 'staff', reasonCode: null, restock: false, actor: null } as const
    return inBooks(order, (books) => books.claimRefund({ ...request, amount: n % 3 ? 1 + (n % 600) : 'all' }))
  },
  answerRefund: (order, n) =>
    inBooks(order, (books) => oneOf(books.refunds, n, ({ id }) => books.answerRefund(id, answer(n)))),
  decideRefund: (order, n) =>
    inBooks(order, (books) =>
      oneOf(books.refunds, n, ({ id }) =>
        books.decideRefund(id, (['retry', 'elsewhere', 'leave'] as const)[n % 3] ?? 'leave'),
      ),
    ),
  cancel: (order, n) => cancelUnitsOf(order, 1 + (n % 2)),
  seeReleased: (order, n) => observe(order, { released: n % 1_001 }),
  seeCaptured: (order, n) =>
    inBooks(order, (books) => {
      const key = oneOf(books.captures, n, (each) => each.key) ?? null
      books.observe(
        order.paymentId,
        seenWith({
          captures: [
            n % 2
              ? { reference: `own_${key}`, key, amount: books.captures.find((each) => each.key === key)?.amount ?? 1 }
              : { reference: `seen_${n}`, key: null, amount: 1 + (n % 300) },
          ],
        }),
      )
    }),
  seeRefunded: (order, n) =>
    observe(order, {
      refunds: [
        {
          reference: `seen_${n % 3}`,
          key: null,
          amount: 50,
          status: (['pending', 'succeeded', 'failed'] as const)[n % 3] ?? 'failed',
          failureCode: null,
        },
      ],
    }),
  seeDispute: (order, n) =>
    observe(order, {
      disputes: [{ reference: `dp_${n % 2}`, amount: 70, status: (['open', 'won', 'lost'] as const)[n % 3] ?? 'open' }],
    }),
}

function oneOf<T, R>(rows: readonly T[], n: number, use: (row: T) => R): R | undefined {
  const row = rows[n % Math.max(1, rows.length)]
  return row && use(row)
}

function answer(n: number): MoveAnswer {
  return n % 5 === 0 ? refused() : n % 5 === 1 ? accepts() : done()
}

/** What broke once. */
const FOUND: [[string, number][]][] = [
  // A refund of all is on its way when the order is cancelled, and is refused.
  [
    [
      ['seeCaptured', 7569],
      ['refund', 8124],
      ['cancel', 2753],
      ['answerRefund', 9965],
      ['cancel', 8903],
    ],
  ],
]

describe('whatever is done with the money of an order', () => {
  let other: TestDatabase
  beforeAll(async () => {
    ;[other, database] = [database, await testDatabase()]
  })
  afterAll(async () => {
    await database.drop()
    database = other
  })

  it('what holds always holds', async () => {
    const move = fc.tuple(fc.constantFrom(...Object.keys(MOVES)), fc.nat(10_000))
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 6, maxLength: 20 }), async (moves) => {
        const order = await won()
        for (const [name, n] of moves) await MOVES[name]?.(order, n)
        const { checks } = await auditDatabase(database.pool)
        expect(checks.filter(({ ok, holds }) => !ok && holds === 'always')).toEqual([])
      }),
      { numRuns: 25, endOnFailure: true, examples: FOUND },
    )
  }, 60_000)
})
