import fc from 'fast-check'
import type { Sku } from '../../domain/ids'
import {
  actionsOf,
  addressFixedBy,
  type AddressFixedBy,
  costsTheSame,
  decideUnits,
  isCompleted,
  isOpen,
  mayBecome,
  OPEN_STATUSES,
  ORDER_STATUSES,
  ORDER_TRANSITIONS,
  orderLabel,
  type OrderAction,
  type OrderStatus,
  type OrderUnits,
  type SoldLine,
  valueOfUnits,
  type WantedUnits,
} from '../../domain/order'
import { NO_TAX, type TaxRates } from '../../domain/pricing/price'

describe('the states of an order', () => {
  it.each<[OrderStatus, OrderStatus]>([
    ['pending', 'inventory_reserved'],
    ['inventory_reserved', 'payment_pending'],
    ['payment_pending', 'confirmed'],
    ['confirmed', 'processing'],
    ['processing', 'shipped'],
    ['shipped', 'delivered'],
    ['delivered', 'completed'],
    ['payment_pending', 'cancelled'],
    ['on_hold', 'processing'],
  ])('%s may become %s', (from, to) => {
    expect(mayBecome(from, to)).toBe(true)
  })

  it.each<[OrderStatus, OrderStatus]>([
    ['pending', 'confirmed'],
    ['confirmed', 'payment_pending'],
    ['shipped', 'cancelled'],
    ['cancelled', 'confirmed'],
    ['completed', 'cancelled'],
    ['delivered', 'processing'],
  ])('%s never becomes %s', (from, to) => {
    expect(mayBecome(from, to)).toBe(false)
  })

  it('are open, completed or cancelled: exactly one of these', () => {
    for (const status of ORDER_STATUSES) {
      expect([isOpen(status), isCompleted(status), status === 'cancelled'].filter(Boolean)).toHaveLength(1)
    }
    expect(OPEN_STATUSES.every(isOpen)).toBe(true)
  })

  it('end: from any of them every walk comes to rest, and what is over never moves', () => {
    expect(ORDER_TRANSITIONS.completed).toEqual([])
    expect(ORDER_TRANSITIONS.cancelled).toEqual([])
    for (const status of ORDER_STATUSES) expect(reachable(status).some((end) => ends(end))).toBe(true)
  })

  it('no walk revives an order: once cancelled it stays, once completed it is never open again but by a hold', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (choices) => {
        let status: OrderStatus = 'pending'
        let over = false
        for (const choice of choices) {
          const next: readonly OrderStatus[] = ORDER_TRANSITIONS[status]
          if (next.length === 0) break
          const to = next[choice % next.length] as OrderStatus
          expect(over).toBe(false)
          expect(to).not.toBe('pending')
          status = to
          over = ends(status)
        }
      }),
    )
  })
})

const ends = (status: OrderStatus): boolean => ORDER_TRANSITIONS[status].length === 0

function reachable(from: OrderStatus): OrderStatus[] {
  const found = new Set<OrderStatus>([from])
  for (const status of found) for (const next of ORDER_TRANSITIONS[status]) found.add(next)
  return [...found]
}

describe('the label of an order', () => {
  const order = { number: 'HF-100001', currency: 'GBP', total: 510, cartId: 'cart_1' }

  it('is one line, and its lines as Markdown', () => {
    const label = orderLabel({ ...order, lines: [{ sku: '85123A', quantity: 2, total: 510 }] })
    expect(label.summary).toBe('HF-100001 · GBP 5.10 · 1 line')
    expect(label.details).toBe(
      '**Order HF-100001** of `cart_1`, GBP 5.10 when it was accepted.\n\n- 2 × `85123A`, GBP 5.10',
    )
  })

  it('names the first fifteen lines of many, and counts the others', () => {
    const lines = Array.from({ length: 17 }, (_, n) => ({ sku: `S${n}`, quantity: 1, total: 30 }))
    const { summary, details } = orderLabel({ ...order, lines })
    expect(summary).toMatch(/ · 17 lines$/)
    expect(details).toContain('`S14`')
    expect(details).toMatch(/`S14`, GBP 0\.30\n- and 2 more$/)
  })
})

