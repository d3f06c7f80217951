import { CELLS } from '../../../scripts/chaos/matrix'
import { faultsOf, scheduleOf } from '../../../scripts/chaos/schedule'

const faultsOfSeeds = (count: number) =>
  Array.from({ length: count }, (_, index) => faultsOf(scheduleOf(index + 1, { short: true })))

it('every step meets every fault within 200 seeds', () => {
  const count = (seeds: number): number[] => {
    const names = faultsOfSeeds(seeds).flatMap((faults) => faults.map(({ step, fault }) => `${step} × ${fault}`))
    return CELLS.map(({ step, fault }) => names.filter((name) => name === `${step} × ${fault}`).length)
  }
  expect(CELLS).toHaveLength(380)
  expect(Math.min(...count(200))).toBeGreaterThan(0)
})

it('a seed breaks four things at four places', () => {
  for (const faults of faultsOfSeeds(63)) {
    expect(new Set(faults.map(({ step }) => step)).size).toBe(4)
    expect(new Set(faults.map(({ fault }) => fault)).size).toBe(4)
  }
})
