import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { closeTemporalClient, createTemporalClient } from '../../../api/http/temporal'
import { listOpenCases } from '../../../db/support/attention'
import { expiryWorkflowId } from '../../../domain/workflow-id'
import { createLog } from '../../../log'
import { connectionOptions } from '../../../temporal'
import { runExpiry } from '../../../workers/loops/expiry'
import { EXPIRY_SHARDS, TASK_QUEUES } from '../../../workflows/contract'
import { testDatabase } from '../../support/database'
import { testNamespace } from '../../support/temporal'
import { until } from '../../support/wait'

/** The workflow that watches all others cannot say that its own code fails. */
it('an expiry workflow whose code fails is a case, until it goes on', async () => {
  const [database, { address, namespace }] = await Promise.all([testDatabase(), testNamespace()])
  const settings = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace }
  const temporal = createTemporalClient(settings)
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) })
  const connection = await NativeConnection.connect(connectionOptions(settings))
  const stop = new AbortController()
  const running = runExpiry({ temporal, pool: database.pool, log: createLog('silent', 'test') }, stop.signal)
  const run = async (workflowsPath: string) => {
    const worker = await Worker.create({ connection, namespace, taskQueue: TASK_QUEUES.platform, workflowsPath })
    const run = worker.run()
    return () => {
      worker.shutdown()
      return run
    }
  }
  const cases = () => listOpenCases(database.pool, { limit: 10, after: 0 })
  const shards = Array.from({ length: EXPIRY_SHARDS }, (_, shard) => expiryWorkflowId(shard))
  let end = await run(require.resolve('./expiry/broken'))
  try {
    const found = await until('both are cases', cases, ({ length }) => length === shards.length, 90_000)
    expect(found.map(({ workflowId }) => workflowId).sort()).toEqual(shards)
    expect(found[0]).toMatchObject({ code: 'sweep_failing', step: 'run', orderId: null })
    await end()
    end = await run(require.resolve('./expiry/mended'))
    await until('no case is left', cases, ({ length }) => length === 0, 90_000)
  } finally {
    stop.abort()
    await end()
    await running
    await connection.close()
    await closeTemporalClient(temporal)
    await Runtime.instance().shutdown()
    await database.drop()
  }
}, 240_000)
