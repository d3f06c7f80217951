import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from '@temporalio/client'
import { connectionOptions } from '../../temporal'
import { accepts } from './ports'
import { findTemporal } from './temporal-binary'
import type { Program } from './programs'
import type { Say } from './say'

export interface TemporalOptions {
  readonly folder: string
  readonly port: number
  readonly uiPort: number
  /** False for histories that are thrown away: a power cut may then cost them. */
  readonly durable: boolean
  readonly say: Say
}

/**
 * A history shard polls its queues 20 times a second by default, which adds up to 50 ms to every hop: raised, a
 * workflow of one activity takes 35 ms instead of 150.
 */
const POLLS_PER_SECOND = 1_000
/** The caps of a server that many tenants share; this one is ours alone. */
const CALLS_PER_SECOND = 20_000

const DYNAMIC_CONFIG: Record<string, string | number | boolean> = {
  'history.transferProcessorMaxPollRPS': POLLS_PER_SECOND,
  'history.timerProcessorMaxPollRPS': POLLS_PER_SECOND,
  'history.visibilityProcessorMaxPollRPS': POLLS_PER_SECOND,
  // An activity may be handed to the worker that asked for it in the same answer, which saves a hop.
  'system.enableActivityEagerExecution': true,
  // A worker that is stopped is forgotten at once, and gets no task in its last moment.
  'frontend.enableCancelWorkerPollsOnShutdown': true,
  'frontend.rps': CALLS_PER_SECOND,
  'frontend.namespaceRPS': CALLS_PER_SECOND,
  'frontend.namespaceRPS.visibility': CALLS_PER_SECOND,
  'frontend.namespaceCount': CALLS_PER_SECOND,
  'frontend.persistenceMaxQPS': CALLS_PER_SECOND,
  'history.rps': CALLS_PER_SECOND,
  'matching.rps': CALLS_PER_SECOND,
}

/** Temporal's development server with a database file of its own. */
export async function temporalProgram(options: TemporalOptions): Promise<Program> {
  const command = await findTemporal(options.say)
  const data = join(options.folder, 'temporal')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const complete = join(data, 'complete')
  const file = join(data, 'temporal.db')
  // A server killed while it wrote its tables for the first time never starts again on that file.
  if (!existsSync(complete)) removeTemporalData(options.folder)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  return {
    name: 'temporal',
    command,
    args: [
      ...[
        'server',
        'start-dev',
        '--ip',
        '127.0.0.1',
        '--port',
        String(options.port),
        '--ui-port',
        String(options.uiPort),
      ],
      ...[
        '--db-filename',
        file,
        '--sqlite-pragma',
        'journal_mode=WAL',
        '--log-level',
        'error',
        '--disable-config-file',
      ],
      ...(options.durable ? [] : ['--sqlite-pragma', 'synchronous=OFF']),
      ...Object.entries(DYNAMIC_CONFIG).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ],
    cwd: data,
    isReady: async () => {
      if (!(await accepts(options.port)) || !(await serves(`127.0.0.1:${options.port}`))) return false
      writeFileSync(complete, '')
      return true
    },
    stopSignal: 'SIGTERM',
    stopMs: 15_000,
  }
}

export function removeTemporalData(folder: string): void {
  rmSync(join(folder, 'temporal'), { recursive: true, force: true })
}

/** Up means that the namespace can be read: the port opens earlier. */
async function serves(address: string): Promise<boolean> {
  // Loaded here, as it takes a while: the programs are under way by then. `import()` would take twice as long.
  const client = require('@temporalio/client') as typeof import('@temporalio/client')
  let connection: Connection | undefined
  try {
    connection = await client.Connection.connect({
      ...connectionOptions({ TEMPORAL_ADDRESS: address }),
      connectTimeout: 1_000,
    })
    await connection.workflowService.describeNamespace({ namespace: 'default' })
    return true
  } catch {
    return false
  } finally {
    await connection?.close().catch(() => undefined)
  }
}
