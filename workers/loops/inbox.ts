import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { OrderWorkflows } from '../../activities/deps'
import { theirChargeOf } from '../../activities/payment/examine'
import { type DueEvent, endEvent, INBOX_CHANNEL, learnChargeKey, takeDueEvents } from '../../db/payment/inbox'
import { noteNews } from '../../db/payment/work'
import { restart } from '../../db/order/sweep'
import type { Pool } from '../../db/pool'
import { endCasesAbout, openCase, readStanding } from '../../db/support/attention'
import type { PaymentId } from '../../domain/ids'
import { isOpen, isOver } from '../../domain/order'
import { describeUnknown } from '../../domain/payment/reconciliation'
import { UNKNOWN_MONEY } from '../../domain/support'
import { checkoutWorkflowId } from '../../domain/workflow-id'
import type { Settings } from '../../config'
import type { Log } from '../../log'
import type { PaymentProviders } from '../../providers/payment'
import { providerNewsSignal } from '../../workflows/contract'
import { listen } from './bell'

const BATCH = 100
const IDLE_MS = 200
const AFTER_FAILURE_MS = 1_000

interface InboxDeps {
  readonly settings: Pick<Settings, 'DATABASE_URL'>
  readonly pool: Pool
  readonly providers: Pick<PaymentProviders, 'get'>
  readonly temporal: Client
  readonly orders: OrderWorkflows
  readonly log: Log
}

/** Tells workflows of what providers told us, until `signal` is aborted. Processes may share it: rows are taken, not read. */
export async function runInbox(deps: InboxDeps, signal: AbortSignal): Promise<void> {
  const { pool, settings, log } = deps
  const bell = listen(settings, INBOX_CHANNEL, signal)
  while (!signal.aborted) {
    try {
      const due = await takeDueEvents(pool, BATCH)
      const told = new Set<PaymentId>()
      for (const event of due) await actOnOne(deps, event, told)
      if (due.length < BATCH) await bell.wait(IDLE_MS)
    } catch (error) {
      log.warn({ err: error }, 'provider events wait: they will be taken again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/** One event that cannot be told holds up no other. It is due again. */
async function actOnOne(deps: InboxDeps, event: DueEvent, told: Set<PaymentId>): Promise<void> {
  try {
    await actOn(deps, event, told)
  } catch (error) {
    deps.log.warn({ err: error, order_id: event.orderId }, 'an event of a provider waits: it will be taken again')
  }
}

/** @param told payments whose owner looks at them anyway, because of an event before */
async function actOn(deps: InboxDeps, event: DueEvent, told: Set<PaymentId>): Promise<void> {
  const { paymentId, orderId, orderStatus, pays } = event
  if (paymentId !== null && event.isDecided) {
    // A run that is replaced before it could look has told nobody: the next one, and the sweep, find it in the row.
    await noteNews(deps.pool, paymentId)
    if (!told.has(paymentId)) await deps.orders.tellNews({ orderId, isOver: isOver(orderStatus), paymentId, pays })
    told.add(paymentId)
    await endEvent(deps.pool, event)
  } else if (paymentId !== null) await tellWorkflow(deps, { ...event, paymentId })
  else await reportStranger(deps, event)
}

/**
 * The order's own workflow hears of it; without one, an open order's is started anew, as often as the sweep would: then the
 * sweep asks for a person. One that is over is settled.
 */
async function tellWorkflow(
  { pool, temporal, orders }: InboxDeps,
  { orderId, orderStatus, paymentId, number }: DueEvent & { paymentId: PaymentId },
): Promise<void> {
  try {
    await temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(providerNewsSignal, { paymentId })
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    if (isOpen(orderStatus)) await restart(pool, orderId, () => orders.startCheckout({ orderId, number }))
    else await orders.tellSettlement({ orderId, paymentId })
  }
}

/**
 * A charge for an order of ours that none of its payments asked for. While the provider holds money by it, that is a case
 * for a person. As long as the provider cannot be asked, the event stays.
 */
async function reportStranger({ pool, providers, log }: InboxDeps, event: DueEvent): Promise<void> {
  const { provider, orderId, chargeReference } = event
  const charge = await providers.get(provider)?.read(chargeReference).catch(unheard)
  if (charge === undefined) return
  if (charge?.key && event.chargeKey === null) return learnChargeKey(pool, event, charge.key)
  const strange = { workflowId: checkoutWorkflowId(orderId), step: UNKNOWN_MONEY, object: chargeReference }
  const detail = charge?.orderId === orderId ? describeUnknown(theirChargeOf(charge)) : null
  if (detail !== null) {
    if ((await readStanding(pool, { ...strange, orderId, detail })) !== 'answered')
      await openCase(pool, { ...strange, orderId, code: 'amount_mismatch', detail })
  } else await endCasesAbout(pool, { step: UNKNOWN_MONEY, objects: [chargeReference] })
  await endEvent(pool, event)

  function unheard(error: unknown): undefined {
    log.warn({ err: error, order_id: orderId }, 'a charge that nobody asked for waits to be looked up')
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
