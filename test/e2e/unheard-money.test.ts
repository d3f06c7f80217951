import { randomUUID } from 'node:crypto'
import { BUNDLE_PATH } from '../../workers/bundle'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
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

describe('money that nobody here asked for', () => {
  let stack: TestStack
  let shop: Shop
  beforeAll(async () => {
    stack = await testStack()
    shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  }, 60_000)
  afterAll(() => stack?.stop(), 30_000)

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

  it('is a case with the amount, which a person closes', async () => {
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

  it('closes its case when it has gone back', async () => {
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

  it('is no case when none was taken, or the order is not ours', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout()
    const declined = await chargedByStranger(body.id, 'pm_card_chargeDeclined')
    const elsewhere = await chargedByStranger('somebody-elses-order')
    await Promise.all([takenNoteOf(declined.key), takenNoteOf(elsewhere.key)])
    expect(await shop.cases(body.id)).toEqual([])
  })
})
