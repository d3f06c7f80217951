import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { Redis } from 'ioredis'
import type { Pool } from '../../db/pool'
import type { OrderId } from '../../domain/ids'
import {
  checkoutWorkflowId,
  expiryWorkflowId,
  fulfillmentWorkflowId,
  reindexWorkflowId,
} from '../../domain/workflow-id'
import { EXPIRY_SHARDS } from '../../workflows/contract'
import type { Stack } from '../stack/supervisor'
import { type Fault, isOfFulfillment, isOfStaff } from './matrix'
import type { Outage } from './outage'
import type { FaultPlan } from './schedule'

export interface InjectorDeps {
  readonly stack: Stack
  readonly pool: Pool
  readonly redis: Redis
  readonly temporal: Client
  /** FAULT_DIR of the processes. */
  readonly faultFolder: string
}

/** What goes wrong with all calls to the payment provider, or to the carrier. */
interface CallFault {
  readonly delay_ms?: number
  readonly error_rate?: number
  readonly drop_answer_rate?: number
  readonly authorization_seconds?: number
}

type Company = 'provider' | 'carrier'

const TIMES_OUT = { delay_ms: 1_600 }
const LATE = { delay_ms: 700 }
const DROPS_ANSWERS = { drop_answer_rate: 0.8 }
const CALL_FAULTS: Partial<Record<Fault, readonly [Company, CallFault]>> = {
  provider_times_out: ['provider', TIMES_OUT],
  provider_answers_late: ['provider', LATE],
  provider_drops_answers: ['provider', DROPS_ANSWERS],
  carrier_times_out: ['carrier', TIMES_OUT],
  carrier_answers_late: ['carrier', LATE],
  carrier_drops_answers: ['carrier', DROPS_ANSWERS],
}
const CALL_FAULT_MS = 2_500
/** What becomes of parcels when nothing is broken, and how much faster than usual. */
const ODDS = { lost_rate: 0.06, return_rate: 0.06, late_rate: 0.1, speed: 5 }
/** The one that this stack has. */
const SEARCH_ENGINE = 'postgres'
const WORKFLOW_PATIENCE_MS = 3_000
const POLL_MS = 50

/** Breaks things as a schedule says, and remembers what really broke. */
export class Injector {
  private readonly deps: InjectorDeps
  private readonly armed: { readonly file: string; readonly plan: FaultPlan }[] = []
  private readonly broken = { provider: new Set<CallFault>(), carrier: new Set<CallFault>() }
  private readonly running: Promise<void>[] = []
  /** When the provider was broken. */
  readonly outages: Outage[] = []
  /** Faults that had their moment. */
  readonly hit: FaultPlan[] = []

  constructor(deps: InjectorDeps) {
    this.deps = deps
    mkdirSync(deps.faultFolder, { recursive: true })
  }

  /** Parcels go their way from now on. */
  start(): Promise<void> {
    return this.tell('carrier')
  }

  /**
   * Begins a fault at the moment its step is reached. Resolves when it may go on: a fault point has to be armed by then.
   *
   * @param cartId whose step it is; null: it is nobody's who buys
   */
  async begin(plan: FaultPlan, cartId: string | null): Promise<void> {
    // What the sweep is for has to happen first.
    if (plan.step === 'sweep') await this.terminateCheckout(cartId)
    if (plan.point !== null) return this.arm(plan.point, plan)
    const running = this.inject(plan, cartId).then(() => void this.hit.push(plan))
    // It is looked at when everything ends; until then nobody listens.
    running.catch(() => undefined)
    this.running.push(running)
  }

  /** Waits until what was begun is over, and ends what would go on. Returns the plans whose moment never came. */
  async end(): Promise<FaultPlan[]> {
    await Promise.all(this.running)
    for (const company of ['provider', 'carrier'] as const) {
      this.broken[company].clear()
      await this.tell(company)
    }
    return this.disarm()
  }

  /** What the provider authorizes during `work` can be captured for so long. */
  async withAuthorizations<T>(seconds: number, work: () => Promise<T>): Promise<T> {
    const setting = { authorization_seconds: seconds }
    this.broken.provider.add(setting)
    await this.tell('provider')
    try {
      return await work()
    } finally {
      this.broken.provider.delete(setting)
      await this.tell('provider')
    }
  }

  private arm(point: string, plan: FaultPlan): void {
    const file = join(this.deps.faultFolder, point)
    writeFileSync(file, '')
    this.armed.push({ file, plan })
  }

