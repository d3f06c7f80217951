import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Client } from '@temporalio/client'
import { ROOT } from '../../config'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId, fulfillmentWorkflowId } from '../../domain/workflow-id'
import { workerProgram } from '../../scripts/stack/application'
import { choosePorts } from '../../scripts/stack/ports'
import { ProcessKeeper } from '../../scripts/stack/programs'
import { startStack } from '../../scripts/stack/supervisor'
import { connectTemporal } from '../../temporal'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** Workers of several builds on one shop. Their code is the same: which of them gets what is Temporal's to say, not theirs. */
const A = 'build-a'
const B = 'build-b'

let stack: TestStack
let shop: Shop
let temporal: Client
let workerB: ProcessKeeper
let releasePort: () => void

beforeAll(async () => {
  stack = await testStack({ env: { BUILD_ID: A, ATTENTION_AFTER_SECONDS: '2' } })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  temporal = await connectTemporal({
    TEMPORAL_ADDRESS: stack.stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  })
  workerB = await prepareWorkerB()
}, 90_000)
afterAll(async () => {
  await workerB?.stop()
  releasePort?.()
  await temporal?.connection.close()
  await stack?.stop()
}, 60_000)

async function prepareWorkerB(): Promise<ProcessKeeper> {
  const name = 'worker-of-b'
  const { ports, release } = await choosePorts(stack.folder, { [name]: 28_950 }, () => undefined)
  releasePort = release
  const env = { ...stack.stack.env, BUILD_ID: B }
  const options = { folder: stack.folder, env, programs: join(ROOT, 'dist') }
  return new ProcessKeeper(workerProgram(options, name, ports[name] as number), {
    logFile: join(stack.folder, 'logs', `${name}.log`),
    say: () => undefined,
    changed: () => undefined,
  })
}

/** `npm run rollout -- …` of build B. */
async function rollout(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'dist', 'scripts', 'ops', 'rollout.js'), ...args],
    { env: { ...process.env, ...stack.stack.env, BUILD_ID: B }, timeout: 60_000 },
  )
  return stdout
}

/** Which build ended each task of a workflow, in order. What a task does is seen before its end: that is waited for. */
async function buildsOf(workflowId: string): Promise<string[]> {
  const tasks = await until(
    'its tasks have ended',
    async () => ((await temporal.workflow.getHandle(workflowId).fetchHistory()).events ?? []).filter(isOfTask),
    (events) => events.at(-1)?.workflowTaskCompletedEventAttributes != null,
  )
  return tasks.flatMap(({ workflowTaskCompletedEventAttributes: done }) =>
    done ? [done.deploymentVersion?.buildId ?? ''] : [],
  )
}

function isOfTask(event: object): boolean {
  return Object.keys(event).some((name) => name.startsWith('workflowTask'))
}

/** The builds of its tasks, once one of this build is written. */
const buildsUpTo = (workflowId: string, build: string): Promise<string[]> =>
  until(
    `a task of ${build}`,
    () => buildsOf(workflowId),
    (builds) => builds.at(-1) === build,
  )

interface Waiting {
  readonly orderId: OrderId
  readonly url: string
}

/** A checkout that waits for its customer at the bank. */
async function waiting(): Promise<Waiting> {
  const buyer = await shop.buyerOf()
  const { body } = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
  return { orderId: body.order_id, url: body.action.url }
}

async function paid({ orderId, url }: Waiting): Promise<void> {
  await shop.decide(url, 'approve')
  await shop.orderBecomes(orderId, 'confirmed', 20_000)
}

async function capture(orderId: string, amount: number): Promise<void> {
  const answer = await shop.admin('post', `/v1/admin/orders/${orderId}/captures`, { amount })
  expect(answer).toMatchObject({ status: 201, body: { status: 'succeeded' } })
}

const casesOf = ({ orderId }: Waiting) => shop.cases(orderId)
const caseCloses = (one: Waiting) =>
  until(
    'its case closes',
    () => casesOf(one),
    (cases) => cases.length === 0,
    40_000,
  )

