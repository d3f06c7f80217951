/**
 * What the post of a country asks of an address, by Google's address data (libaddressinput). Countries are ISO 3166-1 alpha-2
 * codes; one that the data does not name asks for a city, and not for a postal code.
 */

const ASK_FOR_POSTAL_CODE = codes(
  'AS AT AU AX BE BL BR CA CH CN CZ DE DK EE ES FI FK FM FR GB GF GG GL GP GR GS GU HU IM IN IO IT JE JP KR LI LT LU LV MF MH MP MQ MX',
  'MY NC NL NO NZ PF PL PM PN PR PT PW RE RO RU SE SG SH SJ SK SM TC TR TW UA US VI WF YT ZA',
)

/** A city is their whole country, or part of another field. */
const ASK_FOR_NO_CITY = codes('AE AG CO GI HK ID JP KY MO NR SG SM VG')

/** Whether an address in this country is incomplete without it. */
export function isRequiredIn(country: string, field: 'city' | 'postal_code'): boolean {
  return field === 'city' ? !ASK_FOR_NO_CITY.has(country) : ASK_FOR_POSTAL_CODE.has(country)
}

function codes(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.join(' ').split(' '))
}
