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
import { ATTENTION_CASES, type AttentionCase, allowsRepair, repairChoices, type RepairChoice } from '../domain/support'
import { isId, type OrderId, type PaymentId } from '../domain/ids'
import { formatMajor, type Money } from '../domain/money'
import { type OrderActivity, REPAIR_UPDATES, type Repair, type RepairAction, SEARCH_ATTRIBUTES } from './contract'
import { closeCase, openCase, recordRepair } from './proxies'

/** A step that must succeed, or wait for a person. */
export interface SupervisedStep {
  /** The activity that does it: `retryStep` and `resolveStep` name it so. */
  readonly step: OrderActivity
  readonly code: AttentionCase
  readonly paymentId: PaymentId | null
  /** What it waits for, in words for support: "the provider to answer for charge …". */
  readonly waitsFor: string
  /** How long it is tried before a person is asked. */
  readonly patienceMs: number
  /** The order is over: it cannot be cancelled once more. */
  readonly isOver?: boolean
}

/** How a supervised step ended: by itself, or by what a person decided. `interrupted`: something else came first. */
export type StepEnd<T> =
  | { readonly by: 'done'; readonly result: T }
  | { readonly by: 'resolved'; readonly outcome: 'done' | 'not_done' }
  | { readonly by: 'forced' }
  | { readonly by: 'interrupted' }

interface StepAtWork {
  readonly step: SupervisedStep
  readonly since: number
  /** A person has been asked. */
  hasCase: boolean
  /** News has come since the last try; how often it made it try again at once. */
  retryNow: boolean
  retriedNow: number
}

/** News that helps nothing must not fill the history: the step goes on being tried anyway. */
const RETRIES_NOW_MAX = 10

/**
 * Where support meets a workflow: it shows what the workflow waits for, opens a case for what does not come right by
 * itself, and takes repairs for it. One step at a time.
 */
export class Intervention {
  private readonly orderId: OrderId
  /** "GBP 5.10", once it is known. */
  private amount: string | null = null
  private current: StepAtWork | null = null
  private repair: { readonly action: RepairAction; readonly outcome: Repair['outcome'] } | null = null

  constructor(orderId: OrderId) {
    this.orderId = orderId
    for (const action of Object.keys(REPAIR_UPDATES) as RepairAction[]) this.takeRepairs(action)
  }

  /**
   * Runs `work` until it is done. What takes longer than the step's patience becomes a case and goes on being tried;
   * success or a repair closes the case. `interrupted` ends the waiting for another reason.
   */
  async supervise<T>(
    step: SupervisedStep,
    work: () => Promise<T>,
    interrupted: () => boolean = () => false,
  ): Promise<StepEnd<T>> {
    const atWork: StepAtWork = { step, since: Date.now(), hasCase: false, retryNow: false, retriedNow: 0 }
    this.current = atWork
    this.repair = null
    try {
      for (;;) {
        const end = await this.tryOnce(atWork, work, interrupted)
        if (end !== 'again') return end
      }
    } finally {
      this.current = null
      if (atWork.hasCase) await CancellationScope.nonCancellable(() => this.close(step))
    }
  }

  /** There is news of what the step waits for: it is tried again now, not when its next retry is due. */
  retryNow(): void {
    if (this.current && this.current.retriedNow < RETRIES_NOW_MAX) this.current.retryNow = true
  }

  private async tryOnce<T>(
    atWork: StepAtWork,
    work: () => Promise<T>,
    interrupted: () => boolean,
  ): Promise<StepEnd<T> | 'again'> {
    const attempt: { done: { result: T } | null; failed: boolean } = { done: null, failed: false }
    if (atWork.retryNow) atWork.retriedNow++
    atWork.retryNow = false
    const scope = new CancellationScope()
    const running = scope.run(work).then(
      (result) => {
        attempt.done = { result }
      },
      () => {
        attempt.failed = true
      },
    )
    const ready = (): boolean => attempt.done !== null || this.repair !== null || atWork.retryNow || interrupted()
    if (!atWork.hasCase) {
      const patienceMs = Math.max(1, atWork.step.patienceMs - (Date.now() - atWork.since))
      const inTime = await condition(() => ready() || attempt.failed, patienceMs)
      if (!inTime || !ready()) await this.open(atWork)
    }
    await condition(ready)
    scope.cancel()
    await running
    if (attempt.done) return { by: 'done', result: attempt.done.result }
    return this.decided() ?? (interrupted() ? { by: 'interrupted' } : 'again')
  }

  /** What the repair at hand means; null when there is none, or it means to try again. */
  private decided(): StepEnd<never> | null {
    const repair = this.repair
    this.repair = null
    if (repair?.action === 'forceCancel') return { by: 'forced' }
    if (repair?.action === 'resolveStep' && repair.outcome) return { by: 'resolved', outcome: repair.outcome }
    return null
  }

