import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { appendChunk, createImport, deleteLeftovers, endImport } from '../../db/import/job'
import type { Pool } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { ImportId } from '../../domain/ids'
import { HEAD_BYTES_MAX, readHead } from '../../domain/import/row'
import { invalid } from '../http/problem'
import { uploadTimedOut, piecesOf } from '../http/upload'

const IMPORT_BYTES_MAX = 2 ** 30
const CHUNK_BYTES = 2 ** 20
/** A slow upload is written at least so often, so that it does not look abandoned. */
const CHUNK_MS_MAX = 10_000

/**
 * Writes an upload into the database as it comes, a piece at a time: the sender is held back while a piece is written.
 * A sender that is silent for `silenceMs` is given up.
 * Throws `validation_failed` when the first line names no columns, `body_too_large`, `request_timeout`.
 */
export async function receiveUpload(
  pool: Pool,
  body: Readable,
  { contentLength, silenceMs }: { contentLength: number; silenceMs: number },
): Promise<{ id: ImportId; sha256: Buffer }> {
  if (contentLength > IMPORT_BYTES_MAX) throw tooLarge()
  const hash = createHash('sha256')
  let id: ImportId | null = null
  let received = 0
  try {
    for await (const bytes of chunksOf(piecesOf(body, silenceMs))) {
      if (received + bytes.length > IMPORT_BYTES_MAX) throw tooLarge()
      id ??= await begin(pool, bytes)
      hash.update(bytes)
      if (!(await appendChunk(pool, { id, firstByte: received, bytes }))) throw uploadTimedOut()
      received += bytes.length
    }
    id ??= await begin(pool, Buffer.alloc(0))
    return { id, sha256: hash.digest() }
  } catch (error) {
    if (id) await abandonUpload(pool, id)
    throw error
  }
}

/** Ends an upload that is not to be imported, visibly, and deletes its bytes. */
export async function abandonUpload(pool: Pool, id: ImportId): Promise<void> {
  await endImport(pool, { id, state: 'failed', failure: 'The upload broke off.' })
  await deleteLeftovers(pool, id)
}

/** A file without a header makes no import. */
async function begin(pool: Pool, start: Buffer): Promise<ImportId> {
  const head = readHead(start.subarray(0, HEAD_BYTES_MAX))
  if (typeof head === 'string') throw invalid([{ in: 'body', pointer: '', code: 'bad_header', message: head }])
  return createImport(pool)
}

/** Gathers a stream into chunks: the first holds at least a header's length, and all but the last are worth a statement. */
async function* chunksOf(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = []
  let length = 0
  let first = true
  let since = Date.now()
  for await (const piece of body) {
    pieces.push(piece)
    length += piece.length
    const late = Date.now() - since > CHUNK_MS_MAX && (!first || length >= HEAD_BYTES_MAX)
    if (length < CHUNK_BYTES && !late) continue
    yield* cut(Buffer.concat(pieces, length))
    pieces = []
    length = 0
    first = false
    since = Date.now()
  }
  if (length > 0) yield* cut(Buffer.concat(pieces, length))
}

function* cut(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}

function tooLarge(): DomainError {
  return new DomainError('body_too_large', 'A catalog file holds at most 1 GiB.')
}
