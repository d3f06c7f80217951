import fc from 'fast-check'
import {
  type ChoiceRequest,
  LATEST_DAYS,
  rankRates,
  type ServiceRate,
} from '../../../domain/fulfillment/carrier-choice'

const rate = (name: string, amount: number, days: number | null, currency = 'GBP'): ServiceRate => {
  const [carrier = '', service = ''] = name.split('.')
  return { carrier, service, price: { amount, currency }, days }
}
const record = (name: string, delivered: number, onTime: number) => {
  const [carrier = '', service = ''] = name.split('.')
  return { carrier, service, delivered, onTime }
}
const order = (rates: readonly ServiceRate[], change: Partial<ChoiceRequest> = {}) =>
  rankRates(rates, { method: 'standard', currency: 'GBP', records: [], ...change }).map(
    ({ rate: { carrier, service } }) => `${carrier}.${service}`,
  )

const LIST = [
  rate('a.economy', 190, 8),
  rate('a.standard', 290, 5),
  rate('b.standard', 280, 6),
  rate('a.express', 590, 1),
]

describe('the rate to take', () => {
  test.each([
    ['standard', ['b.standard', 'a.standard', 'a.express', 'a.economy']],
    ['express', ['a.express', 'a.standard', 'b.standard', 'a.economy']],
  ] as const)('for %s: the cheapest in time, then the fastest of the others', (method, expected) => {
    expect(order(LIST, { method })).toEqual(expected)
  })

  test('a service that is often late counts as half as dear again', () => {
    const rates = [rate('a.x', 200, 5), rate('b.x', 290, 5), rate('c.x', 310, 5)]
    expect(order(rates, { records: [record('a.x', 100, 60)] })).toEqual(['b.x', 'a.x', 'c.x'])
    expect(order(rates, { records: [record('a.x', 100, 90)] })).toEqual(['a.x', 'b.x', 'c.x'])
  })

  test('one late parcel of a new service is no record', () => {
    const rates = [rate('a.x', 200, 5), rate('b.x', 290, 5)]
    expect(order(rates, { records: [record('a.x', 1, 0)] })).toEqual(['a.x', 'b.x'])
    expect(order(rates, { records: [record('a.x', 5, 2)] })).toEqual(['b.x', 'a.x'])
  })

  test('what is late stays in time when nothing else is', () => {
    expect(
      order([rate('a.x', 200, 2), rate('b.x', 1, 9)], { method: 'express', records: [record('a.x', 900, 0)] }),
    ).toEqual(['a.x', 'b.x'])
  })

  test('who does not say how long it takes stands last', () => {
    expect(order([rate('a.x', 1, null), rate('c.x', 2, null), rate('b.x', 900, 30)])).toEqual(['b.x', 'a.x', 'c.x'])
  })

  test('nothing is converted: rates in the wanted currency come first, whatever their figures', () => {
    const rates = [rate('a.x', 1, 1, 'JPY'), rate('b.x', 900, 9, 'GBP'), rate('c.x', 800, 5, 'GBP')]
    expect(order(rates)).toEqual(['c.x', 'b.x', 'a.x'])
    expect(order([rate('a.x', 5, 1, 'USD'), rate('b.x', 900, 1, 'EUR')])).toEqual(['b.x', 'a.x'])
  })

  test('of none is none', () => expect(order([])).toEqual([]))

  const rates = fc.array(
    fc
      .tuple(
        fc.constantFrom('a', 'b', 'c'),
        fc.constantFrom('x', 'y', 'z'),
        fc.nat(500),
        fc.option(fc.integer({ min: 1, max: 12 })),
      )
      .map(([carrier, service, amount, days]) => rate(`${carrier}.${service}`, amount, days)),
    { maxLength: 9 },
  )
  const records = fc.array(
    fc
      .tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y', 'z'), fc.nat(50), fc.nat(50))
      .map(([carrier, service, onTime, late]) => ({ carrier, service, onTime, delivered: onTime + late })),
  )
  const request = fc.record({
    method: fc.constantFrom('standard' as const, 'express' as const),
    currency: fc.constant('GBP'),
    records,
  })

  test('is one of those in time where there is one, and never more than half as dear again as the cheapest of them', () => {
    fc.assert(
      fc.property(rates, request, (given, asked) => {
        const [first] = rankRates(given, asked)
        if (!first) return expect(given).toEqual([])
        const inTime = given.filter(({ days }) => days !== null && days <= LATEST_DAYS[asked.method])
        expect(first.isInTime).toBe(inTime.length > 0)
        const cheapest = Math.min(...inTime.map(({ price }) => price.amount))
        if (first.isInTime) expect(first.rate.price.amount).toBeLessThanOrEqual(Math.ceil(cheapest * 1.5))
      }),
    )
  })

  test('does not depend on the order in which rates come, and loses none', () => {
    fc.assert(
      fc.property(rates, request, fc.infiniteStream(fc.nat()), (given, asked, random) => {
        const shuffled = given
          .map((each) => ({ each, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each)
        expect(rankRates(shuffled, asked)).toEqual(rankRates(given, asked))
        expect(rankRates(given, asked)).toHaveLength(given.length)
      }),
    )
  })
})
