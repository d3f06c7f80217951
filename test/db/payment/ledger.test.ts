import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { confirm, placed } = orderStatements(() => database.pool)

describe('the ledger', () => {
  it('is append-only and balanced, by the schema', async () => {
    const order = await placed()
    await confirm(order)
    const { pool } = database
    await expect(pool.query('update ledger_entry set amount = 1')).rejects.toThrow()
    await expect(pool.query('delete from ledger_entry')).rejects.toThrow()
    await expect(pool.query('truncate ledger_entry')).rejects.toThrow()
    const enter = (account: string, amount: number, currency = 'GBP') =>
      `('${order.orderId}', '${order.paymentId}', 'capture', 1, '${account}', ${amount}, '${currency}')`
    const insert = 'insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency) values '
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
