import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client as TemporalClient } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils'
import { ROOT, VERSION } from '../../config'
import { createPool, type Pool } from '../../db/pool'
import type { ImportId, OrderId, PaymentId } from '../../domain/ids'
import { isOpen, type OrderStatus } from '../../domain/order'
import {
  checkoutWorkflowId,
  expiryWorkflowId,
  fulfillmentWorkflowId,
  importWorkflowId,
  reindexWorkflowId,
  settlementWorkflowId,
} from '../../domain/workflow-id'
import { connectTemporal } from '../../temporal'
import { auditStart, recommendationsStart, reconciliationStart, WORKFLOWS } from '../../workflows/contract'
import { Client } from '../chaos/client'
import { closeDisputes, openDisputes, readCharges, settleRefund } from '../chaos/sandbox'
import { removePostgresData } from '../stack/postgres'
import { type Stack, startStack } from '../stack/supervisor'

/**
 * Records one history of each path through the workflows, from a real run on a stack of its own, into
 * test/replay/histories/<version>. Those of earlier versions stay: orders that these began may be under way. The tests replay
 * all with today's workflow code: what they do not follow any more would break at a deployment.
 *
 *   npm run record-history               all paths of this version, in place of what it had
 *   npm run record-history -- paid …     these alone
 */
const HISTORIES = join(ROOT, 'test', 'replay', 'histories', VERSION)
const FOLDER = join(ROOT, '.holdfast', 'record-history')
const ENVIRONMENT = { CHECKOUT_HOLD_SECONDS: '15', ATTENTION_AFTER_SECONDS: '2', CHECKOUT_WAIT_MS: '8000' }
const PATIENCE_MS = 180_000

interface Recorder {
  readonly stack: Stack
  readonly pool: Pool
  readonly temporal: TemporalClient
  readonly client: Client
}

/** Fulfillment renews an authorization so long before it ends. */
const RENEWED_BEFORE_SECONDS = 48 * 3_600

interface Cart {
  readonly id: string
  readonly token: string
}

type Path = (recorder: Recorder) => Promise<string>

