import fc from 'fast-check'
import type { ProductId } from '../../../domain/ids'
import {
  type CatalogEntry,
  LINE_TOTAL_MAX,
  type LineToPrice,
  NO_TAX,
  priceCart,
  type TaxRates,
  taxOn,
} from '../../../domain/pricing/price'
import { shippingOptions, shippingPrice } from '../../../domain/pricing/shipping'

const productId = 'prod_00000000000000000000000000' as ProductId

function entry(sku: string, price: number | null, rest: Partial<CatalogEntry> = {}): [string, CatalogEntry] {
  return [
    sku,
    {
      sku,
      skuWritten: sku.toLowerCase(),
      productId,
      title: sku,
      sellerId: 'house',
      active: true,
      price,
      available: 100,
      ...rest,
    },
  ]
}

function line(sku: string, quantity: number, priceAtAdd: number): LineToPrice {
  return { sku, quantity, priceAtAdd }
}

function price(
  lines: LineToPrice[],
  catalog: [string, CatalogEntry][],
  rest: { shippingMethod?: string; taxInclusive?: boolean; tax?: TaxRates } = {},
) {
  return priceCart({
    currency: 'GBP',
    lines,
    catalog: new Map(catalog),
    shippingMethod: null,
    taxInclusive: true,
    tax: NO_TAX,
    ...rest,
  })
}

describe('the price of a cart', () => {
  it('is the sum of its lines and the shipping', () => {
    const { lines, totals, problems } = price(
      [line('A', 2, 255), line('B', 1, 400)],
      [entry('A', 255), entry('B', 400)],
      { shippingMethod: 'express' },
    )
    expect(lines.map(({ sku, unitPrice, total }) => ({ sku, unitPrice, total }))).toEqual([
      { sku: 'A', unitPrice: 255, total: 510 },
      { sku: 'B', unitPrice: 400, total: 400 },
    ])
    expect(totals).toEqual({ subtotal: 910, discount: 0, shipping: 495, tax: 0, total: 1_405 })
    expect(problems).toEqual([])
  })

  it('is nothing for an empty cart, whatever the method', () => {
    expect(price([], [], { shippingMethod: 'express' }).totals.total).toBe(0)
  })

  it("is today's, and names both when it has changed", () => {
    const { lines, problems } = price([line('A', 2, 200)], [entry('A', 255)])
    expect(lines[0]).toMatchObject({ unitPrice: 255, priceAtAdd: 200, total: 510 })
    expect(problems).toEqual([{ code: 'price_changed', sku: 'a', oldPrice: 200, newPrice: 255 }])
  })

  it('leaves out what cannot be sold: gone, archived, without a price, or beyond counting', () => {
    const { totals, problems, lines } = price(
      [line('GONE', 1, 5), line('OLD', 1, 5), line('FREE', 1, 5), line('YACHT', 2, 5), line('A', 1, 255)],
      [entry('OLD', 5, { active: false }), entry('FREE', null), entry('YACHT', LINE_TOTAL_MAX), entry('A', 255)],
    )
    expect(problems.map((problem) => problem.code)).toEqual([
      'unavailable',
      'unavailable',
      'unavailable',
      'unavailable',
    ])
    expect(lines[0]).toMatchObject({ skuWritten: 'GONE', productId: null, total: 0 })
    expect(totals.total).toBe(255)
  })

  it('tells short stock from none', () => {
    const { problems } = price(
      [line('A', 5, 1), line('B', 1, 1)],
      [entry('A', 1, { available: 3 }), entry('B', 1, { available: 0 })],
    )
    expect(problems).toEqual([
      { code: 'insufficient_stock', sku: 'a', quantity: 5, availableQuantity: 3 },
      { code: 'out_of_stock', sku: 'b' },
    ])
  })

  it('contains the tax, or has it on top', () => {
    const tax: TaxRates = { lines: { A: 2_000 }, shipping: 2_000 }
    const inclusive = price([line('A', 1, 1_200)], [entry('A', 1_200)], { tax, shippingMethod: 'express' })
    expect(inclusive.totals).toEqual({ subtotal: 1_200, discount: 0, shipping: 495, tax: 200 + 83, total: 1_695 })
    const exclusive = price([line('A', 1, 1_000)], [entry('A', 1_000)], {
      tax,
      shippingMethod: 'express',
      taxInclusive: false,
    })
    expect(exclusive.lines[0]).toMatchObject({ tax: 200, total: 1_200 })
    expect(exclusive.totals).toEqual({ subtotal: 1_000, discount: 0, shipping: 495, tax: 200 + 99, total: 1_794 })
  })

  it('adds up, is never negative, and stays exact', () => {
    const given = fc.record({
      quantity: fc.integer({ min: 1, max: 100_000 }),
      price: fc.integer({ min: 0, max: 10 ** 12 }),
      rate: fc.integer({ min: 0, max: 10_000 }),
    })
    fc.assert(
      fc.property(fc.array(given, { maxLength: 50 }), fc.boolean(), (rows, taxInclusive) => {
        const skus = rows.map((_row, index) => `S${index}`)
        const { lines, totals } = price(
          rows.map((row, index) => line(skus[index] as string, row.quantity, row.price)),
          rows.map((row, index) => entry(skus[index] as string, row.price)),
          {
            taxInclusive,
            shippingMethod: 'express',
            tax: { lines: Object.fromEntries(rows.map((row, index) => [skus[index], row.rate])), shipping: 0 },
          },
        )
        expect(totals.total).toBe(totals.subtotal - totals.discount + totals.shipping + (taxInclusive ? 0 : totals.tax))
        expect(lines.reduce((sum, one) => sum + one.total, 0) + totals.shipping).toBe(totals.total)
        for (const amount of [
          ...Object.values(totals),
          ...lines.flatMap((one) => [one.unitPrice, one.tax, one.total]),
        ]) {
          expect(Number.isSafeInteger(amount) && amount >= 0).toBe(true)
        }
      }),
    )
  })
})

describe('tax', () => {
  it('is rounded half up', () => {
    expect(taxOn(1_05, 1_000, false)).toBe(11)
    expect(taxOn(1_04, 1_000, false)).toBe(10)
    expect(taxOn(120, 2_000, true)).toBe(20)
    expect(taxOn(LINE_TOTAL_MAX, 9_999, false)).toBe(999_900_000_000)
  })
})

describe('shipping', () => {
  it('costs nothing or 4.95 of the currency; whole units where there are no smaller ones', () => {
    expect(shippingOptions('GBP').map(({ id, price }) => [id, price])).toEqual([
      ['standard', 0],
      ['express', 495],
    ])
    expect(shippingPrice('express', 'KWD')).toBe(4_950)
    expect(shippingPrice('express', 'JPY')).toBe(495)
    expect(shippingPrice(null, 'GBP')).toBe(0)
  })
})
