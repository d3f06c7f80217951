import { randomUUID } from 'node:crypto'
import { ChargeClient, SandboxClient } from '../sandbox/client'
import type { Answer } from '../support/http'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

let stack: TestStack
let shop: Shop
let sandbox: SandboxClient
beforeAll(async () => {
  stack = await testStack({ env: { RECONCILIATION_QUIET_SECONDS: '0' } })
  await loseWebhooks()
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  sandbox = new SandboxClient(stack.stack.file.sandbox)
}, 60_000)
afterAll(() => stack?.stop(), 30_000)

/** They are answered, and nobody hears of them: whatever is late, the reconciliation finds. */
async function loseWebhooks(): Promise<void> {
  await stack.database.pool.query(`
    create function lose() returns trigger language plpgsql as 'begin return null; end';
    create trigger lost before insert on inbox for each row execute function lose()`)
}

const PATH = '/v1/admin/reconciliations'

/** Asks for a run and waits for its end. */
async function reconcile(): Promise<Answer['body']> {
  const asked = await shop.admin('post', PATH, {})
  expect(asked).toMatchObject({ status: 202, headers: expect.anything() })
  return ended(asked)
}

/** The run that was asked for, once it has ended. */
function ended({ body: { id } }: Answer): Promise<Answer['body']> {
  return until(
    'the run has ended',
    async () => (await shop.admin('get', `${PATH}/${id}?limit=100`)).body,
    ({ ended_at }) => ended_at !== null,
    60_000,
  )
}

const casesOf = async (object: string) =>
  (await shop.admin('get', '/v1/admin/attention?limit=100')).body.data.filter(
    (open: { object: string }) => open.object === object,
  )

it('runs on demand, once at a time, and tells what it compared', async () => {
  const buyer = await shop.buyerOf()
  const order = (await buyer.checkout({})).body
  const asked = await Promise.all([shop.admin('post', PATH, {}), shop.admin('post', PATH, {})])
  const [first, second] = (await Promise.all(asked.map(ended))).toSorted((one, other) =>
    one.requested_at.localeCompare(other.requested_at),
  )
  // Both are told of the same run; or the first had ended when the second was asked for.
  if (first.id !== second.id) expect(first.ended_at <= second.requested_at).toBe(true)
  const run = await reconcile()
  expect(run).toMatchObject({ state: 'completed', failure: null, differences: { data: [] } })
  expect(run.compared.charges).toBeGreaterThan(0)
  expect(run.providers).toMatchObject([{ provider: 'sandbox', watermark_after: expect.any(String) }])
  const { body } = await shop.admin('get', `${PATH}?limit=1`)
  expect(body).toMatchObject({ data: [{ id: run.id }], has_more: expect.any(Boolean) })
  expect((await shop.order(order.id)).body.status).toBe('confirmed')
})

it('brings up to date what the provider did and nobody heard of, while another order is in flight', async () => {
  const waiting = await shop.buyerOf()
  const { body: open } = await waiting.checkout({ method: 'pm_card_authenticationRequired' })
  const buyer = await shop.buyerOf()
  const order = (await buyer.checkout({})).body
  const [charge] = await shop.charges(order.id)
  await new ChargeClient(sandbox, charge?.id ?? '').capture({ amount: 400 })

  expect(await reconcile()).toMatchObject({ state: 'completed', healed: 1, differences: { data: [] } })
  expect((await shop.order(order.id)).body.totals.captured.amount).toBe(400)
  expect((await waiting.state(open.order_id)).state).toBe('requires_action')
})

it('opens a case for money that nobody asked for, which a person resolves with a reason', async () => {
  const charge = await sandbox.made(randomUUID(), { reference: 'a shop of somebody else' })
  const run = await reconcile()
  const [difference] = run.differences.data
  expect(run.differences.data).toMatchObject([
    { kind: 'unknown_charge', object: charge.id, order_id: null, ours: { amount: 0 }, theirs: { amount: 510 } },
  ])
  expect(await casesOf(difference.id)).toMatchObject([
    { case: 'reconciliation_difference', order_id: null, allowed_repairs: ['resolveStep'] },
  ])
  const path = `${PATH}/differences/${difference.id}/resolve`
  const decision = { outcome: 'done', reason_code: 'shared_account', note: 'Of our other shop.' }
  expect(await shop.admin('post', path, decision)).toMatchObject({
    status: 200,
    body: { state: 'accepted', accepted: { reason_code: 'shared_account', note: 'Of our other shop.' } },
  })
  expect(await casesOf(difference.id)).toEqual([])
  expect((await shop.admin('post', path, decision)).body.code).toBe('repair_not_allowed')
  expect((await reconcile()).differences.data).toMatchObject([{ id: difference.id, state: 'accepted' }])
  expect(await casesOf(difference.id)).toEqual([])
})

it('opens a case of the order when our rows are wrong, which its repair closes', async () => {
  const buyer = await shop.buyerOf()
  const order = (await buyer.checkout({})).body
  const { pool } = stack.database
  await pool.query(`update payment set released = 10 where order_id = $1`, [order.id])
  const found = (await reconcile()).differences.data.filter((each: { order_id: string }) => each.order_id === order.id)
  expect(found.map((each: { kind: string }) => each.kind).sort()).toEqual(['authorized', 'ledger_authorized'])
  const [first] = await shop.cases(order.id)
  const answer = await shop.admin('post', `/v1/admin/orders/${order.id}/repairs`, {
    ...{ action: 'resolveStep', outcome: 'done', object: first.object, reason_code: 'known', note: 'By hand.' },
  })
  expect(answer.status).toBe(202)
  expect((await shop.cases(order.id)).map(({ object }) => object)).not.toContain(first.object)
  await pool.query(`update payment set released = 0 where order_id = $1`, [order.id])
  await reconcile()
  expect(await shop.cases(order.id)).toEqual([])
})

it('knows only what there is', async () => {
  expect((await shop.admin('get', `${PATH}/rec_01h455vb4pex5vsknk084sn02q`)).status).toBe(404)
  const path = `${PATH}/differences/dif_01h455vb4pex5vsknk084sn02q/resolve`
  expect((await shop.admin('post', path, { outcome: 'done', reason_code: 'known' })).status).toBe(404)
})
