import fc from 'fast-check'
import type { WarehouseId } from '../../domain/ids'
import { type Demand, route, type Site, type Supply } from '../../domain/inventory'

const WAREHOUSES = [
  { warehouseId: 'wh_a', country: 'GB', priority: 2, latitude: null, longitude: null },
  { warehouseId: 'wh_b', country: 'GB', priority: 1, latitude: null, longitude: null },
  { warehouseId: 'wh_c', country: 'DE', priority: 0, latitude: null, longitude: null },
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

const one = (...skus: string[]): Demand[] => skus.map((sku) => ({ sku, quantity: 1 }))

describe('routing', () => {
  it('prefers the destination’s country, then priority', () => {
    const given = supply('S', { wh_a: 9, wh_b: 9, wh_c: 9 })
    expect(partsOf([{ sku: 'S', quantity: 2 }], given)).toEqual(['S wh_b 2'])
    expect(partsOf([{ sku: 'S', quantity: 2 }], given, 'DE')).toEqual(['S wh_c 2'])
  })

  const places: readonly [string, Site][] = [
    ['Lisbon', site('wh_1', 'PT', 0, 38.72, -9.14)],
    ['Warsaw', site('wh_2', 'PL', 9, 52.23, 21.01)],
    ['Chicago', site('wh_3', 'US', 0, 41.88, -87.63)],
    ['Sydney', site('wh_4', 'AU', 0, -33.87, 151.21)],
    ['somewhere in Germany', site('wh_5', 'DE', 9)],
    ['an unknown country', site('wh_6', 'ZZ', 0)],
  ]
  it.each([
    ['ES', 'Lisbon'],
    ['CH', 'somewhere in Germany'],
    ['LT', 'Warsaw'],
    ['CA', 'Chicago'],
    ['NZ', 'Sydney'],
    ['US', 'Chicago'],
    ['DE', 'somewhere in Germany'],
    ['ZZ', 'an unknown country'],
  ])('to %s sends from %s, the nearest', (country, nearest) => {
    const routed = route(
      one('S'),
      places.map(([, place]) => ({ ...place, sku: 'S', available: 1 })),
      country,
    )
    const [chosen] = routed.outcome === 'routed' ? routed.scores.keys() : []
    expect(places.find(([, { warehouseId }]) => warehouseId === chosen)?.[0]).toBe(nearest)
  })

  it('takes coordinates before the middle of the country, and goes by priority where it is as far', () => {
    const given = [
      { ...site('wh_1', 'US', 5, 47.6, -122.3), sku: 'S', available: 1 },
      { ...site('wh_2', 'US', 1, 42.36, -71.06), sku: 'S', available: 1 },
      { ...site('wh_3', 'US', 0), sku: 'S', available: 1 },
    ]
    expect(partsOf(one('S'), given, 'IE')).toEqual(['S wh_2 1'])
    expect(partsOf(one('S'), given, 'JP')).toEqual(['S wh_1 1'])
    expect(partsOf(one('S'), given, 'US')).toEqual(['S wh_3 1'])
  })

  it('says how far it is, and whether it sends all', () => {
    const scoresOf = (demand: Demand[], given: Supply[], country: string) => {
      const routed = route(demand, given, country)
      return routed.outcome === 'routed' ? [...routed.scores] : []
    }
    const dublin = site('wh_1', 'IE', 30, 53.32, -6.345)
    const london = site('wh_2', 'GB', 10, 51.505, 0.05)
    const given = [
      { ...dublin, sku: 'S', available: 1 },
      { ...london, sku: 'T', available: 1 },
    ]
    expect(scoresOf(one('S'), given, 'FR')).toEqual([
      ['wh_1', { distance_km: expect.any(Number), priority: 30, is_whole: true }],
    ])
    const [distance] = scoresOf(one('S'), given, 'FR').map(([, score]) => score.distance_km)
    // From Dublin to the middle of France.
    expect(distance).toBeGreaterThan(950)
    expect(distance).toBeLessThan(1_150)
    expect(scoresOf(one('S', 'T'), given, 'GB')).toEqual([
      ['wh_2', { distance_km: null, priority: 10, is_whole: false }],
      ['wh_1', { distance_km: expect.any(Number), priority: 30, is_whole: false }],
    ])
  })

  it('takes one warehouse that has all before two that are nearer', () => {
    const given = supply('S', { wh_a: 3, wh_b: 1, wh_c: 9 })
    expect(partsOf([{ sku: 'S', quantity: 5 }], given)).toEqual(['S wh_c 5'])
  })

  it('takes one warehouse that has every line before two of which each is nearer with one', () => {
    const given = [...supply('S', { wh_a: 1, wh_c: 1 }), ...supply('T', { wh_b: 1, wh_c: 1 })]
    expect(partsOf(one('S', 'T'), given)).toEqual(['S wh_c 1', 'T wh_c 1'])
  })

  it('sends from two where three would each be nearer for their line', () => {
    const given = [
      ...supply('S', { wh_b: 1, wh_c: 1 }),
      ...supply('T', { wh_a: 1 }),
      ...supply('U', { wh_a: 1, wh_b: 1 }),
    ]
    expect(partsOf(one('S', 'T', 'U'), given)).toEqual(['S wh_b 1', 'T wh_a 1', 'U wh_b 1'])
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
        const used = new Set(routed.allocations.map(({ warehouseId }) => warehouseId))
        expect([...routed.scores.keys()].sort()).toEqual([...used].sort())
        expect(used.size).toBe(fewestOf(demand, all))
        for (const { is_whole } of routed.scores.values()) expect(is_whole).toBe(used.size === 1)
        expect(route(demand, [...all].reverse(), country)).toEqual(routed)
        const keys = routed.allocations.map(({ sku, warehouseId }) => `${sku} ${warehouseId}`)
        expect(keys).toEqual([...keys].sort())
        expect(new Set(keys).size).toBe(keys.length)
      }),
    )
  })
})

