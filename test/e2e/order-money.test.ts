import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { type Answer, type CallOptions, callApi } from '../support/http'
import { newId } from '../../db/id'
import { createApiKey, type Role } from '../../db/platform/api-key'
import { type ProviderProxy, startProviderProxy } from '../support/provider-proxy'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { together } from '../support/together'
import { until } from '../support/wait'

/** Captures, refunds and cancellations of confirmed orders, as staff, buyers and strangers ask for them over HTTP. */

let stack: TestStack
let shop: Shop
let provider: ProviderProxy
beforeAll(async () => {
  provider = await startProviderProxy()
  stack = await testStack({ apis: 2, env: { SANDBOX_URL: provider.url } })
  provider.target = stack.stack.file.sandbox
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
}, 60_000)
afterAll(async () => {
  await stack?.stop()
  await provider?.close()
}, 30_000)

interface Paid {
  readonly id: string
  readonly sku: string
  readonly buyer: Buyer
}

/** A confirmed order of its own product. */
async function paidOrder({ price = 1_000, quantity = 1, method = 'pm_card_visa' } = {}): Promise<Paid> {
  const buyer = await shop.buyerOf({ price, stock: quantity + 5 }, quantity)
  const key = randomUUID()
  const { body } = await until(
    'it is paid',
    () => buyer.checkout({ method, key }),
    ({ status }) => status === 201,
    30_000,
  )
  return { id: body.id, sku: buyer.sku, buyer }
}

type Command = 'captures' | 'refunds' | 'cancel'
const GOODWILL = { reason_code: 'goodwill' }

const command = (id: string, what: Command, body: object, key?: string): Promise<Answer> =>
  shop.admin('post', `/v1/admin/orders/${id}/${what}`, body, key)

/** Sends it until the provider's answer is in it. */
async function done(id: string, what: Command, body: object): Promise<Answer['body']> {
  const key = randomUUID()
  const answer = await until(
    `${what} of ${id} is done`,
    () => command(id, what, body, key),
    (one) => one.status !== 202 && one.body.status !== 'pending',
    30_000,
  )
  return answer.body
}

const order = async (id: string): Promise<Answer['body']> => (await shop.order(id)).body

/** The figures of an order, in minor units. */
async function figures(id: string): Promise<Record<string, number>> {
  const { totals } = await order(id)
  const names = ['total', 'authorized', 'captured', 'refunded', 'refund_pending', 'cancelled'] as const
  return Object.fromEntries(names.map((name) => [name, totals[name].amount]))
}

/** Captured and refunded by the provider's own journal. */
async function atProvider(id: string): Promise<{ captured: number; refunded: number; statuses: string[] }> {
  const charges = (await shop.charges(id)) as unknown as { status: string; captured: number; refunded: number }[]
  const sum = (name: 'captured' | 'refunded') => charges.reduce((total, charge) => total + charge[name], 0)
  return { captured: sum('captured'), refunded: sum('refunded'), statuses: charges.map(({ status }) => status) }
}

/** The order's own figures are those of the provider's journal and of the ledger, and nothing is on its way. */
async function balances(id: string, withinMs = 60_000): Promise<Record<string, number>> {
  const seen = await until(
    `the books of ${id} balance`,
    async () => ({
      ours: await figures(id),
      theirs: await atProvider(id),
      clearing: await balanceOf(id, 'psp_clearing'),
    }),
    ({ ours, theirs, clearing }) =>
      ours['refund_pending'] === 0 &&
      ours['captured'] === theirs.captured &&
      ours['refunded'] === theirs.refunded &&
      clearing === theirs.captured - theirs.refunded,
    withinMs,
  )
  return seen.ours
}

async function balanceOf(id: string, account: string): Promise<number> {
  const { ledger } = await order(id)
  const entries = ledger as { account: string; amount: { amount: number } }[]
  expect(entries.reduce((sum, { amount }) => sum + amount.amount, 0)).toBe(0)
  return entries.filter((entry) => entry.account === account).reduce((sum, { amount }) => sum + amount.amount, 0)
}

const keyOf = async (role: Role): Promise<string> =>
  (await createApiKey(stack.database.pool, { name: role, role, expiresAt: null })).secret