/** Each returns the id of the workflow whose latest run went that way. */
const PATHS: Readonly<Record<string, Path>> = {
  async paid(recorder) {
    return checkoutWorkflowId(await buy(recorder, await newCart(recorder), 'pm_card_visa'))
  },

  async 'nothing-due'(recorder) {
    return checkoutWorkflowId(await buy(recorder, await newCart(recorder, { price: 0 }), 'pm_card_visa'))
  },

  async 'declined-then-paid'(recorder) {
    const cart = await newCart(recorder)
    const orderId = await buy(recorder, cart, 'pm_card_chargeDeclined')
    await pay(recorder, cart, orderId, 'pm_card_visa')
    return ended(recorder, orderId, 'confirmed')
  },

  async 'declined-then-expired'(recorder) {
    return ended(recorder, await buy(recorder, await newCart(recorder), 'pm_card_chargeDeclined'), 'cancelled')
  },

  async 'challenge-approved'(recorder) {
    const orderId = await challenge(recorder, await newCart(recorder))
    await approve(recorder, orderId)
    return ended(recorder, orderId, 'confirmed')
  },

  async 'challenge-superseded'(recorder) {
    const cart = await newCart(recorder)
    const orderId = await challenge(recorder, cart)
    await pay(recorder, cart, orderId, 'pm_card_visa')
    return ended(recorder, orderId, 'confirmed')
  },

  async 'challenge-cancelled'(recorder) {
    const cart = await newCart(recorder)
    const orderId = await challenge(recorder, cart)
    await cancel(recorder, cart, orderId)
    return ended(recorder, orderId, 'cancelled')
  },

  async 'challenge-expired'(recorder) {
    return ended(recorder, await challenge(recorder, await newCart(recorder)), 'cancelled')
  },

  async 'unknown-then-settled'(recorder) {
    return ended(recorder, await buy(recorder, await newCart(recorder), 'pm_sandbox_flaky'), 'confirmed')
  },

  async 'deferred-then-paid'(recorder) {
    return ended(recorder, await buy(recorder, await newCart(recorder), 'pm_sandbox_async'), 'confirmed')
  },

  async 'late-money'(recorder) {
    const orderId = await buy(recorder, await newCart(recorder), 'pm_sandbox_late')
    await paymentBecomes(recorder, orderId, 'voided')
    return ended(recorder, orderId, 'cancelled')
  },

  async settlement(recorder) {
    const orderId = await buy(recorder, await newCart(recorder), 'pm_sandbox_late')
    await reads(recorder, orderId, (order) => order.status === 'cancelled')
    await recorder.temporal.workflow.getHandle(checkoutWorkflowId(orderId)).terminate('to be settled')
    const { paymentId } = await paymentBecomes(recorder, orderId, 'voided')
    return settlementWorkflowId(paymentId)
  },

  async 'taken-up-again'(recorder) {
    const orderId = await challenge(recorder, await newCart(recorder))
    await recorder.temporal.workflow.getHandle(checkoutWorkflowId(orderId)).terminate('to be taken up again')
    await approve(recorder, orderId)
    return ended(recorder, orderId, 'confirmed')
  },

  async 'captured-in-two-parts-then-refunded'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    await command(recorder, order, 'captures', { amount: 300 })
    await command(recorder, order, 'captures', { amount: order.total - 300 })
    await command(recorder, order, 'refunds', { amount: 200, reason_code: 'recording' })
    return cancelled(recorder, order)
  },

  async 'fulfillment-cancelled'(recorder) {
    return cancelled(recorder, await buyTwo(recorder, 'pm_card_visa'))
  },

  async 'cancelled-by-rows'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    await command(recorder, order, 'cancel', { reason_code: 'recording', lines: [{ sku: order.sku, quantity: 1 }] })
    await command(recorder, order, 'captures', { amount: order.total - order.price })
    return cancelled(recorder, order)
  },

  async 'refund-refused-then-retried'(recorder) {
    const order = await buyTwo(recorder, 'pm_sandbox_refund_refused_once')
    await command(recorder, order, 'captures', { amount: order.total })
    await command(recorder, order, 'refunds', { amount: 200, reason_code: 'recording' })
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'retryStep')
    return cancelled(recorder, order)
  },

  async 'capture-refused-then-retried'(recorder) {
    const order = await buyTwo(recorder, 'pm_sandbox_capture_refused')
    await command(recorder, order, 'captures', { amount: order.total })
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'retryStep')
    await reads(recorder, order.id, ({ paymentStatus }) => paymentStatus === 'captured')
    return cancelled(recorder, order)
  },

  async 'refund-pending-then-settled'(recorder) {
    const order = await buyTwo(recorder, 'pm_sandbox_refund_pending')
    await command(recorder, order, 'captures', { amount: order.total })
    await command(recorder, order, 'cancel', { reason_code: 'recording' })
    const { sandbox } = recorder.stack.file
    for (const { id, refunds } of await readCharges(sandbox, order.id))
      for (const refund of refunds)
        await settleRefund(sandbox, { charge: id, reference: refund.id, status: 'succeeded' })
    await paymentBecomes(recorder, order.id, 'refunded')
    return fulfillmentWorkflowId(order.id)
  },

  async 'disputed-then-lost'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    await command(recorder, order, 'captures', { amount: order.total })
    const { sandbox } = recorder.stack.file
    await openDisputes(sandbox, order.id)
    await hasCase(recorder, order.id)
    await closeDisputes(sandbox, order.id, 'lost')
    await reads(recorder, order.id, ({ isLost }) => isLost)
    await repair(recorder, order.id, 'resolveStep', { outcome: 'not_done' })
    await reads(recorder, order.id, ({ status }) => status === 'confirmed')
    return cancelled(recorder, order)
  },

  async 'sent-by-itself-then-completed'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa', { warehouse: BY_ITSELF })
    return completed(recorder, order)
  },

  async 'sent-by-people-then-completed'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    for (const name of ['pick', 'pack', 'label', 'ship'] as const) await step(recorder, order, name)
    return completed(recorder, order)
  },

  async 'labelled-then-cancelled'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    for (const name of ['pick', 'pack', 'label'] as const) await step(recorder, order, name)
    return cancelled(recorder, order)
  },

  async 'capture-refused-then-parcel-cancelled'(recorder) {
    const order = await buyTwo(recorder, 'pm_sandbox_capture_refused', { warehouse: BY_ITSELF })
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'cancelShipment')
    await reads(recorder, order.id, ({ status }) => status === 'cancelled')
    return fulfillmentWorkflowId(order.id)
  },

  async 'label-refused-then-cancelled'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa', { warehouse: BY_ITSELF, word: 'sandbox:refused' })
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'resolveStep', { outcome: 'not_done' })
    return cancelled(recorder, order)
  },

  async 'parcel-lost-then-replaced'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa', { warehouse: BY_ITSELF, word: 'sandbox:lost' })
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'reroute')
    await reads(recorder, order.id, ({ lost }) => lost === 2)
    await hasCase(recorder, order.id)
    await repair(recorder, order.id, 'resolveStep', { outcome: 'done' })
    return completed(recorder, order)
  },
}

