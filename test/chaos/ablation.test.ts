import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PoolClient } from 'pg'
import { ROOT } from '../../config'
import { type History, runBuyer } from '../../scripts/chaos/buyer'
import type { StaffScript } from '../../scripts/chaos/matrix'
import { judgeCarrier } from '../../scripts/chaos/goods-oracle'
import { judge } from '../../scripts/chaos/oracle'
import { type Harness, startHarness } from '../../scripts/chaos/harness'
import { settle } from '../../scripts/chaos/run'
import type { BuyerPlan } from '../../scripts/chaos/schedule'
import { runStaff, type StaffHistory } from '../../scripts/chaos/staff'
import { judgeStaff } from '../../scripts/chaos/staff-oracle'
import { type TestDatabase, testDatabase } from '../support/database'
import { testRedis } from '../support/redis'
import { testServices } from '../support/services'
import { testNamespace } from '../support/temporal'
import { until } from '../support/wait'

/**
 * Shows that the checker sees: each safeguard is taken out of a copy of the compiled programs and of the schema, one at a
 * time, and what goes wrong then has to be noticed. With all of them in place the same scenes leave nothing to complain of.
 */

const PORT_OFFSET = 14_000
const HOLD_SECONDS = 4

type Played = History | StaffHistory

/** Where the order and its payments are locked. */
const FIRST_LOCK = 'where id = :orderId\n    for update`);'
const SECOND_LOCK = 'order by attempt\n      for update'

interface Patch {
  /** A file or folder of dist/. */
  readonly where: string
  /** Stands there exactly once: when the code has moved on, the test has to follow. */
  readonly find: string
  readonly replace: string
}

/** What is claimed beyond what is owed is not sent either. */
const SENT_ALL_THE_SAME: Patch = {
  where: 'domain/payment/books.js',
  find: 'if (this.claimed <= this.owed)',
  replace: 'if (true)',
}

interface Safeguard {
  readonly name: string
  readonly patches: readonly Patch[]
  readonly schema?: { readonly drop: string; readonly restore?: string }
  readonly scene: (harness: Harness) => Promise<Played[]>
  /** How it is found out. */
  readonly noticed: RegExp
}

