import { randomUUID } from 'node:crypto'
import { addLines, insertCart, readCart } from '../../../db/cart/cart'
import { cartToken, hashToken } from '../../../db/cart/token'
import { newId } from '../../../db/id'
import { acceptOrder } from '../../../db/order/accept'
import { cancelOrder } from '../../../db/order/cancel'
import { confirmOrder } from '../../../db/order/confirm'
import { placeOrder, refuseOrder } from '../../../db/order/place'
import { readEvents, readOrder } from '../../../db/order/read'
import {
  changeAttempt,
  readAttempt,
  recordLateMoney,
  recordReturn,
  refuseAttempt,
  requestAttempt,
  startAttempt,
} from '../../../db/payment/attempt'
import { receiveEvent, takeDueEvents } from '../../../db/payment/inbox'
import { readLedger } from '../../../db/payment/ledger'
import type { CartId, OrderId, PaymentId, WarehouseId } from '../../../domain/ids'
import { mayBecome, type OrderStatus } from '../../../domain/order'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'

let database: TestDatabase
let main: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

interface Accepted {
  readonly sku: string
  readonly cartId: CartId
  readonly tokenHash: Buffer
  readonly orderId: OrderId
  readonly paymentId: PaymentId
}

/** A cart with 2 of a product of its own, at 500 each, of which there are `stock`. */
async function cartOfTwo(stock = 5): Promise<Omit<Accepted, 'orderId' | 'paymentId'>> {
  const sku = `O-${randomUUID().slice(0, 8).toUpperCase()}`
  main = await seedProducts(database.pool, [{ sku, title: sku, prices: { GBP: 500 }, stock }])
  const cartId = newId('cart')
  const key = { cartId, tokenHash: hashToken(cartToken('a secret of the tests', cartId)) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  await addLines(database.pool, key, [{ sku, quantity: 2 }])
  return { sku, ...key }
}

function accept(
  { cartId, tokenHash }: Pick<Accepted, 'cartId' | 'tokenHash'>,
  { orderId = newId('order'), paymentId = newId('payment'), cartVersion = 2, key = randomUUID() } = {},
) {
  return acceptOrder(database.pool, {
    orderId,
    paymentId,
    cartId,
    tokenHash,
    cartVersion,
    email: 'a@example.com',
    shippingAddress: { country: 'GB' },
    billingAddress: null,
    shippingMethod: 'standard',
    returnUrl: null,
    expectedTotal: null,
    provider: 'sandbox',
    method: 'pm_card_visa',
    paymentKey: `${orderId}/charge/1`,
    bodyHash: Buffer.alloc(32),
    idempotency: { scope: 'test', operation: cartId, key, bodyHash: Buffer.alloc(32) },
  })
}

async function accepted(stock?: number): Promise<Accepted> {
  const cart = await cartOfTwo(stock)
  const ids = { orderId: newId('order'), paymentId: newId('payment') }
  expect(await accept(cart, ids)).toMatchObject({ number: expect.stringMatching(/^HF-/) })
  return { ...cart, ...ids }
}

function place({ orderId, cartId, sku }: Accepted, holdSeconds = 60) {
  return placeOrder(database.pool, {
    orderId,
    cartId,
    allocations: [{ sku, warehouseId: main, quantity: 2 }],
    lines: [
      {
        sku,
        skuWritten: sku,
        productId: newId('product'),
        title: sku,
        sellerId: 'house',
        quantity: 2,
        unitPrice: 500,
        discount: 0,
        tax: 0,
        total: 1_000,
      },
    ],
    totals: { subtotal: 1_000, discount: 0, shipping: 0, tax: 0, total: 1_000 },
    holdSeconds,
  })
}

async function placed(holdSeconds?: number): Promise<Accepted> {
  const order = await accepted()
  expect(await place(order, holdSeconds)).not.toBeNull()
  return order
}

const confirm = ({ orderId, paymentId }: Accepted) =>
  confirmOrder(database.pool, { orderId, paid: { paymentId, status: 'authorized', reference: 'ch_1' } })

const cancel = ({ orderId }: Accepted) => cancelOrder(database.pool, { orderId, reason: 'customer' })

async function reservedOf(sku: string): Promise<number> {
  const { rows } = await database.pool.query('select reserved from stock_level where sku = $1', [sku])
  return rows[0].reserved
}

const cartOf = ({ cartId, tokenHash }: Accepted) => readCart(database.pool, { cartId, tokenHash })

/** The events of an order are gap-free, and each step of its status is one that the table allows. */
async function followsTheTable(orderId: OrderId): Promise<void> {
  const events = await readEvents(database.pool, orderId)
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  let status: OrderStatus | null = null
  for (const { from, to } of events) {
    if (to === null) continue
    expect(from).toBe(status)
    if (from !== null) expect(mayBecome(from, to)).toBe(true)
    status = to
  }
  expect((await readOrder(database.pool, orderId))?.status).toBe(status)
}

describe('accepting', () => {
  it('makes one order of ten at once, locks the cart, and frees it when it is cancelled', async () => {
    const cart = await cartOfTwo()
    const orders = await Promise.all(Array.from({ length: 10 }, () => accept(cart)))
    expect(orders.filter((order) => order !== null)).toHaveLength(1)
    const { rows } = await database.pool.query('select id from orders where cart_id = $1', [cart.cartId])
    await expect(addLines(database.pool, cart, [{ sku: cart.sku, quantity: 1 }])).rejects.toMatchObject({
      code: 'cart_locked',
    })
    expect(await cancelOrder(database.pool, { orderId: rows[0].id, reason: 'expired' })).toBe(cart.cartId)
    expect(await accept(cart)).not.toBeNull()
  })

  it('takes nothing from a cart that has changed, is empty, or belongs to somebody else', async () => {
    const cart = await cartOfTwo()
    expect(await accept(cart, { cartVersion: 1 })).toBeNull()
    expect(await accept({ ...cart, tokenHash: Buffer.alloc(32) })).toBeNull()
    expect(await accept(cart)).not.toBeNull()
  })

  it('a second live order of one cart is refused by the schema, whatever the cart says', async () => {
    const first = await accepted()
    await database.pool.query('update cart set order_id = null where id = $1', [first.cartId])
    await expect(accept(first)).rejects.toMatchObject({ constraint: 'one_live_order_per_cart' })
  })
})

describe('placing', () => {
  it('reserves, writes lines and the attempt, once of many at the same time', async () => {
    const order = await accepted()
    const done = await Promise.all(Array.from({ length: 6 }, () => place(order)))
    expect(done.filter((one) => one !== null)).toHaveLength(1)
    expect(await reservedOf(order.sku)).toBe(2)
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'payment_pending',
      total: 1_000,
      lines: [{ quantity: 2 }],
      attempts: [{ status: 'sent', amount: 1_000 }],
    })
    await followsTheTable(order.orderId)
  })

  it('consumes the cart’s own hold instead of reserving twice', async () => {
    const order = await accepted(2)
    await database.pool.query(
      `insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
       values ($1, 'soft', $2, $3, $4, 2, now() + interval '1 minute')`,
      [newId('reservation'), order.cartId, order.sku, main],
    )
    await database.pool.query('update stock_level set reserved = 2 where sku = $1', [order.sku])
    expect(await place(order)).not.toBeNull()
    expect(await reservedOf(order.sku)).toBe(2)
    const { rows } = await database.pool.query('select kind, state from reservation where sku = $1 order by kind', [
      order.sku,
    ])
    expect(rows).toEqual([
      { kind: 'hard', state: 'held' },
      { kind: 'soft', state: 'released' },
    ])
  })

  it('changes nothing when the stock is gone or the order is over', async () => {
    const [short, over] = [await accepted(1), await accepted()]
    expect(await place(short)).toBeNull()
    expect(await readOrder(database.pool, short.orderId)).toMatchObject({ status: 'pending', lines: [] })
    await cancel(over)
    expect(await place(over)).toBeNull()
    expect(await reservedOf(over.sku)).toBe(0)
  })

  it('refused: the cart is free with the new price, the answer is kept', async () => {
    const order = await accepted()
    const old = { amount: 1_000, currency: 'GBP' }
    const refusal = { code: 'price_changed' as const, old_total: old, new_total: { ...old, amount: 1_200 } }
    const prices = { [order.sku]: 600 }
    expect(await refuseOrder(database.pool, { orderId: order.orderId, refusal, prices })).toBe(true)
    expect(await refuseOrder(database.pool, { orderId: order.orderId, refusal, prices })).toBe(false)
    expect(await cartOf(order)).toMatchObject({ orderId: null, lines: { [order.sku]: { price_at_add: 600 } } })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'cancelled',
      cancelReason: 'price_changed',
      refusal,
      attempts: [{ status: 'failed', outcome: 'refused' }],
    })
    await followsTheTable(order.orderId)
  })
})

