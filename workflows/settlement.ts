import { allHandlersFinished, condition, continueAsNew } from '@temporalio/workflow'
import type { OrderId, PaymentId } from '../domain/ids'
import type { AttentionCase } from '../domain/support'
import type { SettlementInput } from './contract'
import { Intervention } from './intervention'
import { MoneyWorker } from './payment'
import { readSettlement, recordDecision, resolveCharge, skipSync, syncDecision } from './proxies'

interface LateAttempt {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly key: string
  /** The case it becomes when nobody can say what happened. */
  readonly code: Extract<AttentionCase, 'provider_unreachable' | 'undo_failed'>
  /** How long it may take to learn what happened before a person is asked. */
  readonly patienceMs: number
}

/**
 * Late money: a payment that may have succeeded when its checkout is over. Stays until the attempt is final and what it
 * took has gone back. What a person decided while the provider was away is made true there first.
 */
export async function settlement({ orderId, paymentId }: SettlementInput): Promise<void> {
  const intervention = new Intervention(orderId)
  const about = { object: paymentId }
  const { key, patienceMs, money, needsSync, pays } = await intervention.run(readSettlement, { paymentId }, about)
  intervention.patienceMs = patienceMs
  intervention.setAmount(money)
  if (needsSync) await syncWithProvider(intervention, { paymentId, key, patienceMs })
  // What is new belongs to the owner of the money, whom the sweep tells; a settlement again should that have ended.
  if (needsSync && pays) return condition(allHandlersFinished)
  const late = { orderId, paymentId, key, code: 'provider_unreachable', patienceMs } as const
  const isDone = await returnLateMoney(intervention, late)
  await condition(allHandlersFinished)
  if (!isDone) await continueAsNew<typeof settlement>({ orderId, paymentId })
}

async function syncWithProvider(
  intervention: Intervention,
  { paymentId, key, patienceMs }: Pick<LateAttempt, 'paymentId' | 'key' | 'patienceMs'>,
): Promise<void> {
  const waitsFor = `the payment provider to hear what was decided about charge \`${key}\``
  intervention.showWaiting(`${waitsFor}.`, 'The order itself is settled.')
  for (;;) {
    const end = await intervention.ask(
      syncDecision,
      { paymentId },
      { code: 'undo_failed', object: paymentId, waitsFor, patienceMs, isOver: true },
    )
    if (end.by === 'done') return
    if (end.by === 'resolved' && end.outcome === 'not_done')
      return intervention.run(skipSync, { paymentId }, { object: paymentId })
  }
}

/**
 * Finds out what became of an attempt of an order that is over, and gives back what it took. False when something is left to
 * do, and the history has grown long: the sweep sees to it that a settlement goes on.
 */
export async function returnLateMoney(intervention: Intervention, late: LateAttempt): Promise<boolean> {
  const worker = new MoneyWorker(intervention, late)
  await resolve(intervention, late)
  intervention.showWaiting(`the money of charge \`${late.key}\` to go back.`, 'The order is over.')
  return worker.finish()
}

async function resolve(intervention: Intervention, { paymentId, key, code, patienceMs }: LateAttempt): Promise<void> {
  intervention.showWaiting(
    `the payment provider to say whether charge \`${key}\` took money.`,
    'The order is over: what was taken goes back.',
  )
  const waitsFor = `the payment provider to say what became of charge \`${key}\`, of an order that is over`
  for (;;) {
    const end = await intervention.ask(
      resolveCharge,
      { paymentId },
      { code, object: paymentId, waitsFor, patienceMs, isOver: true },
    )
    if (end.by === 'done') return
    if (end.by === 'resolved') {
      await intervention.run(recordDecision, { paymentId, happened: end.outcome === 'done' }, { object: paymentId })
      return
    }
  }
}
