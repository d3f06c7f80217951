import { randomUUID } from 'node:crypto'
import type { Client } from '@temporalio/client'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import { connectTemporal } from '../../temporal'
import { type ProviderProxy, startProviderProxy } from '../support/provider-proxy'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { together } from '../support/together'
import { until } from '../support/wait'

let stack: TestStack
let shop: Shop
let temporal: Client
let provider: ProviderProxy
let keyId: string
beforeAll(async () => {
  provider = await startProviderProxy()
  stack = await testStack({ env: { ATTENTION_AFTER_SECONDS: '2', SANDBOX_URL: provider.url } })
  provider.target = stack.stack.file.sandbox
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  temporal = await connectTemporal({
    TEMPORAL_ADDRESS: stack.stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  })
  const { body } = await shop.admin('get', '/v1/admin/api-keys')
  keyId = body.data[0].id
}, 60_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
  await provider?.close()
}, 30_000)

type Case = { case: string; number: string; step: string; workflow: { id: string } }

/** As `POST …/repairs`; a worker that is too busy to take it within 3 s is asked again. */
function repair(orderId: string, body: Record<string, unknown>, key: string = randomUUID()) {
  return until(
    'a worker takes the repair',
    () => repairOnce(orderId, body, key),
    ({ status }) => status !== 503,
    30_000,
  )
}

function repairOnce(orderId: string, body: Record<string, unknown>, key: string) {
  const sent = { reason_code: 'checked_with_provider', ...body }
  return shop.admin('post', `/v1/admin/orders/${orderId}/repairs`, sent, key)
}

/** As the Web UI sends an update: its name, and the JSON that the current details show, with one's own key id. */
async function updateFromDetails(open: Case, action: string, outcome?: string): Promise<void> {
  const details = await currentDetails(open.workflow.id)
  const examples = [...details.matchAll(/Update `(\w+)`:\n {2}```json\n([\s\S]*?)\n {2}```/g)]
  const found = examples.find(([, name, json]) => name === action && JSON.parse(json as string).outcome === outcome)
  const json = JSON.parse((found?.[2] as string).replace('key_…', keyId))
  await temporal.workflow.getHandle(open.workflow.id).executeUpdate(action, { args: [json] })
}

async function currentDetails(workflowId: string): Promise<string> {
  const metadata = await temporal.workflow
    .getHandle(workflowId)
    .query<{ currentDetails: string }>('__temporal_workflow_metadata')
  return metadata.currentDetails
}

const caseCloses = (orderId: string) =>
  until(
    `no case of ${orderId} is open`,
    () => shop.cases(orderId),
    (cases) => cases.length === 0,
    20_000,
  )

/** A charge whose answer never comes, nor anything else about it. */
async function unreachable(): Promise<{ buyer: Buyer & { sku: string }; orderId: string; open: Case }> {
  const buyer = await shop.buyerOf({ price: 1_234 })
  void buyer.checkout({ method: 'pm_sandbox_slow' }).catch(() => undefined)
  const orderId = await buyer.accepted()
  provider.fail(orderId)
  const open = await shop.waitForCase(orderId, 'provider_unreachable')
  return { buyer, orderId, open }
}

/** A charge that happened, and of which nothing more can be learnt. */
async function chargedUnseen(status = 503): Promise<{ buyer: Buyer & { sku: string }; orderId: string }> {
  const buyer = await shop.buyerOf()
  void buyer.checkout({ method: 'pm_sandbox_timeout_after_charge' }).catch(() => undefined)
  const orderId = await buyer.accepted()
  provider.fail(orderId, ({ method, path }) => !(method === 'POST' && path === '/v1/charges'), status)
  await shop.waitForCase(orderId, 'provider_unreachable')
  return { buyer, orderId }
}

/** What support says never happened is made so once the provider hears of it. */
async function voidedAfterwards(status: number): Promise<void> {
  const { buyer, orderId } = await chargedUnseen(status)
  expect(await repair(orderId, { action: 'resolveStep', outcome: 'not_done' })).toMatchObject({ status: 202 })
  await buyer.stateBecomes(orderId, 'ready_for_payment')
  expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
  provider.heal(orderId)
  expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201 })
  await until(
    'the charge that was said to be none is voided',
    () => shop.chargeStates(orderId),
    (states) => states.join() === 'voided,authorized',
    40_000,
  )
  await caseCloses(orderId)
}

