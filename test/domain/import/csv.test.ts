import fc from 'fast-check'
import { CsvReader, type CsvRecord } from '../../../domain/import/csv'

describe('reading CSV', () => {
  it('takes LF and CRLF, quotes, commas, quotes and newlines inside quotes, empty fields, and a last line without end', () => {
    const records = read('a,b\r\n"x, ""y""","two\nlines"\n,\n\n  \nlast,')
    expect(fieldsOf(records)).toEqual([
      ['a', 'b'],
      ['x, "y"', 'two\nlines'],
      ['', ''],
      ['last', ''],
    ])
    expect(records.map((record) => record.line)).toEqual([1, 2, 4, 7])
  })

  it.each([
    ['a quote inside a field', 'a,5" candle\nb,c\n'],
    ['text after a closing quote', '"a"b,c\nb,c\n'],
  ])('gives up the line with %s and goes on with the next', (_name, text) => {
    const records = read(text)
    expect(records[0]).toMatchObject({ line: 1, problem: 'bad_quotes' })
    expect(fieldsOf(records.slice(-1))).toEqual([['b', 'c']])
  })

  it('loses one line, not the file, to a quote that is never closed', () => {
    const rest = Array.from({ length: 20_000 }, (_, index) => `row ${index},x`).join('\n')
    const records = read(`ok,1\n"open,2\n${rest}`)
    expect(records[1]).toMatchObject({ line: 2, problem: 'bad_quotes' })
    expect(records).toHaveLength(20_002)
  })

  it('names bytes that are no UTF-8, NULs, and lines that are too long', () => {
    const long = 'y'.repeat(200_000)
    const records = read(
      Buffer.concat([
        Buffer.from('a,b\n'),
        Buffer.from([0x66, 0xff, 0x0a]),
        Buffer.from(`c,\0\n${long}\nd,e\n${long}`),
      ]),
    )
    expect(records.map((record) => ('problem' in record ? [record.line, record.problem] : record.fields))).toEqual([
      ['a', 'b'],
      [2, 'bad_encoding'],
      [3, 'bad_character'],
      [4, 'line_too_long'],
      ['d', 'e'],
      [6, 'line_too_long'],
    ])
  })

  it('reads back what was written, however it is cut, and from any record on', () => {
    const field = fc.oneof(fc.string(), fc.constantFrom('', '"', ',', '\n', '\r\n', 'é', '漢', '"",\n'))
    const rows = fc.array(fc.array(field.filter(isStorable), { minLength: 2, maxLength: 4 }), {
      minLength: 1,
      maxLength: 20,
    })
    fc.assert(
      fc.property(
        rows,
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        (written, newline, piece, pick) => {
          const text = written
            .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(','))
            .join(newline)
          const records = read(text, piece)
          expect(fieldsOf(records)).toEqual(written)
          const at = records[pick % records.length] as CsvRecord
          const reader = new CsvReader({ byte: at.endByte, line: at.endLine })
          const rest = [...reader.push(Buffer.from(text).subarray(at.endByte)), ...reader.end()]
          expect(rest).toEqual(records.slice((pick % records.length) + 1))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('never throws, and accounts for every byte, whatever it is given', () => {
    const nasty = fc.array(fc.constantFrom(0x22, 0x2c, 0x0a, 0x0d, 0x00, 0x41, 0xff, 0xc3, 0xa9), { maxLength: 200 })
    fc.assert(
      fc.property(nasty, fc.integer({ min: 1, max: 10 }), (bytes, piece) => {
        const whole = read(Buffer.from(bytes))
        expect(read(Buffer.from(bytes), piece)).toEqual(whole)
        expect(whole.every((record, index) => record.endByte > (whole[index - 1]?.endByte ?? 0))).toBe(true)
        expect((whole.at(-1)?.endByte ?? 0) <= bytes.length).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })
})

function read(text: string | Buffer, piece = Number.POSITIVE_INFINITY): CsvRecord[] {
  const bytes = Buffer.from(text)
  const reader = new CsvReader({ byte: 0, line: 1 })
  const records: CsvRecord[] = []
  for (let at = 0; at < bytes.length; at += piece) records.push(...reader.push(bytes.subarray(at, at + piece)))
  return [...records, ...reader.end()]
}

function fieldsOf(records: readonly CsvRecord[]): (readonly string[])[] {
  return records.map((record) => ('fields' in record ? record.fields : [record.problem]))
}

function isStorable(text: string): boolean {
  return !/[\0\uFFFD\p{Surrogate}]/u.test(text)
}
