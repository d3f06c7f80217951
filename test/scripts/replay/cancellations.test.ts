import fc from 'fast-check'
import { matchCancellations } from '../../../scripts/replay/cancellations'
import type { Cancellation, Sale } from '../../../scripts/replay/sales'

type SaleRow = [invoice: string, time: number, customer: string, units: Record<string, number>]
type CancellationRow = [invoice: string, time: number, customer: string, code: string, quantity: number]

function saleOf([invoice, time, customer, units]: SaleRow): Sale {
  const inFile = { units: 0, money: 0 }
  return { invoice, day: '2010-12-01', time, customer, units: new Map(Object.entries(units)), inFile }
}

function cancellationOf([invoice, time, customer, code, quantity]: CancellationRow): Cancellation {
  return { invoice, day: '2010-12-01', time, customer, code, quantity, money: 0 }
}

/** Each sale leaves 100 after it. */
const LEAVES_AFTER = 100
const leavesAt = ({ time }: Sale): number => time + LEAVES_AFTER

const MUGS: SaleRow[] = [
  ['1', 10, 'ann', { MUG: 5, CUP: 2 }],
  ['2', 50, 'ann', { MUG: 3 }],
  ['3', 60, 'bob', { MUG: 9 }],
]

it.each<
  [what: string, lines: CancellationRow[], kinds: string[], cancelled: [string, string, Record<string, number>][]]
>([
  ['the latest sale that has so many', [['C4', 70, 'ann', 'MUG', 3]], ['before_shipment'], [['C4', '2', { MUG: 3 }]]],
  [
    'an earlier one where the latest has too few',
    [['C4', 70, 'ann', 'MUG', 4]],
    ['before_shipment'],
    [['C4', '1', { MUG: 4 }]],
  ],
  [
    'what is cancelled twice is taken from what is left',
    [
      ['C4', 70, 'ann', 'MUG', 2],
      ['C5', 71, 'ann', 'MUG', 2],
      ['C6', 72, 'ann', 'MUG', 1],
    ],
    ['before_shipment', 'before_shipment', 'before_shipment'],
    [
      ['C4', '2', { MUG: 2 }],
      ['C5', '1', { MUG: 2 }],
      ['C6', '2', { MUG: 1 }],
    ],
  ],
  [
    'one invoice takes back several articles of a sale at once',
    [
      ['C4', 20, 'ann', 'MUG', 5],
      ['C4', 20, 'ann', 'CUP', 2],
    ],
    ['before_shipment', 'before_shipment'],
    [['C4', '1', { MUG: 5, CUP: 2 }]],
  ],
  ['a sale after it is none of its own', [['C4', 40, 'ann', 'MUG', 3]], ['before_shipment'], [['C4', '1', { MUG: 3 }]]],
  ['the moment of the sale counts', [['C4', 50, 'ann', 'MUG', 3]], ['before_shipment'], [['C4', '2', { MUG: 3 }]]],
  ['the moment in which goods leave is too late', [['C4', 150, 'ann', 'MUG', 3]], ['after_shipment'], []],
  [
    'a return takes its units too',
    [
      ['C4', 155, 'ann', 'MUG', 3],
      ['C5', 156, 'ann', 'MUG', 3],
    ],
    ['after_shipment', 'after_shipment'],
    [],
  ],
  ['somebody else did not buy it', [['C4', 70, 'eve', 'MUG', 1]], ['no_sale'], []],
  ['nor was it bought before', [['C4', 5, 'ann', 'MUG', 1]], ['no_sale'], []],
  ['nor this article', [['C4', 70, 'ann', 'POT', 1]], ['no_sale'], []],
  ['no sale has so many', [['C4', 70, 'ann', 'MUG', 6]], ['too_many'], []],
  ['nobody knows whose it is', [['C4', 70, '', 'MUG', 1]], ['no_customer'], []],
])('%s', (_what, lines, kinds, cancelled) => {
  const matched = matchCancellations(MUGS.map(saleOf), lines.map(cancellationOf), leavesAt)
  expect(matched.lines.map(({ kind }) => kind)).toEqual(kinds)
  expect(matched.cancelled.map(({ invoice, sale, units }) => [invoice, sale, Object.fromEntries(units)])).toEqual(
    cancelled,
  )
})

it('a sale that is not played takes back nothing', () => {
  const lines = [cancellationOf(['C4', 70, 'ann', 'MUG', 3])]
  const { cancelled, lines: matched } = matchCancellations(MUGS.map(saleOf), lines, () => null)
  expect(cancelled).toEqual([])
  expect(matched.map(({ kind }) => kind)).toEqual(['not_played'])
})

const code = fc.constantFrom('MUG', 'CUP')
const customer = fc.constantFrom('ann', 'bob', '')
const time = fc.integer({ min: 0, max: 300 })
const sales = fc
  .array(fc.tuple(time, customer, fc.dictionary(code, fc.integer({ min: 1, max: 6 }))), { maxLength: 8 })
  .map((rows) => rows.toSorted(([a], [b]) => a - b).map(([at, who, units], n) => saleOf([String(n), at, who, units])))
const cancellations = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 3 }), time, customer, code, fc.integer({ min: 1, max: 6 })), {
    maxLength: 12,
  })
  .map((rows) =>
    rows
      .toSorted(([, a], [, b]) => a - b)
      .map(([n, at, who, what, quantity]) => cancellationOf([`C${n}`, at, who, what, quantity])),
  )

it('every line is counted once, and no sale loses more than it had, or to another customer, or at another time', () => {
  fc.assert(
    fc.property(sales, cancellations, (sold, lines) => {
      const matched = matchCancellations(sold, lines, leavesAt)
      expect(matched.lines.map(({ line }) => line)).toEqual(lines)
      const taken = new Map<string, number>()
      for (const { invoice, sale, units } of matched.cancelled) {
        const from = sold.find((one) => one.invoice === sale) as Sale
        for (const [what, quantity] of units) {
          taken.set(`${sale} ${what}`, (taken.get(`${sale} ${what}`) ?? 0) + quantity)
          expect(taken.get(`${sale} ${what}`)).toBeLessThanOrEqual(from.units.get(what) ?? 0)
          const fits = lines.filter(
            (line) =>
              line.invoice === invoice &&
              line.code === what &&
              line.customer === from.customer &&
              line.time >= from.time &&
              line.time < leavesAt(from),
          )
          expect(fits.reduce((sum, line) => sum + line.quantity, 0)).toBeGreaterThanOrEqual(quantity)
        }
      }
      const played = matched.lines.filter(({ kind }) => kind === 'before_shipment')
      expect([...taken.values()].reduce((sum, units) => sum + units, 0)).toBe(
        played.reduce((sum, { line }) => sum + line.quantity, 0),
      )
    }),
  )
})
