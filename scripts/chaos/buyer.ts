import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, Client } from './client'
import { GOODS_SCRIPTS, type OrderToSend, sendAll } from './goods'
import type { GoodsScript, MoneyScript, Step } from './matrix'
import { MONEY_SCRIPTS, type PaidOrder } from './money'
import { Random } from './random'
import type { BuyerPlan, Product } from './schedule'

/** What a buyer did and was promised, for the oracle. */
export interface History {
  readonly plan: BuyerPlan
  readonly client: Client
  /** Of the staff who see to this buyer's order. */
  readonly staff: Client
  readonly cartId: string
  readonly token: string
  /** SKU and quantity, as the acknowledged changes of the cart add up. */
  readonly lines: ReadonlyMap<string, number>
  /** In mail address and name; nobody else may ever read it. */
  readonly marker: string
  /** Orders this buyer was told of. */
  readonly orders: Set<string>
  /** Keys of checkouts and payments, and what they were sent with. */
  readonly purchases: Purchase[]
  cancelAsked: boolean
  /** All that was bought was sent, or cancelled on its way. */
  isSent: boolean
  /** When the customer's bank said "approved", and until when the stock was held. */
  approved: { readonly at: number; readonly holdUntil: number } | null
}

export interface Purchase {
  readonly path: string
  readonly key: string
  readonly body: unknown
}

export interface BuyerContext {
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly sandbox: string
  readonly skus: Readonly<Record<Exclude<Product, 'both'>, string>>
  /** Of the warehouses in which people work; null: nobody sends what is bought. */
  readonly places: OrderToSend['places'] | null
  /** Tells that this buyer's order now comes to these steps. */
  reached(history: History, ...steps: Step[]): Promise<void>
  /** What is authorized meanwhile has to be renewed {@link RENEWAL_SECONDS} later. */
  whileRenewalsAreNear<T>(work: () => Promise<T>): Promise<T>
}

export const RENEWAL_SECONDS = 8

const POLL_MS = 200
/** Before a hold ends: what is then done at its end is under way. */
const JUST_BEFORE_MS = 150
/** Also when everything was killed on a busy machine. */
const END_PATIENCE_MS = 120_000

/** Plays one buyer to the end of its order. Throws when an order does not end. */
export async function runBuyer(plan: BuyerPlan, number: number, context: BuyerContext): Promise<History> {
  await delay(plan.startMs)
  const history = await fillCart(plan, number, context)
  await SCRIPTS[plan.script](history, context)
  for (const orderId of history.orders) await ended(history, orderId)
  if (context.places) await sendOrders(history, context.places, context)
  return history
}

/** Whatever came of it is sent. */
async function sendOrders(history: History, places: OrderToSend['places'], context: BuyerContext): Promise<void> {
  for (const orderId of history.orders) {
    const paid = await paidOrder(history, orderId, context)
    if (paid) await sendAll(toSend(paid, history, places))
  }
  history.isSent = true
}

function toSend(
  { id, random, staff, adminKey, cancelAsCustomer, reached }: PaidOrder,
  { client, token, marker, plan, lines }: History,
  places: OrderToSend['places'],
): OrderToSend {
  return {
    id,
    random,
    staff,
    adminKey,
    cancelAsCustomer,
    reached,
    places,
    lines: [...lines].map(([sku, quantity]) => ({ sku, quantity })),
    moveAsCustomer() {
      const shipping_address = { ...addressOf(marker, plan.words), line1: `2 ${marker} Street` }
      return client.send({ method: 'PATCH', path: `/v1/store/orders/${id}`, body: { shipping_address }, token })
    },
  }
}

type Play = (history: History, context: BuyerContext) => Promise<void>

/** Buys, and if that comes to an order that is paid, plays what happens to its money. */
function afterwards(script: MoneyScript): Play {
  return async (history, context) => {
    const buy = () => checkout(history, history.plan.method, context)
    const answer = script === 'renew' ? await context.whileRenewalsAreNear(buy) : await buy()
    const paid = await paidOrder(history, orderOf(answer), context)
    if (paid) await MONEY_SCRIPTS[script](paid)
  }
}

