import { randomUUID } from 'node:crypto'
import { startApi, type TestApi } from '../support/http'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

let stack: TestStack
let shop: Shop
/** An API that cannot reach Temporal: the shop's third. */
let cutOff: TestApi
const CUT_OFF = 2
beforeAll(async () => {
  stack = await testStack({ apis: 2, env: { CHECKOUT_WAIT_MS: '2400' } })
  cutOff = await startApi({
    DATABASE_URL: stack.database.url,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    CHECKOUT_WAIT_MS: '500',
  })
  shop = new Shop({ ...stack, apis: [...stack.stack.file.apis, cutOff.url], sandbox: stack.stack.file.sandbox })
}, 60_000)
afterAll(async () => {
  await cutOff?.close()
  await stack?.stop()
}, 30_000)

const THREE_D_SECURE = 'pm_card_authenticationRequired'

/** A buyer whose card waits for approval, and where that is given. */
async function waiting(stock = 5): Promise<{ buyer: Buyer & { sku: string }; orderId: string; url: string }> {
  const buyer = await shop.buyerOf({ stock })
  const answer = await buyer.checkout({ method: THREE_D_SECURE, body: { return_url: 'https://shop.example/return' } })
  expect(answer).toMatchObject({
    status: 202,
    body: { state: 'requires_action', action: { type: 'redirect', url: expect.any(String) }, order: null },
  })
  expect(answer.headers.get('location')).toBe(`/v1/store/checkouts/${answer.body.order_id}`)
  return { buyer, orderId: answer.body.order_id, url: answer.body.action.url }
}

describe('3-D Secure', () => {
  it('approved: confirmed by the webhook', async () => {
    const { buyer, orderId, url } = await waiting()
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    await shop.decide(url, 'approve')
    const state = await buyer.stateBecomes(orderId, 'completed')
    expect(state).toMatchObject({ action: null, order: { id: orderId, payment_status: 'authorized' } })
    expect(await shop.chargeStates(orderId)).toEqual(['authorized'])
  })

  it('refused: the stock stays held, another card pays', async () => {
    const { buyer, orderId, url } = await waiting()
    await shop.decide(url, 'refuse')
    await buyer.stateBecomes(orderId, 'ready_for_payment')
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({ status: 201, body: { id: orderId } })
    expect(await shop.chargeStates(orderId)).toEqual(['declined', 'authorized'])
  })

  it('another card while one waits: the first is cancelled at the provider, by /payments and by checkout', async () => {
    const [one, two] = [await waiting(), await waiting()]
    expect(await one.buyer.pay(one.orderId, 'pm_card_visa')).toMatchObject({ status: 201, body: { id: one.orderId } })
    expect(await two.buyer.checkout({ api: 1, body: { return_url: 'https://shop.example/return' } })).toMatchObject({
      status: 201,
      body: { id: two.orderId },
    })
    for (const { orderId, url } of [one, two]) {
      expect(await shop.chargeStates(orderId)).toEqual(['voided', 'authorized'])
      await shop.decide(url, 'approve')
      expect(await shop.chargeStates(orderId)).toEqual(['voided', 'authorized'])
    }
  })

  it('approved while another card is being tried: the approval pays, once', async () => {
    const { buyer, orderId, url } = await waiting()
    await shop.decide(url, 'approve')
    const answer = await buyer.pay(orderId, 'pm_card_mastercard')
    expect(answer).toMatchObject({ status: 201, body: { id: orderId } })
    expect((await shop.chargeStates(orderId)).filter((state) => state === 'authorized')).toHaveLength(1)
  })

  it('a repeated key answers what its attempt waits for, and 201 once it is paid', async () => {
    const buyer = await shop.buyerOf()
    const key = randomUUID()
    const first = await buyer.checkout({ key, method: THREE_D_SECURE })
    expect(await buyer.checkout({ key, method: THREE_D_SECURE, api: 1 })).toMatchObject({
      status: 202,
      body: { order_id: first.body.order_id, action: first.body.action },
    })
    await shop.decide(first.body.action.url, 'approve')
    await buyer.stateBecomes(first.body.order_id, 'completed')
    expect(await buyer.checkout({ key, method: THREE_D_SECURE })).toMatchObject({ status: 201 })
  })
})

