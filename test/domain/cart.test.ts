import fc from 'fast-check'
import { linesInOrder, sumLines } from '../../domain/cart'

describe('lines', () => {
  it('are summed per SKU, in order of first mention', () => {
    expect(
      sumLines([
        { sku: 'B', quantity: 1 },
        { sku: 'A', quantity: 2 },
        { sku: 'B', quantity: 3 },
      ]),
    ).toEqual([
      { sku: 'B', quantity: 4 },
      { sku: 'A', quantity: 2 },
    ])
  })

  it('lose no unit, whatever is repeated', () => {
    const line = fc.record({ sku: fc.constantFrom('A', 'B', 'C'), quantity: fc.integer({ min: 1, max: 100_000 }) })
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const summed = sumLines(lines)
        const units = (given: readonly { quantity: number }[]) => given.reduce((sum, { quantity }) => sum + quantity, 0)
        expect(units(summed)).toBe(units(lines))
        expect(new Set(summed.map(({ sku }) => sku)).size).toBe(summed.length)
      }),
    )
  })

  it('stand in the order in which they were added, not in that of their names', () => {
    const stored = {
      A: { quantity: 1, price_at_add: 5, position: 9 },
      Z: { quantity: 2, price_at_add: 7, position: 3 },
    }
    expect(linesInOrder(stored)).toEqual([
      { sku: 'Z', quantity: 2, priceAtAdd: 7 },
      { sku: 'A', quantity: 1, priceAtAdd: 5 },
    ])
  })
})
