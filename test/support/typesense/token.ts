import type { Collection } from './schema'

/** Separators end a token, other signs vanish from it; case and accents do not count. */
export function tokensOf({ separators }: Pick<Collection, 'separators'>, text: string): string[] {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  const parted = Array.from(plain, (character) => (separators.has(character) ? ' ' : character)).join('')
  return parted
    .split(/\s+/u)
    .map((token) => token.replace(/[^\p{L}\p{N}]/gu, ''))
    .filter((token) => token !== '')
}

/** Less than the server's Snowball, enough for number. */
export function stemOf(token: string): string {
  if (token.length > 4 && token.endsWith('ies')) return `${token.slice(0, -3)}y`
  if (token.length > 3 && /(?:ches|shes|xes|sses|zes)$/.test(token)) return token.slice(0, -2)
  return token.length > 3 && /[^su]s$/.test(token) ? token.slice(0, -1) : token
}