describe('a provider that is slow, silent or confused', () => {
  it.each([
    'pm_sandbox_timeout_after_charge',
    'pm_sandbox_flaky',
    'pm_sandbox_duplicate_webhooks',
    'pm_sandbox_refund_refused',
  ])('%s is paid within the call, once', async (method) => {
    const buyer = await shop.buyerOf()
    const answer = await buyer.checkout({ method })
    expect(answer).toMatchObject({ status: 201, body: { payment_status: 'authorized' } })
    expect(await shop.chargeStates(answer.body.id)).toEqual(['authorized'])
  })

  it('pm_sandbox_async is pending until its webhook comes', async () => {
    const buyer = await shop.buyerOf()
    const { status, body } = await buyer.checkout({ method: 'pm_sandbox_async' })
    expect([201, 202]).toContain(status)
    await buyer.stateBecomes(body.order_id ?? body.id, 'completed')
    expect(await shop.chargeStates(body.order_id ?? body.id)).toEqual(['authorized'])
  })

  it('202 when it takes longer than the caller waits; it goes on without the caller', async () => {
    const buyer = await shop.buyerOf()
    const key = randomUUID()
    const answer = await buyer.checkout({ method: 'pm_sandbox_slow', key })
    expect(answer).toMatchObject({ status: 202, body: { state: 'in_progress', action: null } })
    const { order_id } = answer.body
    expect(answer.headers.get('location')).toBe(`/v1/store/checkouts/${order_id}`)
    await buyer.stateBecomes(order_id, 'completed')
    expect(await buyer.checkout({ method: 'pm_sandbox_slow', key })).toMatchObject({ status: 201 })
    expect(await shop.chargeStates(order_id)).toEqual(['authorized'])
  })

  it('another card while a charge is being sent is 409 payment_in_progress; a new checkout joins it', async () => {
    const buyer = await shop.buyerOf()
    const first = buyer.checkout({ method: 'pm_sandbox_slow' })
    const orderId = await until('the charge is made', async () => {
      const { body } = await buyer.cart('get')
      const id = body.checkout?.order_id
      return id && (await shop.charges(id)).length > 0 ? (id as string) : null
    })
    expect(await buyer.pay(orderId as string, 'pm_card_visa')).toMatchObject({
      status: 409,
      body: { code: 'payment_in_progress', checkout: { order_id: orderId, state: 'in_progress' } },
    })
    const joined = await buyer.checkout({ method: 'pm_card_visa', api: 1 })
    expect([201, 202]).toContain(joined.status)
    expect(joined.body.order_id ?? joined.body.id).toBe(orderId)
    await first
    await buyer.stateBecomes(orderId as string, 'completed')
    expect(await shop.chargeStates(orderId as string)).toEqual(['authorized'])
  })

  it('another card while one is pending: cancelled at the provider where it can be, else payment_in_progress', async () => {
    const [async, late] = [await shop.buyerOf(), await shop.buyerOf()]
    const [pending, stubborn] = [
      late.checkout({ method: 'pm_sandbox_late' }),
      async.checkout({ method: 'pm_sandbox_async' }),
    ]
    const orderOf = (buyer: Buyer) =>
      until('the charge is pending', async () => {
        const id = (await buyer.cart('get')).body.checkout?.order_id
        const { body } = id ? await shop.order(id) : { body: null }
        return body?.payments[0]?.status === 'pending' ? (id as string) : null
      }) as Promise<string>
    const [asyncOrder, lateOrder] = await Promise.all([orderOf(async), orderOf(late)])
    expect(await async.pay(asyncOrder, 'pm_card_visa')).toMatchObject({ status: 201, body: { id: asyncOrder } })
    expect(await shop.chargeStates(asyncOrder)).toEqual(['voided', 'authorized'])
    const key = randomUUID()
    for (const api of [0, 1]) {
      expect(await late.pay(lateOrder, 'pm_card_visa', key, api)).toMatchObject({
        status: 409,
        body: { code: 'payment_in_progress' },
      })
    }
    expect(await shop.chargeStates(lateOrder)).toEqual(['pending'])
    await Promise.all([pending, stubborn])
  })
})

