import { Client, Connection } from '@temporalio/client'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId } from '../../domain/workflow-id'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { together } from '../support/together'
import { until } from '../support/wait'

const ATTENTION_AFTER_SECONDS = 6

let stack: TestStack
let shop: Shop
let temporal: Client
beforeAll(async () => {
  stack = await testStack({
    env: {
      CHECKOUT_HOLD_SECONDS: '4',
      CART_HOLD_SECONDS: '2',
      ATTENTION_AFTER_SECONDS: String(ATTENTION_AFTER_SECONDS),
    },
  })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  temporal = new Client({
    connection: await Connection.connect({ address: stack.stack.services.TEMPORAL_ADDRESS }),
    namespace: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  })
}, 60_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
}, 30_000)

const THREE_D_SECURE = 'pm_card_authenticationRequired'

async function declinedOrder(stock = 1): Promise<{ buyer: Buyer & { sku: string }; orderId: string }> {
  const buyer = await shop.buyerOf({ stock })
  const { status, body } = await buyer.checkout({ method: 'pm_card_chargeDeclined' })
  expect(status).toBe(402)
  return { buyer, orderId: body.checkout.order_id }
}

async function waitingOrder(): Promise<{ buyer: Buyer & { sku: string }; orderId: string; url: string }> {
  const buyer = await shop.buyerOf({ stock: 1 })
  const { body } = await buyer.checkout({ method: THREE_D_SECURE })
  expect(body.state).toBe('requires_action')
  return { buyer, orderId: body.order_id, url: body.action.url }
}

const terminate = (orderId: string) =>
  temporal.workflow.getHandle(checkoutWorkflowId(orderId as OrderId)).terminate('by hand')

async function pendingActivities(orderId: string): Promise<string[]> {
  const { raw } = await temporal.workflow.getHandle(checkoutWorkflowId(orderId as OrderId)).describe()
  return (raw.pendingActivities ?? []).map(({ activityType }) => activityType?.name ?? '')
}

/** Paid and confirmed, or cancelled with everything given back: nothing in between. */
async function endsWhole(orderId: string, sku: string): Promise<void> {
  const order = await until(
    `${orderId} and its charge are over`,
    async () => {
      const { status } = (await shop.order(orderId)).body
      return { status, charges: await shop.chargeStates(orderId), stock: await shop.stock(sku) }
    },
    ({ status, charges }) =>
      (status === 'confirmed' && charges.at(-1) === 'authorized') ||
      (status === 'cancelled' && charges.every((state) => state === 'voided' || state === 'declined')),
    30_000,
  )
  expect(order.stock.reserved).toBe(order.status === 'confirmed' ? 1 : 0)
}

describe('deadlines', () => {
  together({
    'an unpaid order expires: the stock is back, the cart free, and it sells again': async () => {
      const { buyer, orderId } = await declinedOrder()
      const state = await buyer.stateBecomes(orderId, 'expired')
      expect(state).toMatchObject({ reason: 'expired', hold_expires_at: null, order: null })
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
      expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({
        status: 409,
        body: { code: 'checkout_expired', checkout: { state: 'expired' } },
      })
      expect(await buyer.cart('patch', `/lines/${buyer.sku}`, { quantity: 1 })).toMatchObject({ status: 200 })
      expect(await buyer.checkout()).toMatchObject({ status: 201 })
    },

    'a card that nobody approves is cancelled at the provider before the stock goes back': async () => {
      const { buyer, orderId, url } = await waitingOrder()
      await buyer.stateBecomes(orderId, 'expired')
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      await shop.decide(url, 'approve')
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
    },

    'an approval in the last second is paid or void, never both': async () => {
      const waiting = await Promise.all([waitingOrder(), waitingOrder(), waitingOrder()])
      await Promise.all(
        waiting.map(async ({ buyer, orderId, url }) => {
          const { hold_expires_at } = await buyer.state(orderId)
          await until('the hold is about to end', () => Date.now() > Date.parse(hold_expires_at) - 100)
          await shop.decide(url, 'approve')
          await endsWhole(orderId, buyer.sku)
        }),
      )
    },

    'a soft hold expires within seconds of its time': async () => {
      const buyer = await shop.buyerOf({ stock: 4 }, 3)
      const { body } = await buyer.cart('post', '/hold')
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 3 })
      const due = Date.parse(body.hold.expires_at)
      await until(
        'the hold is gone',
        () => shop.stock(buyer.sku),
        (stock) => stock.reserved === 0,
      )
      expect(Date.now() - due).toBeLessThan(5_000)
      await until('the cart says so', async () => (await buyer.cart('get')).body.hold === null)
    },

    "a cart's own hold counts as available to it, and to nobody else": async () => {
      const sku = await shop.product({ stock: 1 })
      const [holder, other] = [await shop.buyer({ [sku]: 1 }), await shop.buyer({ [sku]: 1 })]
      await holder.cart('post', '/hold')
      expect(await other.checkout()).toMatchObject({ status: 409, body: { code: 'out_of_stock' } })
      expect(await holder.checkout()).toMatchObject({ status: 201 })
      expect(await shop.stock(sku)).toEqual({ on_hand: 1, reserved: 1, available: 0 })
    },
  })
})

