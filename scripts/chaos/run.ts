import { setTimeout as delay } from 'node:timers/promises'
import { MONEY_WORK } from '../../db/support/invariant/check'
import { type History, RENEWAL_SECONDS, runBuyer } from './buyer'
import { judgeCarrier } from './goods-oracle'
import { Injector } from './injector'
import type { Cell } from './matrix'
import { judge, judgePrivacy } from './oracle'
import type { AuditAnswer, Harness } from './harness'
import { type FaultPlan, faultsOf, type Schedule, scheduleOf } from './schedule'
import { runStaff, type StaffHistory } from './staff'
import { judgeStaff } from './staff-oracle'
import { startSupport } from './support'

export interface SeedResult {
  readonly schedule: Schedule
  /** What was not as it has to be, in words; empty: the seed passed. */
  readonly faults: readonly string[]
  readonly hit: readonly Cell[]
  /** Faults whose moment never came. */
  readonly missed: readonly Cell[]
  readonly seconds: number
}

const STOCK_PLENTIFUL = 60
/** Of what is not where it was looked for. */
const STOCK_SPARE = 20
const STOCK_SCARCE = 4
const SETTLE_MS = 120_000
/** Temporal's index of workflows is a little behind. */
const CALM_MS = 8_000
const POLL_MS = 400
/** An authorization is renewed so long before it ends. */
const RENEWED_BEFORE_SECONDS = 48 * 3_600

/**
 * Plays the schedules of some seeds side by side, each with products of its own, and judges what is left. What can only be
 * told of the whole stack counts against each of them.
 */
export async function runSeeds(
  harness: Harness,
  seeds: readonly number[],
  options: { short: boolean },
): Promise<SeedResult[]> {
  const begun = Date.now()
  const injector = new Injector(harness)
  const schedules = seeds.map((seed) => scheduleOf(seed, options))
  await harness.setHolds({
    checkout: Math.max(...schedules.map((schedule) => schedule.holdSeconds)),
    cart: Math.max(...schedules.map((schedule) => schedule.cartHoldSeconds)),
  })
  await injector.start()
  const support = startSupport(harness)
  const played = await Promise.all(schedules.map((schedule) => play(harness, schedule, injector)))
  const missed = await injector.end()
  await support.awaitQuiet()
  const common = await settle(harness)
  await support.stop()
  const histories = played.flatMap((one) => one.histories)
  common.push(...judgePrivacy(histories))
  for (const file of harness.search(histories.map(({ marker }) => marker))) common.push(`${file} holds personal data`)
  const results: SeedResult[] = []
  const { sandbox, carrier } = harness.stack.file
  const oracle = { pool: harness.pool, sandbox, carrier, outages: injector.outages }
  common.push(...(await judgeCarrier(oracle)))
  for (const { schedule, histories, staff, skus, faults } of played) {
    for (const history of histories) faults.push(...(await judge(history, oracle)))
    for (const history of staff) faults.push(...(await judgeStaff(history, harness)))
    faults.push(...(await judgeStock(harness, skus)))
    const planned = faultsOf(schedule)
    results.push({
      schedule,
      faults: [...faults, ...common],
      hit: injector.hit.filter((plan) => planned.includes(plan)),
      missed: missed.filter((plan) => planned.includes(plan)),
      seconds: (Date.now() - begun) / 1000,
    })
  }
  return results
}

interface Played {
  readonly schedule: Schedule
  readonly histories: readonly History[]
  readonly staff: readonly StaffHistory[]
  readonly skus: readonly string[]
  readonly faults: string[]
}

async function play(harness: Harness, schedule: Schedule, injector: Injector): Promise<Played> {
  const skus = {
    plenty: await harness.sell('plenty', { main: STOCK_PLENTIFUL, spare: STOCK_SPARE }),
    scarce: await harness.sell('scarce', STOCK_SCARCE),
    automatic: await harness.sell('automatic', { automatic: STOCK_PLENTIFUL }),
  }
  const { apis, admin_key: adminKey, sandbox } = harness.stack.file
  const begun = new Set<FaultPlan>()
  /** An order may come to a step again. */
  const begin = async (fault: FaultPlan | null, steps: readonly string[], cartId: string | null): Promise<void> => {
    if (!fault || !steps.includes(fault.step) || begun.has(fault)) return
    begun.add(fault)
    await injector.begin(fault, cartId)
  }
  const buyers = schedule.buyers.map((plan, number) =>
    runBuyer(plan, number, {
      apis,
      adminKey,
      sandbox,
      skus,
      places: harness.warehouses,
      reached: ({ cartId }, ...steps) => begin(plan.fault, steps, cartId),
      whileRenewalsAreNear: (work) => injector.withAuthorizations(RENEWED_BEFORE_SECONDS + RENEWAL_SECONDS, work),
    }),
  )
  const staff = schedule.staff.map((plan, number) =>
    runStaff(plan, number, { apis, adminKey, reached: ({ fault }, ...steps) => begin(fault, steps, null) }),
  )
  const [bought, kept] = await Promise.all([Promise.allSettled(buyers), Promise.allSettled(staff)])
  return {
    schedule,
    histories: bought.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    staff: kept.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    skus: Object.values(skus),
    faults: [...bought, ...kept].flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : [])),
  }
}

