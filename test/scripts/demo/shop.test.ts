import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { ROOT } from '../../../config'
import { categorySlug } from '../../../domain/catalog/category'
import { CsvReader } from '../../../domain/import/csv'
import type { WarehouseId } from '../../../domain/ids'
import { type ImportRow, isRejection, readHead, readRow } from '../../../domain/import/row'
import { planBatch, slugOfPath } from '../../../domain/import/batch'
import { DEMO_ATTRIBUTES, DEMO_ROOTS, demoAttributes, demoBrand, demoCategory } from '../../../scripts/demo/words'
import {
  cleanDescription,
  sellsGoods,
  titleOf,
  usualDescription,
  usualPrice,
} from '../../../scripts/replay/online-retail'
import { sampleSku } from '../../../scripts/demo/seed'

describe('the rules of the Online Retail file', () => {
  it.each([
    ['WHITE HANGING HEART T-LIGHT HOLDER', 'White Hanging Heart T-Light Holder'],
    ['SET OF 3 CAKE TINS PANTRY DESIGN ', 'Set of 3 Cake Tins Pantry Design'],
    ['POLYESTER FILLER PAD 40x40cm', 'Polyester Filler Pad 40x40cm'],
    ['BAG 125g SWIRLY MARBLES', 'Bag 125g Swirly Marbles'],
    ["PETIT TRAY CHIC W CHILDREN'S NAMES", "Petit Tray Chic with Children's Names"],
    ['*USB  Office Mirror Ball', 'USB Office Mirror Ball'],
    ['FOLK ART GREETING CARD,pack/12', 'Folk Art Greeting Card, Pack/12'],
    ['A COLOURFUL "TEA FOR ONE"', 'A Colourful "Tea for One"'],
  ])('make of %j the title %j', (description, title) => {
    expect(titleOf(cleanDescription(description))).toBe(title)
  })

  it.each(['?', '??', ' ', 'sold as sets?'])('take %j for a note', (description) => {
    expect(cleanDescription(description)).toBe('')
  })

  it('know a sale of goods from what else stands in the file', () => {
    const line = {
      invoice: '536365',
      sku: '85123A',
      description: 'HEART',
      quantity: 6,
      date: '2010-12-01 08:26:00',
      unitPrice: '2.55',
      price: 255,
      customer: '17850',
    }
    expect(sellsGoods(line)).toBe(true)
    for (const other of [
      { invoice: 'C536379' },
      { invoice: 'A563185' },
      { sku: 'POST' },
      { sku: 'BANK CHARGES' },
      { sku: 'DCGS0076' },
      { sku: '85123AXX' },
      { quantity: 0 },
      { quantity: -6 },
      { price: 0 },
      { price: null },
      { description: 'Next Day Carriage' },
      { description: 'SAMPLES' },
    ]) {
      expect(sellsGoods({ ...line, ...other })).toBe(false)
    }
  })

  it('choose the price at which most units were sold, of several the lowest', () => {
    expect(
      usualPrice(
        new Map([
          [295, 10],
          [255, 12],
          [325, 1],
        ]),
      ),
    ).toBe(255)
    expect(
      usualPrice(
        new Map([
          [295, 10],
          [255, 10],
        ]),
      ),
    ).toBe(255)
  })

  it('choose the description that stands there most often, of several the first in the alphabet', () => {
    expect(
      usualDescription(
        new Map([
          ['HEARTS', 1],
          ['HEART', 3],
        ]),
      ),
    ).toBe('HEART')
    expect(
      usualDescription(
        new Map([
          ['B', 2],
          ['A', 2],
        ]),
      ),
    ).toBe('A')
  })
})

describe('the words of a title', () => {
  it.each([
    ['White Hanging Heart T-Light Holder', 'Home/Candles & Lights', '', { color: 'White', pattern: 'Hearts' }],
    ['Set of 3 Cake Tins Pantry Design', 'Kitchen/Cakes & Baking', '', { pieces: '3' }],
    ['Set/6 Red Spotty Paper Cups', 'Kitchen/Mugs & Cups', '', { color: 'Red', material: 'Paper', pieces: '6' }],
    ['Charlie and Lola Red Hot Water Bottle', 'Kitchen/Jars, Tins & Bottles', 'Charlie & Lola', { color: 'Red' }],
    ['Jumbo Bag Red Retrospot', 'Bags/Shopping & Handbags', '', { pattern: 'Retrospot', size: 'Extra large' }],
    ['Wooden Picture Frame White Finish', 'Home/Frames & Signs', '', { color: 'White', material: 'Wood' }],
    ['Magic Garden', 'Garden', '', { pieces: '' }],
  ])('%j tell its category, brand and attributes', (title, category, brand, attributes) => {
    expect({ category: demoCategory(title), brand: demoBrand(title) }).toEqual({ category, brand })
    expect(demoAttributes(title)).toMatchObject(attributes)
  })
})

