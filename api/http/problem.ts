import { isNativeError } from 'node:util/types'
import type { z } from 'zod'
import { isPostgresUnavailable } from '../../db/pool'
import { DomainError, ERROR_CODES, type ErrorCode } from '../../domain/errors'
import { ImageStoreError } from '../../providers/image-store'
import { isTemporalUnavailable } from './temporal'

/** One wrong place in a request. `pointer` is a JSON pointer into the part that `in` names. */
export interface FieldError {
  readonly in: 'body' | 'query' | 'header'
  readonly pointer: string
  readonly code: string
  readonly message: string
}

/** RFC 9457, with our stable `code`; some codes bring members of their own (`checkout`, `lines`, …). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly request_id: string
  readonly retryable: boolean
  readonly errors?: readonly FieldError[]
  readonly [member: string]: unknown
}

/** Where each code is explained: served by the API itself, so the reference is relative to the request. */
export const PROBLEM_DOCS = '/problems'

/** The same request may succeed when it is sent again, unchanged, after a while. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'request_in_progress',
  'payment_in_progress',
  'rate_limited',
  'unavailable',
  'no_worker',
  'internal',
])
const RETRY_AFTER_SECONDS = 1

/** Any error as a problem document, its status and its headers. What we did not expect tells nothing but its id. */
export function problemOf(error: unknown, requestId: string): { problem: Problem; headers: Record<string, string> } {
  const { code, message, details } = refusalOf(error)
  const { status, title } = ERROR_CODES[code]
  const retryAfter = details['retry_after']
  return {
    problem: {
      type: `${PROBLEM_DOCS}#${code}`,
      title,
      status,
      code,
      detail: message,
      request_id: requestId,
      retryable: RETRYABLE.has(code),
      ...details,
    },
    headers: status === 429 || status === 503 ? { 'Retry-After': String(retryAfter ?? RETRY_AFTER_SECONDS) } : {},
  }
}

/** The error as a refusal with a stable code: ours as it is, a lost dependency as `unavailable`, the rest `internal`. */
export function refusalOf(error: unknown): DomainError {
  if (error instanceof DomainError) return error
  if (isTemporalUnavailable(error)) return unavailable('temporal')
  if (isPostgresUnavailable(error)) return unavailable('postgres')
  if (error instanceof ImageStoreError) return unavailable('images')
  if (isUndecodable(error)) return new DomainError('not_found', 'There is no such address.')
  return new DomainError('internal', 'Something went wrong on our side. Tell us the request_id.')
}

export function unavailable(dependency: 'postgres' | 'redis' | 'temporal' | 'payment' | 'images'): DomainError {
  return new DomainError('unavailable', `${dependency} is unavailable. Try again in a moment.`, { dependency })
}

/** A `validation_failed` that names every wrong field. */
export function invalid(errors: readonly FieldError[]): DomainError {
  const first = errors[0]
  return new DomainError(
    'validation_failed',
    first ? `${first.pointer || first.in}: ${first.message}` : 'The request is not valid.',
    { errors },
  )
}

/** Zod's issues as field errors. */
export function fieldErrors(part: FieldError['in'], issues: readonly z.core.$ZodIssue[]): FieldError[] {
  return issues.flatMap((issue): FieldError[] => {
    const pointer = issue.path.map((step) => `/${escapePointer(String(step))}`).join('')
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        in: part,
        pointer: `${pointer}/${escapePointer(key)}`,
        code: 'unrecognized_key',
        message: 'There is no such field.',
      }))
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      // The form that was nearest: of several shapes one of the right type, with the fewest faults.
      const fitting = issue.errors.filter((branch) => !branch.some(isOfWrongType))
      const branches = fitting.length > 0 ? fitting : issue.errors
      const nearest = branches.map((branch) => fieldErrors(part, branch)).sort((a, b) => a.length - b.length)[0] ?? []
      return nearest.map((error) => ({ ...error, pointer: pointer + error.pointer }))
    }
    return [{ in: part, pointer, code: issue.code, message: issue.message }]
  })
}

function isOfWrongType(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

function escapePointer(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** Express's router throws a URIError with status 400 for a path that cannot be decoded: nothing can be there. */
function isUndecodable(error: unknown): boolean {
  return isNativeError(error) && (error as { status?: unknown }).status === 400
}
