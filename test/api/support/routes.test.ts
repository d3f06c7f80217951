import { WorkflowNotFoundError } from '@temporalio/client'
import { newId } from '../../../db/id'
import { openCase, readOpenCases, readRepairs, readStanding } from '../../../db/support/attention'
import type { OrderId } from '../../../domain/ids'
import { type AttentionCase, UNKNOWN_MONEY } from '../../../domain/support'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../../domain/workflow-id'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'

let api: TestApi
let support: string
beforeAll(async () => {
  api = await startApi()
  support = await api.key('support')
})
afterAll(() => api.close())

const order = async (): Promise<OrderId> => (await pastOrders(api.database.pool, [{ skus: [] }]))[0] as OrderId

/** Of a settlement that does not run, unless a test says otherwise. */
const open = (orderId: OrderId | null, object: string, code: AttentionCase = 'undo_failed', detail?: string) =>
  openCase(api.database.pool, {
    orderId,
    code,
    workflowId: settlementWorkflowId(object as never),
    step: 'resolveCharge',
    object,
    detail,
  })

let sent = 0
const repair = (orderId: OrderId, body: object): Promise<Answer> =>
  api.call('post', `/v1/admin/orders/${orderId}/repairs`, {
    key: support,
    body: { reason_code: 'checked', ...body },
    idempotencyKey: `repair-${sent++}`,
  })

/** All pages of the list, of so many cases each. */
async function listed(limit: number): Promise<Answer['body'][]> {
  const cases: Answer['body'][] = []
  for (let cursor = ''; ; ) {
    const { status, body } = await api.call('get', `/v1/admin/attention?limit=${limit}${cursor}`, { key: support })
    expect(status).toBe(200)
    cases.push(...body.data)
    if (!body.has_more) return cases
    cursor = `&cursor=${body.next_cursor}`
  }
}

describe('the attention list', () => {
  it('has each case once, however short its pages: several of an order, opened at once, and one of no order', async () => {
    const orderId = await order()
    const objects = [newId('payment'), newId('payment'), newId('payment')]
    await Promise.all(objects.map((object) => open(orderId, object)))
    await open(null, 'ch_stray', 'reconciliation_difference', 'Ours: nothing. The provider: GBP 1.00.')
    const cases = await listed(1)
    expect(
      cases
        .filter(({ order_id }) => order_id === orderId)
        .map(({ object }) => object)
        .sort(),
    ).toEqual(objects.sort())
    expect(cases.find(({ object }) => object === 'ch_stray')).toMatchObject({
      order_id: null,
      number: null,
      at_stake: null,
      case: 'reconciliation_difference',
      detail: 'Ours: nothing. The provider: GBP 1.00.',
      allowed_repairs: ['resolveStep'],
    })
  })

  it('offers of a failing step what that step takes', async () => {
    const orderId = await order()
    for (const step of ['place', 'confirm'])
      await openCase(api.database.pool, {
        orderId,
        code: 'step_failing',
        workflowId: `checkout-${orderId}`,
        step,
        object: null,
      })
    const cases = (await listed(100)).filter(({ order_id }) => order_id === orderId)
    expect(cases.map(({ step, allowed_repairs }) => [step, allowed_repairs])).toEqual([
      ['place', ['retryStep', 'forceCancel']],
      ['confirm', ['retryStep']],
    ])
  })

  it('refuses a cursor of another list', async () => {
    const cursor = Buffer.from('["2026-01-01T00:00:00.000Z","order_1"]').toString('base64url')
    expect(await api.call('get', `/v1/admin/attention?cursor=${cursor}`, { key: support })).toMatchObject({
      status: 400,
    })
  })
})

