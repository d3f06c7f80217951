import fc from 'fast-check'
import { COUNTED_QUERY_LENGTH_MAX, countedQuery } from '../../domain/recommendation/interaction'
import { IMAGE_FILE_PATTERN, IMAGE_WIDTHS, imageFile, imageTypeOf } from '../../domain/catalog/image'
import { averageOf, countOf, type Histogram } from '../../domain/review'

describe('countedQuery', () => {
  it.each([
    ['  White   HEART ', 'white heart'],
    ['size 42', 'size 42'],
    ['', null],
    ['   ', null],
    ['somebody@example.com', null],
    ['0113 496 0123', null],
    ['4111-1111-1111-1111', null],
    ['٠١١٣ ٤٩٦', null],
  ])('%j → %j', (query, expected) => expect(countedQuery(query)).toBe(expected))

  it('is short, and counts the same when it is counted again', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (query) => {
        const counted = countedQuery(query)
        if (counted === null) return
        expect(counted.length).toBeLessThanOrEqual(COUNTED_QUERY_LENGTH_MAX)
        expect(countedQuery(counted)).toBe(counted)
      }),
    )
  })
})

describe('averageOf', () => {
  it.each<[Histogram, number | null]>([
    [[0, 0, 0, 0, 0], null],
    [[0, 0, 0, 0, 7], 5],
    [[1, 0, 0, 0, 1], 3],
    [[0, 0, 1, 1, 1], 4],
    [[1, 1, 0, 1, 0], 2.33],
  ])('%j → %j', (histogram, expected) => expect(averageOf(histogram)).toBe(expected))

  it('lies between 1 and 5', () => {
    const histograms = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99))
    fc.assert(
      fc.property(histograms, (histogram) => {
        const average = averageOf(histogram)
        if (countOf(histogram) === 0) expect(average).toBeNull()
        else expect(average).toBeGreaterThanOrEqual(1)
        expect(average ?? 0).toBeLessThanOrEqual(5)
      }),
    )
  })
})

describe('imageTypeOf', () => {
  it.each([
    ['ffd8ffe0', 'image/jpeg'],
    ['89504e470d0a1a0a', 'image/png'],
    ['52494646000000005745425056503820', 'image/webp'],
    ['474946383961', 'image/gif'],
    ['474946383861', null],
    ['524946460000000057415645', null],
    ['ffd8', null],
    ['', null],
    [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg">').toString('hex'), null],
    [Buffer.from('%PDF-1.7').toString('hex'), null],
  ])('%s is %s', (hex, type) => expect(imageTypeOf(Buffer.from(hex, 'hex'))).toBe(type))
})

it('files of a picture fit the pattern, and nothing that climbs out of a folder does', () => {
  for (const width of IMAGE_WIDTHS)
    expect(imageFile('0123456789abcdef0123456789abcdef', width)).toMatch(IMAGE_FILE_PATTERN)
  for (const name of ['../etc/passwd', 'a-400.webp', `${'0'.repeat(32)}-401.webp`, `${'0'.repeat(32)}-400.webp\n`])
    expect(name).not.toMatch(IMAGE_FILE_PATTERN)
})
