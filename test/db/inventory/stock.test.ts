import { newId } from '../../../db/id'
import { adjustStock, listMovements, readLevel, readStock, setLevels } from '../../../db/inventory/stock'
import { insertWarehouse } from '../../../db/inventory/warehouse'
import type { WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'
import { besideTransaction } from '../../support/lock'

let database: TestDatabase
let main: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const REASON = { reason: 'counted', actor: 'key_test' }

describe('an adjustment', () => {
  it('changes what is on hand, up, down and to a number, each time with a movement', async () => {
    const sku = await stocked(10)
    await adjust(sku, { delta: 5 })
    await adjust(sku.toLowerCase(), { delta: -3 })
    const set = await adjust(sku, { setOnHand: 20 })
    expect(set).toEqual({
      outcome: 'adjusted',
      level: { sku, warehouseId: main, onHand: 20, reserved: 0, available: 20 },
    })
    const movements = await listMovements(database.pool, { sku, before: null, limit: 10 })
    expect(movements.map(({ delta, onHand }) => [delta, onHand])).toEqual([
      [8, 20],
      [-3, 12],
      [5, 15],
      [10, 10],
    ])
    expect(movements[0]).toMatchObject({ cause: 'adjustment', ...REASON })
  })

  it('that changes nothing is no movement', async () => {
    const sku = await stocked(4)
    expect(await adjust(sku, { setOnHand: 4 })).toMatchObject({ outcome: 'adjusted', level: { onHand: 4 } })
    expect(await adjust(sku, { delta: 0 })).toMatchObject({ outcome: 'adjusted' })
    expect(await movementsOf(sku)).toHaveLength(1)
  })

  it('never goes below what is promised, nor below zero', async () => {
    const sku = await stocked(10, 4)
    for (const change of [{ delta: -7 }, { setOnHand: 3 }, { delta: -11 }]) {
      expect(await adjust(sku, change)).toMatchObject({ outcome: 'refused', level: { onHand: 10, reserved: 4 } })
    }
    expect(await adjust(sku, { delta: -6 })).toMatchObject({ outcome: 'adjusted', level: { onHand: 4, available: 0 } })
    expect(await movementsOf(sku)).toHaveLength(2)
  })

  it('goes by what is promised when it has the row, not by what was when it began', async () => {
    const sku = await stocked(5, 5)
    const counted = await besideTransaction(database.pool, async (tx) => {
      await tx.query('update stock_level set reserved = 1 where sku = $1', [sku])
      const adjusting = adjust(sku, { setOnHand: 2 })
      await until('the other waits for the row', waitsForRow)
      return { adjusting }
    })
    expect(await counted.adjusting).toMatchObject({ outcome: 'adjusted', level: { onHand: 2, reserved: 1 } })
  })

  it('never leaves the range of a level', async () => {
    const sku = await stocked(10)
    expect(await adjust(sku, { delta: 1_000_000_000 })).toMatchObject({ outcome: 'refused', level: { onHand: 10 } })
  })

  it('makes the level of a warehouse the SKU was never in', async () => {
    const sku = await stocked(1)
    const dublin = {
      name: 'Dublin',
      country: 'IE',
      postalCode: null,
      coordinates: null,
      priority: 1,
      operation: 'manual' as const,
      endpoint: null,
    }
    const other = await insertWarehouse(database.pool, dublin)
    await adjustStock(database.pool, { sku, warehouseId: other as WarehouseId, delta: 2, ...REASON })
    expect((await readStock(database.pool, sku))?.levels).toHaveLength(2)
  })

  it('knows no SKU and no warehouse that does not exist', async () => {
    const sku = await stocked(1)
    expect(await adjust('NOWHERE', { delta: 1 })).toEqual({ outcome: 'unknown_sku' })
    const nowhere = await adjustStock(database.pool, { sku, warehouseId: newId('warehouse'), delta: 1, ...REASON })
    expect(nowhere).toEqual({ outcome: 'unknown_warehouse' })
  })

  it('takes 60 units from 40 only 40 times, whoever comes at once', async () => {
    const sku = await stocked(40)
    const taken = await Promise.all(Array.from({ length: 60 }, () => adjust(sku, { delta: -1 })))
    expect(taken.filter(({ outcome }) => outcome === 'adjusted')).toHaveLength(40)
    expect(await readLevel(database.pool, sku, main)).toMatchObject({ onHand: 0 })
    const sum = (await movementsOf(sku)).reduce((total, { delta }) => total + delta, 0)
    expect(sum).toBe(0)
  })
})

describe('setting many levels', () => {
  it('sets those that may be, makes those that are missing, and says how many', async () => {
    const [plenty, promised, same] = [await stocked(10), await stocked(10, 6), await stocked(7)]
    const fresh = await stocked(0)
    await database.pool.query('delete from stock_level where sku = $1', [fresh])
    const levels = [
      { sku: plenty, warehouseId: main, onHand: 3 },
      { sku: promised, warehouseId: main, onHand: 5 },
      { sku: same, warehouseId: main, onHand: 7 },
      { sku: fresh, warehouseId: main, onHand: 2 },
    ]
    expect(await setLevels(database.pool, levels, { cause: 'import', reference: 'imp_test' })).toBe(3)
    expect(await readLevel(database.pool, plenty, main)).toMatchObject({ onHand: 3 })
    expect(await readLevel(database.pool, promised, main)).toMatchObject({ onHand: 10 })
    expect(await readLevel(database.pool, fresh, main)).toMatchObject({ onHand: 2 })
    expect((await movementsOf(plenty))[0]).toMatchObject({ delta: -7, cause: 'import', reference: 'imp_test' })
    expect(await movementsOf(same)).toHaveLength(1)
  })

  it('does not deadlock with others who set the same levels in another order', async () => {
    const skus = await Promise.all(Array.from({ length: 20 }, () => stocked(1)))
    const rounds = Array.from({ length: 16 }, (_, round) =>
      (round % 2 ? skus : [...skus].reverse()).map((sku) => ({ sku, warehouseId: main, onHand: round })),
    )
    const counts = await Promise.all(
      rounds.map((levels) => setLevels(database.pool, levels, { cause: 'import', reference: 'imp_test' })),
    )
    expect(counts.every((count) => count === skus.length)).toBe(true)
  })
})

it('keeps every movement as it was written', async () => {
  await stocked(3)
  await expect(database.pool.query('update stock_movement set delta = 1')).rejects.toThrow('append-only')
  await expect(database.pool.query('delete from stock_movement')).rejects.toThrow('append-only')
})

function adjust(sku: string, change: { delta: number } | { setOnHand: number }) {
  return adjustStock(database.pool, { sku, warehouseId: main, ...REASON, ...change })
}

function movementsOf(sku: string) {
  return listMovements(database.pool, { sku, before: null, limit: 1_000 })
}

async function waitsForRow(): Promise<boolean> {
  const { rowCount } = await database.pool.query(
    `select from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rowCount === 1
}

let made = 0

/** A new SKU with so many units in the main warehouse, some of them promised. */
async function stocked(onHand: number, reserved = 0): Promise<string> {
  const sku = `SKU-${++made}`
  main = await seedProducts(database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock: onHand }])
  await database.pool.query('update stock_level set reserved = $2 where sku = $1', [sku, reserved])
  return sku
}