const SAFEGUARDS: readonly Safeguard[] = [
  {
    name: "the reserve statement's condition and its constraint",
    patches: [
      {
        where: 'db/inventory/reservation.js',
        find: 'having count(*) = count(locked.sku) and bool_and(locked.on_hand - locked.reserved >= change.quantity)',
        replace: 'having count(*) = count(locked.sku)',
      },
    ],
    schema: {
      drop: 'alter table stock_level drop constraint never_oversold',
      restore: 'alter table stock_level add constraint never_oversold check (reserved <= on_hand) not valid',
    },
    scene: manyForTheLastUnit,
    noticed: /stock_not_oversold/,
  },
  {
    name: "the charge's idempotency key",
    patches: [
      {
        where: 'providers/payment/sandbox.js',
        find: "'/v1/charges', signal, key, {",
        replace: "'/v1/charges', signal, require('node:crypto').randomUUID(), {",
      },
    ],
    scene: anAnswerIsLost,
    noticed: /an_order_is_charged_once|charges_agree_with_the_payments/,
  },
  {
    name: 'the undo of a reservation',
    patches: [
      {
        where: 'db/order/cancel.js',
        find: "where r.owner_id = over.id and r.state = 'held'",
        replace: 'where r.owner_id = over.id and false',
      },
    ],
    scene: aCancelledCheckout,
    noticed: /orders_reserve_their_lines/,
  },
  {
    name: "the deadline's look-up",
    patches: [{ where: 'activities', find: 'if (keepIfPaid && !attempt.cancelling) {', replace: 'if (false) {' }],
    scene: approvedWithoutAWebhook,
    noticed: /the customer approved the payment in time, the order is cancelled/,
  },
  {
    name: "the inbox's key",
    patches: [],
    schema: {
      drop: 'alter table inbox drop constraint inbox_pkey',
      restore: 'delete from inbox; alter table inbox add primary key (provider, event_id)',
    },
    scene: eventsThreeTimes,
    noticed: /events_from_providers_are_kept_once/,
  },
  {
    name: 'the note that a document is old',
    patches: [
      {
        where: 'workers/consumers/search.js',
        find: 'await (0, pending_1.markForSearch)(pool, engines, products);',
        replace: '',
      },
    ],
    scene: (on) => staff(on, 'edit'),
    noticed: /the search does not find the new title/,
  },
  {
    name: 'the drop of pages that show a change',
    patches: [{ where: 'db/page.js', find: 'if (tags.length === 0)', replace: 'if (true)' }],
    scene: (on) => staff(on, 'edit'),
    noticed: /the page shows Lamp \w+ at 1250/,
  },
  {
    name: 'files before the row that names them',
    patches: [
      {
        where: 'api/catalog/image-files.js',
        find: 'deps.images.put((0, image_1.imageFile)(name, width), bytes)',
        replace: 'null',
      },
    ],
    scene: (on) => staff(on, 'upload'),
    noticed: /the picture of 400 is answered 404/,
  },
  {
    name: 'the bound of what may be captured of a payment',
    patches: [
      { where: 'domain/payment/books.js', find: 'if (!payment || amount > available)', replace: 'if (!payment)' },
      SENT_ALL_THE_SAME,
    ],
    schema: {
      drop: 'alter table payment drop constraint never_captured_twice',
      restore:
        'alter table payment add constraint never_captured_twice check (captured + capturing + released <= amount) not valid',
    },
    scene: (on) =>
      afterPaying(on, (tell, { total }) =>
        inTurn(tell('captures', { amount: 100 }), tell('captures', { amount: total })),
      ),
    noticed: /the provider had to refuse order_\w+\/capture/,
  },
  {
    name: 'the bound of what may be refunded of a payment',
    patches: [
      {
        where: 'domain/payment/books.js',
        find: 'Math.max(0, captured - disputed - refunded - refunding)',
        replace: 'captured',
      },
    ],
    schema: {
      drop: 'alter table payment drop constraint never_refunded_twice',
      restore:
        'alter table payment add constraint never_refunded_twice check (refunded + refunding <= captured) not valid',
    },
    scene: (on) =>
      afterPaying(on, (tell, { total }) =>
        inTurn(tell('captures', { amount: total }), tell('refunds', refundOf(total)), tell('refunds', refundOf(total))),
      ),
    noticed: /the provider had to refuse order_\w+\/refund/,
  },
  {
    name: 'the bound of what an order owes',
    patches: [
      {
        where: 'domain/payment/books.js',
        find: 'Math.min(this.due, capturableOf(payment))',
        replace: 'capturableOf(payment)',
      },
      { where: 'domain/payment/books.js', find: 'if (excess <= 0)', replace: 'if (true)' },
      SENT_ALL_THE_SAME,
    ],
    scene: (on) =>
      afterPaying(on, (tell, { sku, total }) =>
        inTurn(
          tell('cancel', { reason_code: 'ablation', lines: [{ sku, quantity: 1 }] }),
          tell('captures', { amount: total }),
        ),
      ),
    noticed: /captured beyond the \d+ that are owed/,
  },
  {
    name: "a capture's idempotency key",
    patches: [
      {
        where: 'providers/payment/sandbox.js',
        find: '`${path}/capture`, signal, key,',
        replace: "`${path}/capture`, signal, require('node:crypto').randomUUID(),",
      },
    ],
    scene: (on) =>
      afterPaying(on, async (tell) => {
        await loseAnAnswer(on)
        await tell('captures', { amount: 500 })()
      }),
    noticed: /the provider did [0-9a-f-]{36}, which nobody asked for/,
  },
  {
    name: "a refund's idempotency key",
    patches: [
      {
        where: 'providers/payment/sandbox.js',
        find: '`${path}/refunds`, signal, key,',
        replace: "`${path}/refunds`, signal, require('node:crypto').randomUUID(),",
      },
    ],
    scene: (on) =>
      afterPaying(on, async (tell, { total }) => {
        await tell('captures', { amount: total })()
        await loseAnAnswer(on)
        await tell('refunds', refundOf(500))()
      }),
    noticed: /the provider did [0-9a-f-]{36}, which nobody asked for/,
  },
  {
    name: "the lock of an order's books: one writer at a time",
    patches: [
      { where: 'db/payment/books.js', find: FIRST_LOCK, replace: 'where id = :orderId`);' },
      { where: 'db/payment/books.js', find: SECOND_LOCK, replace: 'order by attempt' },
    ],
    scene: twoCapturesAtOnce,
    // Both are the first capture: the number, unique in its order, lets only one of them in.
    noticed: /captures → 500/,
  },
  {
    name: 'the release of what a cancelled order does not need',
    patches: [
      {
        where: 'domain/payment/books.js',
        find: 'if (isUsedUp && capturableOf(payment) > 0)',
        replace: 'if (false)',
      },
    ],
    scene: (on) => afterPaying(on, (tell) => inTurn(tell('cancel', { reason_code: 'ablation' }))),
    noticed: /nothing is owed, \d+ are authorized/,
  },
  {
    name: 'the capture before a parcel leaves',
    patches: [
      {
        where: 'domain/fulfillment/leaving.js',
        find: 'if (shipment.replaces === null && !(0, parcel_money_1.isCovered)(goods, shipment, books))',
        replace: 'if (false)',
      },
    ],
    scene: (on) => sent(on),
    noticed: /no_parcel_leaves_uncaptured/,
  },
  {
    name: "a label's idempotency key",
    patches: [
      {
        where: 'providers/carrier/sandbox.js',
        find: 'service }, key, signal }',
        replace: "service }, key: require('node:crypto').randomUUID(), signal }",
      },
    ],
    scene: (on) => sent(on, 'carrier.buyLabel.after'),
    noticed: /the carrier sold [0-9a-f-]{36}, which nobody asked for/,
  },
  {
    name: 'one fulfillment per order: its units are given to shipments once',
    patches: [
      { where: 'db/fulfillment/goods.js', find: 'o.planned_at is null and o.status in', replace: 'o.status in' },
      { where: 'db/fulfillment/plan.js', find: "'on_hold') and planned_at is null", replace: "'on_hold')" },
      {
        where: 'db/fulfillment/plan.js',
        find: "where s.status in ('allocated', 'picking', 'packed', 'labelled')",
        replace: 'where false',
      },
    ],
    scene: plannedTwice,
    noticed: /units_lie_in_shipments/,
  },
  {
    name: 'the voiding of the label of a cancelled parcel',
    patches: [
      {
        where: 'domain/fulfillment/labels.js',
        find: "if (label.status === 'claimed' || label.status === 'live')",
        replace: 'if (false)',
      },
    ],
    scene: labelledThenCancelled,
    noticed: /a_cancelled_order_keeps_no_label/,
  },
  {
    name: 'no charge after the hold',
    patches: [{ where: 'activities/payment/send.js', find: 'if (!attempt.isHeld)', replace: 'if (false)' }],
    scene: aWorkerDiesBeforeTheCharge,
    noticed: /was charged \d+ s after its hold/,
  },
  {
    name: 'the unique live order of a cart',
    patches: [{ where: 'db/checkout.js', find: 'and order_id is null', replace: '' }],
    // It cannot be made again on what came of its loss: the last of the list.
    schema: { drop: 'drop index one_live_order_per_cart' },
    scene: twoTabs,
    noticed: /one_live_order_per_cart/,
  },
]

