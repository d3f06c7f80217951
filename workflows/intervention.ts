import { ApplicationFailure } from '@temporalio/common'
import {
  CancellationScope,
  currentUpdateInfo,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import {
  ATTENTION_CASES,
  type AttentionCase,
  type CaseAtHand,
  choicesInWords,
  repairChoices,
  type RepairChoice,
  repairInWords,
  takesRepair,
} from '../domain/support'
import type { ParcelPlight } from '../domain/fulfillment/shipment'
import { isId, type OrderId } from '../domain/ids'
import { formatMajor, type Money } from '../domain/money'
import { type OrderActivity, REPAIR_UPDATES, type Repair, type RepairAction, SEARCH_ATTRIBUTES } from './contract'
import { closeCase, openCase, type OrderStep, type OwnStep, recordRepair, untilSo } from './proxies'

/** A step that must succeed, or wait for a person. */
export interface SupervisedStep {
  /** The activity that does it: `retryStep` and `resolveStep` name it so. */
  readonly step: OrderActivity
  readonly code: AttentionCase
  /** The id of the payment, capture or refund that it is about; null when it is about the whole order. */
  readonly object: string | null
  /** What it waits for, in words for support: "the provider to answer for charge …". */
  readonly waitsFor: string
  /** Figures and reasons in words for support, without personal data. */
  readonly detail?: string
  /** How long it is tried before a person is asked. */
  readonly patienceMs: number
  /** The order is over: it cannot be cancelled once more. */
  readonly isOver?: boolean
  /** What is the matter with the parcel that it is about. */
  readonly plight?: ParcelPlight
  /** The workflow does not stand still for it: what that waits for besides is shown too. */
  readonly isBeside?: boolean
  /** Whose step it is, when more comes of it after its end; told when it ends. */
  readonly task?: SupervisedTask
}

/** What a step is a part of: it may be left to another run while the step waits, and not while its end is carried out. */
export interface SupervisedTask {
  isEnding: boolean
}

/** What a step of our own is about: the rest is known of it. */
export type About = Pick<SupervisedStep, 'object' | 'isBeside'>

/** How a supervised step ended: by itself, or by what a person decided. `interrupted`: something else came first. */
export type StepEnd<T> =
  | { readonly by: 'done'; readonly result: T }
  | { readonly by: 'resolved'; readonly outcome: 'done' | 'not_done' }
  | { readonly by: 'forced' }
  | { readonly by: 'rerouted' }
  | { readonly by: 'parcelCancelled' }
  | { readonly by: 'interrupted' }

export type DecidedEnd = Exclude<StepEnd<unknown>, { by: 'done' }>

interface GivenRepair {
  /** Of the update that brought it. */
  readonly id: string
  readonly action: RepairAction
  readonly repair: Repair
}

interface StepAtWork {
  readonly step: SupervisedStep
  readonly since: number
  /** Since when a person has been asked; null: nobody has. */
  caseSince: number | null
  /** What people want done about it, the first first. */
  readonly repairs: GivenRepair[]
  /** News has come since the last try; how often it made it try again at once. */
  retryNow: boolean
  retriedNow: number
}

/** Of a workflow that has not read its settings yet. */
const PATIENCE_UNKNOWN_MS = 120_000
/** News that helps nothing must not fill the history: the step goes on being tried anyway. */
const RETRIES_NOW_MAX = 10

/**
 * Where support meets a workflow: it shows what the workflow waits for, opens a case for what does not come right by
 * itself, and takes repairs for it. Several steps may be at work at a time, each of another name or object.
 */
export class Intervention {
  /** How long a step of our own is tried before a person is asked. */
  patienceMs = PATIENCE_UNKNOWN_MS
  private readonly orderId: OrderId
  /** "GBP 5.10", once it is known. */
  private amount: string | null = null
  /** In the order in which they began. */
  private readonly atWork: StepAtWork[] = []
  /** What the workflow itself waits for, or how it ended, as Markdown. */
  private shown = ''

  constructor(orderId: OrderId) {
    this.orderId = orderId
    for (const action of Object.keys(REPAIR_UPDATES) as RepairAction[]) this.takeRepairs(action)
  }

  /** Runs a step of our own until it has succeeded: a person can only mend what makes it fail. */
  async run<Input, Result>(step: OwnStep<Input, Result>, input: Input, about: About): Promise<Result> {
    for (;;) {
      const end = await this.runUnless(step, input, about, () => false)
      if (end.by === 'done') return end.result
    }
  }

  /** Runs a step of our own until it has succeeded, `interrupted` says so, or a person gives it up. */
  async runUnless<Input, Result>(
    step: OwnStep<Input, Result>,
    input: Input,
    about: About,
    interrupted: () => boolean,
  ): Promise<StepEnd<Result>> {
    try {
      return { by: 'done', result: await step.quick(input) }
    } catch (error) {
      if (isCancellation(error)) throw error
    }
    const { code, waitsFor } = step
    if (!about.isBeside) this.showWaiting(`${waitsFor}, which failed at first.`, 'It is tried again every few seconds.')
    return this.ask(step, input, { code, waitsFor, patienceMs: this.patienceMs, ...about }, interrupted)
  }

  /** Runs a step that is tried without end, such as one of the provider. */
  ask<Input, Result>(
    step: OrderStep<Input, Result>,
    input: Input,
    about: Omit<SupervisedStep, 'step'>,
    interrupted?: () => boolean,
  ): Promise<StepEnd<Result>> {
    return this.supervise({ step: step.name, ...about }, () => step.patient(input), interrupted)
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
    const atWork = await this.begin(step)
    try {
      for (;;) {
        const end = await this.tryOnce(atWork, work, interrupted)
        if (end !== 'again') return end
      }
    } finally {
      await CancellationScope.nonCancellable(() => this.end(atWork))
    }
  }

  /**
   * Asks a person about what nothing but a decision brings on. `retry`: it is to be done again. Without a decision it waits
   * until `interrupted`.
   */
  async askPerson(
    step: Omit<SupervisedStep, 'patienceMs'>,
    interrupted: () => boolean,
  ): Promise<{ readonly by: 'retry' } | DecidedEnd> {
    const atWork = await this.begin({ ...step, patienceMs: 0 })
    try {
      tell(atWork, { isEnding: false })
      await this.open(atWork)
      await untilSo(() => atWork.repairs.length > 0 || interrupted())
      tell(atWork, { isEnding: true })
      if (atWork.repairs.length === 0) return { by: 'interrupted' }
      return (await this.decided(atWork)) ?? { by: 'retry' }
    } finally {
      await CancellationScope.nonCancellable(() => this.end(atWork))
    }
  }

  /** There is news of what the steps wait for: they are tried again now, not when their next retry is due. */
  retryNow(): void {
    for (const atWork of this.atWork) if (atWork.retriedNow < RETRIES_NOW_MAX) atWork.retryNow = true
  }

  /** A repair has been accepted that no step has taken up yet. */
  get hasRepairs(): boolean {
    return this.atWork.some(({ repairs }) => repairs.length > 0)
  }

  /** One that is of the same step and object ends first: news may have ended it, and it has yet to hear. */
  private async begin(step: SupervisedStep): Promise<StepAtWork> {
    const isAtWork = (): boolean =>
      this.atWork.some(({ step: other }) => other.step === step.step && other.object === step.object)
    if (isAtWork()) await untilSo(() => !isAtWork())
    const atWork = { step, since: Date.now(), caseSince: null, repairs: [], retryNow: false, retriedNow: 0 }
    this.atWork.push(atWork)
    if (step.isBeside) this.render()
    return atWork
  }

  /** Its case is closed before another one of the same step and object can open. */
  private async end(atWork: StepAtWork): Promise<void> {
    // A task that was lost may have written the case, and its history does not show that: it is closed too.
    const hadCase = atWork.caseSince !== null || Date.now() - atWork.since >= atWork.step.patienceMs
    atWork.caseSince = null
    // They came when the step had ended by itself.
    for (const given of atWork.repairs.splice(0)) await this.record(given)
    if (hadCase) await this.close(atWork.step)
    this.atWork.splice(this.atWork.indexOf(atWork), 1)
    if (hadCase || atWork.step.isBeside) this.render()
  }

  private async tryOnce<T>(
    atWork: StepAtWork,
    work: () => Promise<T>,
    interrupted: () => boolean,
  ): Promise<StepEnd<T> | 'again'> {
    const attempt: { done: { result: T } | null; failed: boolean } = { done: null, failed: false }
    if (atWork.retryNow) atWork.retriedNow++
    atWork.retryNow = false
    tell(atWork, { isEnding: false })
    const scope = new CancellationScope()
    void scope.run(work).then(
      (result) => {
        attempt.done = { result }
      },
      () => {
        attempt.failed = true
      },
    )
    const ready = (): boolean => attempt.done !== null || atWork.repairs.length > 0 || atWork.retryNow || interrupted()
    if (atWork.caseSince === null) {
      const patienceMs = Math.max(1, atWork.step.patienceMs - (Date.now() - atWork.since))
      await untilSo(() => ready() || attempt.failed, patienceMs)
      if (!ready()) await this.open(atWork)
    }
    await untilSo(ready)
    tell(atWork, { isEnding: true })
    // Nobody waits for the end of what is cancelled: a replay has it come together with other ends, and not before them.
    scope.cancel()
    if (attempt.done) return { by: 'done', result: attempt.done.result }
    return (await this.decided(atWork)) ?? (interrupted() ? { by: 'interrupted' } : 'again')
  }

  private async open(atWork: StepAtWork): Promise<void> {
    atWork.caseSince = Date.now()
    const { code, step, object, detail = null } = atWork.step
    this.render()
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: true },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: code },
    ])
    await openCase({ orderId: this.orderId, code, step, object, detail, workflowId: workflowInfo().workflowId })
  }

  private async close({ step, object }: SupervisedStep): Promise<void> {
    const newest = this.cases.reduce<StepAtWork | null>(
      (last, one) => (last && (last.caseSince ?? 0) > (one.caseSince ?? 0) ? last : one),
      null,
    )
    upsertSearchAttributes([
      { key: SEARCH_ATTRIBUTES.needsAttention, value: newest !== null },
      { key: SEARCH_ATTRIBUTES.attentionReason, value: newest?.step.code ?? null },
    ])
    await closeCase({ workflowId: workflowInfo().workflowId, step, object })
  }

  private get cases(): StepAtWork[] {
    return this.atWork.filter(({ caseSince }) => caseSince !== null)
  }

  private takeRepairs(action: RepairAction): void {
    setHandler(
      REPAIR_UPDATES[action],
      // It only notes: what a handler began would run in another order when a history is replayed in which a signal came beside.
      (repair: Repair) => {
        const [atWork] = this.fitting(action, repair)
        atWork?.repairs.push({ id: currentUpdateInfo()?.id ?? action, action, repair })
      },
      { validator: (repair: Repair) => this.check(action, repair), description: REPAIR_DESCRIPTIONS[action] },
    )
  }

  /** What the first repair at hand means; null when there is none, or it means to try again. */
  private async decided(atWork: StepAtWork): Promise<DecidedEnd | null> {
    const given = atWork.repairs.shift()
    if (!given) return null
    await this.record(given)
    const { action, repair } = given
    if (action === 'forceCancel') return { by: 'forced' }
    if (action === 'reroute') return { by: 'rerouted' }
    if (action === 'cancelShipment') return { by: 'parcelCancelled' }
    if (action === 'resolveStep' && repair.outcome) return { by: 'resolved', outcome: repair.outcome }
    return null
  }

  private record({ id, action, repair }: GivenRepair): Promise<void> {
    return recordRepair({ orderId: this.orderId, id, action, repair })
  }

  private check(action: RepairAction, repair: Repair | undefined): void {
    if (!repair || typeof repair !== 'object')
      throw refused('Send one JSON object, such as {"reason_code": "…", "by": "key_…"}')
    const unknown = Object.keys(repair).filter((field) => !REPAIR_FIELDS.has(field))
    if (unknown.length > 0) throw refused(`Leave out ${unknown.join(', ')}: notes go by the API`)
    if (typeof repair.reason_code !== 'string' || !REASON_CODE.test(repair.reason_code))
      throw refused('`reason_code` must be a short code, such as "checked_with_provider"')
    if (typeof repair.by !== 'string' || !isId('apiKey', repair.by))
      throw refused('`by` must be the id of your admin key (key_…)')
    if (action === 'resolveStep' && repair.outcome !== 'done' && repair.outcome !== 'not_done')
      throw refused('`outcome` must be "done" or "not_done"')
    this.checkFit(action, repair)
  }

  /** Exactly one step that waits for a person fits. */
  private checkFit(action: RepairAction, repair: Repair): void {
    if (this.cases.length === 0) throw refused('Nothing waits for a person here')
    const named = this.named(repair)
    if (named.length === 0) throw refused(`Of that step and object nothing waits for a person. ${waiting(this.cases)}`)
    const fitting = this.fitting(action, repair)
    if (fitting.length > 1)
      throw refused(`Several steps wait: say which by \`step\` and \`object\`. ${waiting(fitting)}`)
    if (fitting.length === 1) return
    if (action === 'forceCancel' && named.every(({ step }) => step.isOver))
      throw refused('The order is cancelled already')
    const takes = named.map(({ step }) => `${step.code} takes ${choicesInWords(atHand(step))}`)
    throw refused(`${takes.join('; ')}, not ${repairInWords({ action, outcome: repair.outcome })}`)
  }

  private fitting(action: RepairAction, repair: Repair): StepAtWork[] {
    return this.named(repair).filter(({ step }) => takesRepair(atHand(step), { action, outcome: repair.outcome }))
  }

  private named({ step, object }: Repair): StepAtWork[] {
    return this.cases.filter(
      (one) => (step === undefined || step === one.step.step) && (object === undefined || object === one.step.object),
    )
  }

  /** What is at stake, for what support is shown. */
  setAmount(money: Money): void {
    this.amount = `${money.currency} ${formatMajor(money)}`
  }

  /** What the workflow itself waits for, or how it ended, as Markdown. Cases are shown before it. */
  show(markdown: string): void {
    this.shown = markdown
    this.render()
  }

  /** What it waits for while all is well. `since` is now. */
  showWaiting(waitsFor: string, until: string): void {
    const money = this.amount === null ? '' : ` · ${this.amount}`
    this.show(
      `**Waits for** ${waitsFor}\n\nSince ${formatTime(Date.now())}${money}\n\n${until}\n\nNothing needs to be done.`,
    )
  }

  /** Current details of the workflow, as Markdown: free, and never part of the history. */
  private render(): void {
    const { cases } = this
    const standsStill = cases.some(({ step }) => !step.isBeside)
    const beside = this.atWork.filter(({ step, caseSince }) => step.isBeside && caseSince === null)
    setCurrentDetails(
      [
        ...cases.map((one) => this.describeCase(one, cases.length > 1)),
        ...(standsStill || this.shown === '' ? [] : [this.shown]),
        ...beside.map(({ step, since }) => `**Waits also for** ${step.waitsFor}\n\nSince ${formatTime(since)}`),
      ].join('\n\n---\n\n'),
    )
  }

  private describeCase({ step, caseSince }: StepAtWork, isOneOfSeveral: boolean): string {
    const { code, waitsFor, detail } = step
    return [
      `### ⚠ ${ATTENTION_CASES[code].title}`,
      '',
      `**Waits for** ${waitsFor}. ${MEANWHILE[code] ?? 'It goes on being tried, and the case closes by itself when that works.'}`,
      ...(detail === undefined ? [] : ['', `**What is known** ${detail}`]),
      '',
      `**A person has been asked since** ${formatTime(caseSince ?? Date.now())}`,
      ...(this.amount === null ? [] : ['', `**Total of the order** ${this.amount}`]),
      '',
      '**What to do** Choose what fits below, then *More Actions → Send an Update*: take the update of that name and paste its JSON, with the id of your own admin key instead of `key_…`.',
      ...repairChoices(atHand(step)).flatMap((choice) => ['', ...describeChoice(choice, step, isOneOfSeveral)]),
    ].join('\n')
  }
}

