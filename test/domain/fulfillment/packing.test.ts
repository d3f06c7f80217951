import fc from 'fast-check'
import { DEFAULT_UNIT_GRAMS, packBoxes, STANDARD_BOXES } from '../../../domain/fulfillment/packing'

const MAX = STANDARD_BOXES.at(-1)?.maxGrams as number
const weights = (units: Parameters<typeof packBoxes>[0]) => packBoxes(units).map(({ weight_grams }) => weight_grams)

describe('packing', () => {
  test.each([
    ['one small thing', [{ quantity: 1, weightGrams: 300 }], [300]],
    ['what nobody weighed', [{ quantity: 2, weightGrams: null }], [2 * DEFAULT_UNIT_GRAMS]],
    ['what weighs nothing', [{ quantity: 1, weightGrams: 0 }], [DEFAULT_UNIT_GRAMS]],
    ['what fills a box', [{ quantity: 6, weightGrams: 3_000 }], [18_000]],
    ['one too many', [{ quantity: 7, weightGrams: 3_000 }], [18_000, 3_000]],
    [
      'light things beside heavy ones',
      [
        { quantity: 3, weightGrams: 1_000 },
        { quantity: 1, weightGrams: 16_000 },
      ],
      [18_000, 1_000],
    ],
    ['a thing that is heavier than any box may hold', [{ quantity: 2, weightGrams: 40_000 }], [40_000, 40_000]],
    [
      'that thing and a small one',
      [
        { quantity: 1, weightGrams: 40_000 },
        { quantity: 1, weightGrams: 1 },
      ],
      [40_000, 1],
    ],
    ['nothing', [], []],
  ])('%s', (_, units, expected) => {
    expect(weights(units)).toEqual(expected)
  })

  test.each(STANDARD_BOXES.map((box) => [box.maxGrams, box]))(
    '%p grams go into the smallest box that holds them',
    (grams, box) => {
      const { maxGrams: _, ...size } = box
      expect(packBoxes([{ quantity: 1, weightGrams: grams }])).toEqual([{ weight_grams: grams, ...size }])
    },
  )

  const units = fc.array(
    fc.record({
      quantity: fc.integer({ min: 1, max: 300 }),
      weightGrams: fc.option(fc.integer({ min: 0, max: 60_000 })),
    }),
    { maxLength: 12 },
  )
  const gramsOf = (grams: number | null) => grams || DEFAULT_UNIT_GRAMS

  test('loses no weight, and fills no box above its maximum unless by one thing that is heavier', () => {
    fc.assert(
      fc.property(units, (given) => {
        const boxes = packBoxes(given)
        const total = given.reduce((sum, { quantity, weightGrams }) => sum + quantity * gramsOf(weightGrams), 0)
        expect(boxes.reduce((sum, { weight_grams }) => sum + weight_grams, 0)).toBe(total)
        const heavy = new Set(given.map(({ weightGrams }) => gramsOf(weightGrams)).filter((grams) => grams > MAX))
        expect(boxes.filter(({ weight_grams }) => weight_grams > MAX && !heavy.has(weight_grams))).toEqual([])
      }),
    )
  })

  test('takes few boxes: all but one of those that hold light things are more than half full', () => {
    fc.assert(
      fc.property(units, (given) => {
        const light = given.filter(({ weightGrams }) => gramsOf(weightGrams) <= MAX / 2)
        expect(packBoxes(light).filter(({ weight_grams }) => weight_grams <= MAX / 2).length).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('80,995 units, as an order of the sample file has them, are packed at once', () => {
    const boxes = packBoxes([{ quantity: 80_995, weightGrams: null }])
    expect(boxes).toHaveLength(Math.ceil(80_995 / (MAX / DEFAULT_UNIT_GRAMS)))
  })
})
