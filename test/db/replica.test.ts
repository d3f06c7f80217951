import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createPool, type Pool } from '../../db/pool'
import { currentLsn, parseLsn, Reads } from '../../db/replica'
import { replicatedDatabase, type ReplicatedDatabase } from '../support/replica'
import { testServices } from '../support/services'
import { until } from '../support/wait'

let database: ReplicatedDatabase
let primary: Pool
let replica: Pool
let reads: Reads
beforeAll(async () => {
  const folder = join(testServices().folder, 'stacks', randomUUID())
  database = await replicatedDatabase(folder, { primary: 26_501, replica: 26_502 })
  primary = createPool({ DATABASE_URL: database.primaryUrl, DATABASE_POOL_MAX: 4 }, { name: 'test-primary' })
  replica = createPool({ DATABASE_URL: database.replicaUrl, DATABASE_POOL_MAX: 4 }, { name: 'test-replica' })
  reads = new Reads(primary, replica)
}, 120_000)
afterAll(async () => {
  reads?.stop()
  await Promise.all([primary?.end(), replica?.end()])
  await database?.stop()
}, 30_000)

const isReplica = async (db: Pool): Promise<boolean> =>
  (await db.query('select pg_is_in_recovery() as recovery')).rows[0].recovery

const addSeller = (id: string) => primary.query('insert into seller (id, name) values ($1, $1)', [id])

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

  it('leave a replica alone that is more than a second behind', async () => {
    await database.pause()
    await addSeller('behind')
    await until('it is too far behind', () => !reads.isUpToDate())
    expect(await reads.read(0n, isReplica)).toBe(false)
    await database.resume()
    await until('it is read again', () => reads.read(0n, isReplica))
  })

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
  })
})