/** Those that belong to no order. */
const PLATFORM_PATHS: Readonly<Record<string, Path>> = {
  async import({ stack, client }) {
    const answer = await client.send({
      method: 'POST',
      path: '/v1/admin/imports',
      adminKey: stack.file.admin_key,
      file: { type: 'text/csv', bytes: new TextEncoder().encode('sku,title,price\nREC-1,Recorded,5.00\nREC-2,,\n') },
    })
    if (answer.status !== 202) throw new Error(`The import was answered ${JSON.stringify(answer.body)}`)
    return importWorkflowId(answer.body['id'] as ImportId)
  },

  async reindex({ stack, client }) {
    const path = '/v1/admin/search/reindex'
    const answer = await client.send({ method: 'POST', path, adminKey: stack.file.admin_key, body: {} })
    if (answer.status !== 202) throw new Error(`${path} was answered ${JSON.stringify(answer.body)}`)
    return reindexWorkflowId('postgres')
  },

  async audit({ temporal }) {
    return (await temporal.workflow.start(WORKFLOWS.audit, auditStart('recorded'))).workflowId
  },

  recommendations: ({ temporal }) => startNow(temporal, recommendationsStart()),
  reconciliation: ({ temporal }) => startNow(temporal, reconciliationStart()),
}

/** What a schedule starts, under an id beside those that it gives. */
async function startNow(
  temporal: TemporalClient,
  { workflowType, workflowId, taskQueue, args }: ReturnType<typeof recommendationsStart | typeof reconciliationStart>,
): Promise<string> {
  const handle = await temporal.workflow.start(workflowType, { workflowId: `${workflowId}-now`, taskQueue, args })
  return handle.workflowId
}

/** Those that need something to fail, or to be otherwise for all, one after another. */
const PATHS_WITH_FAULTS: Readonly<Record<string, Path>> = {
  async 'refused-at-placing'(recorder) {
    const { stack } = recorder
    const sku = await newProduct(recorder, { price: 500, stock: 1 })
    const cart = await newCart(recorder, { sku })
    await stack.halt('worker-1')
    const orderId = await buy(recorder, cart, 'pm_card_visa')
    await setStock(recorder, sku, 0)
    await stack.revive('worker-1')
    return ended(recorder, orderId, 'cancelled')
  },

  async 'case-then-retried'(recorder) {
    const cart = await newCart(recorder)
    await faults(recorder, { error_rate: 1 })
    const orderId = await buy(recorder, cart, 'pm_card_visa')
    await hasCase(recorder, orderId)
    await faults(recorder, {})
    await repair(recorder, orderId, 'retryPayment')
    return ended(recorder, orderId, 'confirmed')
  },

  async 'case-then-cancelled-by-force'(recorder) {
    const cart = await newCart(recorder)
    await faults(recorder, { error_rate: 1 })
    const orderId = await buy(recorder, cart, 'pm_card_visa')
    await hasCase(recorder, orderId)
    await repair(recorder, orderId, 'forceCancel')
    await reads(recorder, orderId, (order) => order.status === 'cancelled')
    await faults(recorder, {})
    await paymentBecomes(recorder, orderId, 'voided')
    return ended(recorder, orderId, 'cancelled')
  },

  async 'authorization-renewed'(recorder) {
    await faults(recorder, { authorization_seconds: RENEWED_BEFORE_SECONDS + 3 })
    const order = await buyTwo(recorder, 'pm_card_visa')
    await faults(recorder, {})
    await reads(recorder, order.id, ({ attempt, paymentStatus }) => attempt === 2 && paymentStatus === 'authorized')
    return cancelled(recorder, order)
  },

  async 'release-without-an-answer'(recorder) {
    const order = await buyTwo(recorder, 'pm_card_visa')
    await faults(recorder, { error_rate: 1 })
    await command(recorder, order, 'cancel', { reason_code: 'recording' })
    await hasCase(recorder, order.id)
    await faults(recorder, {})
    await paymentBecomes(recorder, order.id, 'voided')
    return fulfillmentWorkflowId(order.id)
  },

  async 'undo-failed-then-resolved'(recorder) {
    const cart = await newCart(recorder)
    const orderId = await challenge(recorder, cart)
    await faults(recorder, { error_rate: 1 })
    await cancel(recorder, cart, orderId)
    await hasCase(recorder, orderId)
    await repair(recorder, orderId, 'resolveStep', { outcome: 'not_done' })
    await paymentBecomes(recorder, orderId, 'failed')
    await faults(recorder, {})
    return ended(recorder, orderId, 'cancelled')
  },
}

