import { advanceGoods, decideLabel } from '../../../activities/fulfillment/goods'
import { buyLabel, voidLabel } from '../../../activities/fulfillment/label'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { withTransaction } from '../../../db/pool'
import { claimLabel } from '../../../domain/fulfillment/labels'
import { pack, pick } from '../../../domain/fulfillment/picking'
import type { LabelId } from '../../../domain/ids'
import type { VoidOutcome, VoidRequest } from '../../../providers/carrier/carrier'
import { testDatabase, type TestDatabase } from '../../support/database'
import { fulfillmentDeps } from '../../support/fulfillment-deps'
import { goodsStatements, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
/** What the carrier was asked, and what it answers. */
const asked: VoidRequest[] = []
let answer: VoidOutcome
beforeAll(async () => {
  database = await testDatabase()
})
beforeEach(() => void asked.splice(0))
afterAll(() => database?.drop())

const { inGoods, labelled, onlyShipment, sold, warehouse } = goodsStatements(() => database.pool)

const deps = () =>
  fulfillmentDeps(database, {
    voidLabel: async (request) => {
      asked.push(request)
      return answer
    },
  })

/** A label of a cancelled order, which its carrier is to take back. */
async function voiding(): Promise<{ order: SoldOrder; labelId: LabelId }> {
  const order = await sold([{ from: [[await warehouse(), 1]] }])
  const { orderId } = order
  await labelled(order, await onlyShipment(order))
  await database.pool.query(`update label set request = '{}' where order_id = $1`, [orderId])
  await withTransaction(database.pool, (tx) =>
    cancelUnits(tx, { orderId, wanted: null, reason: 'customer', reasonCode: 'x', actor: null, step: 1 }),
  )
  return { order, labelId: await inGoods(order, ({ labels }) => labels[0]?.id as LabelId) }
}

const itemsOf = async ({ orderId }: SoldOrder) => (await advanceGoods(deps(), { orderId })).items
/** Time passes until the carrier is to be asked again. */
const makeDue = (labelId: LabelId) =>
  database.pool.query(`update label set check_at = now() - interval '1 second' where id = $1`, [labelId])

it.each<[VoidOutcome, item: object | null]>([
  [{ outcome: 'voided' }, null],
  [
    { outcome: 'refused', code: 'refund_rejected' },
    { kind: 'label', status: 'voiding', code: 'refund_rejected' },
  ],
])('a label that its carrier thinks about is asked about again, and is %j in the end', async (decided, item) => {
  const { order, labelId } = await voiding()
  expect(await itemsOf(order)).toMatchObject([{ kind: 'void', object: labelId }])
  answer = { outcome: 'pending' }
  await voidLabel(deps(), { labelId })
  const { items, lookAt, isOver } = await advanceGoods(deps(), order)
  expect([items, isOver, lookAt !== null && lookAt > Date.now()]).toEqual([[], true, true])
  await makeDue(labelId)
  expect(await itemsOf(order)).toMatchObject([{ kind: 'void', object: labelId }])
  answer = decided
  await voidLabel(deps(), { labelId })
  expect(asked.map(({ acceptedAt }) => acceptedAt)).toEqual([null, expect.stringMatching(/^\d{4}-.*Z$/)])
  expect(await advanceGoods(deps(), order)).toMatchObject({ items: item ? [item] : [], lookAt: null })
  if (!item) return
  await decideLabel(deps(), { labelId, decision: 'retry' })
  await voidLabel(deps(), { labelId })
  expect(asked.at(-1)?.acceptedAt).toBeNull()
})

it('a label whose carrier is silent is given up when a person says so', async () => {
  const { order, labelId } = await voiding()
  await decideLabel(deps(), { labelId, decision: 'leave' })
  expect(await advanceGoods(deps(), order)).toMatchObject({ items: [], lookAt: null, isOver: true })
})

it('a label that was bought is kept, whatever hinders the rest', async () => {
  const order = await sold([{ from: [[await warehouse('automatic'), 1]] }])
  const id = await onlyShipment(order)
  const labelId = await inGoods(order, (goods) => {
    pick(goods, id, null)
    pack(goods, id, null)
    claimLabel(goods, id, { carrier: 'sandbox', service: 'standard' })
    return goods.labels[0]?.id as LabelId
  })
  await database.pool.query(`update label set request = '{}' where id = $1`, [labelId])
  const bought = { reference: 'lbl_1', trackingNumber: `T${labelId}`, trackingUrl: null, expectedAt: null }
  const seller = fulfillmentDeps(database, {
    buyLabel: async () => ({ outcome: 'bought', label: { ...bought, price: { amount: 1, currency: 'GBP' } } }),
  })
  await database.pool.query(`
    create function hinder() returns trigger language plpgsql as $$ begin raise 'no capture'; end $$;
    create trigger hindered before insert on capture for each row execute function hinder()`)
  try {
    expect(await buyLabel(seller, { labelId })).toBeNull()
    expect(await inGoods(order, (goods) => goods.label(labelId).status)).toBe('live')
    await expect(advanceGoods(deps(), order)).rejects.toThrow('no capture')
  } finally {
    await database.pool.query('drop trigger hindered on capture')
  }
  expect(await advanceGoods(deps(), order)).toMatchObject({ items: [], hasClaimedMoney: true })
})
