import { createHmac, timingSafeEqual } from 'node:crypto'

/** Event sources send no headers: their address carries a token for this one stream, good for a while. */
const LIFE_MS = 15 * 60_000

export function streamToken(secret: string, subject: string, now = Date.now()): string {
  const until = now + LIFE_MS
  return `${until}.${signature(secret, subject, until)}`
}

export function isStreamToken(secret: string, subject: string, token: string, now = Date.now()): boolean {
  const [until = '', given = ''] = token.split('.')
  if (!/^\d{13}$/.test(until) || Number(until) < now) return false
  const expected = Buffer.from(signature(secret, subject, Number(until)))
  const actual = Buffer.from(given)
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

function signature(secret: string, subject: string, until: number): string {
  return createHmac('sha256', secret).update(`stream:${subject}:${until}`).digest('base64url')
}