/** A cancelled checkout whose charge cannot be cancelled. */
async function undoFails(): Promise<{ buyer: Buyer & { sku: string }; orderId: string; url: string; open: Case }> {
  const buyer = await shop.buyerOf()
  const { body } = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
  provider.fail(body.order_id, ({ path }) => path === '/v1/charges/cancel' || path.endsWith('/void'))
  void buyer.cancel(body.order_id).catch(() => undefined)
  const open = await shop.waitForCase(body.order_id, 'undo_failed')
  return { buyer, orderId: body.order_id, url: body.action.url, open }
}

/** Money of a cancelled order that the provider does not let go. */
async function lateMoney(): Promise<{ buyer: Buyer & { sku: string }; orderId: string; open: Case }> {
  const { buyer, orderId, url } = await undoFails()
  await shop.decide(url, 'approve')
  const open = await shop.waitForCase(orderId, 'late_money')
  return { buyer, orderId, open }
}

let odd = 100_000
/** A charge of which the provider tells another amount. */
async function mismatch(): Promise<{ buyer: Buyer & { sku: string }; orderId: string; open: Case }> {
  const price = ++odd
  provider.alter(price, { amount: price - 1 })
  const buyer = await shop.buyerOf({ price })
  void buyer.checkout().catch(() => undefined)
  const orderId = await buyer.accepted()
  const open = await shop.waitForCase(orderId, 'amount_mismatch')
  return { buyer, orderId, open }
}

async function isReleased(orderId: string, sku: string, paymentStatus: string): Promise<void> {
  const order = await until(
    `${orderId} is over and its payment ${paymentStatus}`,
    async () => (await shop.order(orderId)).body,
    (body) => body.status === 'cancelled' && body.payment_status === paymentStatus,
    20_000,
  )
  expect(order.totals.authorized.amount).toBe(0)
  expect(await shop.stock(sku)).toMatchObject({ reserved: 0 })
}