it('ten cards may be tried for a cart; the eleventh is 409 too_many_attempts, also by another checkout of it', async () => {
  const buyer = await shop.buyerOf()
  const declined = await buyer.checkout({ method: 'pm_card_chargeDeclined' })
  const orderId = declined.body.checkout.order_id
  for (let attempt = 2; attempt <= 10; attempt++)
    expect((await buyer.pay(orderId, 'pm_card_chargeDeclined')).status).toBe(402)
  const refused = { status: 409, body: { code: 'too_many_attempts', checkout: { order_id: orderId } } }
  expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject(refused)
  expect(await buyer.checkout()).toMatchObject(refused)
  expect((await buyer.cancel(orderId)).status).toBe(200)
  expect(await buyer.checkout()).toMatchObject({ status: 409, body: { code: 'too_many_attempts' } })
  expect(await shop.charges(orderId)).toHaveLength(10)
})

describe('cancel', () => {
  it('200: gives the stock back, frees the cart, which can be changed and sold anew', async () => {
    const buyer = await shop.buyerOf()
    const declined = await buyer.checkout({ method: 'pm_card_chargeDeclined' })
    const orderId = declined.body.checkout.order_id
    expect(await buyer.cancel(orderId)).toMatchObject({
      status: 200,
      body: { state: 'cancelled', reason: 'customer', hold_expires_at: null, order: null },
    })
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
    expect(await buyer.cancel(orderId)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await buyer.pay(orderId, 'pm_card_visa')).toMatchObject({
      status: 409,
      body: { code: 'checkout_expired', checkout: { state: 'cancelled' } },
    })
    expect(await buyer.cart('post', '/lines', { sku: buyer.sku, quantity: 1 })).toMatchObject({
      status: 200,
      body: { checkout: null },
    })
    const again = await buyer.checkout()
    expect(again).toMatchObject({ status: 201, body: { lines: [{ quantity: 2 }] } })
    expect(again.body.id).not.toBe(orderId)
  })

  it('voids a card that waits for the customer', async () => {
    const { buyer, orderId, url } = await waiting()
    expect(await buyer.cancel(orderId)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
    await shop.decide(url, 'approve')
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
  })

  it('409 order_completed when the order has won', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout()
    expect(await buyer.cancel(body.id)).toMatchObject({
      status: 409,
      body: { code: 'order_completed', checkout: { state: 'completed', order: { id: body.id } } },
    })
  })

  it('202 while a charge has to be settled first', async () => {
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout({ method: 'pm_sandbox_late' })
    expect(body).toMatchObject({ state: 'in_progress' })
    expect(await buyer.cancel(body.order_id)).toMatchObject({ status: 202, body: { order_id: body.order_id } })
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
  })

  it('ends well in a race with the charge: confirmed and paid, or cancelled and nothing taken', async () => {
    const ends = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const buyer = await shop.buyerOf()
        const method = index % 2 ? 'pm_card_visa' : 'pm_sandbox_timeout_after_charge'
        const paying = buyer.checkout({ method })
        const orderId = (await until('the order is there', async () => {
          const { body } = await buyer.cart('get')
          return body.checkout?.order_id ?? null
        })) as string
        const [paid] = await Promise.all([paying, buyer.cancel(orderId)])
        const decided = await until(
          'it is decided',
          () => buyer.cancel(orderId),
          ({ status }) => status !== 202,
          30_000,
        )
        return { orderId, sku: buyer.sku, paid, decided }
      }),
    )
    for (const { orderId, sku, paid, decided } of ends) {
      const [state] = await shop.chargeStates(orderId)
      const won = decided.status === 409
      // The call that pays may have stopped waiting before the order won.
      expect(won ? [201, 202] : [202]).toContain(paid.status)
      expect([200, 409]).toContain(decided.status)
      expect(won ? ['authorized'] : ['voided', undefined]).toContain(state)
      expect(await shop.stock(sku)).toMatchObject({ reserved: won ? 1 : 0 })
    }
  })
})

