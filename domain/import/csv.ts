/** A longer record is no catalog line but a stray quote or another kind of file. */
const RECORD_BYTES_MAX = 65_536

const NEWLINE = 10
const QUOTE = 34

export type CsvProblem = 'bad_quotes' | 'bad_encoding' | 'bad_character' | 'line_too_long'

/** One record: its fields, or why it has none. Lines count from 1; the next record begins at `endByte` on `endLine`. */
export type CsvRecord = {
  readonly line: number
  readonly endByte: number
  readonly endLine: number
} & ({ readonly fields: string[] } | { readonly problem: CsvProblem })

/** Where a record ends, without its newline; `bad` when only its first line is given up. Null: more bytes are needed. */
type Cut = { readonly end: number; readonly bad?: CsvProblem } | null

/**
 * Reads CSV (RFC 4180, UTF-8, CRLF or LF) piece by piece, from any byte at which a record begins: so an import resumes.
 * Never throws: a malformed record is a record with a problem, and costs its first line only, so that a quote that is
 * never closed does not swallow the file. Blank lines are passed over.
 */
export class CsvReader {
  #rest: Buffer = Buffer.alloc(0)
  #byte: number
  #line: number
  /** Bytes thrown away of a line that is too long and still goes on. */
  #dropped = 0

  constructor(start: { byte: number; line: number }) {
    this.#byte = start.byte
    this.#line = start.line
  }

  /** The records that these bytes complete. */
  push(bytes: Buffer): CsvRecord[] {
    return this.#read(bytes, false)
  }

  /** The record that the end of the file completes, if any. */
  end(): CsvRecord[] {
    return this.#read(Buffer.alloc(0), true)
  }

  #read(bytes: Buffer, last: boolean): CsvRecord[] {
    const text = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const records: CsvRecord[] = []
    let at = this.#dropped === 0 ? 0 : this.#leaveLongLine(text, last, records)
    let quote = -1
    while (at < text.length) {
      if (quote < at) quote = indexOf(text, QUOTE, at)
      const cut = cutRecord(text, at, { quote, last })
      if (cut === null) break
      if (cut.end === Infinity) return this.#dropLongLine(text.length - at, records)
      at = this.#take(text, at, cut, records)
    }
    this.#rest = text.subarray(at)
    return records
  }

  #take(text: Buffer, start: number, cut: NonNullable<Cut>, records: CsvRecord[]): number {
    const parsed = cut.bad ?? parseRecord(text.toString('utf8', start, cut.end))
    const end = parsed === 'bad_quotes' ? Math.min(indexOf(text, NEWLINE, start), cut.end) : cut.end
    const next = Math.min(end + 1, text.length)
    const line = this.#line
    this.#line += countNewlines(text, start, next)
    this.#byte += next - start
    if (!isBlank(parsed)) records.push(this.#record(line, parsed))
    return next
  }

  #dropLongLine(bytes: number, records: CsvRecord[]): CsvRecord[] {
    this.#dropped = bytes
    this.#rest = Buffer.alloc(0)
    return records
  }

  #leaveLongLine(text: Buffer, last: boolean, records: CsvRecord[]): number {
    const newline = indexOf(text, NEWLINE, 0)
    const next = Math.min(newline + 1, text.length)
    this.#dropped += next
    if (newline === Infinity && !last) return next
    this.#byte += this.#dropped
    this.#line += 1
    this.#dropped = 0
    records.push(this.#record(this.#line - 1, 'line_too_long'))
    return next
  }

  #record(line: number, parsed: string[] | CsvProblem): CsvRecord {
    const place = { line, endByte: this.#byte, endLine: this.#line }
    return typeof parsed === 'string' ? { ...place, problem: parsed } : { ...place, fields: parsed }
  }
}

/** `end: Infinity` says that the line is too long already and its end is not in sight. */
function cutRecord(text: Buffer, start: number, { quote, last }: { quote: number; last: boolean }): Cut {
  const newline = indexOf(text, NEWLINE, start)
  const lineEnd = newline === Infinity && last ? text.length : newline
  const limit = start + RECORD_BYTES_MAX
  if (quote > lineEnd || quote === Infinity) {
    if (lineEnd === Infinity && text.length <= limit) return null
    return lineEnd > limit ? { end: lineEnd, bad: 'line_too_long' } : { end: lineEnd }
  }
  const closed = closedEnd(text, quote, Math.min(limit, text.length))
  if (closed !== null && closed < Math.min(limit, text.length)) return { end: closed }
  if (text.length <= limit) {
    if (!last) return null
    return closed === null ? { end: lineEnd, bad: 'bad_quotes' } : { end: closed }
  }
  return { end: lineEnd, bad: lineEnd <= limit ? 'bad_quotes' : 'line_too_long' }
}

/** The first newline outside quotes, or `limit` when there is none; null when a quote is open at `limit`. */
function closedEnd(text: Buffer, quote: number, limit: number): number | null {
  let inside = false
  for (let at = quote; at < limit; at++) {
    const byte = text[at]
    if (byte === QUOTE) inside = !inside
    else if (byte === NEWLINE && !inside) return at
  }
  return inside ? null : limit
}

function parseRecord(raw: string): string[] | CsvProblem {
  const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
  // The decoder puts U+FFFD where the bytes are no UTF-8.
  if (text.includes('\uFFFD')) return 'bad_encoding'
  if (text.includes('\0')) return 'bad_character'
  return text.includes('"') ? (parseQuoted(text) ?? 'bad_quotes') : text.split(',')
}

function parseQuoted(text: string): string[] | null {
  const fields: string[] = []
  for (let at = 0; ; at++) {
    const field = text[at] === '"' ? quotedField(text, at + 1) : plainField(text, at)
    if (field === null) return null
    fields.push(field.value)
    at = field.end
    if (at === text.length) return fields
    if (text[at] !== ',') return null
  }
}

function quotedField(text: string, start: number): { value: string; end: number } | null {
  let value = ''
  for (let at = start; ; ) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return null
    value += text.slice(at, quote)
    if (text[quote + 1] !== '"') return { value, end: quote + 1 }
    value += '"'
    at = quote + 2
  }
}

function plainField(text: string, start: number): { value: string; end: number } | null {
  const comma = text.indexOf(',', start)
  const end = comma < 0 ? text.length : comma
  const value = text.slice(start, end)
  return value.includes('"') ? null : { value, end }
}

function isBlank(parsed: string[] | CsvProblem): boolean {
  return typeof parsed !== 'string' && parsed.length === 1 && parsed[0]?.trim() === ''
}

function countNewlines(text: Buffer, start: number, end: number): number {
  let count = 0
  for (let at = text.indexOf(NEWLINE, start); at >= 0 && at < end; at = text.indexOf(NEWLINE, at + 1)) count++
  return count
}

function indexOf(text: Buffer, byte: number, from: number): number {
  const at = text.indexOf(byte, from)
  return at < 0 ? Infinity : at
}
