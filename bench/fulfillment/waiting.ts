import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { ROOT } from '../../config'
import type { OrderId } from '../../domain/ids'
import { fulfillmentWorkflowId } from '../../domain/workflow-id'
import { SandboxCarrier } from '../../providers/carrier/sandbox'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import { connectTemporal } from '../../temporal'
import { createOrderWorkflows } from '../../workers/order-workflows'
import { CACHED_WORKFLOWS } from '../../workers/tuning'
import { WORKFLOWS } from '../../workflows/contract'
import { deleteData } from '../data'
import type { Figure } from '../figure'
import { calls, cpuSeconds, residentMb } from '../measure'
import { orderIdOf, type PaidOrders, writePaidOrders } from '../payment/history'
import { type Parcel, writeGoods } from './goods'

const ORDERS = 10_000
const STARTERS = 32
/** As far off as the day on which an authorization has to be renewed. */
const DELAY_MS = 6 * 86_400_000
const BAR_MB = 50
const BAR_CPU = 1.2
const REST_MS = 60_000
const POLL_MS = 1_000
const GIVE_UP_MS = 600_000
const CARRIER_TIMEOUT_MS = 5_000

type Workflows = ReturnType<typeof createOrderWorkflows>

/**
 * What paid orders cost that wait for their warehouse: a worker's memory over the same worker without any, and its CPU and
 * Temporal's at rest. Once as the relay starts them, and once after each was woken and has read its rows.
 */
export function benchWaiting(): Promise<Figure[]> {
  return onStack(async (stack, temporal, orders) => {
    const none = await restOf(stack)
    const numbers = { from: 0, to: ORDERS, hoursAgo: 1 }
    await writeOrders(stack, numbers, null)
    await forEachOrder((orderId) => orders.awaitFulfillment(orderId, DELAY_MS))
    const started = await restOf(stack)
    await wakeAll(temporal, orders)
    const woken = await restOf(stack)
    const what = 'paid orders that wait for their warehouse'
    return [...figuresOf(`${what}, started`, started, none), ...figuresOf(`${what}, each woken once`, woken, none)]
  })
}

/**
 * What shipped orders cost that wait for their delivery, likewise: each was woken and has read its rows. They left two days
 * ago, and the carrier, which has told nothing of them, is asked about each twice a day.
 */
export function benchDelivery(): Promise<Figure[]> {
  return onStack(async (stack, temporal, orders) => {
    const none = await restOf(stack)
    await writeOrders(stack, { from: 0, to: ORDERS, hoursAgo: 48 }, await handOver(stack))
    await wakeAll(temporal, orders)
    return figuresOf('shipped orders that wait for their delivery', await restOf(stack), none)
  })
}

async function onStack(
  measured: (stack: Stack, temporal: Client, orders: Workflows) => Promise<Figure[]>,
): Promise<Figure[]> {
  const folder = join(ROOT, '.holdfast', 'bench-waiting')
  deleteData(folder)
  const stack = await startStack({ folder, portOffset: 6_000 })
  const temporal = await connectTemporal({
    TEMPORAL_ADDRESS: stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.env['TEMPORAL_NAMESPACE'] ?? 'default',
  })
  try {
    return await measured(stack, temporal, createOrderWorkflows(temporal))
  } finally {
    await temporal.connection.close()
    await stack.stop()
    deleteData(folder)
  }
}

async function writeOrders({ services }: Stack, numbers: PaidOrders, parcels: Parcel[] | null): Promise<void> {
  await writePaidOrders(services.DATABASE_URL, { ...numbers, isMatched: true })
  await writeGoods(services.DATABASE_URL, numbers, parcels)
}

/** Parcels that the sandbox carrier has, one for each order by its number, and that it will tell nothing of. */
async function handOver({ file, secrets }: Stack): Promise<Parcel[]> {
  const carrier = new SandboxCarrier({
    url: file.carrier,
    webhookSecret: secrets.carrierWebhook,
    timeoutMs: CARRIER_TIMEOUT_MS,
  })
  const parcels: Parcel[] = []
  try {
    await forEachOrder(async (orderId, n) => {
      const request = { ...REQUEST, key: `${orderId}/label/1` }
      const bought = await carrier.buyLabel(request, () => Promise.resolve())
      if (bought.outcome !== 'bought') throw new Error(`The carrier refuses ${orderId}: ${bought.code}`)
      await carrier.handOver(bought.label.reference)
      parcels[n] = bought.label
    })
  } finally {
    await carrier.close()
  }
  return parcels
}

const ADDRESS = { name: 'Sample', line1: '1 High St', line2: null, city: 'Leeds', region: null, postal_code: 'LS1 4DY' }
const REQUEST = {
  from: { ...ADDRESS, country: 'GB' },
  to: { ...ADDRESS, line2: 'sandbox:vanished', country: 'GB' },
  boxes: [{ weight_grams: 500, length_mm: 200, width_mm: 150, height_mm: 100 }],
  value: { amount: 500, currency: 'GBP' },
  service: 'standard',
  reference: null,
}

async function forEachOrder(run: (orderId: OrderId, n: number) => Promise<unknown>): Promise<void> {
  let next = 0
  await calls(STARTERS, ORDERS, async () => {
    const n = next++
    await run(orderIdOf(n), n)
  })
}

/** Each has made its first workflow task: what it waits for now is a signal, or a day that is far off. */
async function wakeAll(temporal: Client, orders: Workflows): Promise<void> {
  await forEachOrder((orderId) => orders.startFulfillment({ orderId, isOver: false }))
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

/** While nothing happens. */
interface Rest {
  readonly memoryMb: number
  /** CPU milliseconds per second, of the worker and of the Temporal server. */
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

function figuresOf(what: string, rest: Rest, none: Rest): Figure[] {
  const memory = rest.memoryMb - none.memoryMb
  const waiting = `${ORDERS.toLocaleString('en')} ${what}`
  return [
    {
      what: `${waiting}: worker's memory over none`,
      bar: `≤ ${BAR_MB} MB`,
      value: memory,
      good: memory <= BAR_MB,
      note: `MB; ${rest.memoryMb.toFixed(0)} MB − ${none.memoryMb.toFixed(0)} MB; ${CACHED_WORKFLOWS.fulfillment} of them are cached`,
    },
    cpuFigure(`${waiting}: worker's CPU at rest ÷ without any`, rest.worker, none.worker),
    cpuFigure(`${waiting}: Temporal's CPU at rest ÷ without any`, rest.temporal, none.temporal),
  ]
}

function cpuFigure(what: string, rest: number, none: number): Figure {
  const value = rest / none
  const note = `${rest.toFixed(1)} ÷ ${none.toFixed(1)} ms a second`
  return { what, bar: `≤ ${BAR_CPU}`, value, good: value <= BAR_CPU, note }
}
