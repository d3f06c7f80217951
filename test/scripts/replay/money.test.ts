import fc from 'fast-check'
import { type BoughtOrder, planMoney, returnedBySku } from '../../../scripts/replay/money'

const SHIPPING = 395

const line = fc.record({
  sku: fc.uuid(),
  quantity: fc.integer({ min: 1, max: 200 }),
  price: fc.integer({ min: 1, max: 5_000 }),
})
const order = fc
  .record({ invoice: fc.uuid(), lines: fc.array(line, { minLength: 1, maxLength: 5 }) })
  .map(({ invoice, lines }): BoughtOrder => {
    const goods = lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0)
    return { id: `order of ${invoice}`, invoice, day: '2010-12-01', total: goods + SHIPPING, lines }
  })

it('commands of an order come to what is computed, within what it costs', () => {
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 9 }), (bought, seed) => {
      const { commands, expected } = planMoney(bought, seed)
      const sumOf = (what: 'capture' | 'refund'): number =>
        commands.reduce((sum, command) => (command.what === what ? sum + command.amount : sum), 0)
      const isWhole = expected.cancelled === bought.total
      expect(sumOf('capture')).toBe(expected.captured)
      expect(expected.captured).toBeGreaterThan(0)
      expect(expected.captured).toBeLessThanOrEqual(bought.total)
      expect(expected.refunded).toBeLessThanOrEqual(expected.captured)
      // What nobody asked to be refunded goes back because it is not owed any more.
      const owed = isWhole ? 0 : bought.total - expected.cancelled
      expect(expected.refunded - sumOf('refund')).toBe(expected.captured - owed)
      for (const command of commands) if ('amount' in command) expect(command.amount).toBeGreaterThan(0)
    }),
  )
})

it('depends on the invoice and the seed alone, and every kind of end is there', () => {
  const orders = Array.from(
    { length: 500 },
    (_, n): BoughtOrder => ({
      id: `order_${n}`,
      invoice: String(n),
      day: '2010-12-01',
      total: 1_000 + SHIPPING,
      lines: [{ sku: 'A', quantity: 10, price: 100 }],
    }),
  )
  const shapes = orders.map((one) =>
    planMoney(one, 1)
      .commands.map((command) => (command.what === 'cancel' && command.units ? 'units' : command.what))
      .join(' '),
  )
  for (const shape of [
    'capture',
    'capture capture',
    'capture refund',
    'capture cancel',
    'units capture',
    'capture units',
  ])
    expect(shapes).toContain(shape)
  expect(orders.map((one) => planMoney(one, 1))).toEqual(orders.map((one) => planMoney({ ...one }, 1)))
  expect(orders.map((one) => planMoney(one, 1))).not.toEqual(orders.map((one) => planMoney(one, 2)))
  const cancelled = orders.reduce((sum, one) => sum + planMoney(one, 1).expected.cancelled, 0)
  const whole = orders.filter((one) => planMoney(one, 1).expected.cancelled === one.total).length
  expect((returnedBySku(orders, 1).get('A') ?? 0) * 100 + whole * SHIPPING).toBe(cancelled)
})
