import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { FAULTS } from '../../scripts/chaos/matrix'
import { type Harness, startHarness } from '../../scripts/chaos/harness'
import { runSeeds, type SeedResult } from '../../scripts/chaos/run'
import { testServices } from '../support/services'

/** The first seeds of `npm run chaos`, with fewer buyers: what fails here is repeated there with `--short --from`. */
const WAVES = [
  [1, 2, 3, 4, 5],
  [6, 7, 8, 9, 10],
  [11, 12, 13, 14, 15],
  [16, 17, 18, 19, 20],
]
const PORT_OFFSET = 12_000

let harness: Harness
const results: SeedResult[] = []
beforeAll(async () => {
  harness = await startHarness({ folder: join(testServices().folder, 'stacks', randomUUID()), portOffset: PORT_OFFSET })
}, 120_000)
afterAll(() => harness?.stop(), 60_000)

describe('whatever is killed, restarted or does not answer', () => {
  it.each(WAVES)(
    'seeds %i %i %i %i %i leave everything in order',
    async (...seeds) => {
      const wave = await runSeeds(harness, seeds, { short: true })
      results.push(...wave)
      const failed = wave.filter(({ faults }) => faults.length > 0)
      expect(failed.map(({ schedule, faults }) => ({ faults, schedule }))).toEqual([])
    },
    180_000,
  )

  it('every fault had its moment', () => {
    const hit = new Set(results.flatMap((result) => result.hit.map(({ fault }) => fault)))
    expect(FAULTS.filter((fault) => !hit.has(fault))).toEqual([])
  })
})