describe('a repair', () => {
  it('that moves a checkout to the current build is refused while that has no workers either; the case stays', async () => {
    const orderId = await order()
    const stranded = { orderId, workflowId: `checkout-${orderId}`, object: null }
    await openCase(api.database.pool, { ...stranded, code: 'version_without_workers', step: 'pinnedBuild' })
    expect(await repair(orderId, { action: 'resume' })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('version_without_workers (step pinnedBuild): moveToCurrent') },
    })
    expect(await repair(orderId, { action: 'moveToCurrent' })).toMatchObject({
      status: 503,
      body: { code: 'no_worker', detail: expect.stringMatching(/^The current build has no workers either/) },
    })
    expect((await listed(100)).filter(({ order_id }) => order_id === orderId)).toHaveLength(1)
  })

  it('that fits several cases is refused, and says which; one that names its object is sent to its workflow alone', async () => {
    const orderId = await order()
    const [first, second] = [newId('payment'), newId('payment')]
    await Promise.all([open(orderId, first), open(orderId, second)])
    expect(await repair(orderId, { action: 'retryStep' })).toMatchObject({
      status: 409,
      body: { code: 'repair_not_allowed', detail: expect.stringMatching(`Several cases fit.*(${first}|${second})`) },
    })
    // It is found; but nothing runs here that could take it.
    expect(await repair(orderId, { action: 'retryStep', object: first })).toMatchObject({
      status: 409,
      body: { detail: 'The workflow of this case has ended.' },
    })
    expect(await repair(orderId, { action: 'retryStep', object: newId('payment') })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('fits no open case') },
    })
    expect((await readRepairs(api.database.pool, orderId)).map(({ object }) => object)).toContain(first)
  })

  it.each([
    ['renewPayment', 'done', 'resolveStep done fits no open case', 'retryStep, resolveStep not_done'],
    ['refreshPayment', 'not_done', 'resolveStep not_done fits no open case', 'retryStep, resolveStep done'],
  ] as const)('of %s with an outcome that no choice offers, %s, is refused', async (step, outcome, refusal, taken) => {
    const orderId = await order()
    const workflowId = fulfillmentWorkflowId(orderId)
    const object = newId('payment')
    await openCase(api.database.pool, { orderId, code: 'step_failing', workflowId, step, object })
    expect(await repair(orderId, { action: 'resolveStep', outcome })).toMatchObject({
      status: 409,
      body: {
        code: 'repair_not_allowed',
        detail: `${refusal}. Open: step_failing (step ${step}, object ${object}): ${taken}.`,
      },
    })
  })

  it.each([
    ['authorization_expiring', 'renewPayment', newId('payment')],
    ['dispute', 'closeDispute', 'dp_1'],
  ] as const)('of %s starts the fulfillment that has ended, unless the order is over', async (code, step, object) => {
    const orderId = await order()
    const workflowId = fulfillmentWorkflowId(orderId)
    await openCase(api.database.pool, { orderId, code, workflowId, step, object })
    const decision = { action: 'resolveStep', outcome: 'not_done' }
    const fulfillment = api.deps.temporal.workflow.getHandle(workflowId)
    const become = (status: string) =>
      api.database.pool.query('update orders set status = $2 where id = $1', [orderId, status])
    await become('completed')
    expect(await repair(orderId, decision)).toMatchObject({ status: 409, body: { code: 'repair_not_allowed' } })
    await expect(fulfillment.describe()).rejects.toThrow(WorkflowNotFoundError)
    await become('confirmed')
    expect(await repair(orderId, decision)).toMatchObject({
      status: 503,
      body: { code: 'no_worker', detail: expect.stringContaining('begins again') },
    })
    expect((await fulfillment.describe()).status.name).toBe('RUNNING')
    await fulfillment.terminate('staged')
  })

  it('of what no workflow waits for closes that case, and no other', async () => {
    const orderId = await order()
    const [difference, other] = [newId('payment'), newId('payment')]
    await open(orderId, difference, 'reconciliation_difference')
    await open(orderId, other)
    const decision = { action: 'resolveStep', outcome: 'done', object: difference, note: 'A fee of theirs.' }
    expect(await repair(orderId, decision)).toMatchObject({ status: 202, body: { case: 'reconciliation_difference' } })
    expect((await readOpenCases(api.database.pool, orderId)).map(({ object }) => object)).toEqual([other])
  })

  it('of money that nobody asked for is said once: the comparison with the provider does not ask again', async () => {
    const orderId = await order()
    const charge = `ch_${orderId}`
    const key = { workflowId: checkoutWorkflowId(orderId), step: UNKNOWN_MONEY, object: charge }
    const detail = 'The provider holds GBP 7.00'
    await openCase(api.database.pool, { ...key, orderId, code: 'amount_mismatch', detail })
    await api.database.pool.query(
      `insert into reconciliation_difference (id, provider, kind, object, charge_reference, order_id, ours, theirs, currency, state)
       values ($1, 'sandbox', 'unknown_charge', $2, $2, $3, 0, 700, 'GBP', 'open')`,
      [newId('difference'), charge, orderId],
    )
    expect(await repair(orderId, { action: 'resolveStep', outcome: 'done', object: charge })).toMatchObject({
      status: 202,
    })
    expect(await readOpenCases(api.database.pool, orderId)).toEqual([])
    expect(await readStanding(api.database.pool, { ...key, orderId, detail })).toBe('answered')
    const { rows } = await api.database.pool.query('select state from reconciliation_difference where object = $1', [
      charge,
    ])
    expect(rows).toEqual([{ state: 'accepted' }])
  })
})
