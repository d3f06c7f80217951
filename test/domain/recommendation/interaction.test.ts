import fc from 'fast-check'
import { COUNTED_QUERY_LENGTH_MAX, countedQuery } from '../../../domain/recommendation/interaction'

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