  private async open(atWork: StepAtWork): Promise<void> {
    atWork.hasCase = true
    const { code, step, paymentId } = atWork.step
    this.show(this.describeCase(atWork.step))
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: true },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: code },
    ])
    await openCase({ orderId: this.orderId, code, step, paymentId, workflowId: workflowInfo().workflowId })
  }

  private async close({ code }: SupervisedStep): Promise<void> {
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: false },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: null },
    ])
    await closeCase({ orderId: this.orderId, code })
  }

  private takeRepairs(action: RepairAction): void {
    setHandler(
      REPAIR_UPDATES[action],
      async (repair: Repair) => {
        const id = currentUpdateInfo()?.id ?? action
        const atWork = this.current
        await recordRepair({ orderId: this.orderId, id, action, repair })
        // What it was meant for may be over by now.
        if (this.current === atWork) this.repair = { action, outcome: repair.outcome }
      },
      { validator: (repair: Repair) => this.check(action, repair), description: REPAIR_DESCRIPTIONS[action] },
    )
  }

  private check(action: RepairAction, repair: Repair | undefined): void {
    const atWork = this.current
    if (!repair || typeof repair !== 'object')
      throw refused('Send one JSON object, such as {"reason_code": "…", "by": "key_…"}')
    const unknown = Object.keys(repair).filter((field) => !REPAIR_FIELDS.has(field))
    if (unknown.length > 0) throw refused(`Leave out ${unknown.join(', ')}: notes go by the API`)
    if (typeof repair.reason_code !== 'string' || !REASON_CODE.test(repair.reason_code))
      throw refused('`reason_code` must be a short code, such as "checked_with_provider"')
    if (typeof repair.by !== 'string' || !isId('apiKey', repair.by))
      throw refused('`by` must be the id of your admin key (key_…)')
    if (!atWork?.hasCase) throw refused('Nothing waits for a person here')
    const { code, step, isOver } = atWork.step
    if (isOver && action === 'forceCancel') throw refused('The order is cancelled already')
    if (!allowsRepair(code, action))
      throw refused(`${code} takes ${ATTENTION_CASES[code].repairs.join(', ')}, not ${action}`)
    if (repair.step !== undefined && repair.step !== step) throw refused(`The step that waits is ${step}`)
    if (action === 'resolveStep' && repair.outcome !== 'done' && repair.outcome !== 'not_done') {
      throw refused('`outcome` must be "done" or "not_done"')
    }
  }

  /** What is at stake, for what support is shown. */
  setAmount(money: Money): void {
    this.amount = `${money.currency} ${formatMajor(money)}`
  }

  /** Current details of the workflow, as Markdown: free, and never part of the history. */
  show(markdown: string): void {
    setCurrentDetails(markdown)
  }

  /** What it waits for while all is well. `since` is now. */
  showWaiting(waitsFor: string, until: string): void {
    const money = this.amount === null ? '' : ` · ${this.amount}`
    this.show(
      `**Waits for** ${waitsFor}\n\nSince ${formatTime(Date.now())}${money}\n\n${until}\n\nNothing needs to be done.`,
    )
  }

  private describeCase({ code, step, waitsFor, isOver }: SupervisedStep): string {
    const { title } = ATTENTION_CASES[code]
    const choices = repairChoices(code, isOver ?? false)
    return [
      `### ⚠ ${title}`,
      '',
      `**Waits for** ${waitsFor}. ${MEANWHILE[code] ?? 'It goes on being tried, and the case closes by itself when that works.'}`,
      '',
      `**A person has been asked since** ${formatTime(Date.now())}`,
      ...(this.amount === null ? [] : ['', `**At stake** ${this.amount}`]),
      '',
      '**What to do** Choose what fits below, then *More Actions → Send an Update*: take the update of that name and paste its JSON, with the id of your own admin key instead of `key_…`.',
      ...choices.flatMap((choice) => ['', ...describeChoice(choice, step)]),
    ].join('\n')
  }
}

function describeChoice({ repair, when, ...outcome }: RepairChoice, step: string): string[] {
  const json = { step, ...outcome, reason_code: 'checked_with_provider', by: 'key_…' }
  // One field a line: the Web UI cuts off what is wide.
  const lines = JSON.stringify(json, null, 1).split('\n')
  return [`- ${when}`, `  Update \`${repair}\`:`, '  ```json', ...lines.map((line) => `  ${line}`), '  ```']
}

/** "2026-11-21 03:05 UTC" */
export function formatTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

const MEANWHILE: Partial<Record<AttentionCase, string>> = {
  amount_mismatch: 'When nobody does before the hold ends, the order is cancelled, and the charge too.',
}

const REPAIR_DESCRIPTIONS: Readonly<Record<RepairAction, string>> = {
  retryStep: 'Try the waiting step again now.',
  resolveStep: 'Say what you found out: "done" when its effect has happened, "not_done" when it has not.',
  retryPayment: 'Ask the provider again now.',
  forceCancel: 'Cancel the order now; its money is settled afterwards.',
}

const REPAIR_FIELDS: ReadonlySet<string> = new Set(['step', 'outcome', 'reason_code', 'by'])
/** A code, never a sentence: nothing personal may come into a history. */
const REASON_CODE = /^[a-z][a-z0-9_]{0,63}$/

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'repair_not_allowed', message, nonRetryable: true })
}
