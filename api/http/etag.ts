import type { IncomingHttpHeaders } from 'node:http'
import { DomainError } from '../../domain/errors'

/** The strong entity tag of a resource's version. */
export function etagOf(version: number): string {
  return `"${version}"`
}

/** Which versions the caller's If-Match accepts. Throws `precondition_required` without one. */
export function ifMatch(headers: IncomingHttpHeaders): (version: number) => boolean {
  const given = headers['if-match']
  if (given === undefined || given.trim() === '') {
    throw new DomainError('precondition_required', 'Send the ETag you read in an If-Match header.')
  }
  const tags = given.split(',').map((tag) => tag.trim())
  return (version) => tags.includes('*') || tags.includes(etagOf(version))
}

/** As {@link ifMatch}; without one every version is accepted. */
export function ifMatchIfGiven(headers: IncomingHttpHeaders): (version: number) => boolean {
  return headers['if-match']?.trim() ? ifMatch(headers) : () => true
}

/** Whether an If-None-Match names this tag; a cache may have weakened it. */
export function matchesEtag(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false
  if (given === etag) return true
  const tags = given.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || tags.includes('*')
}
