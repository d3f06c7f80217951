import { ApplicationFailure } from '@temporalio/common'
import {
  CancellationScope,
  condition,
  currentUpdateInfo,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import { ATTENTION_CASES, type AttentionCase, allowsRepair } from '../domain/attention'
import type { OrderId, PaymentId } from '../domain/ids'
import { REPAIR_UPDATES, type Repair, type RepairAction, SEARCH_ATTRIBUTES } from './contract'
import { auditRepair, park, unpark } from './proxies'

/** A step that must succeed, or wait for a person. */
export interface Duty {
  /** As `retryStep` and `resolveStep` name it. */
  readonly step: string
  readonly code: AttentionCase
  readonly paymentId: PaymentId | null
  /** What it waits for, in words for support: "the provider to answer for charge …". */
  readonly waitsFor: string
  /** How long it is tried before a person is asked. */
  readonly patienceMs: number
}

/** How a duty ended: by itself, or by what a person decided. `interrupted`: something else came first. */
export type DutyEnd<T> =
  | { readonly by: 'done'; readonly result: T }
  | { readonly by: 'resolved'; readonly outcome: 'done' | 'not_done' }
  | { readonly by: 'forced' }
  | { readonly by: 'interrupted' }

interface OpenCase {
  readonly duty: Duty
  readonly since: number
  parked: boolean
  /** How often news made it try again at once, and whether some has come in since. */
  hurried: number
  hurry: boolean
}

/** News that help nothing must not fill the history: it goes on being tried anyway. */
const HURRIES_MAX = 10

/**
 * Where support meets a workflow: it shows what the workflow waits for, parks what does not come right by itself, and
 * takes repairs for it. One duty at a time.
 */
export class Desk {
  private readonly orderId: OrderId
  private current: OpenCase | null = null
  private repair: { readonly action: RepairAction; readonly outcome: Repair['outcome'] } | null = null

  constructor(orderId: OrderId) {
    this.orderId = orderId
    for (const action of Object.keys(REPAIR_UPDATES) as RepairAction[]) this.takeRepairs(action)
  }

  /**
   * Runs `work` until it is done. What takes longer than the duty's patience is parked, visibly, and goes on being tried;
   * success or a repair closes the case. `interrupted` ends the waiting for another reason.
   */
  async see<T>(duty: Duty, work: () => Promise<T>, interrupted: () => boolean = () => false): Promise<DutyEnd<T>> {
    const open: OpenCase = { duty, since: Date.now(), parked: false, hurried: 0, hurry: false }
    this.current = open
    this.repair = null
    try {
      for (;;) {
        const end = await this.tryOnce(open, work, interrupted)
        if (end !== 'again') return end
      }
    } finally {
      this.current = null
      if (open.parked) await CancellationScope.nonCancellable(() => this.close(duty))
    }
  }

  /** There is news of what the duty waits for: it is tried again now, not when its next retry is due. */
  hurry(): void {
    if (this.current && this.current.hurried < HURRIES_MAX) this.current.hurry = true
  }

  private async tryOnce<T>(
    open: OpenCase,
    work: () => Promise<T>,
    interrupted: () => boolean,
  ): Promise<DutyEnd<T> | 'again'> {
    const attempt: { done: { result: T } | null; failed: boolean } = { done: null, failed: false }
    if (open.hurry) open.hurried++
    open.hurry = false
    const scope = new CancellationScope()
    const running = scope.run(work).then(
      (result) => {
        attempt.done = { result }
      },
      () => {
        attempt.failed = true
      },
    )
    const ready = (): boolean => attempt.done !== null || this.repair !== null || open.hurry || interrupted()
    if (!open.parked) {
      const patienceMs = Math.max(1, open.duty.patienceMs - (Date.now() - open.since))
      const inTime = await condition(() => ready() || attempt.failed, patienceMs)
      if (!inTime || !ready()) await this.open(open)
    }
    await condition(ready)
    scope.cancel()
    await running
    if (attempt.done) return { by: 'done', result: attempt.done.result }
    return this.decided() ?? (interrupted() ? { by: 'interrupted' } : 'again')
  }

  /** What the repair at hand means; null when there is none, or it means to try again. */
  private decided(): DutyEnd<never> | null {
    const repair = this.repair
    this.repair = null
    if (repair?.action === 'forceCancel') return { by: 'forced' }
    if (repair?.action === 'resolveStep' && repair.outcome) return { by: 'resolved', outcome: repair.outcome }
    return null
  }

  private async open(open: OpenCase): Promise<void> {
    open.parked = true
    const { duty } = open
    this.tell(this.describeCase(duty))
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: true },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: duty.code },
    ])
    await park({
      orderId: this.orderId,
      code: duty.code,
      step: duty.step,
      paymentId: duty.paymentId,
      workflowId: workflowInfo().workflowId,
    })
  }

  private async close(duty: Duty): Promise<void> {
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: false },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: null },
    ])
    await unpark({ orderId: this.orderId, code: duty.code })
  }

  private takeRepairs(action: RepairAction): void {
    setHandler(
      REPAIR_UPDATES[action],
      async (repair: Repair) => {
        const id = currentUpdateInfo()?.id ?? action
        await auditRepair({ orderId: this.orderId, id, action, repair })
        this.repair = { action, outcome: repair.outcome }
      },
      { validator: (repair: Repair) => this.check(action, repair), description: REPAIR_DESCRIPTIONS[action] },
    )
  }

  private check(action: RepairAction, repair: Repair | undefined): void {
    const open = this.current
    if (!repair || typeof repair !== 'object')
      throw refused('Send one JSON object, such as {"reason_code": "…", "by": "key_…"}')
    if (typeof repair.reason_code !== 'string' || repair.reason_code === '') throw refused('`reason_code` is missing')
    if (typeof repair.by !== 'string' || !repair.by.startsWith('key_'))
      throw refused('`by` must be the id of your admin key (key_…)')
    if (!open?.parked) throw refused('Nothing waits for a person here')
    const { code, step } = open.duty
    if (!allowsRepair(code, action))
      throw refused(`${code} takes ${ATTENTION_CASES[code].repairs.join(', ')}, not ${action}`)
    if (repair.step !== undefined && repair.step !== step) throw refused(`The step that waits is ${step}`)
    if (action === 'resolveStep' && repair.outcome !== 'done' && repair.outcome !== 'not_done') {
      throw refused('`outcome` must be "done" or "not_done"')
    }
  }

  /** Current details of the workflow, as Markdown: free, and never part of the history. */
  tell(markdown: string): void {
    setCurrentDetails(markdown)
  }

  private describeCase(duty: Duty): string {
    const { title, repairs } = ATTENTION_CASES[duty.code]
    const examples = repairs.map(
      (repair) =>
        `- \`${repair}\`: \`${JSON.stringify(example(repair, duty.step))}\` — ${REPAIR_DESCRIPTIONS[repair as RepairAction]}`,
    )
    return [
      `### ⚠ ${title}`,
      `Waits for: ${duty.waitsFor}. It is still being tried.`,
      `Parked: ${new Date().toISOString()}`,
      '',
      '**What you can do** (More Actions → Send an Update; put your own admin key id):',
      ...examples,
    ].join('\n')
  }
}

const REPAIR_DESCRIPTIONS: Readonly<Record<RepairAction, string>> = {
  retryStep: 'Try the waiting step again now.',
  resolveStep: 'Say what you found out: "done" when its effect has happened, "not_done" when it has not.',
  retryPayment: 'Ask the provider again now.',
  forceCancel: 'Cancel the order now; its money is settled afterwards.',
}

function example(action: string, step: string): Record<string, string> {
  const common = { reason_code: 'checked_with_provider', by: 'key_…' }
  return action === 'resolveStep' ? { step, outcome: 'done', ...common } : { step, ...common }
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'repair_not_allowed', message, nonRetryable: true })
}
