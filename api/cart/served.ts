import type { FieldError } from '../http/problem'

/** What is wrong with the country of an address that goods are to be sent to; nothing while there is none. */
export function notServed(country: string | undefined, countries: readonly string[]): FieldError[] {
  if (country === undefined || countries.includes(country)) return []
  const message = `We send to ${countries.join(', ')}.`
  return [{ in: 'body', pointer: '/shipping_address/country', code: 'not_served', message }]
}