describe('price tampering and overflow (CVE-2026-2890, CVE-2026-44826, CVE-2004-0062): no such amount', () => {
  let paid: Paid
  beforeAll(async () => {
    paid = await paidOrder({ quantity: 2 })
    await done(paid.id, 'captures', { amount: 500 })
  }, 60_000)
  afterAll(async () => expect(await balances(paid.id)).toMatchObject({ captured: 500, refunded: 0 }))

  const AMOUNTS: readonly unknown[] = [
    ...[0, -1, -0.5, 1.5, 0.1, 1_000_000_000_001, 2 ** 53, 1e300, '100', '1e2', '', null, true, [], [100], {}],
    { amount: 100 },
    { amount: 0, currency: 'GBP' },
    { amount: -100, currency: 'GBP' },
    { amount: 1.5, currency: 'GBP' },
    { amount: '100', currency: 'GBP' },
    { amount: 100, currency: 'EUR' },
    { amount: 100, currency: 'gbp' },
    { amount: 100, currency: 'ZZZ' },
    { amount: 100, currency: 'GBP', rate: 2 },
  ]

  it.each(AMOUNTS.map((amount) => [JSON.stringify(amount), amount]))('%s', async (_text, amount) => {
    for (const [what, rest] of [
      ['captures', {}],
      ['refunds', GOODWILL],
    ] as const) {
      const { status, body } = await command(paid.id, what, { ...rest, amount })
      expect([status, body.code]).toEqual([400, 'validation_failed'])
      expect(body.errors.map(({ pointer }: { pointer: string }) => pointer.split('/')[1])).toContain('amount')
    }
  })

  it('a number that only looks like one to other programs', async () => {
    for (const text of ['1e1000', '-0', '100.0000000000000001e0, "amount": -5']) {
      const path = `/v1/admin/orders/${paid.id}/refunds`
      const raw = `{"reason_code": "goodwill", "amount": ${text}}`
      const answer = await shop.call('post', path, { key: stack.adminKey, idempotencyKey: randomUUID(), raw })
      expect(answer.status).toBe(400)
    }
  })

  it('more than there is', async () => {
    const available = (amount: number) => ({ status: 409, body: { available: { amount, currency: 'GBP' } } })
    expect(await command(paid.id, 'captures', { amount: 1_501 })).toMatchObject(available(1_500))
    expect(await command(paid.id, 'captures', { amount: 1_000_000_000_000 })).toMatchObject(available(1_500))
    expect(await command(paid.id, 'refunds', { ...GOODWILL, amount: 501 })).toMatchObject(available(500))
  })

  it('not exactly one of amount, lines and all', async () => {
    const lines = [{ sku: paid.sku, quantity: 1 }]
    for (const body of [{}, { amount: 1, all: true }, { lines, all: true }, { amount: 1, lines }, { all: false }])
      expect((await command(paid.id, 'refunds', { ...GOODWILL, ...body })).status).toBe(400)
  })

  it('mass assignment (CVE-2026-72843): what a caller may not set', async () => {
    for (const extra of [
      { status: 'succeeded' },
      { payment_id: newId('payment') },
      { currency: 'GBP' },
      { actor: 'x' },
    ]) {
      const pointer = `/${Object.keys(extra)[0]}`
      for (const [what, body] of [
        ['captures', { amount: 1 }],
        ['refunds', { amount: 1, ...GOODWILL }],
        ['cancel', GOODWILL],
      ] as const)
        expect(await command(paid.id, what, { ...body, ...extra })).toMatchObject({
          status: 400,
          body: { errors: [{ pointer }] },
        })
    }
  })

  it('a reason that is a sentence, and may name somebody', async () => {
    for (const reason_code of ['Mr Smith asked', 'UPPER', '', 'a'.repeat(65), null, undefined]) {
      expect((await command(paid.id, 'refunds', { amount: 1, reason_code })).status).toBe(400)
      expect((await command(paid.id, 'cancel', { reason_code })).status).toBe(400)
    }
  })

  it('lines: negative and doubled quantities, and those of nothing (CVE-2026-44826, CVE-2023-22730)', async () => {
    const { sku } = paid
    const wrong: readonly unknown[][] = [
      [],
      [{ sku, quantity: 0 }],
      [{ sku, quantity: -1 }],
      [{ sku, quantity: 0.5 }],
      [{ sku, quantity: 1e9 }],
      [
        { sku, quantity: 1 },
        { sku: sku.toLowerCase(), quantity: 1 },
      ],
      [{ sku: 'NO-SUCH-SKU', quantity: 1 }],
      [{ sku, quantity: 1, total: 5 }],
    ]
    for (const lines of wrong)
      for (const what of ['refunds', 'cancel'] as const)
        expect([lines, (await command(paid.id, what, { ...GOODWILL, lines })).status]).toEqual([lines, 400])
    expect(await command(paid.id, 'cancel', { ...GOODWILL, lines: [{ sku, quantity: 3 }] })).toMatchObject({
      status: 409,
      body: { code: 'already_shipped', lines: [{ sku, requested: 3, available: 2 }] },
    })
    expect(await command(paid.id, 'refunds', { ...GOODWILL, lines: [{ sku, quantity: 1 }] })).toMatchObject({
      status: 409,
      body: { code: 'cancel_instead' },
    })
  })
})

