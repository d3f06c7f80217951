import fc from 'fast-check'
import { distance, editsOf, facetValue, formsOf, markWords, typosAllowed, wordsOf } from '../../domain/words'

describe('words', () => {
  it.each([
    ["Café's  T-Light Holder", ['cafes', 't', 'light', 'holder']],
    ['SET/3 “Red” tins', ['set', '3', 'red', 'tins']],
    ['Ünïcode Straße', ['unicode', 'straße']],
    ['!!! <->', []],
    ['红色 杯子', ['红色', '杯子']],
  ])('%j are %j', (text, words) => {
    expect(wordsOf(text)).toEqual(words)
  })

  it('hold nothing but letters and digits, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const word of wordsOf(text)) expect(word).toMatch(/^[\p{L}\p{N}]{1,40}$/u)
        expect(facetValue(text)).toMatch(/^(?:[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*)?$/u)
      }),
    )
  })

  it.each([
    ['bags', 'bag'],
    ['boxes', 'box'],
    ['berries', 'berry'],
    ['bag', 'bags'],
    ['box', 'boxes'],
    ['berry', 'berries'],
    ['glass', 'glasses'],
  ])('%s may be %s', (word, form) => {
    expect(formsOf(word)).toContain(form)
  })

  it.each(['glass', 'bus', 'tennis', '12s'])('%s has no singular', (word) => {
    expect(formsOf(word).every((form) => form.length >= word.length)).toBe(true)
  })
})

const word = fc.stringMatching(/^[a-z]{3,10}$/)

describe('typos', () => {
  it('one edit away is all that is one edit away', () => {
    fc.assert(
      fc.property(word, (given) => {
        for (const edit of fc.sample(fc.constantFrom(...editsOf(given)), 5)) expect(distance(given, edit)).toBe(1)
      }),
      { numRuns: 30 },
    )
  })

  it.each([
    ['heart', 'haert', 1],
    ['heart', 'hert', 1],
    ['heart', 'heaart', 1],
    ['heart', 'heart', 0],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
  ])('%s and %s are %d apart', (a, b, apart) => {
    expect(distance(a, b)).toBe(apart)
    expect(distance(b, a)).toBe(apart)
  })

  it('short words and numbers may have none', () => {
    expect(typosAllowed('ab')).toBe(0)
    expect(typosAllowed('85123a')).toBe(0)
    expect(typosAllowed('heart')).toBe(1)
    expect(typosAllowed('hanging')).toBe(2)
  })
})

describe('marking', () => {
  it('marks whole words as they are written', () => {
    expect(markWords("Mum's Café-Bar", (word) => word === 'mums' || word === 'cafe')).toBe(
      '<mark>Mum&#39;s</mark> <mark>Café</mark>-Bar',
    )
  })

  it('leaves no markup of the text itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, isMatch) => {
        const html = markWords(text, () => isMatch).replaceAll(/<\/?mark>/g, '')
        expect(html).not.toMatch(/[<>"']/)
      }),
    )
  })
})
