import { readCarrierRecords } from '../../db/fulfillment/carrier-record'
import { withGoods } from '../../db/fulfillment/goods'
import {
  type AskedLabel,
  keepLabelReference,
  keepRequest,
  noteSent,
  readLabel,
  type StoredLabel,
} from '../../db/fulfillment/label'
import { applyFraudAnswer, letPass, readOrderToCheck } from '../../db/order/fraud'
import { withTransaction } from '../../db/pool'
import { answerVoid, refuseLabel, takeLabel, withdrawLabel } from '../../domain/fulfillment/labels'
import type { Goods } from '../../domain/fulfillment/goods'
import { rankRates } from '../../domain/fulfillment/carrier-choice'
import { packBoxes } from '../../domain/fulfillment/packing'
import type { LabelId, OrderId } from '../../domain/ids'
import { sum } from '../../domain/money'
import type { CarrierProvider, LabelRequest, Rate } from '../../providers/carrier/carrier'
import { advanceAfter, type FulfillmentDeps, type GoodsToDo, stepsOf } from './goods'

/**
 * The effects on labels: each is asked for by a row, has its key there, and says in the same row what became of it. Repeated,
 * it asks the carrier again under the same key. All of them throw while the carrier does not answer.
 */

/**
 * Buys a label; by which carrier, where nobody said, is chosen first. One that is wanted no more is not bought: null. Else what can
 * be done with the goods then is done in the same transaction, and what is left is answered.
 */
export async function buyLabel(
  deps: FulfillmentDeps,
  { labelId }: { labelId: LabelId },
  signal?: AbortSignal,
): Promise<GoodsToDo | null> {
  const label = await prepare(deps, await requireLabel(deps, labelId), signal)
  if (label?.status !== 'claimed') return null
  const { orderId, key } = label
  const keep = async (reference: string): Promise<void> => {
    if (!(await keepLabelReference(deps.pool, labelId, reference))) throw new Error(`Label ${key} is wanted no more`)
  }
  const outcome = await carrierOf(deps, label).buyLabel(requestOf(label), keep, signal)
  const take = (goods: Goods): void => {
    if (outcome.outcome === 'refused') return refuseLabel(goods, labelId, outcome.code)
    const { reference, trackingNumber, trackingUrl, price, expectedAt } = outcome.label
    const { amount: cost, currency } = price
    takeLabel(goods, labelId, { reference, trackingNumber, trackingUrl, documentUrl: null, cost, currency, expectedAt })
  }
  try {
    return await advanceAfter(deps, orderId, take)
  } catch {
    // What hinders the rest must not hinder this: it is met again, and told, where the goods are brought on.
    await withGoods(deps.pool, orderId, stepsOf(deps), take)
    return null
  }
}

/** Has a label taken back that was bought, or may have been; repeated, asks what became of that. */
export async function voidLabel(
  deps: FulfillmentDeps,
  { labelId }: { labelId: LabelId },
  signal?: AbortSignal,
): Promise<void> {
  const label = await requireLabel(deps, labelId)
  if (label.status !== 'voiding' || label.failureCode !== null) return
  const request = { ...requestOf(label), acceptedAt: label.voidSentAt?.toISOString() ?? null }
  const outcome = await carrierOf(deps, label).voidLabel(request, signal)
  await withGoods(deps.pool, label.orderId, stepsOf(deps), (goods) => answerVoid(goods, labelId, outcome))
}

