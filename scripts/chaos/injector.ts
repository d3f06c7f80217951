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
import { type Fault, isOfMoney, isOfStaff } from './matrix'
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

interface ProviderFault {
  readonly delay_ms?: number
  readonly error_rate?: number
  readonly drop_answer_rate?: number
  readonly authorization_seconds?: number
}

const PROVIDER_FAULTS: Partial<Record<Fault, ProviderFault>> = {
  provider_times_out: { delay_ms: 1_600 },
  provider_answers_late: { delay_ms: 700 },
  provider_drops_answers: { drop_answer_rate: 0.8 },
}
const PROVIDER_FAULT_MS = 2_500
/** The one that this stack has. */
const SEARCH_ENGINE = 'postgres'
const WORKFLOW_PATIENCE_MS = 3_000
const POLL_MS = 50

/** Breaks things as a schedule says, and remembers what really broke. */
export class Injector {
  private readonly deps: InjectorDeps
  private readonly armed: { readonly file: string; readonly plan: FaultPlan }[] = []
  private readonly provider = new Set<ProviderFault>()
  private readonly running: Promise<void>[] = []
  /** When the provider was broken. */
  readonly outages: Outage[] = []
  /** Faults that had their moment. */
  readonly hit: FaultPlan[] = []

  constructor(deps: InjectorDeps) {
    this.deps = deps
    mkdirSync(deps.faultFolder, { recursive: true })
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
    this.provider.clear()
    await this.tellProvider()
    return this.disarm()
  }

  /** What the provider authorizes during `work` can be captured for so long. */
  async withAuthorizations<T>(seconds: number, work: () => Promise<T>): Promise<T> {
    const setting = { authorization_seconds: seconds }
    this.provider.add(setting)
    await this.tellProvider()
    try {
      return await work()
    } finally {
      this.provider.delete(setting)
      await this.tellProvider()
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
    const provider = PROVIDER_FAULTS[fault]
    if (provider) return this.breakProvider(provider)
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
        // The payment method does it: answers twice.
        return
    }
  }

  private async breakProvider(fault: ProviderFault): Promise<void> {
    const from = Date.now()
    this.provider.add(fault)
    await this.tellProvider()
    await delay(PROVIDER_FAULT_MS)
    this.provider.delete(fault)
    await this.tellProvider()
    this.outages.push({ from, to: Date.now() })
  }

  /** All that is on at the moment, as one. */
  private async tellProvider(): Promise<void> {
    const response = await fetch(`${this.deps.stack.file.sandbox}/v1/faults`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(this.provider.size === 0 ? {} : Object.assign({ seed: 1 }, ...this.provider)),
    })
    await response.body?.cancel()
  }

  private async terminateWorkflow(plan: FaultPlan, cartId: string | null): Promise<void> {
    if (plan.step === 'index') return this.terminateReindex()
    if (plan.step === 'expiry' || isOfStaff(plan)) return this.terminateExpiry()
    if (isOfMoney(plan)) await this.terminateOf(cartId, fulfillmentWorkflowId)
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
