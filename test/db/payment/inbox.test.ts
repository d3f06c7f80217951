import { randomUUID } from 'node:crypto'
import { keepReference } from '../../../db/payment/attempt'
import { type DueEvent, type InboxEvent, receiveEvent, takeDueEvents } from '../../../db/payment/inbox'
import type { Db } from '../../../db/pool'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'
import { rowsOf } from '../../support/plan'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { placed } = orderStatements(() => database.pool)

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
      chargeReference: 'ch_1',
      chargeKey: paymentKey,
      orderId: order.orderId,
      state: 'authorized',
    })
    const waits = await waitsOf(paymentKey, 22)
    expect(waits.slice(0, 12).every((wait) => wait <= 5)).toBe(true)
    expect(waits.slice(13, 17)).toEqual([10, 20, 40, 80])
    expect(waits.at(-1)).toBe(600)
  })

  /** Takes note of an event, makes it due, and answers what is taken of it. */
  async function taken(event: Partial<InboxEvent>): Promise<DueEvent[]> {
    const eventId = randomUUID()
    await receiveEvent(database.pool, {
      provider: 'sandbox',
      eventId,
      type: 'charge.updated',
      chargeReference: `ch_${eventId}`,
      chargeKey: null,
      orderId: null,
      state: 'authorized',
      ...event,
    })
    await database.pool.query('update inbox set due_at = now() where event_id = $1', [eventId])
    return (await takeDueEvents(database.pool, 1_000)).filter((due) => due.eventId === eventId)
  }

  it('is of the attempt that has its reference, where it does not name our key', async () => {
    const order = await placed()
    const reference = `ch_${randomUUID()}`
    await keepReference(database.pool, { ...order, reference })
    expect(await taken({ chargeReference: reference })).toMatchObject([
      { orderId: order.orderId, paymentId: order.paymentId },
    ])
    expect(await taken({ provider: 'another', chargeReference: reference })).toEqual([])
  })

  it('of a charge that no attempt asked for stays while it names an order of ours', async () => {
    const { orderId } = await placed()
    const strange = { orderId, paymentId: null }
    expect(await taken({ orderId, chargeKey: 'by-hand' })).toMatchObject([strange])
    expect(await taken({ orderId })).toMatchObject([strange])
    expect(await taken({ orderId: 'somebody-elses' })).toEqual([])
    expect(await taken({})).toEqual([])
  })

  it('reads no other attempt, however many there are', async () => {
    const order = await placed()
    await database.pool.query(
      `insert into payment (id, order_id, attempt, key, provider, method, currency, status, outcome, reference)
       select new_id('pay'), id, n, id || '/charge/' || n, 'sandbox', '', 'GBP', 'failed', 'refused', 'ch_past_' || n
       from orders, generate_series(2, 5000) as n where id = $1`,
      [order.orderId],
    )
    await database.pool.query('analyze payment')
    let read = 0
    const counting = {
      query: async ({ text, values }: { text: string; values: unknown[] }) => {
        read += await rowsOf(database.pool, text, values)
        return { rows: [] }
      },
    } as unknown as Db
    await taken({ chargeKey: `${order.orderId}/charge/1` })
    await database.pool.query('update inbox set due_at = now() where done_at is null')
    await takeDueEvents(counting, 10)
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(500)
  })
})
