import fc from 'fast-check'
import { advanceOf, type BoughtOrder, computeMoney, goodwillOf, worthOf } from '../../../scripts/replay/money'

const SHIPPING = 395

const order = fc
  .record({
    invoice: fc.uuid(),
    lines: fc.uniqueArray(
      fc.record({
        sku: fc.constantFrom('A', 'B', 'C', 'D'),
        quantity: fc.integer({ min: 1, max: 200 }),
        price: fc.integer({ min: 1, max: 5_000 }),
      }),
      { minLength: 1, selector: ({ sku }) => sku },
    ),
  })
  .map(({ invoice, lines }): BoughtOrder => {
    const goods = lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0)
    return { id: `order of ${invoice}`, invoice, day: '2010-12-01', customer: '1', total: goods + SHIPPING, lines }
  })
const share = fc.double({ min: 0, max: 1, noNaN: true })

it('what an order comes to stays within what it costs, and what was cancelled is not owed', () => {
  fc.assert(
    fc.property(order, fc.array(share, { minLength: 4, maxLength: 4 }), fc.boolean(), (bought, shares, isAll) => {
      const cancelled = new Map(
        bought.lines.map(({ sku, quantity }, n) => [sku, isAll ? quantity : Math.floor(quantity * (shares[n] ?? 0))]),
      )
      const advance = advanceOf(bought, 1, () => true)
      const { cancelled: amount, captured, net } = computeMoney(bought, { cancelled, advance, givenBack: 0 })
      const whole = bought.lines.every(({ sku, quantity }) => cancelled.get(sku) === quantity)
      expect(amount).toBe(whole ? bought.total : worthOf(bought, cancelled))
      expect(net).toBe(bought.total - amount)
      // Nothing leaves of an order that is cancelled in whole: only what was taken in advance was ever captured.
      if (whole) expect(captured).toBe(advance)
      else if (captured !== null) expect(captured).toBe(net)
      else expect(advance).toBeGreaterThan(0)
      const givenBack = goodwillOf(bought.invoice, 1, net)
      expect(givenBack).toBeLessThanOrEqual(net)
      expect(computeMoney(bought, { cancelled, advance, givenBack }).net).toBe(net - givenBack)
    }),
  )
})

it('no more is taken in advance than lies where people send it', () => {
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 50 }), (bought, seed) => {
      const south = bought.lines.filter(({ sku }) => sku !== 'A')
      const most = south.reduce((sum, { quantity, price }) => sum + quantity * price, 0)
      expect(advanceOf(bought, seed, (sku) => sku !== 'A')).toBeLessThanOrEqual(most)
      expect(advanceOf(bought, seed, () => false)).toBe(0)
    }),
  )
})

it('depends on the invoice and the seed alone, and a share of all orders has each', () => {
  const lines = [{ sku: 'A', quantity: 10, price: 100 }]
  const invoices = Array.from({ length: 1_000 }, (_, n) => String(n))
  const advances = (seed: number): number[] =>
    invoices.map((invoice) => advanceOf({ invoice, lines }, seed, () => true))
  const goodwill = (seed: number): number[] => invoices.map((invoice) => goodwillOf(invoice, seed, 1_000))
  for (const amounts of [advances, goodwill]) {
    expect(amounts(1)).toEqual(amounts(1))
    expect(amounts(1)).not.toEqual(amounts(2))
    const some = amounts(1).filter((amount) => amount > 0).length
    expect(some).toBeGreaterThan(50)
    expect(some).toBeLessThan(150)
  }
})