describe('what units are worth', () => {
  it.each([
    ['each the same', { total: 1_000, quantity: 4 }, [250, 250, 250, 250]],
    ['a penny that cannot be split goes to the last', { total: 1_000, quantity: 3 }, [333, 333, 334]],
    ['less than a penny each', { total: 2, quantity: 5 }, [0, 0, 1, 0, 1]],
    ['nothing', { total: 0, quantity: 3 }, [0, 0, 0]],
    ['one', { total: 999, quantity: 1 }, [999]],
  ])('%s', (_what, line, worth) => {
    expect(worth.map((_, index) => valueOfUnits(line, index + 1, index + 1))).toEqual(worth)
    expect(valueOfUnits(line, 1, line.quantity)).toBe(line.total)
  })

  it('sums to the line, however it is cut, up to the largest amounts', () => {
    const line = fc.record({
      total: fc.oneof(fc.nat(100_000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
      quantity: fc.integer({ min: 1, max: 100_000 }),
    })
    fc.assert(
      fc.property(line, fc.array(fc.nat(), { maxLength: 8 }), ({ total, quantity }, cuts) => {
        const ends = [...new Set([...cuts.map((cut) => 1 + (cut % quantity)), quantity])].sort((a, b) => a - b)
        const parts = ends.map((end, index) => valueOfUnits({ total, quantity }, (ends[index - 1] ?? 0) + 1, end))
        expect(parts.every((part) => Number.isSafeInteger(part) && part >= 0)).toBe(true)
        expect(parts.reduce((sum, part) => sum + BigInt(part), 0n)).toBe(BigInt(total))
      }),
    )
  })

  it('keeps every penny where numbers would have lost some', () => {
    const line = { total: Number.MAX_SAFE_INTEGER, quantity: 999_983 }
    const exact = (BigInt(line.total) * 999_982n) / 999_983n
    expect(valueOfUnits(line, 999_983, 999_983)).toBe(Number(BigInt(line.total) - exact))
  })

  it('is nothing for no units', () => {
    expect(valueOfUnits({ total: 1_000, quantity: 3 }, 4, 3)).toBe(0)
  })
})

const unitsOf = (line: Partial<OrderUnits> = {}): OrderUnits => ({
  sku: 'A' as Sku,
  quantity: 3,
  total: 1_000,
  cancelled: 0,
  shipped: 0,
  ...line,
})
const want = (wanted: Readonly<Record<string, number>>): WantedUnits =>
  Object.entries(wanted).map(([sku, quantity]) => ({ sku: sku as Sku, quantity }))

describe('which units a cancellation takes', () => {
  it('takes them from the back of the line', () => {
    expect(decideUnits([unitsOf()], want({ A: 1 }))).toEqual({
      outcome: 'cancel',
      units: [{ sku: 'A', quantity: 1 }],
      amount: 334,
      isAll: false,
    })
    expect(decideUnits([unitsOf({ cancelled: 1 })], want({ A: 1 }))).toMatchObject({ amount: 333, isAll: false })
  })

  it.each<[string, OrderUnits[], WantedUnits, number, boolean]>([
    ['all that are left, when nobody says which', [unitsOf({ cancelled: 1 })], null, 666, true],
    ['all of all lines', [unitsOf(), unitsOf({ sku: 'B' as Sku, quantity: 1, total: 50 })], null, 1_050, true],
    ['the last unit of the order', [unitsOf({ cancelled: 2 })], want({ A: 1 }), 333, true],
    ['the rest of one line of two', [unitsOf(), unitsOf({ sku: 'B' as Sku })], want({ A: 3 }), 1_000, false],
    ['what has not left, which does not end the order', [unitsOf({ shipped: 1 })], null, 667, false],
    [
      'a SKU that is named twice, in sum',
      [unitsOf()],
      [...(want({ A: 1 }) ?? []), ...(want({ A: 2 }) ?? [])],
      1_000,
      true,
    ],
  ])('takes %s', (_what, lines, wanted, amount, isAll) => {
    expect(decideUnits(lines, wanted)).toMatchObject({ outcome: 'cancel', amount, isAll })
  })

  it.each<[string, OrderUnits[], WantedUnits, object]>([
    ['more than the line has', [unitsOf()], want({ A: 4 }), { sku: 'A', requested: 4, available: 3 }],
    ['what was cancelled', [unitsOf({ cancelled: 3 })], want({ A: 1 }), { sku: 'A', requested: 1, available: 0 }],
    ['what was shipped', [unitsOf({ shipped: 2 })], want({ A: 2 }), { sku: 'A', requested: 2, available: 1 }],
    ['more in two parts', [unitsOf()], [...(want({ A: 2 }) ?? []), ...(want({ A: 2 }) ?? [])], { requested: 4 }],
    ['what was never ordered', [unitsOf()], want({ B: 1 }), { sku: 'B', requested: 1, available: 0 }],
    [
      'all of an order that has left, but for what was cancelled',
      [unitsOf({ shipped: 2, cancelled: 1 }), unitsOf({ sku: 'B' as Sku, cancelled: 3 })],
      null,
      { sku: 'A', requested: 2, available: 0 },
    ],
  ])('refuses %s, and takes nothing else', (_what, lines, wanted, refused) => {
    expect(decideUnits(lines, wanted)).toEqual({ outcome: 'refused', lines: [expect.objectContaining(refused)] })
  })

  it('takes units that are worth their line once all are gone, in whatever steps', () => {
    const line = fc.record({ quantity: fc.integer({ min: 1, max: 50 }), total: fc.nat(1_000_000) })
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        (made, steps) => {
          let lines = made.map((one, index) => unitsOf({ ...one, sku: `S${index}` as Sku }))
          let worth = 0
          let isAll = false
          const take = (wanted: WantedUnits): void => {
            const decision = decideUnits(lines, wanted)
            if (decision.outcome === 'refused') throw new Error('refused')
            worth += decision.amount
            isAll = decision.isAll
            lines = lines.map((one) => {
              const taken = decision.units.find(({ sku }) => sku === one.sku)?.quantity ?? 0
              return { ...one, cancelled: one.cancelled + taken }
            })
          }
          for (const step of steps) {
            const one = lines[step % lines.length] as OrderUnits
            const left = one.quantity - one.cancelled
            if (left > 0) take([{ sku: one.sku, quantity: 1 + (step % left) }])
            expect(isAll).toBe(lines.every(({ quantity, cancelled }) => quantity === cancelled))
          }
          take(null)
          expect(isAll).toBe(true)
          expect(worth).toBe(made.reduce((sum, { total }) => sum + total, 0))
        },
      ),
    )
  })
})

