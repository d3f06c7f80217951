import { type Buyer, Shop } from '../support/shop'
import type { Answer } from '../support/http'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

const BUYERS = 1_000
const UNITS = 20
const AT_ONCE = 25
const OVER_WITHIN_MS = 60_000

let stack: TestStack
let shop: Shop
beforeAll(async () => {
  stack = await testStack({ apis: 2 })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
}, 60_000)
afterAll(() => stack?.stop(), 30_000)

async function crowdOf(size: number, sku: string): Promise<Buyer[]> {
  const crowd: Buyer[] = []
  const arrive = async (): Promise<void> => {
    while (crowd.length < size) {
      const place = crowd.length
      crowd.push(undefined as unknown as Buyer)
      crowd[place] = await shop.buyer({ [sku]: 1 })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, arrive))
  return crowd
}

/** What each was told in the end: a 202 is an answer once its checkout is over. */
async function finalAnswers(crowd: readonly Buyer[], answers: readonly Answer[]): Promise<string[]> {
  await until('every checkout is over', countOpen, (open) => open === 0, OVER_WITHIN_MS)
  const ends: string[] = []
  for (const [number, answer] of answers.entries()) ends.push(await finalAnswer(crowd[number] as Buyer, answer))
  return ends
}

async function finalAnswer(buyer: Buyer, { status, body }: Answer): Promise<string> {
  if (status === 409) return body.code
  if (status === 201) return 'bought'
  expect(status).toBe(202)
  const end = await buyer.state(body.order_id)
  return end.state === 'completed' ? 'bought' : `${end.state}: ${end.reason}`
}

async function countOpen(): Promise<number> {
  const { rows } = await stack.database.pool.query<{ count: number }>(
    `select count(*) from orders where status in ('pending', 'inventory_reserved', 'payment_pending')`,
  )
  return rows[0]?.count ?? 0
}

async function chargesOf(orderIds: readonly string[]): Promise<number> {
  const charges = await Promise.all(orderIds.map((orderId) => shop.charges(orderId)))
  return charges.flat().filter(({ status }) => status === 'authorized').length
}

async function confirmedOrders(sku: string): Promise<string[]> {
  const { rows } = await stack.database.pool.query<{ id: string }>(
    `select o.id from orders o join order_line l on l.order_id = o.id where l.sku = $1 and o.status = 'confirmed'`,
    [sku],
  )
  return rows.map(({ id }) => id)
}

describe('a thousand buyers for twenty units', () => {
  let sku: string
  let crowd: Buyer[]
  let refused: Buyer

  it('sell twenty, charge twenty, and tell everybody else', async () => {
    sku = await shop.product({ stock: UNITS })
    crowd = await crowdOf(BUYERS, sku)
    const answers = await Promise.all(crowd.map((buyer, number) => buyer.checkout({ api: number % 2 })))
    const ends = await finalAnswers(crowd, answers)
    const refusals = ends.filter((end) => end === 'out_of_stock' || end === 'cancelled: out_of_stock')
    expect(ends.filter((end) => end === 'bought')).toHaveLength(UNITS)
    expect(refusals).toHaveLength(BUYERS - UNITS)
    refused = crowd[ends.indexOf(refusals[0] as string)] as Buyer
    const orders = await confirmedOrders(sku)
    expect(orders).toHaveLength(UNITS)
    expect(await chargesOf(orders)).toBe(UNITS)
    expect(await shop.stock(sku)).toEqual({ on_hand: UNITS, reserved: UNITS, available: 0 })
  }, 300_000)

  it('a refused cart sells once the stock is back', async () => {
    await shop.setStock(sku, UNITS + 1)
    expect(await refused.checkout()).toMatchObject({ status: 201 })
    expect(await shop.stock(sku)).toEqual({ on_hand: UNITS + 1, reserved: UNITS + 1, available: 0 })
  })
})

describe('the same cart submitted ten times at once', () => {
  it('is one order and one charge, whichever key and process', async () => {
    const sku = await shop.product({ stock: 10 * UNITS })
    const crowd = await crowdOf(UNITS, sku)
    const answers = await Promise.all(
      crowd.map((buyer) => Promise.all(Array.from({ length: 10 }, (_, turn) => buyer.checkout({ api: turn % 2 })))),
    )
    for (const [number, ten] of answers.entries()) {
      const ends = await finalAnswers(Array(10).fill(crowd[number]), ten)
      expect(new Set(ends)).toEqual(new Set(['bought']))
      expect(new Set(ten.map(({ body }) => body.order_id ?? body.id)).size).toBe(1)
    }
    const orders = await confirmedOrders(sku)
    expect(orders).toHaveLength(UNITS)
    expect(await chargesOf(orders)).toBe(UNITS)
    expect(await shop.stock(sku)).toMatchObject({ reserved: UNITS })
  }, 240_000)

  it('the checker agrees', async () => {
    const { body } = await until(
      'nothing is in flight',
      () => shop.admin('get', '/v1/admin/invariants'),
      ({ body }) => body.settled,
      30_000,
    )
    expect(body.checks.filter((check: { ok: boolean }) => !check.ok)).toEqual([])
  }, 240_000)
})