let database: TestDatabase
let programs: string
let harness: Harness
beforeAll(async () => {
  const { temporalUi, folder } = testServices()
  const [own, redis, temporal] = await Promise.all([testDatabase(), testRedis(), testNamespace()])
  database = own
  programs = join(folder, 'stacks', `${randomUUID()}-programs`)
  cpSync(join(ROOT, 'dist'), programs, { recursive: true })
  harness = await startHarness({
    folder: join(folder, 'stacks', randomUUID()),
    portOffset: PORT_OFFSET,
    apis: 1,
    workers: 1,
    programs,
    namespace: temporal.namespace,
    given: {
      DATABASE_URL: own.url,
      REDIS_URL: redis.url,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_UI_URL: temporalUi,
    },
  })
  await harness.setHolds({ checkout: HOLD_SECONDS, cart: HOLD_SECONDS })
}, 90_000)
afterAll(async () => {
  await harness?.stop()
  await database?.drop()
  rmSync(programs, { recursive: true, force: true })
}, 60_000)

it('with every safeguard in place there is nothing to complain of', async () => {
  const histories: Played[] = []
  for (const { scene } of SAFEGUARDS) histories.push(...(await scene(harness)))
  for (const history of histories) if ('cartId' in history) await cancelWhatIsPicked(history)
  expect(await settle(harness)).toEqual([])
  expect(await complaints(histories, harness)).toEqual([])
}, 180_000)