describe('the end', () => {
  it('confirmed or cancelled, never both, whichever comes first of many at once', async () => {
    const orders = await Promise.all(Array.from({ length: 12 }, () => placed()))
    for (const order of orders) {
      const [won, lost] = await Promise.all([confirm(order), cancel(order)])
      expect([won, lost].filter(Boolean)).toHaveLength(1)
      const cart = await cartOf(order)
      expect(cart).toMatchObject(won ? { state: 'bought' } : { state: 'open', orderId: null })
      expect(await reservedOf(order.sku)).toBe(won ? 2 : 0)
      expect(await readLedger(database.pool, order.orderId)).toHaveLength(won ? 2 : 0)
      await followsTheTable(order.orderId)
    }
  })

  it('is the same however often it is repeated', async () => {
    const [won, lost] = [await placed(), await placed()]
    expect([await confirm(won), await confirm(won), await cancel(won)]).toEqual([won.cartId, null, null])
    expect([await cancel(lost), await cancel(lost), await confirm(lost)]).toEqual([lost.cartId, null, null])
    expect(await reservedOf(won.sku)).toBe(2)
    expect(await reservedOf(lost.sku)).toBe(0)
    for (const { orderId } of [won, lost]) await followsTheTable(orderId)
  })
})

describe('events', () => {
  it('are immutable, and each has its outbox row in the same order', async () => {
    const { orderId } = await placed()
    for (const statement of [
      'update order_event set type = $2 where order_id = $1',
      'delete from order_event where order_id = $1 and $2 <> type',
    ]) {
      await expect(database.pool.query(statement, [orderId, 'x'])).rejects.toThrow(/append-only|not be changed|refuse/i)
    }
    const events = await readEvents(database.pool, orderId)
    const { rows } = await database.pool.query('select seq, type from outbox where aggregate = $1 order by id', [
      orderId,
    ])
    expect(rows).toEqual(events.map(({ seq, type }) => ({ seq, type })))
  })
})

