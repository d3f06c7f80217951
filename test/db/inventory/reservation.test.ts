import { randomUUID } from 'node:crypto'
import { addLines, insertCart, cartToken, hashToken } from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import {
  expireDueHolds,
  holdCart,
  readSupply,
  release,
  releaseCartHold,
  reserve,
} from '../../../db/inventory/reservation'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { CartId, WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'
import { besideTransaction } from '../../support/lock'

let database: TestDatabase
let other: Pool
let main: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  // Another process has a pool of its own.
  other = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 10 }, { name: 'holdfast-test-2' })
})
afterAll(async () => {
  await other.end()
  await database.drop()
})

const pools = (): Pool[] => [database.pool, other]

async function stocked(stock: number): Promise<string> {
  const sku = `S-${randomUUID().slice(0, 8).toUpperCase()}`
  main = await seedProducts(database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock }])
  return sku
}

async function levelOf(sku: string): Promise<{ on_hand: number; reserved: number }> {
  const { rows } = await database.pool.query('select on_hand, reserved from stock_level where sku = $1', [sku])
  return rows[0]
}

async function liveReservations(sku: string): Promise<number> {
  const { rows } = await database.pool.query(
    `select coalesce(sum(quantity), 0)::int as sum from reservation where sku = $1 and state in ('held', 'committed')`,
    [sku],
  )
  return rows[0].sum
}

