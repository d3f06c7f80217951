import type { Readable } from 'node:stream'
import { DomainError } from '../../domain/errors'

/**
 * The pieces of an upload, until nothing has come for `silenceMs`: then it throws `request_timeout`. The stream stays open:
 * what is left of a refused body is read and thrown away, so that the sender hears why.
 */
export async function* piecesOf(body: Readable, silenceMs: number): AsyncGenerator<Buffer> {
  const pieces = body.iterator({ destroyOnReturn: false })
  for (;;) {
    const next = await within(silenceMs, pieces.next())
    if (next.done) return
    yield next.value as Buffer
  }
}

async function within<T>(ms: number, waiting: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(uploadTimedOut()), ms)
  })
  try {
    return await Promise.race([waiting, late])
  } finally {
    clearTimeout(timer)
  }
}

export function uploadTimedOut(): DomainError {
  return new DomainError('request_timeout', 'The upload stopped coming.')
}
