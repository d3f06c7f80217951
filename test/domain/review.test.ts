import fc from 'fast-check'
import { averageOf, countOf, type Histogram } from '../../domain/review'

describe('averageOf', () => {
  it.each<[Histogram, number | null]>([
    [[0, 0, 0, 0, 0], null],
    [[0, 0, 0, 0, 7], 5],
    [[1, 0, 0, 0, 1], 3],
    [[0, 0, 1, 1, 1], 4],
    [[1, 1, 0, 1, 0], 2.33],
  ])('%j → %j', (histogram, expected) => expect(averageOf(histogram)).toBe(expected))

  it('lies between 1 and 5', () => {
    const histograms = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99))
    fc.assert(
      fc.property(histograms, (histogram) => {
        const average = averageOf(histogram)
        if (countOf(histogram) === 0) expect(average).toBeNull()
        else expect(average).toBeGreaterThanOrEqual(1)
        expect(average ?? 0).toBeLessThanOrEqual(5)
      }),
    )
  })
})
