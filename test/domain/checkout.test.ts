import fc from 'fast-check'
import { guardPrice } from '../../domain/checkout'

const GBP = (amount: number) => ({ amount, currency: 'GBP' })
const guard = (lines: { quantity: number; unitPrice: number; priceAtAdd: number }[], expectedTotal: number | null) =>
  guardPrice({
    lines,
    total: lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0),
    expectedTotal,
    currency: 'GBP',
  })

describe('the price guard', () => {
  it.each([
    [1_000, 1_000, false],
    [1_000, 1_050, false],
    [1_000, 1_051, true],
    [1_000, 10, false],
    [19, 20, true],
    [20, 21, false],
    [0, 1, true],
    [0, 0, false],
  ])('added at %i, now %i: refused %s', (priceAtAdd, unitPrice, refused) => {
    expect(guard([{ quantity: 3, unitPrice, priceAtAdd }], null) !== null).toBe(refused)
  })

  it('names what the buyer was promised and what it costs now', () => {
    const lines = [
      { quantity: 2, unitPrice: 1_100, priceAtAdd: 1_000 },
      { quantity: 1, unitPrice: 500, priceAtAdd: 500 },
    ]
    expect(guard(lines, null)).toEqual({ code: 'price_changed', old_total: GBP(2_500), new_total: GBP(2_700) })
  })

  it('a total that the buyer saw counts alone: any difference refuses, no other does', () => {
    const lines = [{ quantity: 1, unitPrice: 5_000, priceAtAdd: 1 }]
    expect(guard(lines, 5_000)).toBeNull()
    expect(guard(lines, 5_001)).toEqual({ code: 'price_changed', old_total: GBP(5_001), new_total: GBP(5_000) })
    expect(guard(lines, 4_999)).not.toBeNull()
  })

  it('never refuses a fall, always a rise of more than 5 %, whatever the amounts', () => {
    const amount = fc.integer({ min: 0, max: 1_000_000_000 })
    fc.assert(
      fc.property(amount, amount, fc.integer({ min: 1, max: 1_000 }), (priceAtAdd, unitPrice, quantity) => {
        const refusal = guard([{ quantity, unitPrice, priceAtAdd }], null)
        if (unitPrice <= priceAtAdd) expect(refusal).toBeNull()
        expect(refusal !== null).toBe(BigInt(unitPrice) * 100n > BigInt(priceAtAdd) * 105n)
      }),
    )
  })
})
