import { join } from 'node:path'
import type { startStack } from '../scripts/stack/supervisor'

/**
 * Starts stacks of the programs in a folder: `dist` of this tree, or of another one to compare with. Each is started by
 * its own supervisor, as only that one knows its schema.
 */
export function startStackOf(programs: string): typeof startStack {
  const supervisor = require(join(programs, 'scripts', 'stack', 'supervisor.js')) as { startStack: typeof startStack }
  return (options) => supervisor.startStack({ ...options, programs })
}
