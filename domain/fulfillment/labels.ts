import type { LabelId, OrderId, ShipmentId } from '../ids'
import { answer } from './commands'
import { type Goods, nextNumber, type StepOutcome } from './goods'
import { postpone, voidCheckDue } from './patience'
import type { LabelBook, ShipmentBook } from './rows'
import { hasLeft } from './shipment'

/** The labels of parcels: each is asked for by a row, and says there what its carrier has answered. */

/** A label is to be bought; null: by which carrier and service is chosen then. */
export function claimLabel(
  goods: Goods,
  id: ShipmentId,
  { carrier, service }: { carrier: string | null; service: string | null },
): StepOutcome {
  const shipment = goods.shipment(id)
  if (shipment.status === 'labelled' || hasLeft(shipment.status)) return 'unchanged'
  if (shipment.status !== 'packed' || !goods.isAlive) return { refused: 'invalid_state' }
  if (liveLabelOf(goods, shipment)) return 'unchanged'
  if (goods.isHeld) return { refused: 'order_on_hold' }
  // Whoever asks anew has decided about the one that was refused.
  for (const label of labelsOf(goods, shipment)) if (label.status === 'refused') label.atWork = false
  addLabel(goods, shipment, { carrier, service, trackingNumber: null, status: 'claimed', atWork: true })
  return 'done'
}

/** The carrier has sold it. One that nobody wants any more is still to be voided. */
export function takeLabel(
  goods: Goods,
  id: LabelId,
  {
    expectedAt,
    ...bought
  }: Pick<LabelBook, 'reference' | 'trackingNumber' | 'trackingUrl' | 'documentUrl' | 'cost' | 'currency'> & {
    expectedAt: string | null
  },
): void {
  const label = goods.label(id)
  if (label.status === 'voided') return
  Object.assign(label, bought)
  if (label.status !== 'claimed') return
  goods.shipment(label.shipmentId).expectedAt = expectedAt
  label.status = 'live'
  label.atWork = false
  noteLabelled(goods, label)
}

/** The order was put on hold before its carrier was asked: it is not bought now. */
export function withdrawLabel(goods: Goods, id: LabelId): void {
  const label = goods.label(id)
  if (label.status !== 'claimed' || label.wasSent) return
  endLabel(goods, label)
  answer(goods, 'label', label.shipmentId, 'order_on_hold')
}

/** The carrier will never sell it. Whoever asked for it hears that; else a person has to decide. */
export function refuseLabel(goods: Goods, id: LabelId, code: string): void {
  const label = goods.label(id)
  if (label.status === 'voiding') endLabel(goods, label)
  if (label.status !== 'claimed') return
  label.status = 'refused'
  label.failureCode = code
  label.atWork = !answer(goods, 'label', label.shipmentId, code)
  goods.tell('shipment.label_refused', { shipment_id: label.shipmentId, label_id: id, code })
}

export type VoidAnswer =
  | { readonly outcome: 'voided' }
  /** It was asked for, and is not decided yet. */
  | { readonly outcome: 'pending' }
  | { readonly outcome: 'refused'; readonly code: string }

/** The carrier has taken it back; or thinks about it, and is asked again; or keeps it, and a person has to decide. */
export function answerVoid(goods: Goods, id: LabelId, answer: VoidAnswer): void {
  const label = goods.label(id)
  if (label.status !== 'voiding') return
  if (answer.outcome === 'voided') return endLabel(goods, label)
  if (answer.outcome === 'refused') {
    label.failureCode = answer.code
    label.checkAt = null
    return
  }
  const { now } = goods.context
  label.voidSentAt ??= now.toISOString()
  label.checkAt = voidCheckDue(now, label.voidSentAt)
  if (label.checkAt === null) label.failureCode = 'not_decided'
}

/**
 * A person has decided about a label that the carrier refuses to sell or to take back, or does not answer for. One that is given
 * up while it may have been bought is taken back.
 */
