import type { OrderId } from '../../domain/ids'
import { type AddressFixedBy, addressFixedBy, type ActionableOrder } from '../../domain/order'
import type { Address } from '../cart/cart'
import { newId } from '../id'
import type { Tx } from '../pool'
import { statement } from '../sql'
import { IS_LABELLED } from './read'
import { readUnits } from './units'

export interface NewAddress {
  readonly orderId: OrderId
  readonly address: Address
  /** Of the address that the caller compared it with; null: with none, as the order seemed fixed. */
  readonly version: number | null
  /** Whether the caller takes it by the last event that the order has; left out: always. */
  readonly mayChange?: (eventSeq: number) => boolean
}

/**
 * `same`: it is the address already. `stale`: its address has changed since it was read; they are to be compared again.
 * `outdated`: the caller knows an older order.
 */
export type AddressOutcome = 'changed' | 'same' | 'stale' | 'outdated' | AddressFixedBy

/**
 * Changes where an order goes, in the transaction `tx`, which locks it: who claims a label has locked it too, so that no label
 * bears an address that the order does not have. The same address again changes nothing, whatever the order has come to.
 */
export async function changeAddress(
  tx: Tx,
  { orderId, address, version, mayChange }: NewAddress,
): Promise<AddressOutcome> {
  await tx.query(LOCK({ orderId }))
  const { rows } = await tx.query<
    Pick<ActionableOrder, 'status' | 'isLabelled'> & { same: boolean; version: number; eventSeq: number }
  >(READ({ orderId, address }))
  const order = rows[0]
  if (!order) throw new Error(`There is no order ${orderId}`)
  if (mayChange && !mayChange(order.eventSeq)) return 'outdated'
  if (order.same) return 'same'
  const fixedBy = addressFixedBy({ ...order, lines: await readUnits(tx, orderId) })
  if (fixedBy) return fixedBy
  if (order.version !== version) return 'stale'
  await tx.query(CHANGE({ orderId, address, eventId: newId('event') }))
  return 'changed'
}

const LOCK = statement('order.lock', 'select from orders where id = :orderId for update')

const READ = statement(
  'order.address',
  `
    select o.status, o.address_version as version, o.event_seq as "eventSeq", ${IS_LABELLED} as "isLabelled",
           jsonb_strip_nulls(o.shipping_address) = jsonb_strip_nulls(:address::jsonb) as same
    from orders o
    where o.id = :orderId`,
)

const CHANGE = statement(
  'order.changeAddress',
  `
    with changed as (
      update orders
      set shipping_address = :address, address_version = address_version + 1, event_seq = event_seq + 1, updated_at = now()
      where id = :orderId
      returning id, address_version, event_seq
    )
    insert into order_event (id, order_id, seq, type, data)
    select :eventId, id, event_seq, 'order.address_changed', jsonb_build_object('address_version', address_version)
    from changed`,
)