describe('money that comes late', () => {
  together({
    'a pending payment that cannot be cancelled, at the deadline': async () => {
      const buyer = await shop.buyerOf({ stock: 1 })
      const [orderId] = await Promise.all([buyer.accepted(), buyer.checkout({ method: 'pm_sandbox_late' })])
      await endsWhole(orderId, buyer.sku)
    },

    'a pending payment that cannot be cancelled, of a checkout that the customer cancelled': async () => {
      const buyer = await shop.buyerOf({ stock: 1 })
      const [orderId] = await Promise.all([
        buyer.accepted().then(async (id) => {
          await until('it is pending', async () => (await shop.order(id)).body.payments[0]?.status === 'pending')
          expect((await buyer.cancel(id)).status).toBeLessThan(300)
          return id
        }),
        buyer.checkout({ method: 'pm_sandbox_late' }),
      ])
      const order = await shop.orderBecomes(orderId, 'cancelled', 15_000)
      expect(order.cancel_reason).toBe('customer')
      await until(
        'the money is back',
        async () => (await shop.order(orderId)).body,
        (read) => read.payment_status === 'voided',
        20_000,
      )
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
      await until(
        'no case is left open',
        () => shop.cases(orderId),
        (cases) => cases.length === 0,
      )
    },
  })
})

describe('a workflow that is gone', () => {
  together({
    'terminated while the customer is at the bank: taken up again, and the approval pays or is void': async () => {
      const { buyer, orderId, url } = await waitingOrder()
      await terminate(orderId)
      await shop.decide(url, 'approve')
      await endsWhole(orderId, buyer.sku)
    },

    'terminated, and nobody comes back: the order expires all the same': async () => {
      const { buyer, orderId } = await declinedOrder()
      await terminate(orderId)
      await buyer.stateBecomes(orderId, 'expired', 20_000)
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
    },

    'terminated, and the buyer tries another card at once': async () => {
      const { buyer, orderId } = await declinedOrder()
      await terminate(orderId)
      expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201 })
    },

    'terminated, and the buyer cancels at once': async () => {
      const { buyer, orderId } = await waitingOrder()
      await terminate(orderId)
      expect(await buyer.cancel(orderId)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
      expect(await shop.chargeStates(orderId)).toEqual(['voided'])
    },

    'accepted and never started, longer ago than a hold lasts: cancelled, and the cart sells': async () => {
      const buyer = await shop.buyerOf({ stock: 1 })
      const orderId = await buyer.acceptOnly()
      await buyer.stateBecomes(orderId, 'expired', 20_000)
      expect(await shop.chargeStates(orderId)).toEqual([])
      expect(await buyer.checkout()).toMatchObject({ status: 201 })
    },

    'accepted and never started: the next submission finishes it': async () => {
      const buyer = await shop.buyerOf({ stock: 1 })
      const orderId = await buyer.acceptOnly()
      expect(await buyer.checkout()).toMatchObject({ status: 201, body: { id: orderId } })
    },
  })
})

describe('everything stops', () => {
  it('past the deadline the stock is back as soon as the processes are', async () => {
    const [{ buyer, orderId }, waiting, holder] = await Promise.all([
      declinedOrder(),
      waitingOrder(),
      shop.buyerOf({ stock: 2 }, 2),
    ])
    await holder.cart('post', '/hold')
    const { hold_expires_at } = await waiting.buyer.state(waiting.orderId)
    await Promise.all(['api-1', 'worker-1'].map((name) => stack.stack.halt(name, 'SIGKILL')))
    await shop.decide(waiting.url, 'approve')
    await until('the deadlines are over', () => Date.now() > Date.parse(hold_expires_at) + 1_000)
    await Promise.all(['api-1', 'worker-1'].map((name) => stack.stack.revive(name)))
    await buyer.stateBecomes(orderId, 'expired', 15_000)
    // Paid in the meantime: the stock was still held, so it is confirmed.
    await waiting.buyer.stateBecomes(waiting.orderId, 'completed', 15_000)
    await until(
      'all holds are gone',
      () => Promise.all([shop.stock(buyer.sku), shop.stock(holder.sku)]),
      (stocks) => stocks.every((stock) => stock.reserved === 0),
      15_000,
    )
  }, 60_000)

  it('approved in time, and nobody could ask in time: the stock waits until somebody has asked', async () => {
    const { buyer, orderId, url } = await waitingOrder()
    const { hold_expires_at } = await buyer.state(orderId)
    // The news finds nobody.
    await stack.stack.halt('api-1', 'SIGKILL')
    await shop.decide(url, 'approve')
    await shop.faults({ error_rate: 1 })
    await until(
      'the workflow asks at the deadline',
      () => pendingActivities(orderId),
      (pending) => pending.includes('cancelCharge'),
      15_000,
    )
    await stack.stack.halt('worker-1', 'SIGKILL')
    await shop.faults()
    await until(
      'its patience is over',
      () => Date.now() > Date.parse(hold_expires_at) + (ATTENTION_AFTER_SECONDS + 2) * 1000,
      Boolean,
      20_000,
    )
    await Promise.all(['api-1', 'worker-1'].map((name) => stack.stack.revive(name)))
    await buyer.stateBecomes(orderId, 'completed', 15_000)
    expect(await shop.stock(buyer.sku)).toMatchObject({ on_hand: 1, reserved: 1 })
  }, 90_000)
})
