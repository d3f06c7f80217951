import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '@temporalio/client'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId, fulfillmentWorkflowId } from '../../domain/workflow-id'
import { connectTemporal } from '../../temporal'
import { Parcels } from '../support/parcels'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** Nothing personal comes into Temporal or a log: every field of a buyer bears a mark, and the mark is looked for. */
let stack: TestStack
let shop: Shop
let temporal: Client
beforeAll(async () => {
  stack = await testStack({ env: { LOG_LEVEL: 'trace', ATTENTION_AFTER_SECONDS: '1', CHECKOUT_WAIT_MS: '3000' } })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  temporal = await connectTemporal({
    TEMPORAL_ADDRESS: stack.stack.services.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: stack.stack.env['TEMPORAL_NAMESPACE'] as string,
  })
}, 60_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
}, 30_000)

const MARK = `personal${randomUUID().replaceAll('-', '')}`

const PERSONAL = {
  email: `${MARK}@example.com`,
  shipping_address: {
    name: `${MARK} name`,
    line1: `${MARK} line1`,
    line2: `${MARK} line2`,
    city: `${MARK} city`,
    postal_code: `LS1 ${MARK.slice(0, 12)}`,
    region: `${MARK} region`,
    country: 'GB',
  },
  billing_address: {
    name: `${MARK} payer`,
    line1: `${MARK} line1`,
    line2: null,
    city: `${MARK} city`,
    postal_code: 'LS1 4DY',
    region: null,
    country: 'GB',
  },
  return_url: `https://shop.example/return?customer=${MARK}`,
}

const buy = (buyer: Buyer, method: string, key?: string) =>
  buyer.checkout({ method, body: PERSONAL, ...(key && { key }) })

/** Strings and bytes of anything, however deep. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  if (typeof value !== 'object' || value === null) return ''
  return Object.entries(value)
    .map(([name, part]) => `${name} ${textOf(part)}`)
    .join(' ')
}

it('holds on every path through a checkout', async () => {
  const [paid, declined, challenged, short, unanswered, odd] = await Promise.all([
    shop.buyerOf(),
    shop.buyerOf(),
    shop.buyerOf(),
    shop.buyerOf({ stock: 0 }),
    shop.buyerOf(),
    shop.buyerOf(),
  ])
  await paid.cart('patch', '', { email: PERSONAL.email, shipping_address: PERSONAL.shipping_address })
  const order = await buy(paid, 'pm_card_visa')
  expect(order.status).toBe(201)
  const refused = await buy(declined, 'pm_card_chargeDeclined')
  await declined.cancel(refused.body.checkout.order_id)
  const waiting = await buy(challenged, 'pm_card_authenticationRequired')
  await shop.decide(waiting.body.action.url, 'approve')
  await challenged.stateBecomes(waiting.body.order_id, 'completed')
  expect((await buy(short, 'pm_card_visa')).body.code).toBe('out_of_stock')
  // Bad input with personal data in it, in places where it might be quoted.
  await odd.checkout({ body: { ...PERSONAL, email: `not an address ${MARK}` } })
  await odd.checkout({ method: MARK, body: PERSONAL })
  await shop.admin('get', `/v1/admin/orders?email=${encodeURIComponent(PERSONAL.email)}`)
  await shop.faults({ error_rate: 1 })
  const stuck = await buy(unanswered, 'pm_card_visa')
  await shop.waitForCase(stuck.body.order_id, 'provider_unreachable')
  const repair = { action: 'forceCancel', reason_code: 'customer_asked', note: `Call ${MARK} back` }
  await until(
    'the repair is taken',
    () => shop.admin('post', `/v1/admin/orders/${stuck.body.order_id}/repairs`, repair),
    ({ status }) => status === 202,
    30_000,
  )
  await shop.faults()
  await shop.orderBecomes(stuck.body.order_id, 'cancelled')

  const sent = await sendParcels(order.body.id)

  const seen: string[] = []
  for await (const execution of temporal.workflow.list()) {
    const { workflowId, runId } = execution
    seen.push(workflowId)
    const handle = temporal.workflow.getHandle(workflowId, runId)
    const [history, description] = await Promise.all([handle.fetchHistory(), handle.describe()])
    const told = textOf(history.events) + textOf(description.raw) + textOf(execution.searchAttributes)
    expect({ workflowId, leaks: told.includes(MARK) }).toEqual({ workflowId, leaks: false })
  }
  const checkouts = [order.body.id, refused.body.checkout.order_id, waiting.body.order_id, stuck.body.order_id]
  expect(seen).toEqual(expect.arrayContaining(checkouts.map((id) => checkoutWorkflowId(id))))
  expect(seen).toEqual(expect.arrayContaining(sent.map((id) => fulfillmentWorkflowId(id))))

  const logs = join(stack.folder, 'logs')
  const programs = readdirSync(logs).filter((name) => /^(api|worker|sandbox|carrier)/.test(name))
  expect(programs.length).toBeGreaterThanOrEqual(4)
  for (const name of programs) {
    const lines = readFileSync(join(logs, name), 'utf8').split('\n')
    expect(lines.filter((line) => line.includes(MARK))).toEqual([])
    expect(lines.filter((line) => line.includes(paid.token) || line.includes(shop.address.adminKey))).toEqual([])
  }
  expect(readFileSync(join(logs, 'api-1.log'), 'utf8')).toContain(order.body.id)
}, 240_000)

/** Parcels of the order, and of two more: one whose carrier refuses its address, one that its carrier loses. */
async function sendParcels(orderId: OrderId): Promise<OrderId[]> {
  const parcels = new Parcels(shop, stack.stack.file.carrier)
  const shipment = await parcels.shipmentOf(orderId)
  await parcels.step(shipment, 'pick')
  await parcels.step(shipment, 'pack')
  // The carrier fails, and what it is asked for is in every request.
  await parcels.carrierFaults({ error_rate: 1 })
  await parcels.step(shipment, 'label')
  await parcels.caseOf(orderId, 'fulfillment_stalled')
  await parcels.carrierFaults()
  await parcels.becomes(shipment, 'labelled')
  await parcels.shipped(shipment)
  await parcels.orderBecomes(orderId, 'delivered')

  const buyTo = async (word: string): Promise<{ id: OrderId; shipment: string }> => {
    const address = { ...PERSONAL.shipping_address, line2: `${MARK} ${word}` }
    const buyer = await shop.buyerOf()
    const { body } = await buyer.checkout({ body: { ...PERSONAL, shipping_address: address } })
    return { id: body.id, shipment: await parcels.shipmentOf(body.id) }
  }
  const refused = await buyTo('sandbox:refused')
  await parcels.step(refused.shipment, 'pick')
  await parcels.step(refused.shipment, 'pack')
  expect((await parcels.step(refused.shipment, 'label')).body.code).toBe('label_refused')
  const lost = await buyTo('sandbox:lost')
  await parcels.labelled(lost.shipment)
  await parcels.shipped(lost.shipment)
  await parcels.caseOf(lost.id, 'fulfillment_stalled')
  return [orderId, refused.id, lost.id]
}