it.each(SAFEGUARDS)(
  '$name: its loss is noticed',
  async ({ patches, schema, scene, noticed }) => {
    const seen = (faults: readonly string[]): boolean => faults.some((fault) => noticed.test(fault))
    expect(seen(await everythingWrong([], harness))).toBe(false)
    try {
      patches.forEach(apply)
      await restartPrograms()
      if (schema) await harness.pool.query(schema.drop)
      const histories = await scene(harness)
      await until(`somebody says ${noticed}`, () => everythingWrong(histories, harness), seen, 60_000)
    } finally {
      if (schema?.restore) await harness.pool.query(schema.restore)
      for (const { where } of patches) cpSync(join(ROOT, 'dist', where), join(programs, where), { recursive: true })
    }
  },
  180_000,
)

function apply({ where, find, replace }: Patch): void {
  const files = filesOf(join(programs, where)).filter((file) => readFileSync(file, 'utf8').includes(find))
  const parts = files.length === 1 ? readFileSync(files[0] as string, 'utf8').split(find) : []
  if (parts.length !== 2) throw new Error(`${where} does not hold exactly once: ${find}`)
  writeFileSync(files[0] as string, parts.join(replace))
}

function filesOf(path: string): string[] {
  if (path.endsWith('.js')) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(path, name))
}

/** They read their files anew. */
async function restartPrograms(): Promise<void> {
  for (const name of ['api-1', 'worker-1']) await harness.stack.kill(name)
  await Promise.all(['api-1', 'worker-1'].map((name) => harness.stack.ready(name)))
}

async function complaints(histories: readonly Played[], on: Harness): Promise<string[]> {
  const judged = histories.map((history) =>
    'cartId' in history
      ? judge(history, { pool: on.pool, sandbox: on.stack.file.sandbox, carrier: on.stack.file.carrier, outages: [] })
      : judgeStaff(history, on),
  )
  const { carrier } = on.stack.file
  return (await Promise.all([...judged, judgeCarrier({ pool: on.pool, carrier })])).flat()
}

/** What checker and buyers say together; what only holds at rest counts at rest. */
async function everythingWrong(histories: readonly Played[], weakened: Harness): Promise<string[]> {
  const audit = await weakened.audit()
  const failed = audit?.checks.filter((check) => !check.ok && (check.holds === 'always' || audit.settled)) ?? []
  return [...failed.map(({ name }) => name), ...(await complaints(histories, weakened))]
}

/** Everybody has seen the last unit before anybody takes it. */
async function manyForTheLastUnit(on: Harness): Promise<History[]> {
  const scarce = await on.sell('last', 1)
  return whileLocked(on, 'select from stock_level where sku = $1 for update', scarce, 3, () =>
    Promise.all([1, 2, 3].map((number) => play(on, { script: 'buy', product: 'scarce' }, { number, scarce }))),
  )
}

async function anAnswerIsLost(on: Harness): Promise<History[]> {
  const journal = join(on.folder, 'sandbox.journal')
  const lose = async (): Promise<void> => {
    const before = existsSync(journal) ? readFileSync(journal).length : 0
    await tellProvider(on, { drop_answer_rate: 1 })
    void until('a charge is made', () => existsSync(journal) && readFileSync(journal).length > before).finally(() =>
      tellProvider(on, {}),
    )
  }
  return [await play(on, { script: 'buy' }, { reached: lose })]
}

