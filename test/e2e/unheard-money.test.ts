import { randomUUID } from 'node:crypto'
import { BUNDLE_PATH } from '../../workers/bundle'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
import { type ProviderProxy, startProviderProxy } from '../support/provider-proxy'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

describe('a webhook that is lost', () => {
  let rig: CheckoutWorker
  beforeAll(async () => {
    rig = await startCheckoutWorker({ workflows: { workflowBundle: { codePath: BUNDLE_PATH } } })
  }, 60_000)
  afterAll(() => rig?.stop(), 30_000)

  it('costs seconds, not the order: a payment that was approved is looked up', async () => {
    const buyer = await rig.shop.buyerOf()
    const { body } = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
    expect(body).toMatchObject({ state: 'requires_action' })
    await rig.shop.decide(body.action.url, 'approve')
    await buyer.stateBecomes(body.order_id, 'completed', 15_000)
    expect(await rig.shop.chargeStates(body.order_id)).toEqual(['authorized'])
  })
})

describe('with a provider', () => {
  let stack: TestStack
  let shop: Shop
  let provider: ProviderProxy
  beforeAll(async () => {
    provider = await startProviderProxy()
    stack = await testStack({ env: { ATTENTION_AFTER_SECONDS: '2', SANDBOX_URL: provider.url } })
    provider.target = stack.stack.file.sandbox
    shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  }, 60_000)
  afterAll(async () => {
    await stack?.stop()
    await provider?.close()
  }, 30_000)

  it('that does not answer a cancellation: what is approved pays for nothing, and the buyer pays again', async () => {
    const buyer = await shop.buyerOf({ stock: 3 })
    const { body } = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
    const { order_id: orderId, action } = body
    provider.keepBack(orderId, ({ path }) => path.endsWith('/cancel'))
    expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({
      status: 409,
      body: { code: 'payment_in_progress' },
    })
    await shop.decide(action.url, 'approve')
    expect(await shop.waitForCase(orderId, 'provider_unreachable')).toMatchObject({ step: 'retryCharge' })
    expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
    expect((await shop.order(orderId)).body.status).toBe('payment_pending')
    await provider.release(orderId)
    await buyer.stateBecomes(orderId, 'ready_for_payment', 20_000)
    expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201, body: { id: orderId } })
    expect(await shop.chargeStates(orderId)).toEqual(['voided', 'authorized'])
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    expect(await shop.cases(orderId)).toEqual([])
  })

  /** Somebody charges at the provider for an order of ours, under a key of their own. */
  async function chargedByStranger(orderId: string, method = 'pm_card_visa'): Promise<{ id: string; key: string }> {
    const key = `by-hand-${randomUUID()}`
    const response = await fetch(`${shop.address.sandbox}/v1/charges`, {
      method: 'post',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ amount: 1_234, currency: 'GBP', method, reference: orderId, capture: false }),
    })
    return (await response.json()) as { id: string; key: string }
  }

  const takenNoteOf = (key: string) =>
    until('the event is done with', async () => {
      const { rows } = await stack.database.pool.query(
        'select bool_and(done_at is not null) as done from inbox where payment_key = $1',
        [key],
      )
      return rows[0].done === true
    })

  it('that holds money which nobody here asked for: a case with the amount, which a person closes', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout()
    const charge = await chargedByStranger(body.id)
    const open = await shop.waitForCase(body.id, 'amount_mismatch')
    expect(open).toMatchObject({ object: charge.id, detail: expect.stringContaining('GBP 12.34') })
    expect(open.choices).toEqual([expect.objectContaining({ action: 'resolveStep', outcome: 'done' })])
    await takenNoteOf(charge.key)
    const repair = { action: 'resolveStep', outcome: 'done', reason_code: 'given_back' }
    expect((await shop.admin('post', `/v1/admin/orders/${body.id}/repairs`, repair)).status).toBe(202)
    expect(await shop.cases(body.id)).toEqual([])
    expect((await shop.order(body.id)).body).toMatchObject({ status: 'confirmed', payment_status: 'authorized' })
  })

  it('that gave such money back: the case is closed', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout()
    const charge = await chargedByStranger(body.id)
    await shop.waitForCase(body.id, 'amount_mismatch')
    await fetch(`${shop.address.sandbox}/v1/charges/cancel`, {
      method: 'post',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key: charge.key }),
    })
    await until('the case is closed', async () => (await shop.cases(body.id)).length === 0)
  })

  it('that took no such money, or for an order that is not ours: no case', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout()
    const declined = await chargedByStranger(body.id, 'pm_card_chargeDeclined')
    const elsewhere = await chargedByStranger('somebody-elses-order')
    await Promise.all([takenNoteOf(declined.key), takenNoteOf(elsewhere.key)])
    expect(await shop.cases(body.id)).toEqual([])
  })
})
