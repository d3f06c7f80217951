import type { Box, LabelStatus } from '../../domain/fulfillment/shipment'
import type { ShippingMethod } from '../../domain/pricing/shipping'
import type { LabelId, OrderId, ShipmentId } from '../../domain/ids'
import type { Address } from '../cart/cart'
import type { Db } from '../pool'
import { statement } from '../sql'

/** A label with all that a carrier is asked for it. Written in the goods of its order alone, but for what is asked. */
export interface StoredLabel {
  readonly id: LabelId
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
  readonly key: string
  readonly status: LabelStatus
  readonly atWork: boolean
  readonly carrier: string | null
  readonly service: string | null
  readonly reference: string | null
  readonly failureCode: string | null
  /** When its carrier was asked for it last; null: it was not asked yet. */
  readonly sentAt: Date | null
  /** When its carrier has taken the request to void it, and not decided yet. */
  readonly voidSentAt: Date | null
  /** What the carrier was asked for, word for word; null: it was not asked yet. */
  readonly request: AskedLabel | null
  /** Nothing is labelled meanwhile. */
  readonly isHeld: boolean
  /** Nobody has asked yet whether the order may be sent. */
  readonly mustCheck: boolean
  readonly shippingMethod: ShippingMethod
  readonly currency: string
  readonly to: Address
  readonly from: { readonly name: string; readonly country: string; readonly postalCode: string | null }
  readonly boxes: readonly Box[] | null
  /** What is inside: each unit's weight in grams, null where the catalog does not say, and what the units cost. */
  readonly units: readonly { readonly quantity: number; readonly weightGrams: number | null; readonly value: number }[]
}

/** The words of a request, kept before it is made. */
export interface AskedLabel {
  readonly from: Address
  readonly to: Address
  readonly boxes: readonly Box[]
  readonly value: { readonly amount: number; readonly currency: string }
}

export async function readLabel(db: Db, labelId: LabelId): Promise<StoredLabel | null> {
  const { rows } = await db.query<StoredLabel>(READ({ labelId }))
  return rows[0] ?? null
}

const READ = statement(
  'label.read',
  `
    select l.id, l.order_id as "orderId", l.shipment_id as "shipmentId", l.key, l.status, l.at_work as "atWork", l.carrier,
           l.service, l.reference, l.failure_code as "failureCode", l.sent_at as "sentAt",
           l.void_sent_at as "voidSentAt", l.request, o.status = 'on_hold' as "isHeld",
           o.fraud_answer is null as "mustCheck", o.shipping_method as "shippingMethod", o.currency,
           o.shipping_address as "to",
           json_build_object('name', w.name, 'country', w.country, 'postalCode', w.postal_code) as "from", s.boxes,
           coalesce((
             select json_agg(json_build_object('quantity', u.quantity, 'weightGrams', v.weight_grams,
                      'value', line.total * u.quantity / line.quantity) order by u.sku)
             from shipment_line u
             join order_line line on line.order_id = l.order_id and line.sku = u.sku
             left join variant v on v.sku = u.sku
             where u.shipment_id = s.id
           ), '[]') as units
    from label l
    join shipment s on s.id = l.shipment_id
    join warehouse w on w.id = s.warehouse_id
    join orders o on o.id = l.order_id
    where l.id = :labelId`,
)

/**
 * Keeps what a carrier is about to be asked for, and whom, and answers it in the words in which it is repeated. Null when the label
 * is wanted no more, its order is on hold, or it was kept before: that stays.
 */
export async function keepRequest(
  db: Db,
  { labelId, carrier, service, request }: { labelId: LabelId; carrier: string; service: string; request: AskedLabel },
): Promise<Pick<StoredLabel, 'carrier' | 'service' | 'request' | 'sentAt'> | null> {
  const { rows } = await db.query<Pick<StoredLabel, 'carrier' | 'service' | 'request' | 'sentAt'>>(
    KEEP({ labelId, carrier, service, request: JSON.stringify(request) }),
  )
  return rows[0] ?? null
}

const KEEP = statement(
  'label.keepRequest',
  `
    -- The order first: whoever decides about its goods meanwhile knows whether the carrier was asked.
    with locked as (
      select o.id, o.status from orders o where o.id = (select order_id from label where id = :labelId) for update
    )
    update label
    set carrier = :carrier, service = :service, request = :request::jsonb, sent_at = now(), updated_at = now()
    from locked
    where label.id = :labelId and label.order_id = locked.id and locked.status <> 'on_hold' and label.status = 'claimed'
      and label.sent_at is null
    returning label.carrier, label.service, label.request, label.sent_at as "sentAt"`,
)

/** It is about to be sent once more, with what was kept. False when the label is wanted no more. */
export async function noteSent(db: Db, labelId: LabelId): Promise<boolean> {
  const { rowCount } = await db.query(NOTE_SENT({ labelId }))
  return rowCount === 1
}

const NOTE_SENT = statement(
  'label.noteSent',
  `update label set sent_at = now() where id = :labelId and status = 'claimed'`,
)

/** Keeps the carrier's id of it before anything is paid. False when it has another one, or is wanted no more: then it must not be bought. */
export async function keepLabelReference(db: Db, labelId: LabelId, reference: string): Promise<boolean> {
  const { rowCount } = await db.query(KEEP_REFERENCE({ labelId, reference }))
  return rowCount === 1
}

const KEEP_REFERENCE = statement(
  'label.keepReference',
  `
    update label
    set reference = :reference, updated_at = now()
    where id = :labelId and status = 'claimed' and coalesce(reference, :reference) = :reference`,
)