/** All three requests have seen an open cart before one takes it. */
async function twoTabs(on: Harness): Promise<History[]> {
  let unlocked: Promise<unknown> = Promise.resolve()
  const lock = ({ cartId }: History): Promise<void> =>
    new Promise((locked) => {
      unlocked = whileLocked(on, 'select from cart where id = $1 for update', cartId, 3, async () => locked())
    })
  const history = await play(on, { script: 'buy_twice' }, { reached: lock })
  await unlocked
  return [history]
}

async function aCancelledCheckout(on: Harness): Promise<History[]> {
  return [await play(on, { script: 'cancel_declined' })]
}

/** Only who asks the provider at the deadline learns of it. */
async function approvedWithoutAWebhook(on: Harness): Promise<History[]> {
  await on.pool.query(`create or replace function lose() returns trigger language plpgsql as 'begin return null; end'`)
  await on.pool.query('create trigger lost before insert on inbox for each row execute function lose()')
  try {
    return [await play(on, { script: 'approve' })]
  } finally {
    await on.pool.query('drop trigger lost on inbox')
  }
}

async function eventsThreeTimes(on: Harness): Promise<History[]> {
  return [await play(on, { script: 'buy', method: 'pm_sandbox_duplicate_webhooks' })]
}

/** Sends a command of staff about the order, when it is called. */
type Tell = (what: 'captures' | 'refunds' | 'cancel', body: object) => () => Promise<unknown>

/** Somebody buys two units, and staff do the rest. */
async function afterPaying(
  on: Harness,
  work: (tell: Tell, order: { readonly id: string; readonly sku: string; readonly total: number }) => Promise<void>,
): Promise<History[]> {
  const history = await play(on, { script: 'buy', quantity: 2 })
  const [id = ''] = history.orders
  const [sku = ''] = history.lines.keys()
  const adminKey = on.stack.file.admin_key
  const tell: Tell = (what, body) => () =>
    history.staff.send({ method: 'POST', path: `/v1/admin/orders/${id}/${what}`, adminKey, key: randomUUID(), body })
  const { body } = await history.staff.send({ method: 'GET', path: `/v1/admin/orders/${id}`, adminKey })
  await work(tell, { id, sku, total: (body['totals'] as { total: { amount: number } }).total.amount })
  return [history]
}

/** The people of the warehouse send it. At `point`, where there is one, the worker dies. */
async function sent(on: Harness, point?: string): Promise<History[]> {
  const reached = async (): Promise<void> => {
    if (point) arm(on, point)
  }
  return [await play(on, { script: 'send', quantity: 2 }, { reached, places: on.warehouses })]
}

/** Whoever looks at the goods of an order plans what is not planned yet. */
async function plannedTwice(on: Harness): Promise<History[]> {
  return [(await inShipment(on)).history]
}

async function labelledThenCancelled(on: Harness): Promise<History[]> {
  const { history, step, send, id } = await inShipment(on)
  for (const what of ['pack', 'label'] as const) await step(what)
  await send('POST', `/v1/admin/orders/${id}/cancel`, { reason_code: 'ablation' })
  return [history]
}

/** An order whose shipment is picked. */
async function inShipment(on: Harness) {
  const history = await play(on, { script: 'buy' })
  const [id = ''] = history.orders
  const adminKey = on.stack.file.admin_key
  const send = (method: string, path: string, body?: object) => history.staff.send({ method, path, adminKey, body })
  const { shipments } = await until(
    'it lies in a shipment',
    async () => (await send('GET', `/v1/admin/orders/${id}`)).body as { shipments: { id: string }[] },
    (order) => order.shipments.length > 0,
  )
  const step = (what: string) => send('POST', `/v1/admin/shipments/${shipments[0]?.id}/${what}`, {})
  await step('pick')
  return { history, id, send, step }
}

/** What a scene has left in a warehouse. */
async function cancelWhatIsPicked({ staff, orders }: History): Promise<void> {
  const adminKey = harness.stack.file.admin_key
  for (const id of orders) {
    const path = `/v1/admin/orders/${id}`
    const { body } = await staff.send({ method: 'GET', path, adminKey })
    if (body['status'] === 'processing')
      await staff.send({ method: 'POST', path: `${path}/cancel`, adminKey, body: { reason_code: 'ablation' } })
  }
}