describe('what may be asked for of an order', () => {
  const [whole, part, gone] = [unitsOf(), unitsOf({ cancelled: 1, shipped: 1 }), unitsOf({ cancelled: 1, shipped: 2 })]
  const BOTH: readonly OrderAction[] = ['cancel', 'change_address']
  it.each<[OrderStatus, OrderUnits[], OrderAction[], AddressFixedBy | null]>([
    ['pending', [], ['cancel'], 'checkout_in_progress'],
    ['inventory_reserved', [], ['cancel'], 'checkout_in_progress'],
    ['payment_pending', [whole], ['cancel'], 'checkout_in_progress'],
    ['confirmed', [whole], [...BOTH], null],
    ['confirmed', [gone, part], [...BOTH], null],
    ['processing', [part], [...BOTH], null],
    ['on_hold', [whole], [...BOTH], null],
    ['on_hold', [gone], [], 'already_labelled'],
    ['processing', [gone], [], 'already_labelled'],
    ['shipped', [gone], [], 'already_labelled'],
    ['delivered', [gone], [], 'already_labelled'],
    ['completed', [gone], [], 'already_labelled'],
    ['cancelled', [whole], [], 'invalid_state'],
  ])('%s', (status, lines, actions, fixedBy) => {
    expect(actionsOf({ status, lines, isLabelled: false })).toEqual(actions)
    expect(addressFixedBy({ status, lines, isLabelled: false })).toBe(fixedBy)
    const labelled = { status, lines, isLabelled: true }
    expect(actionsOf(labelled)).toEqual(actions.filter((action) => action !== 'change_address'))
    expect(addressFixedBy(labelled)).toBe(fixedBy ?? 'already_labelled')
  })
})

describe('what an order costs at another address', () => {
  const rates = (line: number, shipping = 0): TaxRates => ({ lines: { A: line, B: 500 }, shipping })
  const lines = [
    { sku: 'A', quantity: 3, unitPrice: 999 },
    { sku: 'B', quantity: 1, unitPrice: 1 },
  ]
  const sold = (shippingMethod = 'standard', taxInclusive = true) => ({
    currency: 'GBP',
    shippingMethod,
    lines,
    taxInclusive,
  })

  it.each<[string, boolean, TaxRates, TaxRates, ReturnType<typeof sold>]>([
    ['the same rates', true, rates(2_000, 2_000), rates(2_000, 2_000), sold()],
    ['another rate, tax inside', false, rates(2_000), rates(1_900), sold()],
    ['another rate, tax on top', false, rates(2_000), rates(1_900), sold('standard', false)],
    ['no tax there', false, rates(2_000), NO_TAX, sold()],
    ['another tax on shipping that costs something', false, rates(2_000, 2_000), rates(2_000, 0), sold('express')],
    ['another tax on shipping that costs nothing', true, rates(2_000, 2_000), rates(2_000, 0), sold()],
    ['a rate that makes no minor unit', true, rates(0), { ...rates(0), lines: { A: 0, B: 400 } }, sold()],
    [
      'rates of two lines that make up for each other',
      false,
      { lines: { A: 1_000, B: 0 }, shipping: 0 },
      { lines: { A: 0, C: 1_000 }, shipping: 0 },
      {
        ...sold(),
        lines: [lines[0] as SoldLine, { sku: 'C', quantity: 3, unitPrice: 999 }],
      },
    ],
  ])('%s', (_name, isSame, before, after, order) => {
    expect(costsTheSame(order, before, after)).toBe(isSame)
    expect(costsTheSame(order, after, before)).toBe(isSame)
  })
})