test('a checkout ends on the build that began it; fulfillment goes on with the new one; nobody is forgotten when the old one dies', async () => {
  const [first, moved, revived] = await Promise.all([waiting(), waiting(), waiting()])
  const buyer = await shop.buyerOf({ price: 3_000 })
  const { body: order } = await buyer.checkout()
  await capture(order.id, 1_000)
  const fulfillment = fulfillmentWorkflowId(order.id)
  expect(new Set(await buildsOf(fulfillment))).toEqual(new Set([A]))

  // Nothing changes before the workers of B are there.
  await expect(rollout('--within', '1')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/No worker of build build-b polls: checkout \(workflow\), .*Nothing was changed/),
  })
  await workerB.start()
  // Temporal has not seen each of its workers poll as soon as they run.
  await until(
    'its workers are seen',
    () => rollout('--dry-run'),
    (answer) => /Current: build-a\.\n[^]*It would become current, in place of build-a/.test(answer),
    30_000,
  )

  // B is current; what A began is pinned to it, or follows.
  const said = await rollout()
  expect(said).toMatch(/It is current now, in place of build-a/)
  expect(said).toMatch(/Open on build-a \(its workers are there\):\n {2}checkout: 3, pinned, the oldest since 20/)
  expect(said).toMatch(/fulfillment: \d+, which go on with the current build at their next step/)
  expect(await rollout()).toMatch(/It was current before; nothing was changed/)
  await expect(rollout('--drain', '--drain-within', '1')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/3 of them are still open/),
  })

  // The checkout ends on A, the order's fulfillment on B; what begins now begins on B.
  await paid(first)
  expect(new Set(await buildsOf(checkoutWorkflowId(first.orderId)))).toEqual(new Set([A]))
  await capture(order.id, 1_000)
  await buildsUpTo(fulfillment, B)
  await capture(first.orderId, 500)
  expect(new Set(await buildsOf(fulfillmentWorkflowId(first.orderId)))).toEqual(new Set([B]))
  const { body: later } = await (await shop.buyerOf()).checkout()
  expect(new Set(await buildsOf(checkoutWorkflowId(later.id)))).toEqual(new Set([B]))

  // A's workers are gone: each run that is pinned to them is a case.
  await stack.stack.halt('worker-1')
  const open = await shop.waitForCase(moved.orderId, 'version_without_workers', 60_000)
  expect(open).toMatchObject({ step: 'pinnedBuild', allowed_repairs: ['moveToCurrent'] })
  expect(open.detail).toContain(A)
  await shop.waitForCase(revived.orderId, 'version_without_workers', 60_000)
  expect(await rollout('--status')).toMatch(/Open on build-a \(no worker polls: checkout \(workflow\), /)

  // Its customer pays meanwhile. Moved, it hears of it on B.
  await shop.decide(moved.url, 'approve')
  const repairs = `/v1/admin/orders/${moved.orderId}/repairs`
  const repair = { action: 'moveToCurrent', reason_code: 'build_retired' }
  expect(await shop.admin('post', repairs, repair)).toMatchObject({
    status: 202,
    body: { case: 'version_without_workers' },
  })
  await shop.orderBecomes(moved.orderId, 'confirmed', 20_000)
  expect((await buildsUpTo(checkoutWorkflowId(moved.orderId), B))[0]).toBe(A)
  await caseCloses(moved)

  // The workers of A come back: the other case closes by itself, and it ends on A.
  await stack.stack.revive('worker-1')
  await caseCloses(revived)
  await paid(revived)
  expect(new Set(await buildsOf(checkoutWorkflowId(revived.orderId)))).toEqual(new Set([A]))
  expect(await rollout('--drain')).toMatch(/Nothing is pinned to another build/)
}, 240_000)

test('a stack that starts with another build takes along what an earlier one left open', async () => {
  const left = await waiting()
  await workerB.stop()
  await stack.stack.stop()
  const said: string[] = []
  const again = await startStack({
    folder: stack.folder,
    given: stack.stack.services,
    namespace: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
    env: { BUILD_ID: 'build-c' },
    say: (line) => said.push(line),
  })
  try {
    expect(said.join('\n')).toMatch(/open checkouts of an earlier build that go on with this one: 1/)
    const { apis, admin_key: adminKey, sandbox } = again.file
    shop = new Shop({ apis, adminKey, sandbox, database: stack.database })
    await paid(left)
    expect((await buildsUpTo(checkoutWorkflowId(left.orderId), 'build-c'))[0]).toBe(B)
  } finally {
    await again.stop()
  }
}, 120_000)
