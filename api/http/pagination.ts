import { invalid } from './problem'

export interface ListPage<T> {
  readonly data: T[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

/**
 * A list page of what a query found with `limit + 1`: the row too many says that there is more.
 *
 * @param keyOf where the next list page begins: the sort key of the last row, any JSON
 */
export function listPageFrom<Row, T>(
  rows: readonly Row[],
  limit: number,
  { keyOf, present }: { keyOf: (row: Row) => unknown; present: (row: Row) => T },
): ListPage<T> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  return { data: shown.map(present), has_more: more, next_cursor: more ? encodeCursor(keyOf(last)) : null }
}

/** A list that is short enough to be answered whole. */
export function wholeList<T>(data: T[]): { data: T[]; has_more: false; next_cursor: null } {
  return { data, has_more: false, next_cursor: null }
}

/** The key inside a cursor, checked by the caller's `isKey`; null without a cursor. Throws `validation_failed`. */
export function readCursor<K>(cursor: string | undefined, isKey: (value: unknown) => value is K): K | null {
  if (cursor === undefined) return null
  const key = decode(cursor)
  if (!isKey(key))
    throw invalid([
      { in: 'query', pointer: '/cursor', code: 'invalid_cursor', message: 'Send a next_cursor as it was answered.' },
    ])
  return key
}

function encodeCursor(key: unknown): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

function decode(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