describe('the demo shop', () => {
  const file = gunzipSync(readFileSync(join(ROOT, 'data', 'demo-shop.csv.gz')))
  const rows = rowsOf(file)
  const schemas = new Map(DEMO_ROOTS.map((title) => [categorySlug(title), DEMO_ATTRIBUTES]))
  const plan = planBatch(rows, { present: new Map(), facts: new Map(), schemas })

  it('is imported without a rejection, thousands of products in three warehouses', () => {
    expect(plan.rejections).toEqual([])
    expect(plan.newSkus.length).toBeGreaterThan(3_000)
    expect(
      plan.newSkus.every(
        ({ title, category, prices, stock }) => title && category && prices.size === 1 && stock.size === 3,
      ),
    ).toBe(true)
  })

  it('has a tree of two levels, and brands and attributes where a title tells them', () => {
    const slugs = plan.newSkus.map(({ category = [] }) => category.map(({ slug }) => slug))
    expect(new Set(slugs.map(([root]) => root))).toEqual(new Set(DEMO_ROOTS.map((title) => categorySlug(title))))
    expect(slugs.filter((path) => path.length === 2).length / slugs.length).toBeGreaterThan(0.8)
    expect(Math.max(...slugs.map((path) => path.length))).toBe(2)
    const share = (has: (sku: (typeof plan.newSkus)[number]) => unknown) =>
      plan.newSkus.filter(has).length / plan.newSkus.length
    expect(share(({ brand }) => brand)).toBeGreaterThan(0.02)
    expect(share(({ attributes }) => attributes?.['color'])).toBeGreaterThan(0.4)
    expect(share(({ attributes }) => attributes?.['material'])).toBeGreaterThan(0.2)
    expect(share(({ attributes }) => attributes?.['pattern'])).toBeGreaterThan(0.2)
    expect(share(({ attributes }) => typeof attributes?.['pieces'] === 'number')).toBeGreaterThan(0.05)
  })

  it('has the sample in plenty, some products low and a few out of stock', () => {
    const units = new Map(
      plan.newSkus.map(({ sku, stock }) => [sku, [...stock.values()].reduce((sum, one) => sum + one, 0)]),
    )
    expect(units.get(sampleSku)).toBeGreaterThan(1_000)
    expect(plan.newSkus.find(({ sku }) => sku === sampleSku)).toMatchObject({
      title: 'White Hanging Heart T-Light Holder',
      attributes: { color: 'White', pattern: 'Hearts' },
      prices: new Map([['GBP', 255]]),
    })
    expect(slugOfPath(plan.newSkus.find(({ sku }) => sku === sampleSku)?.category ?? [])).toBe('home-candles-lights')
    const few = (from: number, to: number) =>
      [...units.values()].filter((count) => count >= from && count <= to).length / units.size
    expect(few(0, 0)).toBeGreaterThan(0.005)
    expect(few(0, 0)).toBeLessThan(0.03)
    expect(few(1, 5)).toBeGreaterThan(0.02)
    expect(few(1, 5)).toBeLessThan(0.08)
  })
})

function rowsOf(file: Buffer): ImportRow[] {
  const head = readHead(file.subarray(0, 100_000))
  if (typeof head === 'string') throw new Error(head)
  const warehouses = new Map(['london', 'manchester', 'dublin'].map((name) => [name, `wh_${name}` as WarehouseId]))
  const reader = new CsvReader(head)
  const records = [...reader.push(file.subarray(head.byte)), ...reader.end()]
  return records.map((record) => {
    const row = readRow(record, head.header, { defaultCurrency: 'GBP', warehouses })
    if (isRejection(row)) throw new Error(`line ${row.line}: ${row.message}`)
    return row
  })
}
