import fc from 'fast-check'
import type { ProductId } from '../../../domain/ids'
import {
  closeness,
  featuresOf,
  LIMITS,
  rankByBaskets,
  rankBySimilarity,
  type Feature,
} from '../../../domain/recommendation/similarity'

const id = (name: string): ProductId => `prod_${name}`

describe('closeness', () => {
  it.each([
    ['a pair seen once says nothing', 1, 1, 1, 0],
    ['never together', 0, 10, 10, 0],
    ['always together, but seldom: believed half', 5, 5, 5, 0.5],
    ['always together, and often', 95, 95, 95, 0.95],
    ['one of two', 5, 5, 20, 0.25],
  ])('%s', (_what, together, ones, others, expected) => {
    expect(closeness(together, ones, others)).toBeCloseTo(expected, 9)
  })

  it('is the same both ways, between 0 and 1, and rises with what is bought together', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000), fc.nat(1_000), (together, a, b) => {
        const [ones, others] = [together + a + 1, together + b + 1]
        const score = closeness(together, ones, others)
        expect(score).toBe(closeness(together, others, ones))
        expect(score).toBeGreaterThanOrEqual(0)
        expect(score).toBeLessThan(1)
        expect(closeness(together + 1, ones, others)).toBeGreaterThanOrEqual(score)
      }),
    )
  })
})

it('ranks the closest first, keeps so many, and says the same whatever the order of what it is given', () => {
  const candidates = Array.from({ length: 40 }, (_, n) => ({ otherId: id(`p${n}`), together: n % 10, others: 20 }))
  const ranked = rankByBaskets(30, candidates)
  expect(ranked).toHaveLength(LIMITS.perProduct)
  expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).toSorted((a, b) => b - a))
  expect(rankByBaskets(30, candidates.toReversed())).toEqual(ranked)
  expect(rankByBaskets(30, [{ otherId: id('x'), together: 1, others: 1 }])).toEqual([])
})

describe('featuresOf', () => {
  it('takes words without plurals and small words, categories, brand and plain attributes', () => {
    expect(
      featuresOf({
        title: 'Set of 3 HEARTS for the glass heart',
        brand: 'Acme',
        categories: ['cat_1'],
        attributes: { color: 'Red', parts: ['a'], pieces: 3 },
      }),
    ).toEqual(['w:heart', 'w:glass', 'c:cat_1', 'b:acme', 'a:color=red', 'a:pieces=3'])
  })

  it('takes words as search does: accents and apostrophes make no other word', () => {
    const wordsIn = (title: string) => featuresOf({ title, brand: null, categories: [], attributes: {} })
    expect(wordsIn("Café Child's Table")).toEqual(wordsIn('cafe childs table'))
  })

  it('stays bounded, whatever is given', () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())), (title, attributes) => {
        const features = featuresOf({ title, brand: title, categories: [], attributes })
        expect(features.length).toBeLessThanOrEqual(40)
        expect(new Set(features).size).toBe(features.length)
        for (const feature of features) expect(feature.length).toBeLessThanOrEqual(80)
      }),
    )
  })
})

it('rankBySimilarity puts who shares what is rare before who shares what is common', () => {
  const rare: Feature = { feature: 'w:owl', products: 3 }
  const common: Feature = { feature: 'w:mug', products: 900 }
  const other: Feature = { feature: 'w:fox', products: 3 }
  const ranked = rankBySimilarity(
    [rare, common],
    [
      { otherId: id('a'), features: [common, other] },
      { otherId: id('b'), features: [rare, other] },
      { otherId: id('c'), features: [rare, common] },
      { otherId: id('d'), features: [other] },
      { otherId: id('e'), features: [] },
    ],
    1_000,
  )
  expect(ranked.map(({ otherId }) => otherId)).toEqual([id('c'), id('b')])
  expect(ranked[0]?.score).toBeCloseTo(1, 9)
})
