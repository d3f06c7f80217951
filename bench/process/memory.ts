import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { residentMb } from '../measure'

const REST_MS = 20_000

/** Memory of a fresh API and a fresh worker of two queues, after a while without work. */
export async function benchMemory(): Promise<Figure[]> {
  const stack = await startStack({ folder: join(ROOT, '.holdfast', 'bench-rest'), portOffset: 6_000 })
  try {
    await pause(REST_MS)
    return [memoryFigure(stack, 'api-1', 'API', 150), memoryFigure(stack, 'worker-1', 'worker with two queues', 300)]
  } finally {
    await stack.stop()
  }
}

function memoryFigure(stack: Stack, name: string, what: string, barMb: number): Figure {
  const pid = stack.file.processes.find((process) => process.name === name)?.pid ?? 0
  const value = residentMb(pid)
  return { what: `memory at rest, ${what}`, bar: `≤ ${barMb} MB`, value, good: value <= barMb, note: 'MB' }
}
