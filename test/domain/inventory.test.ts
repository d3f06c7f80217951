import fc from 'fast-check'
import type { WarehouseId } from '../../domain/ids'
import { type Demand, route, type Supply } from '../../domain/inventory'

const WAREHOUSES = [
  { warehouseId: 'wh_a', country: 'GB', priority: 2 },
  { warehouseId: 'wh_b', country: 'GB', priority: 1 },
  { warehouseId: 'wh_c', country: 'DE', priority: 0 },
] as const

function supply(sku: string, available: Partial<Record<'wh_a' | 'wh_b' | 'wh_c', number>>): Supply[] {
  return WAREHOUSES.filter(({ warehouseId }) => warehouseId in available).map((warehouse) => ({
    ...warehouse,
    warehouseId: warehouse.warehouseId as WarehouseId,
    sku,
    available: available[warehouse.warehouseId] as number,
  }))
}

const partsOf = (demand: Demand[], given: Supply[], country = 'GB') => {
  const routed = route(demand, given, country)
  return routed.outcome === 'routed'
    ? routed.allocations.map(({ sku, warehouseId, quantity }) => `${sku} ${warehouseId} ${quantity}`)
    : routed.lines
}

describe('routing', () => {
  it('prefers the destination’s country, then priority', () => {
    const given = supply('S', { wh_a: 9, wh_b: 9, wh_c: 9 })
    expect(partsOf([{ sku: 'S', quantity: 2 }], given)).toEqual(['S wh_b 2'])
    expect(partsOf([{ sku: 'S', quantity: 2 }], given, 'DE')).toEqual(['S wh_c 2'])
  })

  it('takes one warehouse that has all before two that are nearer', () => {
    const given = supply('S', { wh_a: 3, wh_b: 1, wh_c: 9 })
    expect(partsOf([{ sku: 'S', quantity: 5 }], given)).toEqual(['S wh_c 5'])
  })

  it('splits a line over as few as it takes when none has all', () => {
    const given = supply('S', { wh_a: 2, wh_b: 1, wh_c: 3 })
    expect(partsOf([{ sku: 'S', quantity: 5 }], given)).toEqual(['S wh_a 2', 'S wh_c 3'])
  })

  it('is all or nothing, and names every short line with what there is', () => {
    const given = [...supply('S', { wh_a: 9 }), ...supply('T', { wh_a: 1, wh_b: 1 })]
    const demand = [
      { sku: 'S', quantity: 1 },
      { sku: 'T', quantity: 3 },
      { sku: 'U', quantity: 1 },
    ]
    expect(partsOf(demand, given)).toEqual([
      { sku: 'T', requested: 3, available: 2 },
      { sku: 'U', requested: 1, available: 0 },
    ])
  })

  it('gives exactly what is asked for, from what is there, in the one order of locking', () => {
    const skus = ['A', 'B', 'C']
    const level = fc.record({
      sku: fc.constantFrom(...skus),
      warehouse: fc.constantFrom(...WAREHOUSES),
      available: fc.integer({ min: -2, max: 20 }),
    })
    const levels = fc.uniqueArray(level, { selector: ({ sku, warehouse }) => `${sku} ${warehouse.warehouseId}` })
    const demands = fc.uniqueArray(
      fc.record({ sku: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 30 }) }),
      { selector: ({ sku }) => sku },
    )
    fc.assert(
      fc.property(levels, demands, fc.constantFrom('GB', 'DE', 'FR'), (given, demand, country) => {
        const all = given.map(({ sku, warehouse, available }) => ({
          ...warehouse,
          warehouseId: warehouse.warehouseId as WarehouseId,
          sku,
          available,
        }))
        const there = (sku: string) =>
          all.filter((one) => one.sku === sku).reduce((sum, one) => sum + Math.max(0, one.available), 0)
        const routed = route(demand, all, country)
        const short = demand.filter(({ sku, quantity }) => there(sku) < quantity)
        if (routed.outcome === 'short') {
          expect(routed.lines.map(({ sku }) => sku)).toEqual(short.map(({ sku }) => sku))
          return
        }
        expect(short).toEqual([])
        for (const { sku, quantity } of demand) {
          const parts = routed.allocations.filter((part) => part.sku === sku)
          expect(parts.reduce((sum, part) => sum + part.quantity, 0)).toBe(quantity)
          for (const part of parts) {
            const level = all.find((one) => one.sku === sku && one.warehouseId === part.warehouseId)
            expect(part.quantity).toBeGreaterThan(0)
            expect(part.quantity).toBeLessThanOrEqual(level?.available ?? 0)
          }
        }
        const keys = routed.allocations.map(({ sku, warehouseId }) => `${sku} ${warehouseId}`)
        expect(keys).toEqual([...keys].sort())
        expect(new Set(keys).size).toBe(keys.length)
      }),
    )
  })
})