async function main(): Promise<void> {
  const wanted = wantedPaths(process.argv.slice(2))
  deleteData()
  const stack = await startStack({ folder: FOLDER, durable: false, portOffset: 15_000, env: ENVIRONMENT })
  const temporal = await connectTemporal({ ...stack.services, TEMPORAL_NAMESPACE: 'default' })
  const pool = createPool(
    { DATABASE_URL: stack.services.DATABASE_URL, DATABASE_POOL_MAX: 4 },
    { name: 'record-history' },
  )
  const recorder = { stack, pool, temporal, client: new Client(stack.file.apis) }
  // What is delivered is complete.
  await pool.query('update store_settings set return_window_days = 0')
  if (wanted.isAll) rmSync(HISTORIES, { recursive: true, force: true })
  mkdirSync(HISTORIES, { recursive: true })
  try {
    if (wanted.has('expiry')) await record(recorder, 'expiry', someRounds)
    await Promise.all(wanted.of(PATHS).map(([name, path]) => record(recorder, name, path)))
    for (const paths of [PATHS_WITH_FAULTS, PLATFORM_PATHS])
      for (const [name, path] of wanted.of(paths)) await record(recorder, name, path)
  } finally {
    await pool.end()
    await temporal.connection.close()
    await stack.stop()
    deleteData()
  }
}

interface Wanted {
  readonly isAll: boolean
  has(name: string): boolean
  of(paths: Readonly<Record<string, Path>>): [string, Path][]
}

/** No names: all paths. */
function wantedPaths(names: readonly string[]): Wanted {
  const known = ['expiry', ...[PATHS, PATHS_WITH_FAULTS, PLATFORM_PATHS].flatMap(Object.keys)]
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`There is no path ${unknown.join(', ')}. There are: ${known.join(', ')}.`)
  const has = (name: string): boolean => names.length === 0 || names.includes(name)
  return { isAll: names.length === 0, has, of: (paths) => Object.entries(paths).filter(([name]) => has(name)) }
}

function deleteData(): void {
  removePostgresData(FOLDER)
  rmSync(FOLDER, { recursive: true, force: true })
}

async function someRounds({ temporal }: Recorder): Promise<string> {
  const id = expiryWorkflowId(0)
  while ((await temporal.workflow.getHandle(id).describe()).historyLength < 30) await delay(200)
  return id
}

async function record(recorder: Recorder, name: string, path: Path): Promise<void> {
  const workflowId = await path(recorder)
  const handle = recorder.temporal.workflow.getHandle(workflowId)
  if (name !== 'expiry') await handle.result()
  const history = await handle.fetchHistory()
  writeFileSync(join(HISTORIES, `${name}.json`), `${anonymous(JSON.stringify(JSON.parse(historyToJSON(history))))}\n`)
  console.log(`${name}: ${history.events?.length} events`)
}

/** Without what tells of the machine it was recorded on. */
function anonymous(history: string): string {
  return history.replaceAll(`${ROOT}/`, '').replaceAll(`@${hostname()}`, '@recorder')
}

interface OwnProduct {
  readonly price: number
  readonly stock: number
  /** Where it lies. */
  readonly warehouse?: Warehouse
}

async function newProduct(recorder: Recorder, { price, stock, warehouse }: OwnProduct): Promise<string> {
  const sku = `REC-${Math.random().toString(36).slice(2, 10).toUpperCase()}`
  await recorder.client.send({
    adminKey: recorder.stack.file.admin_key,
    method: 'POST',
    path: '/v1/admin/products',
    body: { title: 'Recorded', variants: [{ sku, price: { amount: price, currency: 'GBP' } }] },
  })
  await setStock(recorder, sku, stock, warehouse)
  return sku
}

