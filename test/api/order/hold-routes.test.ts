import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { applyFraudAnswer } from '../../../db/order/fraud'
import { holdOrder } from '../../../db/order/hold'
import { hashToken } from '../../../db/cart/cart'
import { withTransaction } from '../../../db/pool'
import type { OrderId } from '../../../domain/ids'
import { ORDER_STATUSES, type OrderStatus } from '../../../domain/order'
import { fulfillmentWorkflowId } from '../../../domain/workflow-id'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'
import { testNamespace } from '../../support/temporal'

let api: TestApi
let key: string
beforeAll(async () => {
  const { namespace } = await testNamespace()
  api = await startApi({ TEMPORAL_NAMESPACE: namespace })
  key = await api.key('support')
})
afterAll(() => api.close())

const order = async (): Promise<OrderId> => (await pastOrders(api.database.pool, [{ skus: [] }]))[0] as OrderId
const post = (id: string, what: 'hold' | 'resume', body: unknown = { reason_code: 'look' }, idempotencyKey?: string) =>
  api.call('post', `/v1/admin/orders/${id}/${what}`, { key, body, ...(idempotencyKey && { idempotencyKey }) })
const holdFor = (id: OrderId, cause: 'dispute' | 'fraud') =>
  withTransaction(api.database.pool, (tx) => holdOrder(tx, id, { cause, reasonCode: 'x' }))
const eventsOf = async (id: OrderId): Promise<string[]> =>
  (await api.call('get', `/v1/admin/orders/${id}`, { key })).body.events.map(({ type }: { type: string }) => type)

const isRunning = async (id: string): Promise<boolean> =>
  (await api.deps.temporal.workflow.getHandle(fulfillmentWorkflowId(id as OrderId)).describe()).status.name ===
  'RUNNING'

it('holds an order and lets it go on, twice without harm, and tells its workflow', async () => {
  const id = await order()
  expect(await post(id, 'hold')).toMatchObject({ status: 200, body: { id, status: 'on_hold', held_for: ['staff'] } })
  expect(await post(id, 'hold')).toMatchObject({ status: 200, body: { status: 'on_hold', held_for: ['staff'] } })
  expect(await isRunning(id)).toBe(true)
  expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { status: 'confirmed', held_for: [] } })
  expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { status: 'confirmed', held_for: [] } })
  expect(await eventsOf(id)).toEqual(['order.held', 'order.resumed'])
  expect(await isRunning(id)).toBe(true)
})

it('lets it go on without a reason, and without a body', async () => {
  for (const body of [undefined, {}, { reason_code: null }, { reason_code: 'address_checked' }]) {
    const id = await order()
    expect(await post(id, 'hold')).toMatchObject({ status: 200 })
    const resumed = await api.call('post', `/v1/admin/orders/${id}/resume`, { key, ...(body && { body }) })
    expect(resumed).toMatchObject({ status: 200, body: { status: 'confirmed' } })
    const { events } = (await api.call('get', `/v1/admin/orders/${id}`, { key })).body
    expect(events.at(-1).data).toMatchObject({ cause: 'staff', reason_code: body?.reason_code ?? 'resumed' })
  }
})

it('stays on hold while a dispute holds it, and says so to staff alone', async () => {
  const id = await order()
  const token = randomUUID()
  await api.database.pool.query('update orders set token_hash = $2 where id = $1', [id, hashToken(token)])
  await holdFor(id, 'dispute')
  expect(await post(id, 'hold')).toMatchObject({ body: { held_for: ['dispute', 'staff'] } })
  expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { status: 'on_hold', held_for: ['dispute'] } })
  expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { status: 'on_hold', held_for: ['dispute'] } })
  expect((await api.call('get', `/v1/admin/orders/${id}`, { key })).body.held_for).toEqual(['dispute'])
  const listed = await api.call('get', '/v1/admin/orders?status=on_hold', { key })
  expect(listed.body.data.find((one: { id: string }) => one.id === id)).toMatchObject({ held_for: ['dispute'] })
  const seen = await api.call('get', `/v1/store/orders/${id}`, { token })
  expect(seen.body).toMatchObject({ status: 'on_hold' })
  expect(seen.body).not.toHaveProperty('held_for')
})

it('lets an order go on that the fraud check refused', async () => {
  const id = await order()
  await withTransaction(api.database.pool, (tx) => applyFraudAnswer(tx, id, 'refuse'))
  expect(await post(id, 'hold')).toMatchObject({ body: { held_for: ['fraud', 'staff'] } })
  expect(await post(id, 'resume')).toMatchObject({ status: 200, body: { status: 'confirmed', held_for: [] } })
  expect(await eventsOf(id)).toEqual(['order.held', 'order.hold_added', 'order.hold_removed', 'order.resumed'])
})

it.each(ORDER_STATUSES.filter((status) => !['confirmed', 'processing', 'on_hold'].includes(status)))(
  'refuses what is %s',
  async (status: OrderStatus) => {
    const id = await order()
    await api.database.pool.query(
      `update orders set status = $2, cancel_reason = case when $2 = 'cancelled' then 'merchant' end where id = $1`,
      [id, status],
    )
    for (const what of ['hold', 'resume'] as const)
      expect(await post(id, what)).toMatchObject({
        status: 409,
        body: { code: 'invalid_state', order_status: status },
      })
    expect(await eventsOf(id)).toEqual([])
  },
)

it('answers a key as it stands now, and refuses it for another body', async () => {
  const id = await order()
  const idempotencyKey = randomUUID()
  await post(id, 'hold', { reason_code: 'look' }, idempotencyKey)
  await post(id, 'resume')
  const again = await post(id, 'hold', { reason_code: 'look' }, idempotencyKey)
  expect(again).toMatchObject({ status: 200, body: { status: 'confirmed', held_for: [] } })
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(await post(id, 'hold', { reason_code: 'other' }, idempotencyKey)).toMatchObject({ status: 422 })
})

it('holds once, of thirty calls at once, and resumes once', async () => {
  const id = await order()
  const many = (what: 'hold' | 'resume'): Promise<Answer[]> =>
    Promise.all(Array.from({ length: 30 }, () => post(id, what)))
  expect(new Set((await many('hold')).map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set((await many('resume')).map(({ status }) => status))).toEqual(new Set([200]))
  expect(await eventsOf(id)).toEqual(['order.held', 'order.resumed'])
})

it.each([
  [{}, '/reason_code'],
  [{ reason_code: '' }, '/reason_code'],
  [{ reason_code: 'Two words' }, '/reason_code'],
  [{ reason_code: 'x'.repeat(65) }, '/reason_code'],
  [{ reason_code: 'x', note: 'Mrs. Miller' }, '/note'],
])('refuses %j', async (body, pointer) => {
  const id = await order()
  const refusing = 'reason_code' in body ? (['hold', 'resume'] as const) : (['hold'] as const)
  for (const what of refusing)
    expect(await post(id, what, body)).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
})

it('needs an order, and a key that may', async () => {
  const reader = await api.key('readonly')
  const id = await order()
  for (const what of ['hold', 'resume'] as const) {
    expect(await post(newId('order'), what)).toMatchObject({ status: 404 })
    const path = `/v1/admin/orders/${id}/${what}`
    const body = { reason_code: 'x' }
    expect(await api.call('post', path, { key: reader, body })).toMatchObject({ status: 403 })
  }
  expect(await eventsOf(id)).toEqual([])
})