describe('the event stream', () => {
  it('tells every change by the token in its address, and ends with the checkout', async () => {
    const { buyer, orderId, url } = await waiting()
    const { events_url } = await buyer.state(orderId)
    const stream = await fetch(events_url)
    expect(stream.headers.get('content-type')).toContain('text/event-stream')
    const text = stream.text()
    await shop.decide(url, 'approve')
    const states = [...(await text).matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] as string).state)
    expect(states[0]).toBe('requires_action')
    expect(states.at(-1)).toBe('completed')
    const bare = events_url.split('?')[0] as string
    const own = await fetch(bare, { headers: { 'x-cart-token': buyer.token } })
    expect(await own.text()).toContain('"state":"completed"')
    const stranger = await shop.buyer()
    expect((await fetch(bare)).status).toBe(404)
    expect((await fetch(bare, { headers: { 'x-cart-token': stranger.token } })).status).toBe(404)
    expect((await fetch(`${bare}?stream=9999999999999.forged`)).status).toBe(404)
  })
})

describe('accepted while Temporal cannot be told', () => {
  it('another card: it pays as soon as the workflow hears of it', async () => {
    const buyer = await shop.buyerOf()
    const declined = await buyer.checkout({ method: 'pm_card_chargeDeclined' })
    const orderId = declined.body.checkout.order_id
    const key = randomUUID()
    expect(await buyer.pay(orderId, 'pm_card_visa', key, CUT_OFF)).toMatchObject({ status: 202 })
    await buyer.stateBecomes(orderId, 'completed', 40_000)
    expect(await shop.chargeStates(orderId)).toEqual(['declined', 'authorized'])
    expect((await buyer.pay(orderId, 'pm_card_visa', key)).status).toBe(201)
  }, 60_000)

  it('a cancellation of what nobody had begun: nothing is reserved, nothing charged', async () => {
    const [first, second] = [await shop.buyerOf(), await shop.buyerOf()]
    const begun = await first.checkout({ api: CUT_OFF })
    expect(begun.status).toBe(202)
    const declined = await second.checkout({ method: 'pm_card_chargeDeclined' })
    const orders = [begun.body.order_id, declined.body.checkout.order_id] as const
    expect((await second.pay(orders[1], 'pm_card_visa', randomUUID(), CUT_OFF)).status).toBe(202)
    expect((await first.cancel(orders[0], randomUUID(), CUT_OFF)).status).toBe(202)
    expect((await second.cancel(orders[1], randomUUID(), CUT_OFF)).status).toBe(202)
    await first.stateBecomes(orders[0], 'cancelled', 40_000)
    await second.stateBecomes(orders[1], 'cancelled', 40_000)
    expect(await shop.chargeStates(orders[0])).toEqual([])
    expect(await shop.chargeStates(orders[1])).toEqual(['declined'])
    for (const { sku } of [first, second]) expect(await shop.stock(sku)).toMatchObject({ reserved: 0 })
  }, 60_000)

  it('a cancellation: what waited is voided, the stock is free', async () => {
    const { buyer, orderId } = await waiting()
    expect(await buyer.cancel(orderId, randomUUID(), CUT_OFF)).toMatchObject({
      status: 202,
      body: { state: 'requires_action' },
    })
    await buyer.stateBecomes(orderId, 'cancelled', 40_000)
    expect(await shop.chargeStates(orderId)).toEqual(['voided'])
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 0 })
  }, 60_000)
})