it('routes a thousand lines in fifty warehouses soon, also where it cannot look at every choice', () => {
  const skus = Array.from({ length: 1_000 }, (_, n) => `S${n}`)
  const demand = skus.map((sku) => ({ sku, quantity: 2 }))
  // Each has every ninth line, and one unit of the others: it takes many of them, and most choices do not do.
  const given = Array.from({ length: 50 }, (_, w) =>
    skus.map((sku, n) => ({
      ...site(`wh_${String(w).padStart(2, '0')}` as WarehouseId, 'GB', w),
      sku,
      available: n % 9 === w % 9 ? 2 : Number(n % 50 === w),
    })),
  ).flat()
  const begun = performance.now()
  const routed = route(demand, given, 'GB')
  const took = performance.now() - begun
  expect(routed.outcome).toBe('routed')
  if (routed.outcome === 'routed') {
    for (const { sku, quantity } of demand)
      expect(routed.allocations.filter((part) => part.sku === sku).reduce((sum, part) => sum + part.quantity, 0)).toBe(
        quantity,
      )
    expect(routed.scores.size).toBeLessThanOrEqual(10)
  }
  // A choice of nine in fifty has 2.5 thousand million forms.
  expect(took).toBeLessThan(5_000)
})

function site(
  warehouseId: WarehouseId,
  country: string,
  priority: number,
  latitude: number | null = null,
  longitude: number | null = null,
): Site {
  return { warehouseId, country, priority, latitude, longitude }
}

/** How many warehouses it takes at least, by trying every choice of the few that there are. */
function fewestOf(demand: readonly Demand[], supply: readonly Supply[]): number {
  const ids = [...new Set(supply.map(({ warehouseId }) => warehouseId))]
  const choices = Array.from({ length: 2 ** ids.length }, (_, bits) => ids.filter((_id, n) => (bits >> n) & 1))
  const suffices = (choice: readonly WarehouseId[]): boolean =>
    demand.every(
      ({ sku, quantity }) =>
        supply
          .filter((row) => row.sku === sku && choice.includes(row.warehouseId))
          .reduce((sum, { available }) => sum + Math.max(0, available), 0) >= quantity,
    )
  return Math.min(...choices.filter(suffices).map((choice) => choice.length))
}