describe('attempts', () => {
  const request = (order: Accepted) =>
    requestAttempt(database.pool, {
      orderId: order.orderId,
      tokenHash: order.tokenHash,
      paymentId: newId('payment'),
      provider: 'sandbox',
      method: 'pm_card_visa',
      idempotency: { scope: 'test', operation: order.orderId, key: randomUUID(), bodyHash: Buffer.alloc(32) },
    })

  async function requestedOf({ orderId }: Accepted): Promise<PaymentId> {
    const order = await readOrder(database.pool, orderId)
    return order?.attempts.find((attempt) => attempt.status === 'requested')?.id as PaymentId
  }

  const change = (order: Accepted, to: 'declined' | 'pending') =>
    changeAttempt(database.pool, {
      orderId: order.orderId,
      paymentId: order.paymentId,
      change: to === 'declined' ? { to, reference: 'ch_1', declineCode: 'no' } : { to, reference: 'ch_1' },
    })

  it('one is asked for at a time, of many at once', async () => {
    const order = await placed()
    await change(order, 'declined')
    const asked = await Promise.all(Array.from({ length: 8 }, () => request(order)))
    expect(asked.filter((one) => one !== null)).toEqual([{ attempt: 2 }])
  })

  it('one is unresolved at a time, by the statement and by the schema', async () => {
    const order = await placed()
    expect(await request(order)).toEqual({ attempt: 2 })
    const paymentId = await requestedOf(order)
    expect(await startAttempt(database.pool, { orderId: order.orderId, paymentId, answerSeconds: 1 })).toBeNull()
    await expect(
      database.pool.query("update payment set status = 'sent', amount = 1 where id = $1", [paymentId]),
    ).rejects.toMatchObject({ constraint: 'one_unresolved_attempt' })
    await change(order, 'declined')
    expect(await startAttempt(database.pool, { orderId: order.orderId, paymentId, answerSeconds: 1 })).toMatchObject({
      holdMs: expect.any(Number),
    })
    await followsTheTable(order.orderId)
  })

  it('extends the hold once, when too little of it is left', async () => {
    const order = await placed(5)
    await change(order, 'declined')
    await request(order)
    const first = { orderId: order.orderId, paymentId: await requestedOf(order), answerSeconds: 30 }
    const started = await startAttempt(database.pool, first)
    expect(started?.holdMs).toBeGreaterThan(25_000)
    await changeAttempt(database.pool, { ...first, change: { to: 'declined', reference: null, declineCode: 'no' } })
    await request(order)
    const second = { ...first, paymentId: await requestedOf(order), answerSeconds: 60 }
    expect(await startAttempt(database.pool, second)).toBeNull()
    await refuseAttempt(database.pool, second.paymentId, 'expired')
    expect(await readAttempt(database.pool, second.paymentId)).toMatchObject({ status: 'failed', outcome: 'expired' })
  })

  it('what the provider says is noted once, and a decided attempt stays decided', async () => {
    const order = await placed()
    expect(await change(order, 'pending')).toBe(true)
    expect(await change(order, 'pending')).toBe(false)
    expect(await change(order, 'declined')).toBe(true)
    expect(await change(order, 'pending')).toBe(false)
    expect(await confirm(order)).toBeNull()
    await followsTheTable(order.orderId)
  })

  it('two answers about one attempt that wait for the same lock: one of them counts, whole', async () => {
    const orders = await Promise.all(Array.from({ length: 6 }, () => placed()))
    for (const order of orders) {
      const holder = await database.pool.connect()
      await holder.query('begin')
      await holder.query('select from orders where id = $1 for update', [order.orderId])
      const both = Promise.all([confirm(order), change(order, 'declined')])
      await until('both wait', async () => {
        const { rows } = await database.pool.query(
          `select count(*)::int as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return rows[0].waiting === 2
      })
      await holder.query('commit')
      holder.release()
      const [won, declined] = await both
      expect([won !== null, declined].filter(Boolean)).toHaveLength(1)
      const read = await readOrder(database.pool, order.orderId)
      expect(read).toMatchObject({
        status: won ? 'confirmed' : 'payment_pending',
        attempts: [{ status: won ? 'authorized' : 'declined' }],
      })
      await followsTheTable(order.orderId)
    }
  })

  it('late money of a cancelled order is seen once and goes back once', async () => {
    const order = await placed()
    const late = {
      orderId: order.orderId,
      paymentId: order.paymentId,
      status: 'captured' as const,
      reference: 'ch_1',
    }
    expect(await recordLateMoney(database.pool, late)).toBe(false)
    await cancel(order)
    expect([await recordLateMoney(database.pool, late), await recordLateMoney(database.pool, late)]).toEqual([
      true,
      false,
    ])
    expect([await recordReturn(database.pool, order), await recordReturn(database.pool, order)]).toEqual([true, false])
    const ledger = await readLedger(database.pool, order.orderId)
    expect(ledger.reduce((sum, entry) => sum + entry.amount, 0)).toBe(0)
    const balances = new Map<string, number>()
    for (const { account, amount } of ledger) balances.set(account, (balances.get(account) ?? 0) + amount)
    expect([...balances.values()].every((balance) => balance === 0)).toBe(true)
    expect(await readAttempt(database.pool, order.paymentId)).toMatchObject({ status: 'refunded' })
    await followsTheTable(order.orderId)
  })
})

describe('the ledger', () => {
  it('is append-only and balanced, by the schema', async () => {
    const order = await placed()
    await confirm(order)
    const { pool } = database
    await expect(pool.query('update ledger_entry set amount = 1')).rejects.toThrow()
    await expect(pool.query('delete from ledger_entry')).rejects.toThrow()
    await expect(pool.query('truncate ledger_entry')).rejects.toThrow()
    const enter = (account: string, amount: number, currency = 'GBP') =>
      `('${order.orderId}', '${order.paymentId}', 'capture', '${account}', ${amount}, '${currency}')`
    const insert = 'insert into ledger_entry (order_id, payment_id, operation, account, amount, currency) values '
    for (const entries of [
      [enter('psp_clearing', 5)],
      [enter('psp_clearing', 5), enter('customer_deposits', -4)],
      [enter('psp_clearing', 5), enter('customer_deposits', -5, 'EUR')],
    ]) {
      await expect(pool.query(insert + entries.join(', '))).rejects.toThrow(/does not balance/)
    }
    await pool.query(insert + [enter('psp_clearing', 5), enter('customer_deposits', -5)].join(', '))
    await expect(
      pool.query(insert + [enter('psp_clearing', 5), enter('customer_deposits', -5)].join(', ')),
    ).rejects.toMatchObject({ code: '23505' })
  })

  it('captured never exceeds what was authorized, refunded never what was captured, by the schema', async () => {
    const order = await placed()
    const set = (column: string, amount: number) =>
      database.pool.query(`update payment set ${column} = $2 where id = $1`, [order.paymentId, amount])
    await expect(set('captured', 1_001)).rejects.toMatchObject({ constraint: 'never_captured_twice' })
    await expect(set('refunded', 1)).rejects.toMatchObject({ constraint: 'never_refunded_twice' })
  })
})

describe('news from the provider', () => {
  /** Makes what was received due, `times` times, and answers after how many seconds it would be due again each time. */
  async function waitsOf(paymentKey: string, times: number): Promise<number[]> {
    const waits: number[] = []
    for (let turn = 0; turn < times; turn++) {
      await database.pool.query('update inbox set due_at = now() where payment_key = $1', [paymentKey])
      const due = await takeDueEvents(database.pool, 1_000)
      expect(due.map((event) => `${event.orderId}/charge/1`)).toContain(paymentKey)
      const { rows } = await database.pool.query(
        'select round(extract(epoch from due_at - now()))::int as wait from inbox where payment_key = $1',
        [paymentKey],
      )
      waits.push(rows[0].wait)
    }
    return waits
  }

  it('is told again every five seconds for a minute, then ever more rarely: no history is filled by it', async () => {
    const order = await placed()
    const paymentKey = `${order.orderId}/charge/1`
    await receiveEvent(database.pool, {
      provider: 'sandbox',
      eventId: randomUUID(),
      type: 'charge.updated',
      paymentKey,
      payload: { order_id: order.orderId, state: 'authorized' },
    })
    const waits = await waitsOf(paymentKey, 22)
    expect(waits.slice(0, 12).every((wait) => wait <= 5)).toBe(true)
    expect(waits.slice(13, 17)).toEqual([10, 20, 40, 80])
    expect(waits.at(-1)).toBe(600)
  })
})