function arm(on: Harness, point: string): void {
  mkdirSync(on.faultFolder, { recursive: true })
  writeFileSync(join(on.faultFolder, point), '')
}

async function inTurn(...acts: (() => Promise<unknown>)[]): Promise<void> {
  for (const act of acts) await act()
}

function refundOf(amount: number) {
  return { amount, reason_code: 'ablation' }
}

/** The next change at the provider is made, and nobody hears of it. */
async function loseAnAnswer(on: Harness): Promise<void> {
  const journal = join(on.folder, 'sandbox.journal')
  const changes = (): number => readFileSync(journal, 'utf8').split('"charge":').length
  const before = changes()
  await tellProvider(on, { drop_answer_rate: 1 })
  void until('something has changed', () => changes() > before).finally(() => tellProvider(on, {}))
}

/** Both have read the books before one of them writes. */
async function twoCapturesAtOnce(on: Harness): Promise<History[]> {
  return afterPaying(on, async (tell, { id, total }) => {
    await whileLocked(on, 'select from payment where order_id = $1 for update', id, 2, () =>
      Promise.all([tell('captures', { amount: total })(), tell('captures', { amount: total })()]),
    )
  })
}

/** It comes back when the hold is over. */
async function aWorkerDiesBeforeTheCharge(on: Harness): Promise<History[]> {
  arm(on, 'charge.before')
  // The task is another worker's five seconds later: well past such a hold, whatever is left of the process by then.
  await on.setHolds({ checkout: 2, cart: HOLD_SECONDS })
  try {
    return [await play(on, { script: 'buy' })]
  } finally {
    await on.setHolds({ checkout: HOLD_SECONDS, cart: HOLD_SECONDS })
  }
}

async function staff(on: Harness, script: StaffScript): Promise<StaffHistory[]> {
  const { apis, admin_key: adminKey } = on.stack.file
  return [await runStaff({ startMs: 0, script, fault: null }, 0, { apis, adminKey, reached: async () => undefined })]
}

interface Scene {
  readonly number?: number
  readonly scarce?: string
  readonly reached?: (history: History) => Promise<void>
  readonly places?: Harness['warehouses']
}

async function play(
  on: Harness,
  plan: Partial<BuyerPlan>,
  { number = 0, scarce = '', reached, places }: Scene = {},
): Promise<History> {
  const skus = { plenty: await on.sell('plenty', 5), automatic: await on.sell('automatic', { automatic: 5 }), scarce }
  let first = true
  return runBuyer(
    {
      startMs: 0,
      seed: 1,
      script: 'buy',
      method: 'pm_card_visa',
      product: 'plenty',
      quantity: 1,
      words: '',
      fault: null,
      ...plan,
    },
    number,
    {
      apis: on.stack.file.apis,
      adminKey: on.stack.file.admin_key,
      sandbox: on.stack.file.sandbox,
      skus,
      places: places ?? null,
      whileRenewalsAreNear: (work) => work(),
      reached: async (history) => {
        if (first) await reached?.(history)
        first = false
      },
    },
  )
}

/** Begins `work` under a row lock, and lets go once so many others wait for it. */
async function whileLocked<T>(
  on: Harness,
  lock: string,
  value: string,
  waiters: number,
  work: () => Promise<T>,
): Promise<T> {
  const holder: PoolClient = await on.pool.connect()
  try {
    await holder.query('begin')
    await holder.query(lock, [value])
    const running = work()
    await until(`${waiters} wait for the lock`, async () => (await countWaiting(on)) >= waiters, Boolean, 10_000)
    await holder.query('commit')
    return await running
  } finally {
    holder.release()
  }
}

async function countWaiting({ pool }: Harness): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows[0]?.count ?? 0
}

async function tellProvider({ stack }: Harness, faults: Record<string, number>): Promise<void> {
  await fetch(`${stack.file.sandbox}/v1/faults`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(faults),
  })
}
