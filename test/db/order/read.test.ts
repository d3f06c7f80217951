import { readEvents } from '../../../db/order/read'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { placed } = orderStatements(() => database.pool)

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
