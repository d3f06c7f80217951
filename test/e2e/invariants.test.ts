import { once } from 'node:events'
import { readSettings } from '../../config'
import { createApiKey } from '../../db/platform/api-key'
import { createRedis } from '../../db/redis'
import { checkDatabase } from '../../db/support/invariant'
import { callApi } from '../support/http'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

let stack: TestStack
let shop: Shop
beforeAll(async () => {
  stack = await testStack()
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  const [winner, loser] = [await shop.buyerOf({ stock: 5 }), await shop.buyerOf({ stock: 5 })]
  expect(await winner.checkout()).toMatchObject({ status: 201 })
  const declined = await loser.checkout({ method: 'pm_card_chargeDeclined' })
  expect(await loser.cancel(declined.body.checkout.order_id)).toMatchObject({ status: 200 })
  await rate(winner)
}, 90_000)
afterAll(() => stack?.stop(), 30_000)

/** An approved review of what the buyer bought. */
async function rate({ sku, token }: Buyer & { sku: string }): Promise<void> {
  const { rows } = await stack.database.pool.query('select product_id from variant where sku = $1', [sku])
  const path = `/v1/store/products/${rows[0].product_id}/reviews`
  const { body } = await shop.call('post', path, { token, body: { rating: 4, text: 'Sturdy.' } })
  const approve = { key: stack.adminKey, body: {}, headers: { 'if-match': '"1"' } }
  expect((await shop.call('post', `/v1/admin/reviews/${body.id}/approve`, approve)).status).toBe(200)
}

const ask = () => shop.admin('get', '/v1/admin/invariants')

describe('GET /v1/admin/invariants', () => {
  it('at rest every invariant holds', async () => {
    const { body } = await until('nothing is in flight', ask, (answer) => answer.body.settled, 20_000)
    expect(body.checks.filter((check: { ok: boolean }) => !check.ok)).toEqual([])
    expect(body.ok).toBe(true)
  })

  it('while an order waits for its buyer it is not settled, and ok leaves out what holds at rest', async () => {
    const buyer = await shop.buyerOf()
    const answer = await buyer.checkout({ method: 'pm_card_authenticationRequired' })
    expect((await ask()).body).toMatchObject({ ok: true, settled: false })
    await buyer.cancel(answer.body.order_id)
  })

  it('a cached cart that is no copy of its row is noticed', async () => {
    const { cartId } = await shop.buyerOf()
    const key = `cart:{${cartId}}`
    const redis = createRedis(readSettings(stack.stack.env))
    await once(redis, 'ready')
    const copies = async () => {
      const { body } = await ask()
      return body.checks.find(({ name }: { name: string }) => name === 'carts_in_redis_are_copies')
    }
    const plant = (cart: object) => redis.hset(key, 'json', JSON.stringify(cart))
    try {
      await plant({ version: 2, lines: [] })
      expect(await copies()).toMatchObject({ ok: false, sample: [expect.stringContaining('other lines')] })
      await plant({ version: 3, lines: [] })
      expect(await copies()).toMatchObject({ ok: false, sample: [expect.stringContaining('version 3 in Redis')] })
      await redis.del(key)
      expect(await copies()).toMatchObject({ ok: true })
    } finally {
      redis.disconnect()
    }
  })

  it('is for those who may read what support reads', async () => {
    const { secret } = await createApiKey(stack.database.pool, { name: 'c', role: 'catalog', expiresAt: null })
    expect(await callApi(stack.api, 'get', '/v1/admin/invariants', { key: secret })).toMatchObject({ status: 403 })
  })

  it('503 no_worker when nobody takes it', async () => {
    await stack.stack.halt('worker-1', 'SIGKILL')
    expect(await ask()).toMatchObject({ status: 503, body: { code: 'no_worker' } })
    await stack.stack.revive('worker-1')
  }, 40_000)
})

