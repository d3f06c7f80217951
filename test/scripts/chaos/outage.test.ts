import { backAt, longestCalm } from '../../../scripts/chaos/outage'

const within = { from: 10, to: 50 }

it.each([
  ['none', [], 40],
  ['one before it', [{ from: 0, to: 5 }], 40],
  ['one that it begins in', [{ from: 0, to: 20 }], 30],
  ['one in the middle', [{ from: 20, to: 25 }], 25],
  [
    'two that overlap, in any order',
    [
      { from: 25, to: 45 },
      { from: 20, to: 30 },
    ],
    10,
  ],
  ['one that it ends in', [{ from: 40, to: 60 }], 30],
  ['one that covers it', [{ from: 0, to: 60 }], 0],
  ['one after it', [{ from: 50, to: 60 }], 40],
])('the longest calm beside %s', (_what, outages, calm) => {
  expect(longestCalm(outages, within)).toBe(calm)
})

it('the provider is back after its last outage', () => {
  expect(backAt([])).toBe(0)
  expect(
    backAt([
      { from: 20, to: 30 },
      { from: 10, to: 25 },
    ]),
  ).toBe(30)
})
