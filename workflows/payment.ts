import { isCancellation, setHandler, workflowInfo } from '@temporalio/workflow'
import type { PaymentWorkToDo } from '../activities/payment/work'
import type { OrderId, PaymentId } from '../domain/ids'
import { formatMajor } from '../domain/money'
import type { WorkItem } from '../domain/payment/work'
import { paymentWorkSignal, providerNewsSignal } from './contract'
import type { Intervention, StepEnd, SupervisedStep } from './intervention'
import {
  capturePayment,
  closeDispute,
  decideCapture,
  decideParcel,
  decideRefund,
  letLapse,
  moveOnce,
  type OwnStep,
  readPaymentWork,
  refreshPayment,
  refundPayment,
  releasePayment,
  renewPayment,
  settleElsewhere,
  skipNews,
  untilSo,
} from './proxies'
import { type AtWork as SideTask, SideWork } from './side-work'

/** Whose money: of the payments that pay for the order, or of another one of its payments. */
export interface MoneyScope {
  readonly orderId: OrderId
  readonly paymentId: PaymentId | null
}

/** Money of an order that is over goes back within a minute, or somebody is told. */
const GIVE_BACK_PATIENCE_MS = 55_000
/** A refund on its way is asked about this often at first, and at the longest; it may take a provider days. */
const FIRST_LOOK_MS = 10_000
const LOOK_AGAIN_MS_MAX = 6 * 3_600_000

type AtWork<T extends WorkItem = WorkItem> = SideTask<T>

/**
 * Carries out what the rows of an order's money ask for: releases, captures, refunds, one after another. What does not come
 * right at once goes on beside the others: it is tried without end, or waits for a person or for the provider, and holds up
 * nothing else.
 */
export class MoneyWorker {
  /** The order is over: no money is owed for it. */
  isOver = false
  /** When an authorization has to be renewed, in milliseconds since the epoch; null: none has to be. */
  renewAt: number | null = null
  private readonly intervention: Intervention
  private readonly scope: MoneyScope
  private readonly beside: SideWork<WorkItem>
  /** How often something came to its end: whoever waits for money looks again then. */
  moves = 0
  /** The rows are to be read (again). */
  private mustRead = true
  private readonly news = new Set<PaymentId>()
  /** Of these there is newer news than what is being looked up. */
  private readonly newerNews = new Set<PaymentId>()

  constructor(intervention: Intervention, scope: MoneyScope) {
    this.intervention = intervention
    this.scope = scope
    this.beside = new SideWork<WorkItem>(isSame, ({ task }) => {
      this.mustRead = true
      this.moves++
      if (task.kind === 'news' && this.newerNews.delete(task.paymentId)) this.news.add(task.paymentId)
    })
    setHandler(paymentWorkSignal, () => this.readAgain(), {
      description: 'Something is to be done with the money of the order: read the rows.',
    })
    setHandler(providerNewsSignal, ({ paymentId }) => this.hearOf(paymentId), {
      description: 'The payment provider has news: look it up.',
    })
  }

  get mustWork(): boolean {
    return this.mustRead || this.news.size > 0 || this.beside.hasFailed
  }

  /** Nothing is left to do. */
  get isIdle(): boolean {
    return this.beside.isEmpty && !this.mustWork
  }

  /** Works until nothing is left to do. False when the history has grown long before: what is left is for another run. */
  async finish(): Promise<boolean> {
    while (!this.isIdle) {
      await untilSo(() => this.mustWork)
      await this.work()
      if (workflowInfo().continueAsNewSuggested && this.isAtRest) return this.isIdle
    }
    return true
  }

  /**
   * What goes on beside merely waits: another run takes that up from the rows. It would know nothing of a repair that was
   * accepted, of what a person decided, or of a case to be closed. Whatever ends makes the workflow go on and ask this again.
   */
  get isAtRest(): boolean {
    return !this.intervention.hasRepairs && this.beside.isAtRest
  }