/** The label with what its carrier is asked for, which is kept before. Null: nobody takes the parcel there, or it is over. */
async function prepare(deps: FulfillmentDeps, label: StoredLabel, signal?: AbortSignal): Promise<StoredLabel | null> {
  if (label.status !== 'claimed') return label
  if (label.request !== null) return (await noteSent(deps.pool, label.id)) ? label : null
  if (label.isHeld || (label.mustCheck && (await isHeldByCheck(deps, label.orderId)))) {
    await withGoods(deps.pool, label.orderId, stepsOf(deps), (goods) => withdrawLabel(goods, label.id))
    return null
  }
  const request = askedOf(label)
  const chosen = await choose(deps, label, request, signal)
  if (chosen === null) {
    await withGoods(deps.pool, label.orderId, stepsOf(deps), (goods) => refuseLabel(goods, label.id, 'no_service'))
    return null
  }
  const kept = await keepRequest(deps.pool, { labelId: label.id, ...chosen, request })
  // Somebody has changed it, or its order, since it was read.
  return kept === null ? prepare(deps, await requireLabel(deps, label.id), signal) : { ...label, ...kept }
}

/** Asks, once for an order, whether it may be sent. True when that puts it on hold: a person decides. */
async function isHeldByCheck({ pool, fraud }: FulfillmentDeps, orderId: OrderId): Promise<boolean> {
  const question = await readOrderToCheck(pool, orderId)
  if (!question) return false
  const answer = await fraud.review(question)
  if (answer === 'ok') await letPass(pool, orderId)
  else await withTransaction(pool, (tx) => applyFraudAnswer(tx, orderId, answer))
  return answer !== 'ok'
}

function askedOf({ from, to, boxes, units, currency }: StoredLabel): AskedLabel {
  return {
    from: {
      name: from.name,
      company: null,
      line1: from.name,
      line2: null,
      city: from.name,
      region: null,
      postal_code: from.postalCode,
      country: from.country,
      phone: null,
    },
    to,
    boxes: boxes ?? packBoxes(units),
    value: { amount: sum(units.map(({ value }) => value)), currency },
  }
}

/** By service level, cost and how often it came in time. Null: nobody takes the parcel there. */
async function choose(
  deps: FulfillmentDeps,
  label: StoredLabel,
  request: AskedLabel,
  signal?: AbortSignal,
): Promise<{ carrier: string; service: string } | null> {
  const asked = deps.carriers.all().filter(({ name }) => label.carrier === null || name === label.carrier)
  const rates = await ratesOf(asked, request, signal)
  const fitting = rates.filter(({ service }) => label.service === null || service === label.service)
  const records = await readCarrierRecords(deps.pool, request.to.country)
  const [best] = rankRates(fitting, { method: label.shippingMethod, currency: label.currency, records })
  return best ? { carrier: best.rate.carrier, service: best.rate.service } : null
}

/** Of all that answer. Throws when none does. */
async function ratesOf(
  carriers: readonly CarrierProvider[],
  request: AskedLabel,
  signal?: AbortSignal,
): Promise<Rate[]> {
  const answers = await Promise.allSettled(carriers.map((carrier) => carrier.rates(request, signal)))
  const given = answers.filter((answer) => answer.status === 'fulfilled')
  const [failed] = answers.filter((answer) => answer.status === 'rejected')
  if (given.length === 0 && failed) throw failed.reason
  return given.flatMap(({ value }) => value)
}

/** The words in which the carrier is asked: the same every time. */
function requestOf({ key, request, service, reference, sentAt }: StoredLabel): LabelRequest {
  if (request === null || service === null)
    throw new Error(`Label ${key} was never sent: there is nothing to ask the carrier`)
  return { ...request, key, service, reference, sentAt: sentAt?.toISOString() ?? null }
}

/** Throws {@link NoCarrier}. */
function carrierOf({ carriers }: FulfillmentDeps, { carrier }: StoredLabel): CarrierProvider {
  const found = carrier === null ? undefined : carriers.get(carrier)
  if (!found) throw new NoCarrier(`There is no carrier ${carrier} here`)
  return found
}

/** The settings do not name the carrier any more: nobody can ask it. */
class NoCarrier extends Error {
  override readonly name = 'NoCarrier'
}

async function requireLabel({ pool }: FulfillmentDeps, labelId: LabelId): Promise<StoredLabel> {
  const label = await readLabel(pool, labelId)
  if (!label) throw new Error(`There is no label ${labelId}`)
  return label
}
