import { randomUUID } from 'node:crypto'
import { receiveEvent, takeDueEvents } from '../../../db/payment/inbox'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

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
})