describe('strangers', () => {
  let [mine, theirs]: Paid[] = []
  beforeAll(async () => {
    ;[mine, theirs] = await Promise.all([paidOrder(), paidOrder()])
  }, 60_000)

  it('nested-id IDOR (CVE-2026-22588): a capture or a refund is there below its own order alone', async () => {
    const capture = await done(theirs!.id, 'captures', { amount: 100 })
    const refund = await done(theirs!.id, 'refunds', { amount: 50, ...GOODWILL })
    const read = (id: string, what: string) => shop.admin('get', `/v1/admin/orders/${id}/${what}`)
    for (const what of [`captures/${capture.id}`, `refunds/${refund.id}`]) {
      expect((await read(theirs!.id, what)).status).toBe(200)
      expect((await read(mine!.id, what)).status).toBe(404)
      expect((await read(newId('order'), what)).status).toBe(404)
    }
    expect((await read(mine!.id, 'captures')).body.data).toEqual([])
    expect((await read(mine!.id, 'refunds')).body.data).toEqual([])
  })

  it('order IDOR (CVE-2026-24136, CVE-2026-48016): nobody cancels the order of another cart', async () => {
    const path = `/v1/store/orders/${mine!.id}/cancel`
    const cancel = (options: CallOptions) =>
      shop.call('post', path, { idempotencyKey: randomUUID(), body: {}, ...options })
    expect((await cancel({ token: theirs!.buyer.token })).status).toBe(404)
    expect((await cancel({ token: 'ct_x' })).status).toBe(404)
    expect((await cancel({})).status).toBe(401)
    expect((await cancel({ key: stack.adminKey })).status).toBe(401)
    expect((await cancel({ token: mine!.buyer.token, body: { lines: [] } })).status).toBe(400)
    expect((await order(mine!.id)).status).toBe('confirmed')
  })

  it('unguarded write (CVE-2026-115323): each role may what it may', async () => {
    const roles = { admin: [201, 200], support: [201, 200], readonly: [403, 200], catalog: [403, 403] } as const
    for (const [role, [write, read]] of Object.entries(roles)) {
      const key = await keyOf(role as Role)
      const send = (what: Command, body: object) =>
        shop.call('post', `/v1/admin/orders/${theirs!.id}/${what}`, { key, idempotencyKey: randomUUID(), body })
      const ask = (what: string) => shop.call('get', `/v1/admin/orders/${theirs!.id}${what}`, { key })
      expect([role, (await send('captures', { amount: 10 })).status]).toEqual([role, write])
      expect([role, (await send('refunds', { amount: 1, ...GOODWILL })).status === 403]).toEqual([role, write === 403])
      if (write === 403) expect((await send('cancel', GOODWILL)).status).toBe(403)
      for (const what of ['', '/captures', '/refunds', '/timeline'])
        expect([role, what, (await ask(what)).status]).toEqual([role, what, read])
    }
    const token = theirs!.buyer.token
    const byToken = { token, idempotencyKey: randomUUID(), body: { amount: 1 } }
    expect((await shop.call('post', `/v1/admin/orders/${theirs!.id}/captures`, byToken)).status).toBe(401)
  })

  it('what a buyer reads tells nothing of the shop', async () => {
    const own = (await theirs!.buyer.order(theirs!.id)).body
    for (const name of ['captures', 'disputes', 'ledger', 'events', 'workflow']) expect(own).not.toHaveProperty(name)
    expect(own).toMatchObject({
      refunds: [{ status: 'succeeded', amount: { amount: 50 } }, {}, {}],
      actions: ['cancel', 'change_address'],
    })
  })
})

describe('the same command again', () => {
  together({
    'without a key': async () => {
      const { id } = await paidOrder()
      for (const [what, body] of [
        ['captures', { amount: 1 }],
        ['refunds', { amount: 1, ...GOODWILL }],
        ['cancel', GOODWILL],
      ] as const)
        expect(await shop.call('post', `/v1/admin/orders/${id}/${what}`, { key: stack.adminKey, body })).toMatchObject({
          status: 400,
          body: { code: 'idempotency_key_required' },
        })
    },

    'with the same key is one command': async () => {
      const { id } = await paidOrder()
      const key = randomUUID()
      const first = await command(id, 'captures', { amount: 300 }, key)
      const again = await command(id, 'captures', { amount: 300 }, key)
      expect([first.status, again.status, again.body.id]).toEqual([201, 201, first.body.id])
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(await command(id, 'captures', { amount: 301 }, key)).toMatchObject({
        status: 422,
        body: { code: 'idempotency_key_reused' },
      })
      expect((await command(id, 'refunds', { amount: 300, ...GOODWILL }, key)).status).toBeLessThan(300)
      expect(await balances(id)).toMatchObject({ captured: 300, refunded: 300 })
    },

    'late, when nothing is left, answers how it stands': async () => {
      const { id } = await paidOrder()
      const key = randomUUID()
      const { body } = await command(id, 'captures', { amount: 1_000 }, key)
      expect((await done(id, 'cancel', GOODWILL)).status).toBe('cancelled')
      expect(await command(id, 'captures', { amount: 1_000 }, key)).toMatchObject({
        status: 201,
        body: { id: body.id, status: 'succeeded' },
      })
      expect((await command(id, 'captures', { amount: 1_000 })).status).toBe(409)
      expect(await balances(id)).toMatchObject({ captured: 1_000, refunded: 1_000 })
    },

    'at once with one key, at two processes': async () => {
      const { id } = await paidOrder()
      await done(id, 'captures', { amount: 1_000 })
      const key = randomUUID()
      const send = (_: unknown, index: number) =>
        shop.call(
          'post',
          `/v1/admin/orders/${id}/refunds`,
          { key: stack.adminKey, idempotencyKey: key, body: { amount: 400, ...GOODWILL } },
          index % 2,
        )
      const answers = await Promise.all(Array.from({ length: 10 }, send))
      expect(answers.filter(({ status, body }) => status > 202 && body.code !== 'request_in_progress')).toEqual([])
      const ids = answers.filter(({ status }) => status <= 202).map(({ body }) => body.id)
      expect(new Set(ids).size).toBe(1)
      expect(await balances(id)).toMatchObject({ refunded: 400 })
    },

    'at once with keys of their own: two refunds of 60 of 100 (hyperswitch#13182)': async () => {
      const { id } = await paidOrder({ price: 100 })
      await done(id, 'captures', { amount: 100 })
      const refund = () => command(id, 'refunds', { amount: 60, ...GOODWILL })
      const statuses = (await Promise.all([refund(), refund()])).map(({ status }) => status)
      expect(statuses.filter((status) => status === 409)).toHaveLength(1)
      expect(await balances(id)).toMatchObject({ captured: 100, refunded: 60 })
    },

    'with the same key by another caller is another command': async () => {
      const { id } = await paidOrder()
      const [key, other] = [randomUUID(), await keyOf('support')]
      const first = await command(id, 'captures', { amount: 100 }, key)
      const path = `/v1/admin/orders/${id}/captures`
      const second = await shop.call('post', path, { key: other, idempotencyKey: key, body: { amount: 100 } })
      expect([first.status, second.status]).toEqual([201, 201])
      expect(second.body.id).not.toBe(first.body.id)
      expect(await balances(id)).toMatchObject({ captured: 200 })
    },
  })
})

