import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { DomainError } from '../../domain/errors'
import { type FieldError, invalid } from './problem'

export const BODY_BYTES_MAX = 1_048_576
export const BODY_DEPTH_MAX = 20

/**
 * Reads a JSON body. Undefined when there is none.
 * Throws: 415 for another media type or an encoding, 413 over 1 MiB, 408 when it does not arrive in time, 400 when it is
 * no JSON, is nested too deep, or holds what no text column can.
 */
export async function readJson(request: IncomingMessage, timeoutMs: number): Promise<unknown> {
  if (!hasBody(request)) return undefined
  requireMediaType(request, 'application/json')
  const bytes = await readWhole(request, timeoutMs)
  if (bytes.length === 0) return undefined
  const value = parseJson(bytes)
  const problems = valueErrors(value)
  if (problems.length > 0) throw invalid(problems)
  return value
}

/** Reads a whole body of any type, up to 1 MiB. */
export async function readWhole(request: IncomingMessage, timeoutMs: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const timer = setTimeout(
      () => stop(new DomainError('request_timeout', 'The body did not arrive in time.')),
      timeoutMs,
    )
    function onData(chunk: Buffer): void {
      length += chunk.length
      if (length > BODY_BYTES_MAX) stop(tooLarge())
      else chunks.push(chunk)
    }
    function onEnd(): void {
      stop()
    }
    function onBroken(): void {
      stop(new DomainError('invalid_json', 'The body ended early.'))
    }
    function stop(error?: Error): void {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('aborted', onBroken)
      if (error) reject(error)
      else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length))
    }
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('aborted', onBroken)
  })
}

/** Throws 415 unless the body is of this media type (of one of these), in UTF-8 and not compressed. */
export function requireMediaType(request: IncomingMessage, expected: string | readonly string[]): void {
  const types = typeof expected === 'string' ? [expected] : expected
  const given = request.headers['content-type'] ?? ''
  const semicolon = given.indexOf(';')
  const type = (semicolon < 0 ? given : given.slice(0, semicolon)).trim().toLowerCase()
  const charset = semicolon < 0 ? undefined : /charset="?([^";\s]+)/i.exec(given)?.[1]?.toLowerCase()
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (
    types.includes(type) &&
    encoding === 'identity' &&
    (charset === undefined || charset === 'utf-8' || charset === 'utf8')
  )
    return
  throw new DomainError(
    'unsupported_media_type',
    `Send ${types.join(', ')} ${types.length > 1 ? 'as it is' : 'in UTF-8'}, not compressed.`,
  )
}

export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** SHA-256 of the value as canonical JSON: members sorted by name, at every depth. */
export function hashOfJson(value: unknown): Buffer {
  return createHash('sha256').update(canonical(value)).digest()
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    members.sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new DomainError('invalid_json', 'The body is not UTF-8.')
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new DomainError('invalid_json', (error as Error).message.replace(/[^\x20-\x7e]/g, '?').slice(0, 200))
  }
}

/**
 * What is wrong with a value before any schema looks at it: depth, names that reach the prototype, and text that Postgres
 * cannot keep. Walks with a stack of its own, so that depth costs no call stack.
 */
function valueErrors(root: unknown): FieldError[] {
  const errors: FieldError[] = []
  const stack: { value: unknown; pointer: string; depth: number }[] = [{ value: root, pointer: '', depth: 1 }]
  for (let next = stack.pop(); next !== undefined && errors.length < 10; next = stack.pop()) {
    const { value, pointer, depth } = next
    if (typeof value === 'string') {
      if (!isStorableText(value))
        errors.push(bodyError(pointer, 'invalid_text', 'Holds a NUL or half a surrogate pair.'))
    } else if (typeof value === 'object' && value !== null) {
      if (depth > BODY_DEPTH_MAX) return [bodyError('', 'too_deep', `Nested more than ${BODY_DEPTH_MAX} levels deep.`)]
      for (const [name, member] of Object.entries(value)) {
        const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
        if (name === '__proto__' || !isStorableText(name))
          errors.push(bodyError(pointer, 'invalid_name', 'Holds a name that is not allowed.'))
        else if (typeof member === 'string' || typeof member === 'object')
          stack.push({ value: member, pointer: at, depth: depth + 1 })
      }
    }
  }
  return errors
}

/** Text as Postgres and JSON both can keep: no NUL, no half of a surrogate pair. */
export function isStorableText(text: string): boolean {
  return !UNSTORABLE.test(text)
}

const UNSTORABLE = /\0|\p{Surrogate}/u

function bodyError(pointer: string, code: string, message: string): FieldError {
  return { in: 'body', pointer, code, message }
}

function tooLarge(): DomainError {
  return new DomainError('body_too_large', 'The body is larger than 1 MiB.')
}
