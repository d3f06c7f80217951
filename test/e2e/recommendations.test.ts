import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client'
import { computeFirstRecommendations } from '../../scripts/demo/first-recommendations'
import { RECOMMENDATIONS_ID } from '../../domain/workflow-id'
import { seedProducts } from '../support/catalog'
import { callApi } from '../support/http'
import { pastOrders } from '../support/orders'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

let stack: TestStack
let temporal: Client
beforeAll(async () => {
  stack = await testStack()
  temporal = new Client({
    connection: await Connection.connect({ address: stack.stack.services.TEMPORAL_ADDRESS }),
    namespace: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  })
}, 60_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
}, 30_000)

it('the schedule is there once the worker is, runs once for a new shop, and the shop shows what came of it', async () => {
  const { pool } = stack.database
  await seedProducts(
    pool,
    ['CUP', 'SAUCER', 'LAMP'].map((sku) => ({ sku, title: sku, prices: { GBP: 100 }, stock: 5 })),
  )
  await pastOrders(pool, [{ skus: ['CUP', 'SAUCER'] }, { skus: ['SAUCER', 'CUP'] }, { skus: ['LAMP'] }])
  const schedule = temporal.schedule.getHandle(RECOMMENDATIONS_ID)
  const { policies, spec } = await until(
    'the schedule is registered',
    () => schedule.describe().catch(() => null),
    Boolean,
  ).then((found) => found as NonNullable<typeof found>)
  expect(policies.overlap).toBe(ScheduleOverlapPolicy.SKIP)
  expect(spec.calendars).toHaveLength(1)

  const where = {
    address: stack.stack.services.TEMPORAL_ADDRESS,
    namespace: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  }
  await computeFirstRecommendations(where)
  const begun = await until(
    'a run has begun',
    async () => (await schedule.describe()).info.recentActions[0]?.action.workflow.workflowId ?? null,
  )
  expect(await temporal.workflow.getHandle(begun as string).result()).toMatchObject({ products: 3 })
  await computeFirstRecommendations(where)
  expect((await schedule.describe()).info.numActionsTaken).toBe(1)

  const { rows } = await pool.query("select product_id from variant where sku = 'CUP'")
  const { body } = await callApi(stack.api, 'get', `/v1/store/products/${rows[0].product_id}/recommendations`)
  expect(body.data.map((product: { title: string }) => product.title)).toEqual(['SAUCER'])
})

it('a picture put by one API process is served by it from the folder of its stack', async () => {
  const { rows } = await stack.database.pool.query("select product_id from variant where sku = 'CUP'")
  const sharp = (await import('sharp')).default
  const raw = await sharp({ create: { width: 10, height: 10, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  const { body } = await callApi(stack.api, 'post', `/v1/admin/products/${rows[0].product_id}/images`, {
    key: stack.adminKey,
    raw,
    headers: { 'content-type': 'image/png' },
  })
  const response = await fetch(stack.api + body.urls['800'])
  expect(response.status).toBe(200)
  expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(20)
})
