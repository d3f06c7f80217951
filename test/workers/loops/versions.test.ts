import type { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { closeTemporalClient, createTemporalClient } from '../../../api/http/temporal'
import { listOpenCases } from '../../../db/support/attention'
import { describeDeployment, describeQueue, makeCurrent, workerVersioning } from '../../../deployment'
import { createLog } from '../../../log'
import { connectionOptions } from '../../../temporal'
import { BUNDLE_PATH } from '../../../workers/bundle'
import { runVersions, setFirst, VersionWatch } from '../../../workers/loops/versions'
import { TASK_QUEUES } from '../../../workflows/contract'
import { type TestDatabase, testDatabase } from '../../support/database'
import { testNamespace } from '../../support/temporal'
import { until } from '../../support/wait'

/** What is pinned, and moved, is in `test/e2e/two-builds.test.ts`. */

const log = createLog('silent', 'test')
const QUEUES = Object.values(TASK_QUEUES)

let connection: NativeConnection
let database: TestDatabase
let temporal: Client
let namespace: string
const ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const made = await Promise.all([testDatabase(), testNamespace()])
  database = made[0]
  namespace = made[1].namespace
  const settings = { TEMPORAL_ADDRESS: made[1].address, TEMPORAL_NAMESPACE: namespace }
  temporal = createTemporalClient(settings)
  connection = await NativeConnection.connect(connectionOptions(settings))
}, 30_000)
afterAll(async () => {
  await Promise.all(ends.map((end) => end()))
  await connection?.close()
  if (temporal) await closeTemporalClient(temporal)
  await Runtime.instance().shutdown()
  await database?.drop()
}, 30_000)

/** Workers of a build. Returns what ends them. */
async function workers(buildId: string, queues: readonly string[] = QUEUES): Promise<() => Promise<void>> {
  const made = await Promise.all(
    queues.map((taskQueue) =>
      Worker.create({
        connection,
        namespace,
        taskQueue,
        identity: `${buildId}@test`,
        workerDeploymentOptions: workerVersioning(buildId),
        workflowBundle: { codePath: BUNDLE_PATH },
      }),
    ),
  )
  const running = Promise.all(made.map((worker) => worker.run()))
  let isEnded = false
  const end = async (): Promise<void> => {
    if (!isEnded) for (const worker of made) worker.shutdown()
    isEnded = true
    await running
  }
  ends.push(end)
  return end
}

const current = async () => (await describeDeployment(temporal))?.current ?? null
const cases = () => listOpenCases(database.pool, { limit: 10, after: 0 })
const served = (buildId: string, isServed = true) =>
  until(
    `${buildId} has ${isServed ? '' : 'no '}workers`,
    async () =>
      (await Promise.all(QUEUES.map((queue) => describeQueue(temporal, queue)))).map((one) => [...one.served]),
    (all) => all.every((one) => one.includes(buildId) === isServed),
    20_000,
  )

it('of two builds that begin at once where none is current, one becomes it, and no later one does', async () => {
  expect(await setFirst({ temporal, log, buildId: 'a' })).toBe(false)
  expect(await current()).toBeNull()
  await Promise.all([workers('a'), workers('b', [TASK_QUEUES.platform])])
  const stop = new AbortController()
  const deps = { temporal, pool: database.pool, log, attentionSeconds: 60 }
  const loops = ['a', 'b'].map((buildId) => runVersions({ ...deps, buildId }, stop.signal))
  try {
    const first = await until('one is current', current)
    expect(['a', 'b']).toContain(first)
    await workers('c', [TASK_QUEUES.platform])
    await until('its queue knows it', async () => (await describeQueue(temporal, TASK_QUEUES.platform)).current)
    for (const buildId of ['a', 'b', 'c']) expect(await setFirst({ temporal, log, buildId })).toBe(true)
    expect(await current()).toBe(first)
  } finally {
    stop.abort()
    await Promise.all(loops)
  }
}, 60_000)

it('a current build without workers is one case, until it has some', async () => {
  const end = await workers('d')
  await served('d')
  await until('it is current', async () => {
    const deployment = await describeDeployment(temporal)
    if (deployment) await makeCurrent(temporal, 'd', deployment.token)
    const states = await Promise.all(QUEUES.map((queue) => describeQueue(temporal, queue)))
    return states.every((state) => state.current === 'd')
  })
  const watch = new VersionWatch({ temporal, pool: database.pool, attentionSeconds: 1 })
  await watch.look()
  await end()
  await served('d', false)
  await watch.look()
  // Not at once: workers that are started again are gone for a moment.
  expect(await cases()).toEqual([])
  const seen = await until(
    'somebody is asked',
    async () => {
      await watch.look()
      return cases()
    },
    ({ length }) => length > 0,
  )
  expect(seen).toMatchObject([
    {
      code: 'version_without_workers',
      step: 'currentBuild',
      orderId: null,
      detail: expect.stringMatching(/^The current build d has no worker of checkout, fulfillment, platform\./),
    },
  ])
  await workers('d')
  await served('d')
  await watch.look()
  expect(await cases()).toEqual([])
}, 60_000)
