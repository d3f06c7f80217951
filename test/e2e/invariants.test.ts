import { once } from 'node:events'
import { readSettings } from '../../config'
import { createApiKey } from '../../db/platform/api-key'
import { createRedis } from '../../db/redis'
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
