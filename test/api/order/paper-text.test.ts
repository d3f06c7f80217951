import { printable, readsRightToLeft, runsOf, wrap } from '../../../api/order/paper-text'

const all = () => true
const widthOf = (text: string) => Array.from(text).length

describe('printable', () => {
  it.each([
    ['controls', 'a\u0000b\tc\r\nd\u0085e', 'a b c d e'],
    ['marks that turn what follows', 'a\u202eb\u2066c\u200fd', 'abcd'],
    ['a byte order mark and soft hyphens', '\ufeffa\u00adb', 'ab'],
    ['half of a pair', 'a\ud83db', 'ab'],
    ['spaces around', '  a   b ', 'a b'],
    ['a tower of marks', `a${'\u0316'.repeat(50)}b`, `a${'\u0316'.repeat(4)}b`],
  ])('leaves out %s', (_what, text, shown) => {
    expect(printable(text, all)).toBe(shown)
  })

  it('keeps letters of any script, in their composed form', () => {
    expect(printable('Ökø ñ Ж שלום مرحبا', all)).toBe('Ökø ñ Ж שלום مرحبا')
    expect(printable('e\u0301', all)).toBe('é')
  })

  it('shows where the font lacks a letter', () => {
    expect(printable('a漢😀', (code) => code < 0x3000)).toBe('a\ufffd\ufffd')
  })

  it('cuts what is long, and says so', () => {
    const shown = printable('x'.repeat(65_536), all)
    expect(shown).toBe(`${'x'.repeat(300)}…`)
  })
})

describe('wrap', () => {
  const wrapped = (text: string, width: number, linesMax = 10) => wrap(text, { width, linesMax, widthOf })

  it('breaks between words', () => {
    expect(wrapped('one two three', 8)).toEqual(['one two', 'three'])
  })

  it('breaks a word that is wider than a line', () => {
    expect(wrapped('a bcdefgh i', 3)).toEqual(['a', 'bcd', 'efg', 'h i'])
  })

  it('ends in an ellipsis where it does not fit', () => {
    expect(wrapped('one two three', 5, 2)).toEqual(['one', 'two…'])
    expect(wrapped('abcdefghij', 3, 2)).toEqual(['abc', 'de…'])
  })

  it('makes one empty line of nothing', () => {
    expect(wrapped('', 5)).toEqual([''])
  })

  it('takes a column that is narrower than a letter', () => {
    expect(wrapped('abc', 0, 3)).toEqual(['a', 'b', 'c'])
  })
})

describe('runsOf', () => {
  const runs = (line: string) => runsOf(line, readsRightToLeft(line)).map(({ text }) => text)

  it('leaves left-to-right text as it is', () => {
    expect(runsOf('Tea (green) 12', false)).toEqual([{ text: 'Tea (green) 12', isRightToLeft: false }])
  })

  it('orders mixed text as it is read, each run in the order of its letters', () => {
    expect(runs('abc שלום עולם def')).toEqual(['abc ', 'שלום עולם', ' def'])
    expect(runs('שלום abc עולם')).toEqual([' עולם', 'abc', 'שלום '])
  })

  it('keeps the order of digits', () => {
    expect(runs('דגם 123')).toEqual(['123', 'דגם '])
  })

  it('mirrors brackets', () => {
    expect(runs('(שלום)')).toEqual([')שלום('])
  })

  it('keeps pairs of code units together', () => {
    expect(runs('שלום 😀 עולם').join('')).toContain('😀')
  })
})