describe('provider_unreachable', () => {
  together({
    'is visible everywhere, and ends by itself when the provider is back': async () => {
      const { buyer, orderId, open } = await unreachable()
      expect(open).toMatchObject({
        number: expect.stringMatching(/^HF-/),
        step: 'retryCharge',
        at_stake: { amount: 1_234, currency: 'GBP' },
        allowed_repairs: ['retryPayment', 'resolveStep', 'forceCancel'],
        workflow: {
          id: checkoutWorkflowId(orderId as OrderId),
          url: expect.stringContaining(checkoutWorkflowId(orderId as OrderId)),
        },
      })
      const details = await currentDetails(open.workflow.id)
      expect(details).toContain('### ⚠ The payment provider does not say what became of a charge')
      expect(details).toContain(`charge \`${orderId}/charge/1\``)
      expect(details).toContain('GBP 12.34')
      expect(details).not.toMatch(/undefined|null|NaN|\[object/)
      const described = await temporal.workflow.getHandle(open.workflow.id).describe()
      expect(described.searchAttributes).toMatchObject({
        NeedsAttention: [true],
        AttentionReason: ['provider_unreachable'],
      })
      const pending = described.raw.pendingActivities?.map(({ activityType }) => activityType?.name)
      expect(pending).toEqual(['retryCharge'])
      const listed = await shop.admin('get', '/v1/admin/orders?attention=true&limit=100')
      expect(listed.body.data.map((order: { id: string }) => order.id)).toContain(orderId)
      const numbered = await shop.admin('get', `/v1/admin/orders?number=${open.number.toLowerCase()}`)
      expect(numbered.body.data.map((order: { id: string }) => order.id)).toEqual([orderId])
      expect((await shop.order(orderId)).body.workflow).toMatchObject({
        id: checkoutWorkflowId(orderId as OrderId),
        status: 'RUNNING',
        url: expect.stringMatching(/^http/),
      })
      provider.heal(orderId)
      await buyer.stateBecomes(orderId, 'completed')
      await caseCloses(orderId)
      await until('the search attribute says so', async () => {
        const { searchAttributes } = await temporal.workflow.getHandle(open.workflow.id).describe()
        return searchAttributes['NeedsAttention']?.[0] === false
      })
    },

    'retryPayment asks again at once': async () => {
      const { buyer, orderId } = await unreachable()
      provider.heal(orderId)
      expect(await repair(orderId, { action: 'retryPayment', note: 'They say it is up.' })).toMatchObject({
        status: 202,
        body: { order_id: orderId, action: 'retryPayment', case: 'provider_unreachable' },
      })
      await buyer.stateBecomes(orderId, 'completed')
      const { body } = await shop.admin('get', `/v1/admin/orders/${orderId}/timeline`)
      const kinds = new Set(body.data.map((entry: { kind: string }) => entry.kind))
      expect(kinds).toEqual(new Set(['event', 'payment', 'ledger', 'repair', 'workflow']))
      expect(body.data.find((entry: { kind: string }) => entry.kind === 'repair')).toMatchObject({
        title: expect.stringContaining('retryPayment'),
        data: { reason_code: 'checked_with_provider', note: 'They say it is up.', accepted_at: expect.any(String) },
      })
      const times = body.data.map((entry: { at: string }) => entry.at)
      expect(times).toEqual([...times].sort())
    },

    'resolveStep done from the Web UI: it is paid': async () => {
      const { buyer, orderId, open } = await unreachable()
      await updateFromDetails(open, 'resolveStep', 'done')
      await buyer.stateBecomes(orderId, 'completed')
      await caseCloses(orderId)
    },

    'resolveStep not_done: the customer pays with another card': async () => {
      const { buyer, orderId } = await unreachable()
      expect(await repair(orderId, { action: 'resolveStep', outcome: 'not_done' })).toMatchObject({ status: 202 })
      await buyer.stateBecomes(orderId, 'ready_for_payment')
      provider.heal(orderId)
      expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201 })
    },

    'resolveStep not_done while the provider is away: its charge is voided once it can be told': () =>
      voidedAfterwards(503),

    'resolveStep not_done while the provider lets nobody in: the same': () => voidedAfterwards(401),

    'resolveStep done while the provider is away: its name for the charge is learnt afterwards': async () => {
      const { buyer, orderId } = await chargedUnseen()
      expect(await repair(orderId, { action: 'resolveStep', outcome: 'done' })).toMatchObject({ status: 202 })
      await buyer.stateBecomes(orderId, 'completed')
      provider.heal(orderId)
      await until(
        'the reference is the provider’s',
        async () =>
          (
            await stack.database.pool.query('select reference, pending_sync from payment where order_id = $1', [
              orderId,
            ])
          ).rows,
        ([payment]) => payment?.pending_sync === null && payment.reference.startsWith('ch_'),
        40_000,
      )
    },

    'forceCancel from the Web UI: the stock goes back, the charge is settled when the provider is back': async () => {
      const { buyer, orderId, open } = await unreachable()
      await updateFromDetails(open, 'forceCancel')
      const order = await shop.orderBecomes(orderId, 'cancelled')
      expect(order.cancel_reason).toBe('merchant')
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
      provider.heal(orderId)
      await isReleased(orderId, buyer.sku, 'voided')
      await caseCloses(orderId)
    },

    'what does not fit is refused, and says what does': async () => {
      const { orderId, open } = await unreachable()
      for (const body of [
        { action: 'retryStep' },
        { action: 'resume' },
        { action: 'retryPayment', step: 'releasePayment' },
        { action: 'resolveStep', step: 'releasePayment', outcome: 'done' },
      ]) {
        expect(await repair(orderId, body)).toMatchObject({ status: 409, body: { code: 'repair_not_allowed' } })
      }
      expect(await repair(orderId, { action: 'resolveStep' })).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/outcome' }] },
      })
      const handle = temporal.workflow.getHandle(open.workflow.id)
      const good = { reason_code: 'checked_with_provider', by: keyId }
      for (const json of [
        'text',
        {},
        { ...good, reason_code: 'Mrs Smith called' },
        { ...good, by: 'me' },
        { ...good, note: 'called by Mrs Smith' },
        { ...good, step: 'place' },
      ]) {
        await expect(handle.executeUpdate('retryPayment', { args: [json] })).rejects.toThrow(/Update failed/)
      }
      await expect(handle.executeUpdate('retryStep', { args: [good] })).rejects.toThrow(/Update failed/)
      expect(JSON.stringify(await handle.fetchHistory())).not.toContain('Smith')
      provider.heal(orderId)
      await caseCloses(orderId)
      expect(await repair(orderId, { action: 'retryPayment' })).toMatchObject({
        status: 409,
        body: { code: 'repair_not_allowed' },
      })
    },
  })
})