const stockOf = async ({ sku }: Paid) => (await shop.stock(sku)).reserved

describe('cancelling a confirmed order', () => {
  together(
    {
      'authorized: its stock is free, its money let go': async () => {
        const paid = await paidOrder({ quantity: 3 })
        expect((await order(paid.id)).actions).toEqual(['cancel', 'change_address'])
        const cancelled = await done(paid.id, 'cancel', { reason_code: 'fraud' })
        expect(cancelled).toMatchObject({
          status: 'cancelled',
          cancel_reason: 'fraud',
          actions: [],
          payment_status: 'voided',
        })
        expect(await stockOf(paid)).toBe(0)
        expect(await balances(paid.id)).toMatchObject({ authorized: 0, captured: 0, cancelled: 3_000 })
        expect((await atProvider(paid.id)).statuses).toEqual(['voided'])
      },

      'captured: all of it goes back': async () => {
        const paid = await paidOrder()
        await done(paid.id, 'captures', { amount: 1_000 })
        const cancelled = await done(paid.id, 'cancel', { reason_code: 'customer_request' })
        expect(cancelled).toMatchObject({ status: 'cancelled', cancel_reason: 'merchant', payment_status: 'refunded' })
        expect(cancelled.refunds).toMatchObject([{ status: 'succeeded', amount: { amount: 1_000 } }])
        expect(await balances(paid.id)).toMatchObject({ captured: 1_000, refunded: 1_000 })
      },

      'partly captured and partly refunded: one part goes back, the other is let go': async () => {
        const paid = await paidOrder()
        await done(paid.id, 'captures', { amount: 600 })
        await done(paid.id, 'refunds', { amount: 100, ...GOODWILL })
        expect(await done(paid.id, 'cancel', GOODWILL)).toMatchObject({
          status: 'cancelled',
          payment_status: 'refunded',
        })
        expect(await balances(paid.id)).toMatchObject({ authorized: 600, captured: 600, refunded: 600 })
      },

      'by its buyer, twice': async () => {
        const paid = await paidOrder()
        const cancel = (key: string) =>
          shop.call('post', `/v1/store/orders/${paid.id}/cancel`, {
            token: paid.buyer.token,
            idempotencyKey: key,
            body: {},
          })
        const key = randomUUID()
        await until(
          'it is cancelled',
          () => cancel(key),
          ({ status }) => status === 200,
          30_000,
        )
        const replayed = await cancel(key)
        expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
        expect(await cancel(randomUUID())).toMatchObject({
          status: 200,
          body: { cancel_reason: 'customer', actions: [] },
        })
        expect(await stockOf(paid)).toBe(0)
        expect(await balances(paid.id)).toMatchObject({ captured: 0 })
      },

      'by units, until none is left': async () => {
        const paid = await paidOrder({ price: 333, quantity: 3 })
        const one = { ...GOODWILL, lines: [{ sku: paid.sku.toLowerCase(), quantity: 1 }] }
        expect(await done(paid.id, 'cancel', one)).toMatchObject({
          status: 'confirmed',
          actions: ['cancel', 'change_address'],
          lines: [{ quantity: 3, cancelled: 1 }],
          totals: { cancelled: { amount: 333 } },
        })
        expect(await stockOf(paid)).toBe(2)
        expect((await command(paid.id, 'captures', { amount: 667 })).status).toBe(409)
        await done(paid.id, 'captures', { amount: 666 })
        expect(await done(paid.id, 'cancel', one)).toMatchObject({
          status: 'confirmed',
          totals: { refunded: { amount: 333 } },
        })
        expect(await done(paid.id, 'cancel', one)).toMatchObject({ status: 'cancelled', lines: [{ cancelled: 3 }] })
        expect(await stockOf(paid)).toBe(0)
        expect(await balances(paid.id)).toMatchObject({ captured: 666, refunded: 666, cancelled: 999 })
      },

      'ten times at once, at two processes, by staff and buyer: once': async () => {
        const paid = await paidOrder({ quantity: 4 })
        await done(paid.id, 'captures', { amount: 1_500 })
        const send = (_: unknown, index: number) => {
          const byBuyer = index % 3 === 0
          const path = `/v1/${byBuyer ? 'store' : 'admin'}/orders/${paid.id}/cancel`
          const caller = byBuyer ? { token: paid.buyer.token, body: {} } : { key: stack.adminKey, body: GOODWILL }
          return shop.call('post', path, { ...caller, idempotencyKey: randomUUID() }, index % 2)
        }
        const statuses = (await Promise.all(Array.from({ length: 10 }, send))).map(({ status }) => status)
        expect(statuses.filter((status) => status > 202)).toEqual([])
        expect(await balances(paid.id)).toMatchObject({ captured: 1_500, refunded: 1_500 })
        expect(await stockOf(paid)).toBe(0)
        const { events } = await order(paid.id)
        expect(events.filter(({ type }: { type: string }) => type === 'order.cancelled')).toHaveLength(1)
      },

      'while it is captured: taken and given back, or never taken': async () => {
        const paid = await paidOrder()
        await Promise.all([command(paid.id, 'captures', { amount: 1_000 }), command(paid.id, 'cancel', GOODWILL)])
        const end = await balances(paid.id)
        expect([0, 1_000]).toContain(end['captured'])
        expect(end['refunded']).toBe(end['captured'])
        expect((await order(paid.id)).status).toBe('cancelled')
      },

      'while it is refunded: not a penny more goes back than was taken': async () => {
        const paid = await paidOrder()
        await done(paid.id, 'captures', { amount: 1_000 })
        const refund = () => command(paid.id, 'refunds', { amount: 700, ...GOODWILL })
        await Promise.all([refund(), command(paid.id, 'cancel', GOODWILL), refund()])
        expect(await balances(paid.id)).toMatchObject({ captured: 1_000, refunded: 1_000 })
      },

      'an order that is not paid yet ends as a whole, and by whom it was is told': async () => {
        const buyer = await shop.buyerOf()
        const { body } = await until(
          'it waits',
          () => buyer.checkout({ method: 'pm_card_authenticationRequired' }),
          (answer) => answer.body.state === 'requires_action',
        )
        const id: string = body.order_id
        const lines = [{ sku: buyer.sku, quantity: 1 }]
        expect(await command(id, 'cancel', { ...GOODWILL, lines })).toMatchObject({
          status: 409,
          body: { code: 'checkout_in_progress' },
        })
        expect((await command(id, 'captures', { amount: 1 })).status).toBe(409)
        expect((await command(id, 'refunds', { all: true, ...GOODWILL })).status).toBe(409)
        const key = randomUUID()
        const cancel = (reason_code: string) => command(id, 'cancel', { reason_code }, key)
        await until(
          'it is over',
          () => cancel('fraud'),
          ({ status }) => status === 200,
          30_000,
        )
        expect((await shop.order(id)).body.cancel_reason).toBe('fraud')
        expect((await cancel('other')).status).toBe(422)
        expect((await shop.stock(buyer.sku)).reserved).toBe(0)
        expect((await order(id)).workflow.id).toBe(`checkout-${id}`)
      },

      'while the provider is away: 202, and done soon after it can be asked': async () => {
        const paid = await paidOrder({ quantity: 2 })
        await done(paid.id, 'captures', { amount: 500 })
        provider.fail(paid.id)
        const answer = await command(paid.id, 'cancel', GOODWILL)
        expect(answer).toMatchObject({
          status: 202,
          body: { status: 'cancelled', totals: { refund_pending: { amount: 500 } } },
        })
        expect(await stockOf(paid)).toBe(0)
        provider.heal(paid.id)
        expect(await balances(paid.id, 60_000)).toMatchObject({ captured: 500, refunded: 500 })
        await until(
          'what is left is let go',
          () => atProvider(paid.id),
          ({ statuses }) => statuses.join() === 'refunded',
        )
      },

      'the timeline of an order that has no settlement has the steps of the others': async () => {
        const paid = await paidOrder()
        const { body } = await until(
          'the steps can be read',
          () => shop.admin('get', `/v1/admin/orders/${paid.id}/timeline`),
          (answer) => answer.body.workflow_steps === 'included',
        )
        const kinds = new Set(body.data.map(({ title }: { title: string }) => title.split(':')[0]))
        expect(kinds).toContain('checkout')
        expect(kinds).not.toContain('settlement')
      },

      'the timeline tells all of it': async () => {
        const paid = await paidOrder()
        await done(paid.id, 'captures', { amount: 600 })
        await done(paid.id, 'refunds', { amount: 100, ...GOODWILL })
        await done(paid.id, 'cancel', GOODWILL)
        await balances(paid.id)
        const { body } = await until(
          'the steps can be read',
          () => shop.admin('get', `/v1/admin/orders/${paid.id}/timeline`),
          (answer) => answer.body.workflow_steps === 'included',
        )
        const titles: string[] = body.data.map((entry: { title: string }) => entry.title)
        for (const title of [
          'GBP 10.00 was authorized',
          'GBP 6.00 is to be captured',
          'GBP 6.00 was captured',
          'GBP 1.00 was refunded',
          'GBP 5.00 is to be refunded',
          'GBP 5.00 was refunded',
          'GBP 4.00 of the authorization was let go',
          'order.cancelled (confirmed → cancelled)',
          'checkout: The workflow began',
          'fulfillment: The workflow began',
        ])
          expect(titles).toContain(title)
        expect((await order(paid.id)).workflow.id).toBe(`fulfillment-${paid.id}`)
      },
    },
    120_000,
  )
})

