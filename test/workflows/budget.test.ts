import { randomUUID } from 'node:crypto'
import { receiveTracking } from '../../db/fulfillment/tracking'
import { applyTracking } from '../../db/fulfillment/tracking-apply'
import { withBooks } from '../../db/payment/books'
import type { Pool } from '../../db/pool'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId, fulfillmentWorkflowId } from '../../domain/workflow-id'
import { BUNDLE_PATH } from '../../workers/bundle'
import { runTracking } from '../../workers/loops/tracking'
import { SEARCH_ATTRIBUTES } from '../../workflows/contract'
import { type CheckoutWorker, startCheckoutWorker } from '../support/checkout-worker'
import { Parcels } from '../support/parcels'
import type { Buyer } from '../support/shop'
import { until } from '../support/wait'

/** API and checkout worker in this process, so that what they ask of Postgres can be counted. */
let rig: CheckoutWorker
const queries: string[] = []

beforeAll(async () => {
  rig = await startCheckoutWorker({ workflows: { workflowBundle: { codePath: BUNDLE_PATH } } })
  count(rig.api.deps.pool, 'api')
  count(rig.pool, 'worker')
  await writeDownWriters()
}, 60_000)

afterAll(() => rig?.stop(), 30_000)

/** Notes every statement of the connections of a pool, by its name. */
function count(counted: Pool, who: string): void {
  counted.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    Object.assign(client, {
      query: (...args: unknown[]) => {
        const [asked] = args
        queries.push(`${who} ${typeof asked === 'string' ? asked : (asked as { name?: string }).name}`)
        return query(...args)
      },
    })
  })
}

/** Lets the database note every transaction that changes a row: a statement that changes none is no commit. */
async function writeDownWriters(): Promise<void> {
  await rig.api.database.pool.query(`
    create table writer (xid text, relation text, application text);
    create function note_writer() returns trigger language plpgsql as $$
    begin
      insert into writer values (pg_current_xact_id()::text, tg_table_name, current_setting('application_name'));
      return null;
    end $$;
    do $$
    declare relation text;
    begin
      for relation in select tablename from pg_tables where schemaname = 'public' and tablename <> 'writer' loop
        execute format('create trigger zz_writer after insert or update or delete on %I for each row execute function note_writer()', relation);
      end loop;
    end $$`)
}

async function commits(): Promise<string[][]> {
  const { rows } = await rig.api.database.pool.query<{ relations: string[] }>(
    `select array_agg(distinct relation order by relation) as relations
     from writer
     where application <> 'holdfast-test'
     group by xid
     order by min(xid::bigint)`,
  )
  await rig.api.database.pool.query('truncate writer')
  return rows.map((row) => row.relations)
}

/** A buyer who has bought the like before, so that prepared statements, caches and connections are there. */
async function warmBuyer(lines = 1): Promise<Buyer> {
  const before = await rig.shop.buyerOf()
  expect(await before.checkout()).toMatchObject({ status: 201 })
  const skus = await Promise.all(Array.from({ length: lines }, () => rig.shop.product()))
  const buyer = await rig.shop.buyer(Object.fromEntries(skus.map((sku) => [sku, 2])))
  await commits()
  queries.length = 0
  return buyer
}

describe('a happy checkout', () => {
  it('takes three commits and few statements', async () => {
    const buyer = await warmBuyer(3)
    expect(await buyer.checkout()).toMatchObject({ status: 201 })
    // The store's settings are kept for a second.
    const asked = queries.filter((name) => !name.endsWith('settings.read'))
    const written = await commits()
    expect(written).toHaveLength(3)
    expect(written[0]).toEqual(['cart', 'idempotency', 'order_event', 'orders', 'outbox', 'payment'])
    expect(written[1]).toEqual([
      'order_event',
      'order_line',
      'orders',
      'outbox',
      'payment',
      'reservation',
      'stock_level',
    ])
    expect(written[2]).toEqual(['cart', 'ledger_entry', 'order_event', 'orders', 'outbox', 'payment', 'reservation'])
    expect(asked.filter((name) => name.startsWith('api'))).toEqual([
      'api checkoutKey.read',
      'api cart.read',
      'api order.accept',
      'api order.read',
    ])
    expect(asked.filter((name) => name.startsWith('worker')).sort()).toEqual([
      'worker inventory.supply',
      'worker order.confirm',
      'worker order.place',
      'worker order.toPlace',
      'worker payment.read',
      'worker pricing.read',
    ])
  })

  it('takes one workflow task, at most 12 events and 6 KB of history, no activity, no timer, no upsert', async () => {
    const buyer = await warmBuyer(3)
    const { body } = await buyer.checkout()
    const handle = rig.temporal.workflow.getHandle(checkoutWorkflowId(body.id))
    await handle.result()
    const { events } = await handle.fetchHistory()
    const kinds = (events ?? []).map((event) => Object.keys(event).find((name) => name.endsWith('EventAttributes')))
    const tasks = kinds.filter((kind) => kind === 'workflowTaskStartedEventAttributes')
    expect(tasks).toHaveLength(1)
    expect(kinds.length).toBeLessThanOrEqual(12)
    for (const kind of ['activityTaskScheduled', 'timerStarted', 'upsertWorkflowSearchAttributes']) {
      expect(kinds).not.toContain(`${kind}EventAttributes`)
    }
    const { historySize, raw } = await handle.describe()
    expect(historySize).toBeLessThanOrEqual(6 * 1024)
    expect(Object.keys(raw.workflowExecutionInfo?.searchAttributes?.indexedFields ?? {})).not.toEqual(
      expect.arrayContaining([SEARCH_ATTRIBUTES.needsAttention.name]),
    )
  })

  it('is one attempt of each step, however often its answer is asked for', async () => {
    const buyer = await warmBuyer()
    const key = randomUUID()
    await buyer.checkout({ key })
    await commits()
    queries.length = 0
    for (let times = 0; times < 3; times++) expect(await buyer.checkout({ key })).toMatchObject({ status: 201 })
    expect(await commits()).toEqual([])
    expect(queries.filter((name) => name.startsWith('worker'))).toEqual([])
  })
})