describe('undo_failed', () => {
  together({
    'the stock is back all the same; retryStep brings the charge home': async () => {
      const { buyer, orderId, open } = await undoFails()
      expect(open).toMatchObject({ step: 'resolveCharge', allowed_repairs: ['retryStep', 'resolveStep'] })
      expect(await buyer.state(orderId)).toMatchObject({ state: 'cancelled' })
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
      provider.heal(orderId)
      expect(await repair(orderId, { action: 'retryStep', step: 'resolveCharge' })).toMatchObject({ status: 202 })
      await isReleased(orderId, buyer.sku, 'voided')
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      await caseCloses(orderId)
    },

    'resolveStep not_done from the Web UI: nothing was taken': async () => {
      const { buyer, orderId, open } = await undoFails()
      await updateFromDetails(open, 'resolveStep', 'not_done')
      await isReleased(orderId, buyer.sku, 'failed')
      await caseCloses(orderId)
    },
  })
})

describe('amount_mismatch', () => {
  together({
    'accepted by resolveStep from the Web UI': async () => {
      const { buyer, orderId, open } = await mismatch()
      expect(await buyer.state(orderId)).toMatchObject({ state: 'in_progress' })
      expect(await currentDetails(open.workflow.id)).toMatch(/the order asks GBP 1000\.\d\d, the provider says GBP/)
      await updateFromDetails(open, 'resolveStep', 'done')
      await buyer.stateBecomes(orderId, 'completed')
      await caseCloses(orderId)
    },

    'not accepted, by forceCancel': async () => {
      const { buyer, orderId } = await mismatch()
      expect(await repair(orderId, { action: 'forceCancel' })).toMatchObject({ status: 202 })
      await isReleased(orderId, buyer.sku, 'voided')
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      await caseCloses(orderId)
    },

    'not accepted, by resolveStep not_done': async () => {
      const { buyer, orderId } = await mismatch()
      expect(await repair(orderId, { action: 'resolveStep', outcome: 'not_done' })).toMatchObject({ status: 202 })
      await isReleased(orderId, buyer.sku, 'voided')
    },
  })
})

describe('late_money', () => {
  together({
    'retryStep gives it back': async () => {
      const { buyer, orderId, open } = await lateMoney()
      expect(open).toMatchObject({ step: 'releasePayment', allowed_repairs: ['retryStep', 'resolveStep'] })
      provider.heal(orderId)
      expect(await repair(orderId, { action: 'retryStep' })).toMatchObject({ status: 202 })
      await isReleased(orderId, buyer.sku, 'voided')
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      await caseCloses(orderId)
      const { body } = await shop.order(orderId)
      expect(body.ledger.map((entry: { operation: string }) => entry.operation)).toEqual([
        'authorize',
        'authorize',
        'release',
        'release',
      ])
    },

    'resolveStep done from the Web UI: it went back by hand': async () => {
      const { buyer, orderId, open } = await lateMoney()
      await updateFromDetails(open, 'resolveStep', 'done')
      await isReleased(orderId, buyer.sku, 'voided')
      await caseCloses(orderId)
    },
  })
})

/** Terminated again and again, until the sweep gives up. */
async function failing(): Promise<{ buyer: Buyer; orderId: string; url: string; open: Case }> {
  const buyer = await shop.buyerOf()
  const { body } = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
  const orderId = body.order_id
  const handle = temporal.workflow.getHandle(checkoutWorkflowId(orderId as OrderId))
  const ended = new Set<string>()
  for (let run = 0; run < 4; run++) {
    const { runId } = await until(
      `run ${run} is there`,
      () => handle.describe(),
      ({ status, runId: id }) => status.name === 'RUNNING' && !ended.has(id),
      20_000,
    )
    ended.add(runId)
    await handle.terminate('by hand')
  }
  const open = await shop.waitForCase(orderId, 'workflow_failing')
  return { buyer, orderId, url: body.action.url, open }
}

