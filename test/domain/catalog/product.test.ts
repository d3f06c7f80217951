import {
  SLUG_LENGTH_MAX,
  SLUG_PATTERN,
  repeatedSku,
  slugOf,
  slugWith,
  stockHint,
} from '../../../domain/catalog/product'
import { isCurrency } from '../../../domain/currency'

describe('slugOf', () => {
  it.each([
    ['White Hanging Heart T-Light Holder', 'white-hanging-heart-t-light-holder'],
    ['  Café: Tea & Cake! ', 'cafe-tea-cake'],
    ["Children's Apron", 'childrens-apron'],
    ['S/4 – 36" Garland', 's-4-36-garland'],
    ['---', 'product'],
    ['日本語', 'product'],
  ])('makes of %j %j', (title, slug) => {
    expect(slugOf(title)).toBe(slug)
    expect(slug).toMatch(SLUG_PATTERN)
  })

  it('leaves room for an ending and never ends in a hyphen', () => {
    const slug = slugOf(`${'long '.repeat(100)}title`)
    expect(slug.length).toBeLessThanOrEqual(80)
    const longer = slugWith(slug, `SKU/${'9'.repeat(60)}`)
    expect(longer.length).toBeLessThanOrEqual(SLUG_LENGTH_MAX)
    expect(longer).toMatch(SLUG_PATTERN)
    expect(longer).not.toBe(slug)
  })
})

describe('stockHint', () => {
  it.each([
    [-1, { available: false, available_hint: 'out_of_stock' }],
    [0, { available: false, available_hint: 'out_of_stock' }],
    [1, { available: true, available_hint: 'low', available_quantity: 1 }],
    [5, { available: true, available_hint: 'low', available_quantity: 5 }],
    [6, { available: true, available_hint: 'in_stock' }],
  ])('says of %d units %j', (quantity, hint) => {
    expect(stockHint(quantity)).toEqual(hint)
  })
})

it('finds a SKU that is named twice, whatever its case', () => {
  expect(repeatedSku(['a1', 'B2', 'A1'])).toBe('A1')
  expect(repeatedSku(['a1', 'B2'])).toBeNull()
})

it('knows the currencies that money is paid in today', () => {
  expect(['GBP', 'EUR', 'JPY', 'KWD'].every(isCurrency)).toBe(true)
  expect(['DEM', 'gbp', 'XXX', '', 'GBPX'].some(isCurrency)).toBe(false)
})
