import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import { type TestDatabase, testDatabase } from './database'
import { testRedis } from './redis'
import { testServices } from './services'
import { testNamespace } from './temporal'

export interface TestStack {
  /** http://host:port of the first API process. */
  readonly api: string
  readonly adminKey: string
  readonly database: TestDatabase
  readonly stack: Stack
  /** What it keeps: data, `logs/`. */
  readonly folder: string
  /** Ends its processes and forgets its data. */
  stop(): Promise<void>
}

const PORT_OFFSET = 25_000

/**
 * Sandbox, workers and APIs as processes of their own on a fresh database, Redis database and Temporal namespace,
 * for tests that use HTTP alone. Starts in some seconds: once per file, in `beforeAll` with a timeout of 60 s.
 */
export async function testStack(
  options: { apis?: number; workers?: number; env?: Record<string, string> } = {},
): Promise<TestStack> {
  const { temporalUi, folder } = testServices()
  const [database, redis, temporal] = await Promise.all([testDatabase(), testRedis(), testNamespace()])
  const own = join(folder, 'stacks', randomUUID())
  const stack = await startStack({
    ...options,
    folder: own,
    given: {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_UI_URL: temporalUi,
    },
    namespace: temporal.namespace,
    portOffset: PORT_OFFSET,
  })
  return {
    api: stack.file.api,
    adminKey: stack.file.admin_key,
    database,
    stack,
    folder: own,
    stop: async () => {
      await stack.stop()
      await database.drop()
      rmSync(own, { recursive: true, force: true })
    },
  }
}