describe('a dispute', () => {
  it("is shown with what the customer's bank takes; that cannot be refunded, and nothing more is captured", async () => {
    const paid = await paidOrder()
    await done(paid.id, 'captures', { amount: 600 })
    const [charge] = await shop.charges(paid.id)
    const disputed = await fetch(`${shop.address.sandbox}/v1/charges/${charge?.id}/dispute`, {
      method: 'post',
      headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
      body: JSON.stringify({ amount: 400 }),
    })
    expect(disputed.status).toBeLessThan(300)
    const seen = await until(
      'it is seen',
      () => order(paid.id),
      ({ payment_status }) => payment_status === 'disputed',
      30_000,
    )
    expect(seen).toMatchObject({
      disputes: [{ status: 'open', amount: { amount: 400, currency: 'GBP' } }],
    })
    expect(await command(paid.id, 'refunds', { amount: 201, ...GOODWILL })).toMatchObject({
      status: 409,
      body: { available: { amount: 200 } },
    })
    await until(
      'it is on hold',
      () => command(paid.id, 'captures', { amount: 1 }),
      ({ body }) => body.code === 'order_on_hold',
    )
    const { body } = await shop.admin('get', `/v1/admin/orders/${paid.id}/timeline`)
    expect(body.data.map(({ title }: { title: string }) => title)).toContain(
      "The customer's bank takes GBP 4.00 back: a dispute",
    )
    expect((await paid.buyer.order(paid.id)).body).not.toHaveProperty('disputes')
  }, 90_000)
})

