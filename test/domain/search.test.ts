import fc from 'fast-check'
import {
  ATTRIBUTE_FACETS_MAX,
  FACET_VALUES_MAX,
  limitFacets,
  NO_FILTERS,
  popularityOf,
  priceRange,
  correctedQuery,
  WEIGHTS,
} from '../../domain/search'

const signals = fc.record({
  velocity: fc.double({ min: 0, max: 10_000, noNaN: true }),
  rating: fc.option(fc.double({ min: 1, max: 5, noNaN: true }), { nil: null }),
  ratingCount: fc.nat(10_000),
  margin: fc.option(fc.double({ min: -2, max: 2, noNaN: true }), { nil: null }),
  inStock: fc.boolean(),
})

describe('popularity', () => {
  const most = WEIGHTS.velocity + WEIGHTS.rating + WEIGHTS.margin + WEIGHTS.inStock

  it('stays within its weights, and more sales never make it less', () => {
    fc.assert(
      fc.property(signals, (given) => {
        const popularity = popularityOf(given)
        expect(popularity).toBeGreaterThanOrEqual(0)
        expect(popularity).toBeLessThanOrEqual(most + 1e-9)
        expect(popularityOf({ ...given, velocity: given.velocity + 1 })).toBeGreaterThan(popularity)
      }),
    )
  })

  it('believes many ratings more than one', () => {
    const rated = (ratingCount: number) =>
      popularityOf({ velocity: 0, rating: 5, ratingCount, margin: null, inStock: true })
    expect(rated(100)).toBeGreaterThan(rated(1))
    expect(rated(1)).toBeGreaterThan(rated(0))
  })
})

it.each([
  [['hangnig', 'heart'], 'White Hanging Heart', 'hanging heart'],
  [['hanging', 'hea'], 'White Hanging Heart', null],
  [['lunch', 'bags'], 'Lunch Bag Red', null],
  [['zzyzzyva'], 'Lunch Bag Red', null],
  [[], 'Lunch Bag Red', null],
])('%j with the result %s would be spelt %j', (words, title, better) => {
  expect(correctedQuery(words, title)).toBe(better)
})

it('shows the attributes that most results have', () => {
  const counts = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => [`attr.a${index}`, [{ value: 'x', count: index }]]),
  )
  const kept = Object.keys(limitFacets({ ...counts, brand: [{ value: 'acme', count: 1 }] }, NO_FILTERS))
  expect(kept).toHaveLength(ATTRIBUTE_FACETS_MAX + 1)
  expect(kept).toEqual(expect.arrayContaining(['brand', 'attr.a29', 'attr.a20']))
})

it('always shows what was chosen, however few have it', () => {
  const many = Array.from({ length: 50 }, (_, index) => ({ value: `v${index}`, count: 50 - index }))
  const counts = {
    category: many,
    brand: many,
    ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`attr.a${index}`, [{ value: 'x', count: index }]])),
  }
  const kept = limitFacets(counts, { category: 'v49', brand: 'v3', attributes: { a0: 'x' } })
  expect(kept['category']).toEqual([...many.slice(0, FACET_VALUES_MAX), { value: 'v49', count: 1 }])
  expect(kept['brand']).toEqual(many.slice(0, FACET_VALUES_MAX))
  expect(kept['attr.a0']).toEqual([{ value: 'x', count: 0 }])
})

it('has price ranges without gaps', () => {
  expect(priceRange(0, 1)).toEqual({ from: 0, to: 500, count: 1 })
  expect(priceRange(1, 1)).toMatchObject({ from: 500, to: 1_000 })
  expect(priceRange(7, 1)).toMatchObject({ from: 100_000, to: null })
})
