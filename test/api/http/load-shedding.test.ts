import { SHED_FROM, loadLevelOf } from '../../../api/http/load-shedding'

it.each([
  [{ queue: 0, lagMs: 0 }, 0],
  [{ queue: 0.9, lagMs: 99 }, 0],
  [{ queue: 1, lagMs: 0 }, 1],
  [{ queue: 0, lagMs: 100 }, 1],
  [{ queue: 3, lagMs: 100 }, 2],
  [{ queue: 0, lagMs: 250 }, 2],
  [{ queue: 6, lagMs: 0 }, 3],
  [{ queue: 0, lagMs: 5_000 }, 3],
])('a pressure of %j is load level %i', (pressure, level) => {
  expect(loadLevelOf(pressure)).toBe(level)
})

it('sheds recommendations, then reviews, then facets', () => {
  const order = Object.entries(SHED_FROM)
    .sort(([, one], [, other]) => one - other)
    .map(([part]) => part)
  expect(order).toEqual(['recommendations', 'reviews', 'facets'])
})
