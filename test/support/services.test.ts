import { Redis } from 'ioredis'
import { connectTemporal } from '../../temporal'
import { testDatabase } from './database'
import { testRedis } from './redis'
import { testNamespace } from './temporal'

test('each test database is a migrated copy of its own', async () => {
  const [one, other] = await Promise.all([testDatabase(), testDatabase()])
  await one.pool.query("insert into seller (id, name) values ('s', 'S')")
  expect((await one.pool.query('select 1 from seller')).rowCount).toBe(2)
  expect((await other.pool.query('select 1 from seller')).rowCount).toBe(1)
  await Promise.all([one.drop(), other.drop()])
})

test('each caller gets a Redis database of its own', async () => {
  const [one, other] = await Promise.all([testRedis(), testRedis()])
  const clients = [new Redis(one.url), new Redis(other.url)] as const
  await clients[0].set('a', '1')
  expect(await clients[1].get('a')).toBeNull()
  for (const client of clients) client.disconnect()
})

test('a namespace has the search attributes of support at once', async () => {
  const { address, namespace } = await testNamespace()
  const { connection } = await connectTemporal({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace })
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
  expect(Object.keys(customAttributes ?? {})).toEqual(
    expect.arrayContaining(['NeedsAttention', 'AttentionReason', 'CustomerRef', 'SaleId']),
  )
  await connection.close()
})
