import fc from 'fast-check'
import { formatMajor, minorDigits, money, multiply, parseMajor, sum } from '../../domain/money'

const currencies = fc.constantFrom('GBP', 'EUR', 'JPY', 'KWD')

describe('money', () => {
  it('knows how many digits stand behind the point', () => {
    expect(['GBP', 'JPY', 'KWD'].map(minorDigits)).toEqual([2, 0, 3])
  })

  it('is read from and written as major units', () => {
    expect(parseMajor('2.55', 'GBP')).toBe(255)
    expect(parseMajor('2.5', 'GBP')).toBe(250)
    expect(parseMajor('2.550', 'GBP')).toBe(255)
    expect(parseMajor('255', 'JPY')).toBe(255)
    expect(parseMajor('1.234', 'KWD')).toBe(1234)
    expect(formatMajor({ amount: 5, currency: 'GBP' })).toBe('0.05')
    expect(formatMajor({ amount: -255, currency: 'GBP' })).toBe('-2.55')
    expect(formatMajor({ amount: 255, currency: 'JPY' })).toBe('255')
  })

  it.each(['', '-1', '1.', '.5', '1,5', '1e3', '2.555', '1.5x', ' 1', '１', '90071992547409.92', '1'.repeat(17)])(
    'does not read %j as pounds',
    (text) => {
      expect(parseMajor(text, 'GBP')).toBeNull()
    },
  )

  it('survives being written and read', () => {
    fc.assert(
      fc.property(currencies, fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (currency, amount) => {
        expect(parseMajor(formatMajor({ amount, currency }), currency)).toBe(amount)
      }),
    )
  })

  it('is exact or refused', () => {
    expect(() => money(1.5, 'GBP')).toThrow(expect.objectContaining({ code: 'amount_out_of_range' }))
    expect(() => multiply(10 ** 12, 10 ** 5)).toThrow(expect.objectContaining({ code: 'amount_out_of_range' }))
    expect(() => sum([Number.MAX_SAFE_INTEGER, 1])).toThrow(expect.objectContaining({ code: 'amount_out_of_range' }))
    expect(sum([])).toBe(0)
  })
})