describe('workflow_failing', () => {
  together(
    {
      'after three restarts a person is asked, and resume goes on from the rows': async () => {
        const { buyer, orderId, url, open } = await failing()
        expect(open).toMatchObject({ step: null, allowed_repairs: ['resume'] })
        expect(await repair(orderId, { action: 'resume' })).toMatchObject({ status: 202 })
        await caseCloses(orderId)
        await shop.decide(url, 'approve')
        await buyer.stateBecomes(orderId, 'completed')
      },

      'a settlement that cannot run is shown as well, and resume replaces it': async () => {
        const { orderId } = await undoFails()
        await until(
          'the order is over',
          async () => (await shop.order(orderId)).body.status === 'cancelled',
          Boolean,
          20_000,
        )
        const [{ id: paymentId }] = (await shop.order(orderId)).body.payments
        const workflowId = settlementWorkflowId(paymentId)
        // Without its input every task of it fails.
        await temporal.workflow.start('settlement', {
          workflowId,
          taskQueue: 'checkout',
          args: [],
          memo: { orderId, paymentId },
          workflowTaskTimeout: '5s',
        })
        await temporal.workflow.getHandle(checkoutWorkflowId(orderId as OrderId)).terminate('by hand')
        const open = await shop.waitForCase(orderId, 'workflow_failing', 60_000)
        expect(open.workflow.id).toBe(workflowId)
        provider.heal(orderId)
        expect(await repair(orderId, { action: 'resume' })).toMatchObject({ status: 202 })
        await caseCloses(orderId)
        expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      },

      'a buyer who pays nevertheless closes the case': async () => {
        const { buyer, orderId } = await failing()
        expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201 })
        await caseCloses(orderId)
      },

      'an order that was accepted and never started needs nobody: the sweep starts it': async () => {
        const buyer = await shop.buyerOf()
        const orderId = await buyer.acceptOnly()
        await buyer.stateBecomes(orderId, 'completed', 20_000)
        expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
      },
    },
    90_000,
  )
})

describe('without a worker', () => {
  it('a repair answers 503 no_worker within seconds; repeated once one runs, it is taken; all of it is on record', async () => {
    const { orderId } = await unreachable()
    await stack.stack.halt('worker-1', 'SIGKILL')
    const key = randomUUID()
    const begun = Date.now()
    const refused = await repairOnce(orderId, { action: 'forceCancel' }, key)
    expect(refused).toMatchObject({ status: 503, body: { code: 'no_worker', retryable: true } })
    expect(Date.now() - begun).toBeLessThan(6_000)
    provider.heal(orderId)
    await stack.stack.revive('worker-1')
    const again = await repair(orderId, { action: 'forceCancel' }, key)
    // The provider is back as well: the case may have closed by itself.
    expect([202, 409]).toContain(again.status)
    const { rows } = await shop.address.database.pool.query(
      'select action, actor, accepted_at from repair where order_id = $1',
      [orderId],
    )
    expect(rows).toEqual([
      { action: 'forceCancel', actor: keyId, accepted_at: again.status === 202 ? expect.any(Date) : null },
    ])
  }, 60_000)

  it('every repair, by API or Web UI, has a row', async () => {
    const { rows } = await shop.address.database.pool.query(
      `select action, count(*)::int as count, bool_and(actor = $1) as signed
       from repair where accepted_at is not null group by action`,
      [keyId],
    )
    const counts = new Map(rows.map(({ action, count }) => [action, count]))
    expect(rows.every(({ signed }) => signed)).toBe(true)
    expect(counts.get('retryPayment')).toBe(1)
    expect(counts.get('resolveStep')).toBe(9)
    expect(counts.get('retryStep')).toBe(2)
    expect(counts.get('resume')).toBe(2)
  })
})
