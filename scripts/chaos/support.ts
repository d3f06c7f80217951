import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from './client'
import type { Harness } from './harness'
import { settleRefund } from './sandbox'

/**
 * The people behind the shop: they answer the cases that nothing but a decision closes, as the runbook says, and the
 * provider's own people decide about refunds that wait. Every other case has to close by itself.
 */
export interface Support {
  /** Waits until nothing is to come any more that somebody has to see to, or that changes by itself later. */
  awaitQuiet(): Promise<void>
  stop(): Promise<void>
}

const ROUND_MS = 500
const QUIET_MS = 120_000

interface OpenCase {
  readonly order_id: string | null
  readonly case: string
  readonly step: string | null
  readonly object: string | null
  readonly allowed_repairs: readonly string[]
}

interface Decision {
  readonly action: 'retryStep' | 'resolveStep' | 'reroute'
  readonly outcome?: 'done' | 'not_done'
}

export function startSupport(harness: Harness): Support {
  const client = new Client(harness.stack.file.apis)
  const answered = new Map<string, number>()
  let isOver = false
  const working = (async () => {
    for (; !isOver; await delay(ROUND_MS)) await round(harness, client, answered).catch(() => undefined)
  })()
  return {
    async awaitQuiet() {
      for (const deadline = Date.now() + QUIET_MS; Date.now() < deadline; await delay(ROUND_MS))
        if (await isQuiet(harness).catch(() => false)) return
    },
    async stop() {
      isOver = true
      await working
    },
  }
}

/** While something is down a round fails, and the next one is soon. */
async function round(harness: Harness, client: Client, answered: Map<string, number>): Promise<void> {
  await settleRefunds(harness)
  await askCarriersSoon(harness)
  const adminKey = harness.stack.file.admin_key
  const { body } = await client.send({ method: 'GET', path: '/v1/admin/attention?limit=100', adminKey })
  for (const open of body['data'] as OpenCase[]) {
    const { step, object } = open
    const about = `${step} ${object}`
    const decision = await decide(open, answered.get(about) ?? 0, harness)
    if (decision === null || open.order_id === null) continue
    answered.set(about, (answered.get(about) ?? 0) + 1)
    await client.send({
      method: 'POST',
      path: `/v1/admin/orders/${open.order_id}/repairs`,
      adminKey,
      body: { ...decision, reason_code: 'chaos', ...(step && { step }), ...(object && { object }) },
    })
  }
}

/** Null: it has to close by itself. */
async function decide(open: OpenCase, answers: number, { pool }: Harness): Promise<Decision | null> {
  const { case: code, object } = open
  if (code === 'fulfillment_stalled') return decideStalled(open, answers)
  if (code === 'capture_refused') return { action: 'retryStep' }
  if (code === 'authorization_expiring') return { action: 'resolveStep', outcome: 'not_done' }
  if (code === 'dispute') return (await isLost(object, pool)) ? { action: 'resolveStep', outcome: 'not_done' } : null
  if (code !== 'refund_refused') return null
  const { rowCount } = await pool.query('select from refund where id = $1 and retries is not null', [object])
  // What failed twice is paid back in another way.
  return rowCount === 0 ? { action: 'retryStep' } : { action: 'resolveStep', outcome: 'done' }
}

/** What does not help twice is given up. */
function decideStalled({ step, object, allowed_repairs: allowed }: OpenCase, answers: number): Decision {
  if (step === 'decideParcel') {
    const isSentOnceMore = answers < 2 && chanceOf(object ?? '') % 2 === 0
    if (isSentOnceMore && allowed.includes('reroute')) return { action: 'reroute' }
    return allowed.includes('resolveStep') ? { action: 'resolveStep', outcome: 'done' } : { action: 'retryStep' }
  }
  if (step === 'decideShort') return { action: 'resolveStep', outcome: 'done' }
  if (answers < 2) return { action: 'retryStep' }
  return { action: 'resolveStep', outcome: step === 'voidLabel' ? 'done' : 'not_done' }
}

/** Of 256 */
function chanceOf(text: string): number {
  return createHash('sha256').update(text).digest()[0] as number
}

/** One that is open waits for the bank. */
async function isLost(reference: string | null, pool: Harness['pool']): Promise<boolean> {
  const { rowCount } = await pool.query(`select from dispute where reference = $1 and status = 'lost'`, [reference])
  return rowCount === 1
}

const ACCEPTED = `
  from refund r
  join payment p on p.id = r.payment_id
  where r.status = 'pending' and r.reference is not null`

/** Each some time after it was taken; of those that are asked for the first time some fail. */
async function settleRefunds({ pool, stack }: Harness): Promise<void> {
  const { rows } = await pool.query<{ charge: string; reference: string; key: string; isFirst: boolean }>(
    `select p.reference as charge, r.reference, r.key, r.retries is null as "isFirst" ${ACCEPTED}
       and r.updated_at < now() - interval '2 seconds'`,
  )
  for (const { charge, reference, key, isFirst } of rows) {
    const fails = isFirst && chanceOf(key) % 3 === 0
    await settleRefund(stack.file.sandbox, { charge, reference, status: fails ? 'failed' : 'succeeded' })
  }
}

/** Who is silent is asked half a minute later, and ever more rarely: that takes seconds here. */
async function askCarriersSoon({ pool }: Harness): Promise<void> {
  await pool.query(
    `update shipment set ask_at = now()
     where status in ('shipped', 'lost') and ask_at > now() and updated_at < now() - interval '3 seconds'`,
  )
}

/** No refund is accepted or may still fail, and no authorization is about to be renewed. */
async function isQuiet({ pool }: Harness): Promise<boolean> {
  const { rows } = await pool.query<{ quiet: boolean }>(
    `select not exists (select ${ACCEPTED})
        and not exists (
          select from refund r join payment p on p.id = r.payment_id
          where p.method = 'pm_sandbox_refund_fails_later' and r.status = 'succeeded' and r.updated_at > now() - interval '4 seconds'
            and not exists (select from ledger_entry l where l.payment_id = p.id and l.operation = 'refund_elsewhere' and l.seq = r.number))
        and not exists (
          select from payment
          where status = 'authorized' and capture_before - interval '48 hours' between now() - interval '3 seconds' and now() + interval '1 minute')
        as quiet`,
  )
  return rows[0]?.quiet ?? false
}