/** What would have to happen for each to be violated; nothing but a hand in the database can do most of it. */
const TAMPERED: readonly (readonly [invariant: string, ...statements: string[]])[] = [
  [
    'stock_not_oversold',
    'alter table stock_level drop constraint never_oversold',
    'update stock_level set reserved = on_hand + 1',
  ],
  ['on_hand_is_the_sum_of_its_movements', 'update stock_level set on_hand = on_hand + 1'],
  [
    'reserved_is_the_sum_of_its_reservations',
    'update stock_level set reserved = reserved + 1 where reserved < on_hand',
  ],
  ['orders_reserve_their_lines', `update reservation set state = 'released' where state = 'committed'`],
  [
    'holds_end_in_time',
    `update reservation set state = 'held', expires_at = now() - interval '1 minute' where state = 'committed'`,
  ],
  [
    'one_live_order_per_cart',
    'drop index one_live_order_per_cart',
    `update orders set status = 'confirmed', cancel_reason = null,
       cart_id = (select cart_id from orders where status = 'confirmed' limit 1) where status = 'cancelled'`,
  ],
  [
    'requests_reach_their_workflow',
    `update payment set status = 'requested', attempt = 100, created_at = now() - interval '2 minutes'
       where id = (select id from payment limit 1)`,
  ],
  ['carts_and_orders_name_each_other', `update cart set state = 'open' where state = 'bought'`],
  [
    'events_have_no_gaps',
    'alter table order_event disable trigger append_only',
    'delete from order_event where seq = 2',
  ],
  [
    'every_status_change_is_legal',
    'alter table order_event disable trigger append_only',
    `update order_event set from_status = 'pending' where to_status = 'confirmed'`,
  ],
  ['events_add_up_to_the_status', `update orders set status = 'processing' where status = 'confirmed'`],
  ['totals_add_up', `update orders set total = total + 1 where status = 'confirmed'`],
  ['lines_are_what_was_accepted', 'update order_line set quantity = quantity + 1'],
  ['keys_name_their_callers_attempt', `update idempotency set scope = 'cart:somebody else' where order_id is not null`],
  [
    'open_orders_come_to_an_end',
    `update orders set status = 'payment_pending', hold_expires_at = now() - interval '1 minute' where status = 'confirmed'`,
  ],
  [
    'one_attempt_at_a_time',
    'drop index one_unresolved_attempt',
    `insert into payment (id, order_id, attempt, key, provider, method, currency, status)
     select 'pay_0000000000000000000000000' || n, id, 100 + n, id || n, 'sandbox', 'pm', 'GBP', 'sent'
     from orders, generate_series(1, 2) as n where status = 'confirmed'`,
  ],
  ['won_orders_are_paid_once', `update payment set status = 'voided' where outcome = 'completed'`],
  ['attempts_ask_for_the_total', `update payment set amount = amount + 1 where outcome = 'completed'`],
  [
    'captured_and_refunded_stay_in_bounds',
    'alter table payment drop constraint never_captured_twice',
    'update payment set captured = amount + 1',
  ],
  ['final_attempts_have_an_outcome', `update payment set outcome = null where status = 'declined'`],
  [
    'ledger_balances',
    'alter table ledger_entry disable trigger balanced',
    `insert into ledger_entry (order_id, payment_id, operation, account, amount, currency)
     select order_id, id, 'capture', 'psp_clearing', 1, currency from payment`,
  ],
  ['ledger_agrees_with_the_payments', `update payment set status = 'voided' where status = 'authorized'`],
  [
    'every_payment_is_decided_once',
    `insert into order_event (id, order_id, seq, type, data)
     select 'evt_00000000000000000000000000', order_id, 1000, type, data from order_event where type = 'payment.authorized'`,
  ],
  ['attempts_become_final', `update payment set status = 'pending' where status = 'declined'`],
  ['cancelled_orders_keep_no_money', `update payment set status = 'authorized' where status = 'declined'`],
  ['every_event_is_in_the_outbox', 'delete from outbox'],
  [
    'the_outbox_holds_only_events',
    `insert into outbox (event_id, aggregate, seq, type, payload)
     select 'evt_00000000000000000000000000', id, 1000, 'order.invented', '{}' from orders limit 1`,
  ],
  [
    'events_from_providers_are_kept_once',
    'alter table inbox drop constraint inbox_pkey',
    `insert into inbox (provider, event_id, type, payload) select 'p', 'e', 't', '{}' from generate_series(1, 2)`,
  ],
  ['every_event_is_published', `update outbox set published_at = null, created_at = now() - interval '1 minute'`],
  [
    'every_event_from_a_provider_is_acted_on',
    `insert into inbox (provider, event_id, type, payload, received_at) values ('p', 'e', 't', '{}', now() - interval '1 minute')`,
  ],
  ['listings_are_what_is_sold', 'update listing set price = price + 1'],
  ['listings_are_what_is_sold', 'delete from listing'],
  [
    'listings_are_what_is_sold',
    'alter table product disable trigger listings_on_update',
    `update product set status = 'archived'`,
  ],
  ['documents_are_of_what_is_sold', 'delete from search_pending', 'delete from search_document'],
  [
    'documents_are_of_what_is_sold',
    'delete from search_pending',
    `update product set status = 'archived' where id in (select product_id from search_document)`,
  ],
  ['ratings_are_of_the_approved_reviews', 'update product_signal set rating = 5'],
  ['ratings_are_of_the_approved_reviews', 'delete from review_summary'],
  ['ratings_are_of_the_approved_reviews', `update review set status = 'rejected'`],
]

describe('the checks of the database', () => {
  it.each(TAMPERED)('%s is noticed', async (invariant, ...statements) => {
    const tx = await stack.database.pool.connect()
    try {
      await tx.query('begin')
      for (const statement of statements) await tx.query(statement)
      const violated = (await checkDatabase(tx)).filter((check) => !check.ok)
      expect(violated).toContainEqual(
        expect.objectContaining({
          name: invariant,
          violations: expect.any(Number),
          sample: expect.arrayContaining([expect.any(String)]),
        }),
      )
    } finally {
      await tx.query('rollback')
      tx.release()
    }
  })

  it('every check is among them', async () => {
    const tx = await stack.database.pool.connect()
    const names = (await checkDatabase(tx)).map(({ name }) => name)
    tx.release()
    expect(new Set(TAMPERED.map(([invariant]) => invariant))).toEqual(new Set(names))
  })
})