describe('with nothing to pay', () => {
  /** Without a payment. */
  const buy = (buyer: Buyer) => buyer.checkout({ body: { payment: undefined } })

  it('no payment is asked for, and nothing of it can be captured or refunded', async () => {
    const buyer = await shop.buyerOf({ price: 0 })
    const { body } = await until(
      'it is bought',
      () => buy(buyer),
      ({ status }) => status === 201,
      30_000,
    )
    expect(body).toMatchObject({
      status: 'confirmed',
      payment_status: 'none',
      payments: [],
      actions: ['cancel', 'change_address'],
    })
    expect((await command(body.id, 'captures', { amount: 1 })).status).toBe(409)
    expect((await command(body.id, 'refunds', { all: true, ...GOODWILL })).status).toBe(409)
    expect(await done(body.id, 'cancel', GOODWILL)).toMatchObject({ status: 'cancelled', payment_status: 'none' })
    expect((await shop.stock(buyer.sku)).reserved).toBe(0)
    await until(
      'its workflow ends',
      async () => (await order(body.id)).workflow.status,
      (status) => status === 'COMPLETED',
      30_000,
    )
  }, 60_000)

  it('a payment that is there does no harm', async () => {
    const buyer = await shop.buyerOf({ price: 0 })
    const { body } = await until(
      'it is bought',
      () => buyer.checkout(),
      ({ status }) => status === 201,
      30_000,
    )
    expect(body).toMatchObject({ payment_status: 'none', payments: [] })
  }, 60_000)

  it('where there is something to pay, a payment is required', async () => {
    const buyer = await shop.buyerOf({ price: 1 })
    const required = { status: 400, body: { errors: [{ pointer: '/payment', code: 'required' }] } }
    expect(await buy(buyer)).toMatchObject(required)
    expect(await buyer.checkout({ body: { payment: null } })).toMatchObject(required)
    expect(await buyer.checkout({ body: { payment: { method: 'cash' } } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/payment/method' }] },
    })
    expect(await buyer.checkout({ body: { payment: { provider: 'nobody', method: 'pm_card_visa' } } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/payment/provider' }] },
    })
    const { body } = await buyer.checkout({ body: { payment: { method: 'pm_card_chargeDeclined' } } })
    expect(body.code).toBe('payment_declined')
    expect(await buy(buyer)).toMatchObject(required)
    const paid = await buyer.checkout({ body: { payment: { method: 'pm_card_visa' } } })
    expect(paid).toMatchObject({ status: 201, body: { payments: [{ status: 'declined' }, { provider: 'sandbox' }] } })
  }, 60_000)
})

describe('webhooks', () => {
  let paid: Paid
  let charge: Record<string, unknown>
  beforeAll(async () => {
    paid = await paidOrder()
    await done(paid.id, 'captures', { amount: 400 })
    charge = (await shop.charges(paid.id))[0] as unknown as Record<string, unknown>
  }, 60_000)
  /** Whatever came in: the provider is asked, and the order stays as the provider has it. */
  afterEach(async () => {
    expect(await balances(paid.id)).toMatchObject({ authorized: 1_000, captured: 400, refunded: 0 })
    expect((await order(paid.id)).status).toBe('confirmed')
    expect(await shop.cases(paid.id)).toEqual([])
  })

  interface Sent {
    readonly change?: object
    readonly secret?: string
    readonly at?: Date
    readonly id?: string
    /** Sent instead of what was signed. */
    readonly raw?: string
    readonly without?: string
  }

  async function send({ change = {}, secret, at = new Date(), id = `evt_${randomUUID()}`, raw, without }: Sent) {
    const signed = JSON.stringify({ id, type: 'charge.updated', charge: { ...charge, ...change } })
    const headers: Record<string, string> = {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret ?? (stack.stack.env['SANDBOX_WEBHOOK_SECRET'] as string)).sign(
        id,
        at,
        signed,
      ),
    }
    if (without) delete headers[without]
    const answer = await shop.call('post', '/webhooks/payments/sandbox', { raw: raw ?? signed, headers })
    return { status: answer.status, kept: await kept(id) }
  }

  async function kept(id: string): Promise<number> {
    const { rows } = await stack.database.pool.query('select 1 from inbox where event_id = $1', [id])
    return rows.length
  }

  /** Every event that was kept has been acted upon. */
  const settled = () =>
    until(
      'the inbox is empty',
      async () => {
        const { rows } = await stack.database.pool.query('select 1 from inbox where done_at is null')
        return rows.length === 0
      },
      Boolean,
      30_000,
    )

  it('forged payment webhook (CVE-2026-11462, CVE-2026-0656): refused, and nothing is kept', async () => {
    const refused = { status: 401, kept: 0 }
    const change = { captured: 1_000, status: 'captured' }
    expect(await send({ change, secret: `whsec_${Buffer.from('another secret').toString('base64')}` })).toEqual(refused)
    expect(await send({ change, raw: JSON.stringify({ id: 'evt_x', type: 'charge.updated', charge }) })).toEqual(
      refused,
    )
    for (const without of ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
      expect(await send({ change, without })).toEqual(refused)
    for (const raw of ['', '{', 'null', '[]', '{"id":"evt_x"}']) expect(await send({ raw })).toEqual(refused)
  })

  it('signed, and not readable as an event of the provider: refused', async () => {
    for (const change of [
      { id: '' },
      { key: null },
      { reference: undefined },
      { refunds: null },
      { disputes: undefined },
    ])
      expect(await send({ change })).toEqual({ status: 401, kept: 0 })
  })

  it('stale, or from the future: refused', async () => {
    for (const minutes of [-6, 6]) {
      const at = new Date(Date.now() + minutes * 60_000)
      expect(await send({ at })).toEqual({ status: 401, kept: 0 })
    }
  })

  it('replayed: kept once', async () => {
    const id = `evt_${randomUUID()}`
    const answers = await Promise.all([send({ id }), send({ id }), send({ id })])
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
    expect(await kept(id)).toBe(1)
    await settled()
  })

  it('with other sums than the provider has: it is asked, and believed', async () => {
    for (const change of [
      { captured: 1_000, status: 'captured' },
      { captured: 400, refunded: 400, status: 'refunded' },
      { status: 'voided' },
      { amount: 1, captured: 0, status: 'authorized' },
    ])
      expect(await send({ change })).toEqual({ status: 204, kept: 1 })
    await settled()
  })

  it('of another order, or by another key (CVE-2026-2890): no order takes the payment of another', async () => {
    const other = await paidOrder()
    expect(await send({ change: { reference: other.id } })).toEqual({ status: 204, kept: 1 })
    const strange = { id: 'ch_unknown', key: `${other.id}/charge/9`, reference: other.id, captured: 1_000 }
    expect(await send({ change: strange })).toEqual({ status: 204, kept: 1 })
    expect(await send({ change: { reference: newId('order'), key: 'order_x/charge/1', id: 'ch_x' } })).toMatchObject({
      status: 204,
    })
    await settled()
    expect(await balances(other.id)).toMatchObject({ authorized: 1_000, captured: 0, refunded: 0 })
    expect(await shop.cases(other.id)).toEqual([])
  })

  it('to a provider that is not there', async () => {
    for (const name of ['stripe2', '__proto__', 'constructor', '%00'])
      expect((await shop.call('post', `/webhooks/payments/${name}`, { raw: '{}' })).status).toBe(404)
  })
})

describe('200 mixed captures, refunds and cancellations at once on one order', () => {
  const UNITS = 50
  const PRICE = 1_000

  /** The same commands for a seed. */
  function commandsOf(sku: string): { what: Command; body: object }[] {
    return Array.from({ length: 200 }, (_, n) => {
      if (n % 10 === 9) return { what: 'cancel', body: { ...GOODWILL, lines: [{ sku, quantity: 1 + (n % 3) }] } }
      if (n % 2 === 0) return { what: 'captures', body: { amount: 100 + 37 * (n % 23) } }
      return { what: 'refunds', body: { ...GOODWILL, amount: 50 + 29 * (n % 17) } }
    })
  }

  async function storm(): Promise<Paid> {
    const paid = await paidOrder({ price: PRICE, quantity: UNITS })
    await done(paid.id, 'captures', { amount: 5_000 })
    const answers = await Promise.all(
      commandsOf(paid.sku).map(({ what, body }, index) =>
        callApi(stack.stack.file.apis[index % 2] as string, 'post', `/v1/admin/orders/${paid.id}/${what}`, {
          key: stack.adminKey,
          idempotencyKey: randomUUID(),
          body,
        }),
      ),
    )
    const odd = answers.filter(({ status, body }) => status > 202 && status !== 409 && body.code !== 'unavailable')
    expect(odd.map(({ status, body }) => [status, body])).toEqual([])
    expect(answers.filter(({ status }) => status <= 202).length).toBeGreaterThan(50)
    return paid
  }

  async function isSound(paid: Paid): Promise<void> {
    const end = await balances(paid.id, 90_000)
    const { lines, captures, refunds } = await order(paid.id)
    const cancelled: number = lines[0].cancelled
    expect(end).toMatchObject({ total: UNITS * PRICE, cancelled: cancelled * PRICE })
    expect(end['captured']).toBeLessThanOrEqual(UNITS * PRICE)
    expect(end['refunded']).toBeLessThanOrEqual(end['captured'] as number)
    expect(await stockOf(paid)).toBe(UNITS - cancelled)
    const sum = (moves: { status: string; amount: { amount: number } }[]) =>
      moves.filter(({ status }) => status === 'succeeded').reduce((total, { amount }) => total + amount.amount, 0)
    expect(sum(captures)).toBe(end['captured'])
    expect(sum(refunds)).toBe(end['refunded'])
    expect([...captures, ...refunds].filter(({ status }: { status: string }) => status === 'pending')).toEqual([])
  }

  it('the books balance, and nothing was taken or given twice', async () => {
    await isSound(await storm())
  }, 180_000)

  it('so they do when the provider fails and drops answers meanwhile', async () => {
    await shop.faults({ error_rate: 0.2, drop_answer_rate: 0.2, seed: 7 })
    const paid = await storm().finally(() => shop.faults())
    await isSound(paid)
  }, 240_000)

  it('and the order can still be ended as a whole', async () => {
    const paid = await storm()
    await done(paid.id, 'cancel', GOODWILL)
    const end = await balances(paid.id, 90_000)
    expect(end['refunded']).toBe(end['captured'])
    expect(await stockOf(paid)).toBe(0)
    expect((await order(paid.id)).status).toBe('cancelled')
  }, 240_000)

  it('every invariant holds afterwards', async () => {
    const { body } = await until(
      'nothing is in flight',
      () => shop.admin('get', '/v1/admin/invariants'),
      (answer) => answer.body.settled === true,
      60_000,
    )
    expect(body.checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([])
  }, 90_000)
})

// Last: rows that nothing told of are no sound books.
describe('how many', () => {
  it('an order has at most 200 captures, and lists them in pages', async () => {
    const { id } = await paidOrder()
    const { body } = await command(id, 'captures', { amount: 5 })
    await stack.database.pool.query(
      `insert into capture (id, order_id, payment_id, number, key, amount, currency, status, at_work, cause, failure_code)
       select 'cap_' || lpad(n::text, 26, '0'), order_id, payment_id, n, order_id || '/capture/' || n, 1, currency, 'failed',
              false, 'staff', 'refused'
       from capture, generate_series(2, 200) as n
       where order_id = $1`,
      [id],
    )
    expect(await command(id, 'captures', { amount: 1 })).toMatchObject({ status: 409, body: { code: 'move_limit' } })
    const path = `/v1/admin/orders/${id}/captures`
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`
      const list = (await shop.admin('get', `${path}?limit=90${query}`)).body
      seen.push(...list.data.map((capture: { id: string }) => capture.id))
      cursor = list.next_cursor
    }
    expect(seen).toHaveLength(200)
    expect(seen[0]).toBe(body.id)
    expect((await order(id)).captures).toHaveLength(200)
    for (const cursor of ['x', Buffer.from('"1"').toString('base64url'), Buffer.from('-1').toString('base64url')])
      expect((await shop.admin('get', `${path}?cursor=${cursor}`)).status).toBe(400)
  }, 60_000)
})
