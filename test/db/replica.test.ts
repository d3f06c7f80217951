import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import sharp from 'sharp'
import { readCatalog } from '../../api/catalog/read'
import { createApiKey } from '../../db/platform/api-key'
import { createPool, type Pool } from '../../db/pool'
import { currentLsn, parseLsn, ReplicaRouter } from '../../db/replica'
import type { OrderId } from '../../domain/ids'
import { startApi, type TestApi } from '../support/http'
import { pastOrders } from '../support/orders'
import { replicatedDatabase, type ReplicatedDatabase } from '../support/replica'
import { testServices } from '../support/services'
import { until } from '../support/wait'

let database: ReplicatedDatabase
let primary: Pool
let replica: Pool
let reads: ReplicaRouter
let api: TestApi
beforeAll(async () => {
  const folder = join(testServices().folder, 'stacks', randomUUID())
  database = await replicatedDatabase(folder, { primary: 26_501, replica: 26_502 })
  primary = createPool({ DATABASE_URL: database.primaryUrl, DATABASE_POOL_MAX: 4 }, { name: 'test-primary' })
  replica = createPool({ DATABASE_URL: database.replicaUrl, DATABASE_POOL_MAX: 4 }, { name: 'test-replica' })
  reads = new ReplicaRouter(primary, replica)
  api = await startApi({ DATABASE_URL: database.primaryUrl, DATABASE_REPLICA_URL: database.replicaUrl })
}, 120_000)
afterAll(async () => {
  reads?.stop()
  await api?.close()
  await Promise.all([primary?.end(), replica?.end()])
  await database?.stop()
}, 30_000)

const isReplica = async (db: Pool): Promise<boolean> =>
  (await db.query('select pg_is_in_recovery() as recovery')).rows[0].recovery

const addSeller = (id: string) => primary.query('insert into seller (id, name) values ($1, $1)', [id])

async function addOrder(): Promise<OrderId[]> {
  const ids = await pastOrders(primary, [{ skus: [] }])
  await primary.query('update orders set shipping_address = $2 where id = any ($1)', [
    ids,
    {
      name: 'Sample Buyer',
      line1: '1 High St',
      line2: null,
      city: 'Leeds',
      postal_code: 'LS1',
      region: null,
      country: 'GB',
    },
  ])
  return ids
}

/** Sees the beginning of the last statement of each of the API's connections. */
const replicaWasAsked = async (): Promise<boolean> => {
  const { rows } = await replica.query<{ asked: boolean }>(
    `select count(*) > 0 as asked from pg_stat_activity
     where application_name = 'holdfast-api-reads' and query like '%select o.id, o.number%'`,
  )
  return rows[0]?.asked ?? false
}

const seesSeller = async (db: Pool, id: string): Promise<boolean> =>
  (await db.query('select from seller where id = $1', [id])).rowCount === 1

describe('a place in the log', () => {
  it('compares as a number', () => {
    expect(parseLsn('0/FF')).toBeLessThan(parseLsn('0/100'))
    expect(parseLsn('0/FFFFFFFF')).toBeLessThan(parseLsn('1/0'))
  })
})

describe('reads', () => {
  it('go to the replica, which streams from the primary', async () => {
    await until('the replica is read', () => reads.read(0n, isReplica), Boolean, 40_000)
    expect(reads.isUpToDate()).toBe(true)
  }, 60_000)

  it('go to the primary when nobody knows what must be seen', async () => {
    expect(await reads.read(null, isReplica)).toBe(false)
  })

  it('see what the caller has written, wherever they go', async () => {
    await database.pause()
    await addSeller('written')
    const lsn = await currentLsn(primary)
    expect(await reads.read(lsn, isReplica)).toBe(false)
    expect(await reads.read(lsn, (db) => seesSeller(db, 'written'))).toBe(true)
    await database.resume()
    await until('the replica has caught up', () => reads.read(lsn, isReplica))
    expect(await reads.read(lsn, (db) => seesSeller(db, 'written'))).toBe(true)
  })

  it('of the latest see what anybody has committed, and wait for it only a moment', async () => {
    await until('the replica is read', () => reads.readLatest(isReplica))
    await database.pause()
    await addSeller('latest')
    expect(await reads.readLatest((db) => seesSeller(db, 'latest'))).toBe(true)
    expect(await reads.readLatest(isReplica)).toBe(false)
    await database.resume()
    await until('the replica is read again', () => reads.readLatest(isReplica))
    expect(await reads.readLatest((db) => seesSeller(db, 'latest'))).toBe(true)
  })

  it('leave a replica alone that is more than a second behind', async () => {
    await database.pause()
    await addSeller('behind')
    await until('it is too far behind', () => !reads.isUpToDate())
    expect(await reads.read(0n, isReplica)).toBe(false)
    await database.resume()
    await until('it is read again', () => reads.read(0n, isReplica))
  })

  it('list orders from the replica, a new one among them whether or not that has it', async () => {
    const { secret: key } = await createApiKey(primary, { name: 'support', role: 'support', expiresAt: null })
    const listed = async () => {
      const { body } = await api.call('get', '/v1/admin/orders', { key })
      return body.data.map((order: { id: string }) => order.id)
    }
    const [old] = await addOrder()
    await until('the replica answers', async () => {
      expect(await listed()).toEqual([old])
      return replicaWasAsked()
    })
    await database.pause()
    const [young] = await addOrder()
    expect(await listed()).toEqual([young, old])
    expect((await api.call('get', `/v1/admin/orders/${young}`, { key })).status).toBe(200)
    await database.resume()
  }, 30_000)

  it('show what has just been made, also while the replica does not have it', async () => {
    const { secret: key } = await createApiKey(primary, { name: 'catalog', role: 'catalog', expiresAt: null })
    const make = (path: string, body: object) => api.call('post', `/v1/admin/${path}`, { key, body })
    await until('the replica is read', () => api.deps.reads.read(0n, isReplica))
    await database.pause()
    const category = (await make('categories', { title: 'New' })).body
    expect((await api.call('get', `/v1/store/categories/${category.id}`)).status).toBe(200)
    await database.resume()
    await until('the replica has caught up', async () => readCatalog(api.deps, isReplica))
    await database.pause()
    const price = { amount: 100, currency: 'GBP' }
    const product = (await make('products', { title: 'New', variants: [{ sku: 'NEW', price }] })).body
    expect((await api.call('get', `/v1/store/products/${product.id}`)).status).toBe(200)
    await database.resume()
    await until('the replica has caught up', async () => readCatalog(api.deps, isReplica))
    await database.pause()
    const image = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#eee' } })
      .png()
      .toBuffer()
    const headers = { 'content-type': 'image/png' }
    await api.call('post', `/v1/admin/products/${product.id}/images`, { key, raw: image, headers })
    expect((await api.call('get', `/v1/store/products/${product.id}`)).body.image_urls).toHaveLength(1)
    await database.resume()
  }, 30_000)

  it('go on when the replica is killed', async () => {
    await until('the replica is read', () => reads.read(0n, isReplica))
    const answers: boolean[] = []
    let over = false
    const reading = (async () => {
      while (!over) answers.push(await reads.read(0n, isReplica))
    })()
    await until('the replica answers', () => answers.includes(true))
    await database.killReplica()
    await until('the primary is read', () => answers.at(-1) === false)
    over = true
    await reading
    expect(reads.isUpToDate()).toBe(false)
    const { secret: key } = await createApiKey(primary, { name: 'support', role: 'support', expiresAt: null })
    expect((await api.call('get', '/v1/admin/orders', { key })).status).toBe(200)
  })
})
