import { join } from 'node:path'
import { NativeConnection, Worker } from '@temporalio/worker'
import { ROOT } from '../../../config'
import { connectionOptions } from '../../../temporal'

/** Serves the control workflow with the same number of pollers and slots as a checkout worker. */
async function main(): Promise<void> {
  const [address = '', namespace = ''] = process.argv.slice(2)
  const connection = await NativeConnection.connect(connectionOptions({ TEMPORAL_ADDRESS: address }))
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: 'bench-noop',
    workflowsPath: join(ROOT, 'dist', 'bench', 'checkout', 'noop', 'workflow.js'),
    activities: { nothing: async () => undefined },
    maxCachedWorkflows: 100,
    maxConcurrentWorkflowTaskExecutions: 40,
    maxConcurrentActivityTaskExecutions: 100,
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
  })
  process.once('SIGTERM', () => worker.shutdown())
  await worker.run()
  await connection.close()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