  private disarm(): FaultPlan[] {
    const missed = this.armed.filter(({ file }) => existsSync(file)).map(({ plan }) => plan)
    this.hit.push(...this.armed.map(({ plan }) => plan).filter((plan) => !missed.includes(plan)))
    for (const name of readdirSync(this.deps.faultFolder)) rmSync(join(this.deps.faultFolder, name), { force: true })
    return missed
  }

  private async inject(plan: FaultPlan, cartId: string | null): Promise<void> {
    const { stack, redis } = this.deps
    const { fault, afterMs } = plan
    await delay(afterMs)
    const callFault = CALL_FAULTS[fault]
    if (callFault) return this.breakCalls(...callFault)
    switch (fault) {
      case 'api_killed':
        await stack.kill(afterMs % 2 === 0 ? 'api-1' : 'api-2')
        return
      case 'redis_flushed':
        await redis.flushall().catch(() => undefined)
        return
      case 'redis_killed':
        return stack.kill('redis')
      case 'postgres_restarted':
        // An immediate shutdown: what was not committed is gone, every session breaks.
        return stack.kill('postgres', 'SIGQUIT')
      case 'temporal_restarted':
        return stack.kill('temporal')
      case 'workflow_terminated':
        return this.terminateWorkflow(plan, cartId)
      default:
        // The payment method or the address does it: answers twice.
        return
    }
  }

  private async breakCalls(company: Company, fault: CallFault): Promise<void> {
    const from = Date.now()
    this.broken[company].add(fault)
    await this.tell(company)
    await delay(CALL_FAULT_MS)
    this.broken[company].delete(fault)
    await this.tell(company)
    if (company === 'provider') this.outages.push({ from, to: Date.now() })
  }

  /** All that is on at the moment, as one. */
  private async tell(company: Company): Promise<void> {
    const { sandbox, carrier } = this.deps.stack.file
    const faults = Object.assign({}, company === 'carrier' ? ODDS : {}, ...this.broken[company])
    const response = await fetch(`${company === 'carrier' ? carrier : sandbox}/v1/faults`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.keys(faults).length === 0 ? {} : { seed: 1, ...faults }),
    })
    await response.body?.cancel()
  }

  private async terminateWorkflow(plan: FaultPlan, cartId: string | null): Promise<void> {
    if (plan.step === 'index') return this.terminateReindex()
    if (plan.step === 'expiry' || isOfStaff(plan)) return this.terminateExpiry()
    if (isOfFulfillment(plan)) await this.terminateOf(cartId, fulfillmentWorkflowId)
    else if (plan.step !== 'sweep') await this.terminateCheckout(cartId)
  }

  private terminateCheckout(cartId: string | null): Promise<void> {
    return this.terminateOf(cartId, checkoutWorkflowId)
  }

  /** Waits for the buyer's order, then ends its workflow as a person in the Web UI could. */
  private async terminateOf(cartId: string | null, workflowIdOf: (orderId: OrderId) => string): Promise<void> {
    for (const deadline = Date.now() + WORKFLOW_PATIENCE_MS; Date.now() < deadline; await delay(POLL_MS)) {
      const { rows } = await this.deps.pool
        .query<{ id: OrderId }>('select id from orders where cart_id = $1 order by id desc limit 1', [cartId])
        .catch(() => ({ rows: [] }))
      if (rows[0] && (await this.terminate(workflowIdOf(rows[0].id)))) return
    }
  }

  /** It is begun first: it runs for a moment only. */
  private async terminateReindex(): Promise<void> {
    const { file } = this.deps.stack
    const response = await fetch(`${file.api}/v1/admin/search/reindex`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${file.admin_key}` },
      body: JSON.stringify({ engine: SEARCH_ENGINE }),
    }).catch(() => null)
    await response?.body?.cancel()
    await this.terminate(reindexWorkflowId(SEARCH_ENGINE))
  }

  private async terminateExpiry(): Promise<void> {
    for (let shard = 0; shard < EXPIRY_SHARDS; shard++) await this.terminate(expiryWorkflowId(shard))
  }

  /** False when it is not there (yet), or over. */
  private async terminate(workflowId: string): Promise<boolean> {
    try {
      await this.deps.temporal.workflow.getHandle(workflowId).terminate('chaos')
      return true
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      return false
    }
  }
}