/** Buys, and if that comes to an order that is paid, plays what happens to its goods. */
function sending(script: GoodsScript): Play {
  return async (history, context) => {
    await context.reached(history, 'route')
    const answer = await checkout(history, history.plan.method, context)
    const paid = await paidOrder(history, orderOf(answer), context)
    if (paid && context.places) await GOODS_SCRIPTS[script](toSend(paid, history, context.places))
  }
}

const SCRIPTS: Readonly<Record<BuyerPlan['script'], Play>> = {
  capture_in_parts: afterwards('capture_in_parts'),
  capture_and_refund: afterwards('capture_and_refund'),
  cancel_authorized: afterwards('cancel_authorized'),
  cancel_captured: afterwards('cancel_captured'),
  cancel_lines: afterwards('cancel_lines'),
  dispute: afterwards('dispute'),
  renew: afterwards('renew'),
  race: afterwards('race'),
  send: sending('send'),
  send_short: sending('send_short'),
  send_anew: sending('send_anew'),
  send_held: sending('send_held'),
  cancel_sending: sending('cancel_sending'),
  cancel_labelled: sending('cancel_labelled'),
  race_sending: sending('race_sending'),

  async buy(history, context) {
    await context.reached(history, 'accept', 'place', 'charge', 'confirm', 'webhook', 'relay')
    await checkout(history, history.plan.method, context)
  },

  async buy_twice(history, context) {
    await context.reached(history, 'accept', 'place', 'charge', 'confirm', 'relay')
    const key = randomUUID()
    await Promise.all([
      checkout(history, history.plan.method, context, key),
      checkout(history, history.plan.method, context, key),
      checkout(history, history.plan.method, context),
    ])
  },

  async pay_again(history, context) {
    const declined = await decline(history, context)
    if (!declined) return
    await context.reached(history, 'next_attempt')
    await payment(history, declined.orderId, 'pm_card_visa')
  },

  async cancel_declined(history, context) {
    const declined = await decline(history, context)
    if (!declined) return
    await context.reached(history, 'undo_place')
    await cancel(history, declined.orderId)
  },

  async leave_declined(history, context) {
    const declined = await decline(history, context)
    if (!declined) return
    await context.reached(history, 'sweep')
    await until(declined.holdUntil - JUST_BEFORE_MS)
    await context.reached(history, 'undo_place')
  },

  async approve(history, context) {
    const challenged = await challenge(history, context)
    if (!challenged) return
    await context.reached(history, 'webhook')
    await approve(history, challenged)
  },

  async cancel_challenged(history, context) {
    const challenged = await challenge(history, context)
    if (!challenged) return
    await context.reached(history, 'undo_charge')
    await cancel(history, challenged.orderId)
  },

  async leave_challenged(history, context) {
    const challenged = await challenge(history, context)
    if (!challenged) return
    await until(challenged.holdUntil - JUST_BEFORE_MS)
    await context.reached(history, 'undo_charge')
  },

  async switch_card(history, context) {
    const challenged = await challenge(history, context)
    if (!challenged) return
    await context.reached(history, 'next_attempt')
    await payment(history, challenged.orderId, 'pm_card_mastercard')
  },

  async hold_and_leave(history, context) {
    const held = await hold(history)
    if (!held) return
    await until(held - JUST_BEFORE_MS)
    await context.reached(history, 'expiry')
  },

  async hold_and_buy(history, context) {
    await hold(history)
    await context.reached(history, 'accept', 'place', 'charge', 'confirm', 'relay')
    await checkout(history, history.plan.method, context)
  },
}

