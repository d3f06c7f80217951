import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { ROOT } from '../../config'
import type { OrderId } from '../../domain/ids'
import { fulfillmentWorkflowId } from '../../domain/workflow-id'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import { connectTemporal } from '../../temporal'
import { createOrderWorkflows } from '../../workers/order-workflows'
import { WORKFLOWS } from '../../workflows/contract'
import { deleteData } from '../data'
import type { Figure } from '../figure'
import { calls, cpuSeconds, residentMb } from '../measure'
import { orderIdOf, writePaidOrders } from './history'

const ORDERS = 10_000
const STARTERS = 32
/** As far off as the day on which an authorization has to be renewed. */
const DELAY_MS = 6 * 86_400_000
const BAR_MB = 50
const BAR_CPU = 1.2
const REST_MS = 60_000
const POLL_MS = 1_000
const GIVE_UP_MS = 600_000

/**
 * What confirmed orders cost that wait: a worker's memory over the same worker without any, and its CPU at rest. Once as the
 * relay starts them, and once after each was woken and has read its rows.
 */
export async function benchWaiting(): Promise<Figure[]> {
  const folder = join(ROOT, '.holdfast', 'bench-waiting')
  deleteData(folder)
  const stack = await startStack({ folder, portOffset: 6_000 })
  const temporal = await connectTemporal({
    TEMPORAL_ADDRESS: stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.env['TEMPORAL_NAMESPACE'] ?? 'default',
  })
  try {
    const orders = createOrderWorkflows(temporal)
    const numbers = { from: 0, to: ORDERS, hoursAgo: 1 }
    await writePaidOrders(stack.services.DATABASE_URL, { ...numbers, isMatched: true })
    const none = await restOf(stack)
    await forEachOrder((orderId) => orders.awaitFulfillment(orderId, DELAY_MS))
    const started = await restOf(stack)
    await forEachOrder((orderId) => orders.startFulfillment({ orderId, isOver: false }))
    await untilAllHaveRead(temporal)
    const woken = await restOf(stack)
    return [...figuresOf('started', started, none), ...figuresOf('each woken once', woken, none)]
  } finally {
    await temporal.connection.close()
    await stack.stop()
    deleteData(folder)
  }
}

/** Of the worker, while nothing happens; the Temporal server's CPU apart. */
interface Rest {
  readonly memoryMb: number
  /** CPU milliseconds per second. */
  readonly worker: number
  readonly temporal: number
}

async function restOf(stack: Stack): Promise<Rest> {
  const [worker, temporal] = [pidOf(stack, 'worker-1'), pidOf(stack, 'temporal')]
  await pause(REST_MS / 2)
  const before = [cpuSeconds(worker), cpuSeconds(temporal)] as const
  await pause(REST_MS)
  return {
    memoryMb: residentMb(worker),
    worker: ((cpuSeconds(worker) - before[0]) / REST_MS) * 1_000_000,
    temporal: ((cpuSeconds(temporal) - before[1]) / REST_MS) * 1_000_000,
  }
}

function pidOf(stack: Stack, name: string): number {
  const found = stack.file.processes.find((process) => process.name === name)
  if (!found) throw new Error(`There is no ${name}.`)
  return found.pid
}

async function forEachOrder(run: (orderId: OrderId) => Promise<unknown>): Promise<void> {
  let next = 0
  await calls(STARTERS, ORDERS, async () => {
    await run(orderIdOf(next++))
  })
}

/** Each has made its first workflow task: what it waits for now is a signal. */
async function untilAllHaveRead(temporal: Client): Promise<void> {
  const query = `WorkflowType = '${WORKFLOWS.fulfillment}' AND ExecutionStatus = 'Running'`
  const lastIds = [0, 1, 2].map((n) => fulfillmentWorkflowId(orderIdOf(ORDERS - 1 - n)))
  for (const giveUp = Date.now() + GIVE_UP_MS; ; ) {
    if (Date.now() > giveUp) throw new Error('The orders have not all been read.')
    const { count } = await temporal.workflow.count(query)
    const lengths = await Promise.all(
      lastIds.map(async (id) => (await temporal.workflow.getHandle(id).describe()).historyLength),
    )
    if (count === ORDERS && lengths.every((length) => length > 4)) return
    await pause(POLL_MS)
  }
}

function figuresOf(what: string, rest: Rest, none: Rest): Figure[] {
  const memory = rest.memoryMb - none.memoryMb
  const cpu = rest.worker / none.worker
  const waiting = `${ORDERS.toLocaleString('en')} paid orders that wait, ${what}`
  return [
    {
      what: `${waiting}: worker's memory over none`,
      bar: `≤ ${BAR_MB} MB`,
      value: memory,
      good: memory <= BAR_MB,
      note: `MB; ${rest.memoryMb.toFixed(0)} MB − ${none.memoryMb.toFixed(0)} MB`,
    },
    {
      what: `${waiting}: worker's CPU at rest ÷ without any`,
      bar: `≤ ${BAR_CPU}`,
      value: cpu,
      good: cpu <= BAR_CPU,
      note: `${rest.worker.toFixed(1)} ÷ ${none.worker.toFixed(1)} ms a second; Temporal ${rest.temporal.toFixed(1)} ÷ ${none.temporal.toFixed(1)}`,
    },
  ]
}