function tell({ step: { task } }: StepAtWork, { isEnding }: SupervisedTask): void {
  if (task) task.isEnding = isEnding
}

function atHand({ code, step, isOver = false, plight }: SupervisedStep): CaseAtHand {
  return { code, step, isOver, plight }
}

/** "resolveCharge of pay_…" */
function nameOf({ step, object }: SupervisedStep): string {
  return object === null ? step : `${step} of ${object}`
}

function waiting(cases: readonly StepAtWork[]): string {
  return `Waiting: ${cases.map(({ step }) => nameOf(step)).join('; ')}`
}

function describeChoice(
  { repair, when, outcome }: RepairChoice,
  { step, object }: SupervisedStep,
  isOneOfSeveral: boolean,
): string[] {
  const which = isOneOfSeveral && object !== null ? { step, object } : { step }
  const json = { ...which, ...(outcome && { outcome }), reason_code: 'checked_with_provider', by: 'key_…' }
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
  fulfillment_stalled: 'The case closes by itself when it is done, the parcel is moved on, or stock has come.',
  capture_refused: 'Nothing is tried meanwhile.',
  refund_refused: 'Nothing is tried meanwhile.',
  authorization_expiring: 'When nobody does, the right to take the rest of the money ends.',
  dispute: 'The case closes by itself when the provider tells how the dispute ended.',
}

const REPAIR_DESCRIPTIONS: Readonly<Record<RepairAction, string>> = {
  retryStep: 'Try the waiting step again now.',
  resolveStep: 'Say what you found out: "done" when its effect has happened, "not_done" when it has not.',
  retryPayment: 'Ask the provider again now.',
  forceCancel: 'Cancel the order now; its money is settled afterwards.',
  reroute: 'Send the units from another warehouse; those of a lost or returned parcel once more.',
  cancelShipment: 'Do not send the parcel: its units are cancelled, and what they cost goes back.',
}

const REPAIR_FIELDS: ReadonlySet<string> = new Set(['step', 'object', 'outcome', 'reason_code', 'by'])
/** A code, never a sentence: nothing personal may come into a history. */
const REASON_CODE = /^[a-z][a-z0-9_]{0,63}$/

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'repair_not_allowed', message, nonRetryable: true })
}
