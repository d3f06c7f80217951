import { beginRebuild, endRebuild, listRebuildRequests, newBuild, requestRebuild } from '../../../db/search/rebuild'
import { reindexWorkflowId } from '../../../domain/workflow-id'
import { createLog } from '../../../log'
import { runSearchMaintenance } from '../../../workers/loops/search-maintenance'
import { reindexStart, WORKFLOWS } from '../../../workflows/contract'
import { startApi, type TestApi } from '../../support/http'
import { testNamespace } from '../../support/temporal'
import { until } from '../../support/wait'

const ENGINE = 'postgres'

let api: TestApi
let stop: AbortController
let running: Promise<void>
beforeAll(async () => {
  const { address, namespace } = await testNamespace()
  api = await startApi({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace })
})
afterAll(() => api.close())
beforeEach(async () => {
  // A rebuild that somebody cancelled: the loop begins none by itself.
  const rebuild = await beginRebuild(api.database.pool, ENGINE, newBuild())
  await endRebuild(api.database.pool, rebuild, 'cancelled')
  stop = new AbortController()
})
afterEach(async () => {
  stop.abort()
  await running
  await workflow().terminate()
})

it('starts a rebuild that was asked for and that nobody has started in time, once', async () => {
  const build = await asked()
  run()
  await until('the workflow is there', inputs, (given) => given.length > 0)
  expect(await inputs()).toEqual([{ engine: ENGINE, build }])
  // It stays asked for until the workflow begins the rebuild.
  expect(await listRebuildRequests(api.database.pool)).toEqual([{ engine: ENGINE, build }])
  await beginRebuild(api.database.pool, ENGINE, build)
  expect(await listRebuildRequests(api.database.pool)).toEqual([])
})

it('drops a request while another rebuild is at work', async () => {
  await api.deps.temporal.workflow.start(WORKFLOWS.reindex, reindexStart(ENGINE, 'other'))
  await beginRebuild(api.database.pool, ENGINE, 'other')
  await asked()
  run()
  await until(
    'the request is gone',
    () => listRebuildRequests(api.database.pool),
    (requests) => requests.length === 0,
  )
  expect(await inputs()).toEqual([{ engine: ENGINE, build: 'other' }])
})

const workflow = () => api.deps.temporal.workflow.getHandle(reindexWorkflowId(ENGINE))

function run(): void {
  const { pool, temporal, search } = api.deps
  const [engine] = search.engines
  if (!engine) throw new Error('there is no engine')
  running = runSearchMaintenance({ pool, engine, temporal, log: createLog('silent', 'test') }, stop.signal)
}

/** A request whose time has come. */
async function asked(): Promise<string> {
  const build = newBuild()
  await requestRebuild(api.database.pool, { engine: ENGINE, build })
  await api.database.pool.query('update search_rebuild_request set due_at = now()')
  return build
}

/** What the workflow was started with; nothing while there is none. */
async function inputs(): Promise<unknown[]> {
  const history = await workflow()
    .fetchHistory()
    .catch(() => null)
  const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? []
  return started.map(({ data }) => JSON.parse(Buffer.from(data as Uint8Array).toString()))
}
