import { GIVEN_UP_AT, loadOf } from '../../../api/http/load'

it.each([
  [{ queue: 0, lagMs: 0 }, 0],
  [{ queue: 0.9, lagMs: 99 }, 0],
  [{ queue: 1, lagMs: 0 }, 1],
  [{ queue: 0, lagMs: 100 }, 1],
  [{ queue: 3, lagMs: 100 }, 2],
  [{ queue: 0, lagMs: 250 }, 2],
  [{ queue: 6, lagMs: 0 }, 3],
  [{ queue: 0, lagMs: 5_000 }, 3],
])('a strain of %j is a load of %i', (strain, load) => {
  expect(loadOf(strain)).toBe(load)
})

it('gives up recommendations, then reviews, then facets', () => {
  const order = Object.entries(GIVEN_UP_AT)
    .sort(([, one], [, other]) => one - other)
    .map(([part]) => part)
  expect(order).toEqual(['recommendations', 'reviews', 'facets'])
})
