import type { IncomingHttpHeaders } from 'node:http'
import { DomainError } from '../domain/errors'

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
