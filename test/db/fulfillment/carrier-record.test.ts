import { countDelivery, readCarrierRecords } from '../../../db/fulfillment/carrier-record'
import { withTransaction } from '../../../db/pool'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const count = (carrier: string, country: string, onTime: boolean) =>
  withTransaction(database.pool, (tx) => countDelivery(tx, { carrier, service: 'standard', country, onTime }))

describe('the record of a service', () => {
  it('counts each delivery once, by country, also those of one moment', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, index) => count('a', 'GB', index < 7)))
    await count('a', 'DE', false)
    await count('b', 'GB', true)
    expect(await readCarrierRecords(database.pool, 'GB')).toEqual([
      { carrier: 'a', service: 'standard', delivered: 10, onTime: 7 },
      { carrier: 'b', service: 'standard', delivered: 1, onTime: 1 },
    ])
    expect(await readCarrierRecords(database.pool, 'DE')).toMatchObject([{ delivered: 1, onTime: 0 }])
    expect(await readCarrierRecords(database.pool, 'FR')).toEqual([])
  })

  it('does not count a delivery whose transaction is undone', async () => {
    const undone = withTransaction(database.pool, async (tx) => {
      await countDelivery(tx, { carrier: 'c', service: 'standard', country: 'GB', onTime: true })
      throw new Error('something else failed')
    })
    await expect(undone).rejects.toThrow('something else failed')
    expect(await readCarrierRecords(database.pool, 'GB')).not.toContainEqual(expect.objectContaining({ carrier: 'c' }))
  })
})