/** Waits until nothing is in flight and every invariant holds; says what does not. */
export async function settle(harness: Harness): Promise<string[]> {
  const deadline = Date.now() + SETTLE_MS
  let calm = 0
  let last: AuditAnswer | null = null
  while (Date.now() < deadline) {
    last = await harness.audit()
    const cases = await countCases(harness)
    if (last?.settled && last.ok && cases === 0) return []
    calm = last?.settled && cases === 0 ? calm || Date.now() : 0
    if (calm > 0 && Date.now() - calm > CALM_MS) break
    await delay(POLL_MS)
  }
  if (!last) return ['the invariants could not be checked']
  const wrong = last.checks.filter((check) => !check.ok)
  const rest = last.settled && (await countCases(harness)) === 0
  return [
    ...(rest ? [] : [`something is still in flight after ${SETTLE_MS / 1000} s: ${await describeInFlight(harness)}`]),
    ...wrong.map(({ name, violations, sample }) => `${name}: ${violations} (${sample.join('; ')})`),
  ]
}

/** Nothing here is for good, so every case that was opened has to close by itself. One while Postgres still comes back. */
async function countCases({ pool }: Harness): Promise<number> {
  const counted = pool.query<{ count: number }>('select count(*) from attention where closed_at is null')
  const { rows } = await counted.catch(() => ({ rows: [{ count: 1 }] }))
  return rows[0]?.count ?? 0
}

async function describeInFlight({ pool }: Harness): Promise<string> {
  const { rows } = await pool.query<{ what: string }>(`
    select o.id || ' is ' || o.status || ', restarts ' || o.restarts as what
    from orders o where o.status in ('pending', 'inventory_reserved', 'payment_pending')
    union all
    select p.key || ' is ' || p.status || ', its order ' || o.status
    from payment p join orders o on o.id = p.order_id
    where p.status in ('sent', 'requires_action', 'pending') or p.status in ('authorized', 'captured') and o.status = 'cancelled'
    union all
    select w.kind || ' ' || w.object || ' of ' || w.order_id || ' is ' || w.stands from (${MONEY_WORK}) as w
    union all
    select 'label ' || key || ' is ' || status || ' ' || coalesce(failure_code, '') from label where at_work
    union all
    select 'shipment ' || id || ' of ' || order_id || ' is leaving' from shipment where is_leaving
    union all
    select 'event ' || event_id || ' of ' || payment_key || ' is not acted on' from inbox where done_at is null
    union all
    select concat_ws(', ', order_id || ' waits for a person: ' || code, step, object, detail) from attention where closed_at is null
    union all
    select aggregate || ' #' || seq || ' is not published' from outbox where published_at is null
    limit 10`)
  return rows.map(({ what }) => what).join('; ')
}

/**
 * What is reserved is what is still to be sent: every hold that did not become an order has ended, in its time. What has left the
 * stock with parcels is in parcels that have left.
 */
async function judgeStock({ pool }: Harness, skus: readonly string[]): Promise<string[]> {
  const deadline = Date.now() + CALM_MS
  for (;;) {
    const { rows } = await pool.query<{ sku: string; reserved: number; wanted: number; moved: number; sent: number }>(
      `select s.sku, s.reserved, b.wanted, s.moved, p.sent
       from (
         select sku, sum(reserved)::int as reserved,
                (select coalesce(-sum(delta), 0)::int from stock_movement m where m.sku = level.sku and m.cause = 'shipment') as moved
         from stock_level level
         where sku = any ($1::text[])
         group by sku
       ) as s
       cross join lateral (
         select coalesce(sum(l.quantity - l.cancelled - l.shipped) filter (where o.confirmed_at is not null), 0)::int as wanted
         from order_line l join orders o on o.id = l.order_id
         where l.sku = s.sku
       ) as b
       cross join lateral (
         select coalesce(sum(u.quantity) filter (where p.status in ('shipped', 'delivered', 'lost', 'returned')), 0)::int as sent
         from shipment_line u join shipment p on p.id = u.shipment_id
         where u.sku = s.sku
       ) as p`,
      [skus],
    )
    const wrong = rows.filter((row) => row.reserved !== row.wanted || row.moved !== row.sent)
    if (wrong.length === 0) return []
    if (Date.now() > deadline)
      return wrong.map(
        (row) =>
          `${row.sku}: ${row.reserved} reserved, ${row.wanted} to send; ${row.moved} moved out, ${row.sent} sent`,
      )
    await delay(POLL_MS)
  }
}