async function waitsForLock(): Promise<boolean> {
  const { rows } = await database.pool.query(
    `select from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows.length > 0
}

const take = (sku: string, quantity = 1) => [{ sku, warehouseId: main, quantity }]

async function cartWith(lines: Record<string, number>): Promise<CartId> {
  const cartId = newId('cart')
  const key = { cartId, tokenHash: hashToken(cartToken('a secret of the tests', cartId)) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  await addLines(
    database.pool,
    key,
    Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
  )
  return cartId
}

const hold = (cartId: CartId, lines: Record<string, number>, seconds = 60, pool = database.pool) =>
  withTransaction(pool, (tx) =>
    holdCart(tx, {
      cartId,
      lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
      country: 'GB',
      seconds,
    }),
  )

describe('reserve', () => {
  it('sells each unit once to 200 callers at the same time, over two pools', async () => {
    const sku = await stocked(37)
    const won = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        reserve(pools()[index % 2] as Pool, { ownerId: newId('order'), allocations: take(sku), seconds: 60 }),
      ),
    )
    expect(won.filter(Boolean)).toHaveLength(37)
    expect(await levelOf(sku)).toEqual({ on_hand: 37, reserved: 37 })
    expect(await liveReservations(sku)).toBe(37)
  })

  it('is all or nothing', async () => {
    const [plenty, short] = [await stocked(5), await stocked(1)]
    const ownerId = newId('order')
    const allocations = [...take(plenty, 2), ...take(short, 2)]
    expect(await reserve(database.pool, { ownerId, allocations, seconds: 60 })).toBe(false)
    expect(await levelOf(plenty)).toEqual({ on_hand: 5, reserved: 0 })
  })

  it('keeps the sum right when few are left, taken and given back in opposite order, and does not deadlock', async () => {
    const [one, two] = [await stocked(40), await stocked(40)]
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const ownerId = newId('order')
        const pool = pools()[index % 2] as Pool
        const allocations = index % 2 ? [...take(one), ...take(two)] : [...take(two), ...take(one)]
        if ((await reserve(pool, { ownerId, allocations, seconds: 60 })) && index % 3 === 0)
          await release(pool, ownerId)
      }),
    )
    for (const sku of [one, two]) expect((await levelOf(sku)).reserved).toBe(await liveReservations(sku))
  })

  it('takes what became free while it waited, though its statement began when nothing was', async () => {
    const sku = await stocked(1)
    const [first, next] = [newId('order'), newId('order')]
    expect(await reserve(database.pool, { ownerId: first, allocations: take(sku), seconds: 60 })).toBe(true)
    const waiting = await besideTransaction(database.pool, async (tx) => {
      await release(tx, first)
      const reserved = reserve(other, { ownerId: next, allocations: take(sku), seconds: 60 })
      await until('the other waits for the row', () => waitsForLock())
      return { reserved }
    })
    expect(await waiting.reserved).toBe(true)
    expect(await levelOf(sku)).toMatchObject({ reserved: 1 })
  })

  it('reserves once per owner, at the same time and again, and never after a release', async () => {
    const sku = await stocked(10)
    const ownerId = newId('order')
    const again = () => reserve(database.pool, { ownerId, allocations: take(sku, 2), seconds: 60 })
    expect(await again()).toBe(true)
    expect(await again()).toBe(true)
    expect(await levelOf(sku)).toMatchObject({ reserved: 2 })
    expect(await release(database.pool, ownerId)).toBe(1)
    expect(await release(database.pool, ownerId)).toBe(0)
    expect(await levelOf(sku)).toMatchObject({ reserved: 0 })
    expect(await again()).toBe(false)
    expect(await levelOf(sku)).toMatchObject({ reserved: 0 })
  })

  it('cannot oversell even by a statement that forgets to look: the schema refuses it', async () => {
    const sku = await stocked(1)
    await expect(
      database.pool.query('update stock_level set reserved = 2 where sku = $1', [sku]),
    ).rejects.toMatchObject({ constraint: 'never_oversold' })
  })
})

describe('the soft hold of a cart', () => {
  it('is set to the quantities, all or none, and renewed', async () => {
    const [one, two] = [await stocked(5), await stocked(5)]
    const cartId = await cartWith({ [one]: 1 })
    expect(await hold(cartId, { [one]: 2, [two]: 1 })).toMatchObject({ held: true })
    expect(await hold(cartId, { [one]: 4 })).toMatchObject({ held: true })
    expect([await levelOf(one), await levelOf(two)]).toMatchObject([{ reserved: 4 }, { reserved: 0 }])
    expect(await hold(cartId, { [one]: 6 })).toEqual({
      held: false,
      short: [{ sku: one, requested: 6, available: 5 }],
    })
    expect(await levelOf(one)).toMatchObject({ reserved: 4 })
    await releaseCartHold(database.pool, cartId)
    await releaseCartHold(database.pool, cartId)
    expect(await levelOf(one)).toMatchObject({ reserved: 0 })
  })

  it('counts as available to its cart alone', async () => {
    const sku = await stocked(3)
    const [mine, yours] = [await cartWith({ [sku]: 1 }), await cartWith({ [sku]: 1 })]
    await hold(mine, { [sku]: 3 })
    const available = async (cartId: CartId | null) =>
      (await readSupply(database.pool, [sku], cartId)).map((supply) => supply.available)
    expect(await available(mine)).toEqual([3])
    expect(await available(yours)).toEqual([0])
    expect(await available(null)).toEqual([0])
  })

  it('ends when it is due, once, however many sweep', async () => {
    const sku = await stocked(20)
    const carts = await Promise.all(Array.from({ length: 10 }, () => cartWith({ [sku]: 1 })))
    await Promise.all(carts.map((cartId) => hold(cartId, { [sku]: 2 }, 0)))
    const keeper = await cartWith({ [sku]: 1 })
    await releaseCartHold(database.pool, carts[0] as CartId)
    await hold(keeper, { [sku]: 2 })
    const sweeps = await Promise.all(
      [0, 1, 0, 1].map((shard, index) => expireDueHolds(pools()[index % 2] as Pool, { shard, shards: 2, limit: 3 })),
    )
    let expired = sweeps.reduce((sum, sweep) => sum + sweep.expired, 0)
    for (const shard of [0, 1]) {
      await until('nothing is due any more', async () => {
        const sweep = await expireDueHolds(database.pool, { shard, shards: 2, limit: 3 })
        expired += sweep.expired
        return sweep.expired === 0
      })
    }
    expect(expired).toBe(9)
    expect(await levelOf(sku)).toMatchObject({ reserved: 2 })
  })

  it('does not deadlock when it is set, given up and swept at the same time', async () => {
    const skus = await Promise.all([stocked(50), stocked(50)])
    const carts = await Promise.all(Array.from({ length: 4 }, () => cartWith({ [skus[0] as string]: 1 })))
    const done = await Promise.allSettled(
      Array.from({ length: 90 }, (_, index) => {
        const pool = pools()[index % 2] as Pool
        const cartId = carts[index % carts.length] as CartId
        switch (index % 3) {
          case 0:
            return hold(cartId, { [skus[index % 2] as string]: 1, [skus[(index + 1) % 2] as string]: 2 }, 0, pool)
          case 1:
            return releaseCartHold(pool, cartId)
          default:
            return expireDueHolds(pool, { shard: index % 2, shards: 2, limit: 10 })
        }
      }),
    )
    expect(done.filter((end) => end.status === 'rejected')).toEqual([])
    for (const sku of skus) expect((await levelOf(sku)).reserved).toBe(await liveReservations(sku))
  })
})
