import { join } from 'node:path'
import { ROOT } from '../../config'
import { startStack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'

/** From nothing running to all of it serving, the data being there. */
export async function benchStart(): Promise<Figure[]> {
  const options = { folder: join(ROOT, '.holdfast', 'bench-rest'), portOffset: 6_000 }
  const times: number[] = []
  for (let turn = 0; turn < 4; turn++) {
    const before = performance.now()
    const stack = await startStack(options)
    times.push((performance.now() - before) / 1_000)
    await stack.stop()
  }
  const warm = Math.max(...times.slice(1))
  return [
    {
      what: 'warm start to ready, worst of 3',
      bar: '≤ 10 s',
      value: warm,
      good: warm <= 10,
      note: 's, beside compiling',
    },
  ]
}