  /** Does what can be done now, and leaves the rest at work beside. */
  async work(): Promise<void> {
    while (this.mustWork) {
      this.beside.throwFailure()
      for (const paymentId of this.news) await this.lookUp(paymentId)
      this.mustRead = false
      const work = await this.intervention.run(readPaymentWork, this.scope, { object: this.scope.paymentId })
      this.intervention.patienceMs = work.patienceMs
      this.isOver = work.isOver
      this.renewAt = work.renewInMs !== null && work.renewInMs > 0 ? Date.now() + work.renewInMs : null
      this.intervention.setAmount({ amount: work.total, currency: work.currency })
      this.beside.keepOnly(work.items, ({ kind }) => kind === 'news')
      for (const item of work.items) if (!this.beside.find(item)) await this.takeUp(item, work)
    }
  }

  readAgain(): void {
    this.mustRead = true
    this.intervention.retryNow()
  }

  private hearOf(paymentId: PaymentId): void {
    this.news.add(paymentId)
    this.intervention.retryNow()
  }

  /** What the provider does not say at once it is asked for beside. */
  private async lookUp(paymentId: PaymentId): Promise<void> {
    this.news.delete(paymentId)
    const task = { kind: 'news', object: paymentId, paymentId } as const
    if (this.beside.find(task)) {
      // What is being asked may be answered from before the news.
      this.newerNews.add(paymentId)
      return
    }
    this.moves++
    if (await succeeds(() => moveOnce.refreshPayment({ paymentId }))) return
    this.beside.put(task, (atWork) => this.refresh(paymentId, atWork))
  }

  private async takeUp(item: WorkItem, work: PaymentWorkToDo): Promise<void> {
    if (item.kind === 'news') {
      await this.lookUp(item.paymentId)
      this.mustRead = true
    } else if (isMove(item) && (await succeeds(() => doOnce(item)))) {
      this.mustRead = true
      this.moves++
    } else this.beside.put(item, (atWork) => this.goOn(atWork, work))
  }

  private goOn(atWork: AtWork<Exclude<WorkItem, News>>, work: PaymentWorkToDo): Promise<void> {
    const { task } = atWork
    if (task.kind === 'dispute') return this.askAboutDispute(task, atWork, work)
    if (task.kind === 'renewal') return this.renew(task, atWork, work)
    if (task.kind === 'release') return this.tryOn(task, atWork, work)
    if (task.status === 'failed') return this.askAboutRefusal(task, atWork, work)
    return task.kind === 'refund' && task.isAccepted ? this.watch(task, atWork, work) : this.tryOn(task, atWork, work)
  }

  /** Tried without end; a person is asked when that takes long. */
  private async tryOn(move: Move, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    const about = {
      code: work.isOver && move.kind !== 'capture' ? 'late_money' : 'step_failing',
      object: move.object,
      waitsFor: `the payment provider to ${describe(move, work)}`,
      patienceMs: work.isOver ? Math.min(work.patienceMs, GIVE_BACK_PATIENCE_MS) : work.patienceMs,
      isOver: work.isOver,
      isBeside: true,
      task: atWork,
    } as const
    const end = await this.askProvider(move, about, () => atWork.isGone)
    if (end.by !== 'resolved') return
    if (end.outcome === 'done')
      await this.run(settleElsewhere, { orderId: this.scope.orderId, object: move.object }, move)
    else if (move.kind === 'capture') await this.run(decideCapture, { captureId: move.object, decision: 'leave' }, move)
  }

  private askProvider(
    move: Move,
    about: Omit<SupervisedStep, 'step'>,
    isGone: () => boolean,
  ): Promise<StepEnd<unknown>> {
    if (move.kind === 'release') return this.intervention.ask(releasePayment, { paymentId: move.object }, about, isGone)
    if (move.kind === 'capture') return this.intervention.ask(capturePayment, { captureId: move.object }, about, isGone)
    return this.intervention.ask(refundPayment, { refundId: move.object }, about, isGone)
  }

