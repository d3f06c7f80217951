import { readLedger } from '../../../db/payment/ledger'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { cancel, cartOf, confirm, followsTheTable, placed, reservedOf } = orderStatements(() => database.pool)

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
