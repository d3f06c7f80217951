import fc from 'fast-check'
import { type DayOfProduct, VELOCITY, velocityOf } from '../../../domain/recommendation/velocity'

const NOTHING = { orders: 0, adds: 0, clicks: 0, views: 0 }
const day = (ageDays: number, counts: Partial<DayOfProduct>): DayOfProduct => ({ ...NOTHING, ageDays, ...counts })

it.each([
  ['nothing', [], 0],
  ['one order today', [day(0, { orders: 1 })], 1],
  ['one order two weeks ago counts half', [day(14, { orders: 1 })], 0.5],
  ['ten adds are worth an order', [day(0, { adds: 10 })], 1],
  ['events alone are worth one order at most', [day(0, { views: 1_000_000 })], 1],
  ['events are worth the orders and one besides at most', [day(0, { orders: 3, clicks: 1_000_000 })], 7],
  ['what is older than the window counts nothing', [day(VELOCITY.windowDays + 1, { orders: 1_000 })], 0],
  ['what is yet to come counts nothing', [day(-1, { orders: 5 })], 0],
])('%s', (_what, days, expected) => expect(velocityOf(days)).toBeCloseTo(expected, 9))

const days = fc.array(
  fc.record({
    ageDays: fc.integer({ min: 0, max: 120 }),
    orders: fc.nat(1_000),
    adds: fc.nat(1_000),
    clicks: fc.nat(10_000),
    views: fc.nat(100_000),
  }),
  { maxLength: 50 },
)

it('never falls by an order, and never rises by waiting', () => {
  fc.assert(
    fc.property(days, (given) => {
      const now = velocityOf(given)
      expect(now).toBeGreaterThanOrEqual(0)
      expect(velocityOf([...given, day(3, { orders: 1 })])).toBeGreaterThan(now)
      expect(velocityOf(given.map((one) => ({ ...one, ageDays: one.ageDays + 1 })))).toBeLessThanOrEqual(now)
    }),
  )
})