/** Settlement begins when the checkout gave up waiting: late money is on its way. */
async function checkout(history: History, method: string, context: BuyerContext, key = randomUUID()): Promise<Answer> {
  const { cartId, marker, plan } = history
  const answer = await purchase(history, {
    path: `/v1/store/carts/${cartId}/checkout`,
    key,
    body: {
      email: `${marker}@shop.example`,
      shipping_address: addressOf(marker, plan.words),
      shipping_method: 'standard',
      payment: { provider: 'sandbox', method },
      return_url: 'https://shop.example/return',
    },
  })
  if (answer.status === 202 && history.plan.fault?.step === 'settlement') {
    await until(holdEnd(answer) + LATE_MS - JUST_BEFORE_MS)
    await context.reached(history, 'settlement')
  }
  return answer
}

/** The sandbox's late card pays so long after the charge's time. */
const LATE_MS = 5_000

async function payment(history: History, orderId: string, method: string): Promise<Answer> {
  return purchase(history, {
    path: `/v1/store/checkouts/${orderId}/payments`,
    key: randomUUID(),
    body: { provider: 'sandbox', method },
  })
}

async function purchase(history: History, { path, key, body }: Purchase): Promise<Answer> {
  history.purchases.push({ path, key, body })
  const answer = await history.client.send({ method: 'POST', path, key, body, token: history.token })
  const orderId = orderOf(answer)
  if (orderId !== '') history.orders.add(orderId)
  return answer
}

async function cancel(history: History, orderId: string): Promise<void> {
  history.cancelAsked = true
  await history.client.send({
    method: 'POST',
    path: `/v1/store/checkouts/${orderId}/cancel`,
    key: randomUUID(),
    body: {},
    token: history.token,
  })
}

/** It is paid, and its goods may be on their way. */
const CONFIRMED = new Set(['confirmed', 'processing', 'on_hold', 'shipped', 'delivered', 'completed'])

/** Null when it did not come to an order that is paid. */
async function paidOrder(history: History, orderId: string, context: BuyerContext): Promise<PaidOrder | null> {
  if (orderId === '') return null
  await ended(history, orderId)
  const { staff, client, plan, lines, token } = history
  const { adminKey, sandbox } = context
  const { body } = await staff.send({ method: 'GET', path: `/v1/admin/orders/${orderId}`, adminKey })
  const [line] = [...lines].map(([sku, quantity]) => ({ sku, quantity }))
  if (!CONFIRMED.has(String(body['status'])) || !line) return null
  const { total } = body['totals'] as { total: { amount: number } }
  return {
    id: orderId,
    total: total.amount,
    line,
    renewAt: plan.script === 'renew' ? Date.parse(body['updated_at'] as string) + RENEWAL_SECONDS * 1_000 : null,
    random: new Random(plan.seed),
    staff,
    adminKey,
    sandbox,
    cancelAsCustomer: () =>
      client.send({
        method: 'POST',
        path: `/v1/store/orders/${orderId}/cancel`,
        key: randomUUID(),
        body: {},
        token,
      }),
    reached: (...steps) => context.reached(history, ...steps),
  }
}

/** An order that waits for its buyer. */
interface Waiting {
  readonly orderId: string
  /** Of the bank, when it is its approval that is missing. */
  readonly url: string
  readonly holdUntil: number
}

function decline(history: History, context: BuyerContext): Promise<Waiting | null> {
  return waitForBuyer(history, 'pm_card_chargeDeclined', 'ready_for_payment', context)
}

function challenge(history: History, context: BuyerContext): Promise<Waiting | null> {
  return waitForBuyer(history, 'pm_card_authenticationRequired', 'requires_action', context)
}