  /** The provider has said no: only a person brings it on. */
  private async askAboutRefusal(task: Refusable, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    const isCapture = task.kind === 'capture'
    const end = await this.intervention.askPerson(
      {
        step: isCapture ? 'capturePayment' : 'refundPayment',
        code: isCapture ? 'capture_refused' : 'refund_refused',
        object: task.object,
        waitsFor: `somebody to decide: the payment provider refuses to ${describe(task, work)}`,
        detail: `The provider says \`${task.failureCode ?? 'nothing'}\`.`,
        isOver: work.isOver,
        isBeside: true,
        task: atWork,
      },
      () => atWork.isGone,
    )
    if (end.by === 'interrupted' || end.by === 'forced') return
    const isDone = end.by === 'resolved' && end.outcome === 'done'
    if (isCapture) {
      const decision = end.by === 'retry' ? 'retry' : 'leave'
      await this.run(decideCapture, { captureId: task.object, decision }, task)
      if (end.by === 'parcelCancelled' && task.kind === 'capture' && task.shipmentId !== null) {
        const { orderId } = this.scope
        await this.run(decideParcel, { orderId, shipmentId: task.shipmentId, decision: 'cancel' }, task)
      }
      if (isDone) await this.refresh(task.paymentId)
    } else {
      const decision = end.by === 'retry' ? 'retry' : isDone ? 'elsewhere' : 'leave'
      await this.run(decideRefund, { refundId: task.object, decision }, task)
    }
  }

  private async renew(task: Renewal, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    const about = { object: task.object, isOver: work.isOver, isBeside: true, task: atWork } as const
    const waitsFor = `the payment provider to ${describe(task, work)}`
    for (;;) {
      const end = await this.intervention.ask(
        renewPayment,
        { paymentId: task.object },
        { ...about, code: 'step_failing', waitsFor, patienceMs: work.patienceMs },
        () => atWork.isGone,
      )
      if (end.by === 'resolved') return this.run(letLapse, { paymentId: task.object }, task)
      if (end.by !== 'done' || end.result.outcome === 'renewed') return
      const detail = `The provider says \`${end.result.reason}\`.`
      const decision = await this.intervention.askPerson(
        {
          ...about,
          step: 'renewPayment',
          code: 'authorization_expiring',
          waitsFor: `somebody to see to it: ${waitsFor}`,
          detail,
        },
        () => atWork.isGone,
      )
      if (decision.by === 'resolved') return this.run(letLapse, { paymentId: task.object }, task)
      if (decision.by !== 'retry') return
    }
  }

  private async askAboutDispute(task: Dispute, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    const end = await this.intervention.askPerson(
      {
        step: 'closeDispute',
        code: 'dispute',
        object: task.object,
        waitsFor: `somebody to deal with ${describe(task, work)}`,
        detail: `The provider says that the dispute is ${task.status}.`,
        isOver: work.isOver,
        isBeside: true,
        task: atWork,
      },
      () => atWork.isGone,
    )
    if (end.by === 'resolved')
      await this.run(closeDispute, { orderId: this.scope.orderId, reference: task.object }, task)
  }

  private run<Input>(step: OwnStep<Input, void>, input: Input, { object }: WorkItem): Promise<void> {
    return this.intervention.run(step, input, { object, isBeside: true })
  }

  /** The provider takes its time, days perhaps: it is asked at growing intervals, besides whenever it has news. */
  private async watch(refund: Refund, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    if (timeToDecide(refund) <= 0) return this.askAboutSilence(refund, atWork, work)
    // Once it is late it is taken up anew, if the rows still ask for it.
    for (
      let wait = FIRST_LOOK_MS;
      !atWork.isGone && timeToDecide(refund) > 0;
      wait = Math.min(wait * 2, LOOK_AGAIN_MS_MAX)
    ) {
      if (await untilSo(() => atWork.isGone, Math.min(wait, timeToDecide(refund)))) return
      if (!(await succeeds(() => doOnce(refund)))) await this.tryOn(refund, atWork, work)
      atWork.isEnding = false
      this.mustRead = true
    }
  }