describe('the money of a plain order after its confirmation', () => {
  /** What staff ask for by the API: a row, and a word to the workflow. */
  async function capture(orderId: OrderId, part: 'half' | 'all'): Promise<void> {
    const due = await withBooks(rig.pool, orderId, (books) => {
      const amount = part === 'all' ? books.due : Math.floor(books.due / 2)
      expect(books.claimCapture({ amount, actor: null })).toMatchObject({ amount })
      return books.due
    })
    await rig.orders.startFulfillment({ orderId, isOver: false })
    const status = due === 0 ? 'captured' : 'partially_captured'
    await until(
      `the money of ${orderId} is ${status}`,
      async () => (await rig.shop.order(orderId)).body.payment_status,
      (is) => is === status,
    )
  }

  it.each<[string, ('half' | 'all')[], number]>([
    ['captured whole', ['all'], 1],
    ['captured in two parts', ['half', 'all'], 2],
  ])('takes, %s, at most 20 events, a task for each command and no regular activity', async (_how, parts, tasks) => {
    const buyer = await rig.shop.buyerOf()
    const { body } = await buyer.checkout()
    await rig.relay(body.id)
    const handle = rig.temporal.workflow.getHandle(fulfillmentWorkflowId(body.id))
    expect((await handle.describe()).historyLength).toBe(1)
    for (const part of parts) await capture(body.id, part)
    // The last task ends a moment after its rows.
    const kinds = await until(
      'its last task is over',
      async () =>
        ((await handle.fetchHistory()).events ?? []).map(
          (event) => Object.keys(event).find((name) => name.endsWith('EventAttributes')) ?? '',
        ),
      (seen) => seen.filter((kind) => kind === 'workflowTaskCompletedEventAttributes').length === tasks,
    )
    const count = (kind: string): number => kinds.filter((one) => one === `${kind}EventAttributes`).length
    expect(kinds.length).toBeLessThanOrEqual(20)
    expect(count('activityTaskScheduled')).toBeLessThanOrEqual(2)
    expect([count('workflowTaskStarted'), count('activityTaskScheduled')]).toEqual([tasks, 0])
    // It waits for its warehouse, and while something is due for the end of the authorization too.
    expect(count('timerStarted')).toBeLessThanOrEqual(tasks)
  })
})

describe('the goods of a plain order', () => {
  /** The carrier says that it has delivered, as its webhook does, and the loop books it. */
  async function deliver(trackingNumber: string, isDelivered: () => Promise<boolean>): Promise<void> {
    const told = { trackingNumber, happenedAt: new Date().toISOString(), detail: null, expectedAt: null }
    const stopping = new AbortController()
    const { settings, carriers, log } = rig.api.deps
    const deps = { settings, pool: rig.pool, carriers, orders: rig.orders, apply: applyTracking, log }
    const loop = runTracking(deps, stopping.signal)
    await receiveTracking(rig.pool, 'sandbox', [{ ...told, eventId: randomUUID(), type: 'in_transit' }])
    await receiveTracking(rig.pool, 'sandbox', [{ ...told, eventId: randomUUID(), type: 'delivered' }])
    await until('it is delivered', isDelivered, Boolean, 30_000)
    stopping.abort()
    await loop
  }

  it('cost, from the confirmation to the end, at most 40 events, 20 KB, 4 regular activities and few statements', async () => {
    const parcels = new Parcels(rig.shop, rig.carrier)
    await parcels.settings({ return_window_days: 0 })
    const automatic = await parcels.warehouse('automatic')
    const skus = [await parcels.product({ [automatic]: 5 }), await parcels.product({ [automatic]: 5 })]
    const { id } = await parcels.paid({ lines: Object.fromEntries(skus.map((sku) => [sku, 2])) })
    queries.length = 0
    await rig.relay(id)
    const shipment = await parcels.shipmentOf(id)
    const { tracking_number } = await parcels.hasLeft(shipment)
    await deliver(tracking_number, async () => (await parcels.order(id)).status !== 'shipped')
    await parcels.orderBecomes(id, 'completed')
    const handle = rig.temporal.workflow.getHandle(fulfillmentWorkflowId(id as OrderId))
    await handle.result()
    // But for those of a loop that looks for work, as often as it likes.
    const asked = queries.filter((name) => name.startsWith('worker') && !/tracking\.(due|silent)$/.test(name))
    expect(asked.length).toBeLessThanOrEqual(88)
    const { events } = await handle.fetchHistory()
    const kinds = (events ?? []).map((event) => Object.keys(event).find((name) => name.endsWith('EventAttributes')))
    expect(kinds.length).toBeLessThanOrEqual(40)
    expect((await handle.describe()).historySize).toBeLessThanOrEqual(20 * 1024)
    // Label and capture are local, as long as both are answered at once.
    expect(kinds.filter((kind) => kind === 'activityTaskScheduledEventAttributes').length).toBeLessThanOrEqual(4)
    expect(kinds).not.toContain('upsertWorkflowSearchAttributesEventAttributes')
  }, 120_000)
})