export function decideLabel(goods: Goods, id: LabelId, decision: 'retry' | 'leave'): void {
  const label = goods.label(id)
  if (!label.atWork) return
  if (label.status === 'claimed' && decision === 'leave') return giveUpLabel(goods, label)
  if (label.status === 'voiding') {
    if (label.failureCode !== null) Object.assign(label, NOT_ASKED_YET)
    if (decision === 'leave') endLabel(goods, label)
    return
  }
  if (label.status !== 'refused') return
  const claimed =
    decision === 'retry' ? claimLabel(goods, label.shipmentId, { carrier: null, service: null }) : 'unchanged'
  // While the order is on hold the decision is still to come.
  label.atWork = typeof claimed !== 'string' && claimed.refused === 'order_on_hold'
  if (decision === 'leave') postpone(goods.shipment(label.shipmentId), goods.context.now)
}

/** Whoever asked for it hears that; the shipment waits for another one. */
function giveUpLabel(goods: Goods, label: LabelBook): void {
  giveBack(goods, label)
  answer(goods, 'label', label.shipmentId, 'given_up')
  postpone(goods.shipment(label.shipmentId), goods.context.now)
}

/** On a parcel that a warehouse has labelled itself. */
export const UNKNOWN_CARRIER = 'unknown'
const THEIR_SERVICE = 'own'

/** The label that the warehouse itself has put on the parcel, in the place of ours. */
export function keepTheirLabel(
  goods: Goods,
  shipment: ShipmentBook,
  { carrier, trackingNumber }: Pick<LabelBook, 'carrier' | 'trackingNumber'>,
): void {
  const ours = liveLabelOf(goods, shipment)
  if (ours?.status === 'live' && (trackingNumber === null || trackingNumber === ours.trackingNumber)) return
  voidLabels(goods, shipment)
  const label = addLabel(goods, shipment, {
    carrier: carrier ?? UNKNOWN_CARRIER,
    service: THEIR_SERVICE,
    trackingNumber,
    status: 'live',
    atWork: false,
  })
  noteLabelled(goods, label)
}

/** The parcel needs none any more. One that the carrier cannot know of, or that is not ours, is simply over. */
export function voidLabels(goods: Goods, shipment: ShipmentBook): void {
  for (const label of labelsOf(goods, shipment)) {
    if (label.status === 'refused') label.atWork = false
    if (label.status === 'claimed' || label.status === 'live') giveBack(goods, label)
  }
}

const NOT_ASKED_YET = { failureCode: null, voidSentAt: null, checkAt: null } as const

function giveBack(goods: Goods, label: LabelBook): void {
  if (label.wasSent) Object.assign(label, NOT_ASKED_YET, { status: 'voiding', atWork: true })
  else endLabel(goods, label)
}

/** In the order in which they were asked for. */
export function labelsOf({ labels }: Goods, { id }: ShipmentBook): readonly LabelBook[] {
  return labels.filter(({ shipmentId }) => shipmentId === id)
}

function liveLabelOf(goods: Goods, shipment: ShipmentBook): LabelBook | undefined {
  return labelsOf(goods, shipment).find(({ status }) => status === 'claimed' || status === 'live')
}

function addLabel(
  goods: Goods,
  shipment: ShipmentBook,
  asked: Pick<LabelBook, 'carrier' | 'service' | 'trackingNumber' | 'status' | 'atWork'>,
): LabelBook {
  const number = nextNumber(goods.labels)
  const label: LabelBook = {
    id: goods.context.newIds.label(),
    shipmentId: shipment.id,
    number,
    key: labelKey(goods.order.id, number),
    addressVersion: goods.order.addressVersion,
    wasSent: false,
    reference: null,
    trackingUrl: null,
    documentUrl: null,
    cost: null,
    currency: null,
    failureCode: null,
    voidSentAt: null,
    checkAt: null,
    leftAt: null,
    ...asked,
  }
  goods.labels.push(label)
  return label
}

/** `<orderId>/label/<n>` */
function labelKey(orderId: OrderId, number: number): string {
  return `${orderId}/label/${number}`
}

/** It is on its parcel, which may leave now. */
function noteLabelled(goods: Goods, { id, shipmentId, carrier, service, trackingNumber }: LabelBook): void {
  goods.move(goods.shipment(shipmentId), 'labelled', 'shipment.labelled', {
    label_id: id,
    carrier,
    service,
    tracking_number: trackingNumber,
  })
  answer(goods, 'label', shipmentId, null)
}

function endLabel(goods: Goods, label: LabelBook): void {
  label.status = 'voided'
  label.atWork = false
  label.checkAt = null
  goods.tell('shipment.label_voided', { shipment_id: label.shipmentId, label_id: label.id })
}