type Warehouse = { readonly name: string; readonly operation: 'automatic' | 'manual' }
const BY_PEOPLE: Warehouse = { name: 'By people', operation: 'manual' }
const BY_ITSELF: Warehouse = { name: 'By itself', operation: 'automatic' }

async function setStock(
  { stack, client }: Recorder,
  sku: string,
  units: number,
  warehouse: Warehouse = BY_PEOPLE,
): Promise<void> {
  const admin = { adminKey: stack.file.admin_key }
  const path = '/v1/admin/warehouses'
  await client.send({ ...admin, method: 'POST', path, body: { ...warehouse, country: 'GB' } })
  const warehouses = await client.send({ ...admin, method: 'GET', path })
  const found = (warehouses.body['data'] as { id: string; name: string }[]).find(({ name }) => name === warehouse.name)
  const body = { sku, warehouse_id: found?.id, set_on_hand: units, reason: 'recording' }
  await client.send({ ...admin, method: 'POST', path: '/v1/admin/inventory/adjustments', body })
}

async function newCart(
  recorder: Recorder,
  given: { sku?: string; price?: number; quantity?: number } = {},
): Promise<Cart> {
  const sku = given.sku ?? (await newProduct(recorder, { price: given.price ?? 500, stock: 9 }))
  const { quantity = 1 } = given
  const { client } = recorder
  const made = await client.send({ method: 'POST', path: '/v1/store/carts', body: { currency: 'GBP' } })
  const cart = { id: made.body['id'] as string, token: made.body['token'] as string }
  const { token } = cart
  await client.send({ method: 'POST', path: `/v1/store/carts/${cart.id}/lines`, body: { sku, quantity }, token })
  return cart
}

