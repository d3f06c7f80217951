import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { ROOT } from '../../config'
import type { Stack } from '../../scripts/stack/supervisor'
import { connectTemporal } from '../../temporal'

/** The no-op workflow on the stack's own Temporal server, run by a worker process of its own. */
export interface Control {
  /** Of its worker. */
  readonly pid: number
  /** Runs one workflow and waits for its end. */
  run(): Promise<void>
  /** A workflow that waits for a signal and ends by it. */
  startWaiting(): Promise<{ signal(): Promise<void>; end(): Promise<void> }>
  stop(): Promise<void>
}

export async function startControl(stack: Stack): Promise<Control> {
  const settings = {
    TEMPORAL_ADDRESS: stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.env['TEMPORAL_NAMESPACE'] ?? 'default',
  }
  const program = join(ROOT, 'dist', 'bench', 'checkout', 'noop', 'worker.js')
  const worker = spawn(process.execPath, [program, settings.TEMPORAL_ADDRESS, settings.TEMPORAL_NAMESPACE], {
    stdio: 'ignore',
  })
  const client = await connectTemporal(settings)
  const run = async (): Promise<void> => {
    await client.workflow.execute('noop', { workflowId: `noop-${randomUUID()}`, taskQueue: 'bench-noop' })
  }
  await run()
  const startWaiting: Control['startWaiting'] = async () => {
    const workflowId = `noop-${randomUUID()}`
    const handle = await client.workflow.start('waiting', { workflowId, taskQueue: 'bench-noop' })
    return { signal: () => handle.signal('goOn'), end: () => handle.result() }
  }
  return {
    pid: worker.pid as number,
    run,
    startWaiting,
    stop: async () => {
      worker.kill('SIGTERM')
      await client.connection.close()
    },
  }
}
