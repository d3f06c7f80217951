import countries from 'world-countries'
import { isRequiredIn } from '../../domain/address'

it.each([
  ['GB', true, true],
  ['DE', true, true],
  ['FR', true, true],
  ['US', true, true],
  ['IE', true, false],
  ['HK', false, false],
  ['AE', false, false],
  ['SG', false, true],
  ['XX', true, false],
])('%s asks for a city: %s, and for a postal code: %s', (country, city, postalCode) => {
  expect(isRequiredIn(country, 'city')).toBe(city)
  expect(isRequiredIn(country, 'postal_code')).toBe(postalCode)
})

it('knows no country that there is not', () => {
  const known = new Set(countries.map(({ cca2 }) => cca2))
  const named = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
    .split('')
    .flatMap((a, _n, all) => all.map((b) => a + b))
    .filter((code) => isRequiredIn(code, 'postal_code') || !isRequiredIn(code, 'city'))
  expect(named.length).toBeGreaterThan(80)
  expect(named.filter((code) => !known.has(code))).toEqual([])
})