/** Returns the order that came of it. */
async function buy({ client }: Recorder, { id, token }: Cart, method: string, word?: string): Promise<OrderId> {
  const answer = await client.send({
    method: 'POST',
    path: `/v1/store/carts/${id}/checkout`,
    token,
    body: {
      email: 'recorded@example.com',
      shipping_address: {
        name: 'R',
        line1: '1 High St',
        line2: word ?? null,
        city: 'Leeds',
        postal_code: 'LS1 4DY',
        country: 'GB',
      },
      shipping_method: 'standard',
      payment: { method },
    },
  })
  const checkout = (answer.body['checkout'] ?? answer.body) as { order_id?: OrderId; id?: OrderId }
  const orderId = checkout.order_id ?? checkout.id
  if (orderId === undefined) throw new Error(`${method} was answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return orderId
}

/** A confirmed order of two units. Amounts in pence. */
interface PaidOrder {
  readonly id: OrderId
  readonly sku: string
  readonly price: number
  readonly total: number
}

async function buyTwo(
  recorder: Recorder,
  method: string,
  { warehouse = BY_PEOPLE, word }: { warehouse?: Warehouse; word?: string } = {},
): Promise<PaidOrder> {
  const price = 500
  const sku = await newProduct(recorder, { price, stock: 9, warehouse })
  const id = await buy(recorder, await newCart(recorder, { sku, quantity: 2 }), method, word)
  const { total } = await reads(recorder, id, ({ status }) => !isOpen(status))
  return { id, sku, price, total }
}

/** A step of the order's only shipment, which waits until it is done. */
async function step(recorder: Recorder, { id }: PaidOrder, name: 'pick' | 'pack' | 'label' | 'ship'): Promise<void> {
  const { shipmentId } = await reads(recorder, id, (order) => order.shipmentId !== null)
  const path = `/v1/admin/shipments/${shipmentId}/${name}`
  const sent = { method: 'POST', path, adminKey: recorder.stack.file.admin_key, body: {} }
  // 202: it is under way, and joined.
  for (;;) {
    const answer = await recorder.client.send(sent)
    if (answer.status === 200) return
    if (answer.status !== 202) throw new Error(`${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`)
  }
}

/** Its parcel has arrived, and there is no time to send it back. */
async function completed(recorder: Recorder, { id }: PaidOrder): Promise<string> {
  await reads(recorder, id, ({ status }) => status === 'completed')
  return fulfillmentWorkflowId(id)
}

async function command(
  { stack, client }: Recorder,
  { id }: PaidOrder,
  what: 'captures' | 'refunds' | 'cancel',
  body: object,
): Promise<void> {
  const path = `/v1/admin/orders/${id}/${what}`
  const answer = await client.send({ method: 'POST', path, adminKey: stack.file.admin_key, body })
  if (answer.status >= 300) throw new Error(`${path} was answered ${JSON.stringify(answer.body)}`)
}

/** Ends the order, and with it its fulfillment. */
async function cancelled(recorder: Recorder, order: PaidOrder): Promise<string> {
  await command(recorder, order, 'cancel', { reason_code: 'recording' })
  return fulfillmentWorkflowId(order.id)
}

const challenge = (recorder: Recorder, cart: Cart) => buy(recorder, cart, 'pm_card_authenticationRequired')

async function pay({ client }: Recorder, { token }: Cart, orderId: string, method: string): Promise<void> {
  await client.send({ method: 'POST', path: `/v1/store/checkouts/${orderId}/payments`, token, body: { method } })
}

async function cancel({ client }: Recorder, { token }: Cart, orderId: string): Promise<void> {
  await client.send({ method: 'POST', path: `/v1/store/checkouts/${orderId}/cancel`, token, body: {} })
}

async function approve(recorder: Recorder, orderId: string): Promise<void> {
  await reads(recorder, orderId, (order) => order.paymentStatus === 'requires_action')
  const answer = await fetch(`${recorder.stack.file.sandbox}/v1/charges?reference=${orderId}`)
  const { data } = (await answer.json()) as { data: { action_url: string }[] }
  await fetch(`${data[0]?.action_url}/approve`, { method: 'POST', redirect: 'manual' })
}

async function faults({ stack }: Recorder, body: Record<string, number>): Promise<void> {
  await fetch(`${stack.file.sandbox}/v1/faults`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

/** Its workflow may be about to ask anew, or no worker may take it in time: then it is sent again. */
async function repair({ stack, client }: Recorder, orderId: string, action: string, more = {}): Promise<void> {
  const path = `/v1/admin/orders/${orderId}/repairs`
  const body = { action, reason_code: 'recording', ...more }
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const answer = await client.send({ method: 'POST', path, adminKey: stack.file.admin_key, body })
    if (answer.status === 202) return
    if (Date.now() > deadline) throw new Error(`${action} was answered ${JSON.stringify(answer.body)}`)
    await delay(500)
  }
}

interface OrderRow {
  readonly status: OrderStatus
  readonly total: number
  readonly attempt: number
  readonly paymentId: PaymentId
  readonly paymentStatus: string
  /** The bank has decided a dispute for the customer. */
  readonly isLost: boolean
  /** The latest. */
  readonly shipmentId: string | null
  /** How many parcels its carrier has lost. */
  readonly lost: number
  readonly cases: number
}

/** Reads the order until `ok` says so. */
async function reads({ pool }: Recorder, orderId: string, ok: (order: OrderRow) => boolean): Promise<OrderRow> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const { rows } = await pool.query<OrderRow>(
      `select o.status, o.total, p.attempt, exists (select from dispute d where d.order_id = o.id and d.status = 'lost') as "isLost", p.id as "paymentId", p.status as "paymentStatus",
              (select max(s.id) from shipment s where s.order_id = o.id) as "shipmentId",
              (select count(*)::int from shipment s where s.order_id = o.id and s.status = 'lost') as lost,
              (select count(*)::int from attention a where a.order_id = o.id and a.closed_at is null) as cases
       from orders o join payment p on p.order_id = o.id
       where o.id = $1 order by p.attempt desc limit 1`,
      [orderId],
    )
    if (rows[0] && ok(rows[0])) return rows[0]
    if (Date.now() > deadline) throw new Error(`${orderId} stays ${JSON.stringify(rows[0])}`)
    await delay(100)
  }
}

async function ended(recorder: Recorder, orderId: OrderId, status: string): Promise<string> {
  await reads(recorder, orderId, (order) => order.status === status)
  return checkoutWorkflowId(orderId)
}

const hasCase = (recorder: Recorder, orderId: string) => reads(recorder, orderId, (order) => order.cases > 0)

const paymentBecomes = (recorder: Recorder, orderId: string, status: string) =>
  reads(recorder, orderId, (order) => order.paymentStatus === status)

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