  /** The provider has had it for weeks, and only says that it is on its way: a person may know more. It is looked up all the same. */
  private async askAboutSilence(refund: Refund, atWork: AtWork, work: PaymentWorkToDo): Promise<void> {
    const asking = { isOver: false }
    const asked = this.intervention.askPerson(
      {
        step: 'refundPayment',
        code: work.isOver ? 'late_money' : 'step_failing',
        object: refund.object,
        waitsFor: `the payment provider to ${describe(refund, work)}`,
        detail: 'The provider has accepted it, and has not said for weeks what became of it.',
        isOver: work.isOver,
        isBeside: true,
        task: atWork,
      },
      () => atWork.isGone,
    )
    const [end] = await Promise.all([
      asked.finally(() => {
        asking.isOver = true
      }),
      this.lookRarely(refund, () => asking.isOver || atWork.isGone),
    ])
    if (end.by === 'retry') await succeeds(() => doOnce(refund))
    if (end.by === 'resolved' && end.outcome === 'done')
      await this.run(settleElsewhere, { orderId: this.scope.orderId, object: refund.object }, refund)
  }

  /** A look-up that fails is none: a person is asked already. */
  private async lookRarely(refund: Refund, isOver: () => boolean): Promise<void> {
    while (!(await untilSo(isOver, LOOK_AGAIN_MS_MAX))) {
      await succeeds(() => doOnce(refund))
      this.mustRead = true
    }
  }

  /** @param task without, another run must not begin before its end: no row asks for it */
  private async refresh(paymentId: PaymentId, task?: AtWork): Promise<void> {
    const end = await this.intervention.ask(
      refreshPayment,
      { paymentId },
      {
        code: 'step_failing',
        object: paymentId,
        waitsFor: `the payment provider to show what is new about payment \`${paymentId}\``,
        patienceMs: this.intervention.patienceMs,
        isBeside: true,
        ...(task && { task }),
      },
    )
    if (end.by === 'resolved')
      await this.intervention.run(skipNews, { paymentId }, { object: paymentId, isBeside: true })
  }
}

type News = Extract<WorkItem, { kind: 'news' }>
type Dispute = Extract<WorkItem, { kind: 'dispute' }>
type Renewal = Extract<WorkItem, { kind: 'renewal' }>
type Refund = Extract<WorkItem, { kind: 'refund' }>
type Refusable = Extract<WorkItem, { kind: 'capture' | 'refund' }>
/** What the provider is to do. */
type Move = Exclude<WorkItem, Dispute | Renewal | News>

/** How long the provider may still think about a refund, in milliseconds. Runs from before it was bounded hold no such moment. */
function timeToDecide({ decideBy }: Refund): number {
  return (decideBy ?? Number.POSITIVE_INFINITY) - Date.now()
}

function isMove(item: WorkItem): item is Move {
  if (item.kind === 'dispute' || item.kind === 'renewal' || item.kind === 'news') return false
  if (item.kind === 'release') return true
  return item.status === 'pending' && !(item.kind === 'refund' && item.isAccepted)
}

function doOnce(move: Move): Promise<unknown> {
  if (move.kind === 'release') return moveOnce.releasePayment({ paymentId: move.object })
  if (move.kind === 'capture') return moveOnce.capturePayment({ captureId: move.object })
  return moveOnce.refundPayment({ refundId: move.object })
}

/** True when both are about the same thing in the same state. */
function isSame(one: WorkItem, other: WorkItem): boolean {
  return one.kind === other.kind && one.object === other.object && stateOf(one) === stateOf(other)
}

function stateOf(task: WorkItem): string {
  if (task.kind === 'news' || task.kind === 'release' || task.kind === 'renewal') return ''
  return task.kind === 'refund' && task.isAccepted ? `${task.status}, accepted` : task.status
}

/** "give GBP 5.10 of payment `pay_…` back" */
function describe({ kind, amount, paymentId }: Exclude<WorkItem, News>, { currency }: PaymentWorkToDo): string {
  const money = `${currency} ${formatMajor({ amount, currency })}`
  switch (kind) {
    case 'release':
      return `let go of ${money} that payment \`${paymentId}\` authorized`
    case 'capture':
      return `take ${money} of payment \`${paymentId}\``
    case 'refund':
      return `give ${money} of payment \`${paymentId}\` back`
    case 'renewal':
      return `authorize ${money} anew, before payment \`${paymentId}\` cannot be captured any more`
    case 'dispute':
      return `${money} of payment \`${paymentId}\` that the customer's bank takes back`
  }
}

async function succeeds(move: () => Promise<unknown>): Promise<boolean> {
  try {
    await move()
    return true
  } catch (error) {
    if (isCancellation(error)) throw error
    return false
  }
}