/** Null when it did not come to that: sold out, say, or the time was over. */
async function waitForBuyer(
  history: History,
  method: string,
  wanted: string,
  context: BuyerContext,
): Promise<Waiting | null> {
  const orderId = orderOf(await checkout(history, method, context))
  if (orderId === '') return null
  let { body } = await read(history, orderId)
  for (const deadline = Date.now() + END_PATIENCE_MS; body['state'] === 'in_progress' && Date.now() < deadline; ) {
    await delay(POLL_MS)
    body = (await read(history, orderId)).body
  }
  if (body['state'] !== wanted) return null
  const action = body['action'] as { url: string } | null
  return { orderId, url: action?.url ?? '', holdUntil: Date.parse(body['hold_expires_at'] as string) }
}

/** At the bank's page, which never fails. */
async function approve(history: History, { url, holdUntil }: Waiting): Promise<void> {
  const response = await fetch(`${url}/approve`, { method: 'POST', redirect: 'manual' })
  const location = response.headers.get('location') ?? ''
  await response.body?.cancel()
  if (location.includes('approved')) history.approved = { at: Date.now(), holdUntil }
}

async function hold(history: History): Promise<number | null> {
  const answer = await history.client.send({
    method: 'POST',
    path: `/v1/store/carts/${history.cartId}/hold`,
    key: randomUUID(),
    token: history.token,
  })
  const held = answer.body['hold'] as { expires_at: string } | null | undefined
  return held ? Date.parse(held.expires_at) : null
}

/** A change of the cart for each unit, each sent until it is acknowledged. */
async function fillCart(plan: BuyerPlan, number: number, { apis, skus }: BuyerContext): Promise<History> {
  const client = new Client(apis, number)
  const made = await client.send({ method: 'POST', path: '/v1/store/carts', body: { currency: 'GBP' } })
  const cartId = made.body['id'] as string
  const token = made.body['token'] as string
  const wanted = plan.product === 'both' ? (['plenty', 'automatic'] as const) : [plan.product]
  const lines = new Map(wanted.map((product) => [skus[product], plan.quantity]))
  const units = [...lines.keys()].flatMap((sku) => Array.from({ length: plan.quantity }, () => sku))
  for (const sku of units) {
    await client.send({
      method: 'POST',
      path: `/v1/store/carts/${cartId}/lines`,
      body: { sku, quantity: 1 },
      key: randomUUID(),
      token,
    })
  }
  return {
    plan,
    client,
    staff: new Client(apis, number + 1),
    cartId,
    token,
    lines,
    marker: `personal${randomUUID().replaceAll('-', '')}`,
    orders: new Set(),
    purchases: [],
    cancelAsked: false,
    isSent: false,
    approved: null,
  }
}

function addressOf(marker: string, words: string) {
  return {
    name: `${marker} Buyer`,
    line1: `1 ${marker} Street`,
    line2: words === '' ? null : words,
    city: 'Leeds',
    postal_code: 'LS1 4DY',
    region: null,
    country: 'GB',
  }
}

async function ended(history: History, orderId: string): Promise<void> {
  const deadline = Date.now() + END_PATIENCE_MS
  for (;;) {
    const { body } = await read(history, orderId)
    if (body['state'] === 'completed' || body['state'] === 'cancelled' || body['state'] === 'expired') return
    if (Date.now() > deadline) throw new Error(`${orderId} is still ${String(body['state'])}`)
    await delay(POLL_MS)
  }
}

function read(history: History, orderId: string): Promise<Answer> {
  return history.client.send({ method: 'GET', path: `/v1/store/checkouts/${orderId}`, token: history.token })
}

/** Of an order, a checkout, or a problem that tells of one; empty when there is none. */
function orderOf({ status, body }: Answer): string {
  const checkout = (body['checkout'] ?? body) as { order_id?: string; id?: string }
  return checkout.order_id ?? (status === 201 ? (checkout.id ?? '') : '')
}

function holdEnd({ body }: Answer): number {
  const checkout = (body['checkout'] ?? body) as { hold_expires_at?: string | null }
  return checkout.hold_expires_at ? Date.parse(checkout.hold_expires_at) : Date.now()
}

async function until(time: number): Promise<void> {
  await delay(Math.max(0, time - Date.now()))
}
