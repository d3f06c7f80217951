import type { OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'

/** What providers told us. A row is acted upon until what it tells of is in the rows of the order. */

/** Nobody waits for news of a charge that was answered directly: by then its order has usually taken note. */
const CALM_SECONDS = 3
const AGAIN_SECONDS = 5
/** After a minute somebody is asked; a signal every five seconds for days would fill the workflow's history. */
const EAGER_TRIES = 12
const AGAIN_SECONDS_MAX = 600

export interface InboxEvent {
  readonly provider: string
  readonly eventId: string
  readonly type: string
  readonly paymentKey: string
  readonly payload: { readonly order_id: string; readonly state: string }
}

/** Keeps an event; due at once when its attempt waits for it. False when it was here before. */
export async function receiveEvent(db: Db, event: InboxEvent): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'inbox.receive',
    text: `
      insert into inbox (provider, event_id, type, payment_key, payload, due_at)
      select $1, $2, $3, $4, $5,
             now() + make_interval(secs => case
               when exists (select from payment where key = $4 and status in ('requires_action', 'pending')) then 0
               else $6 end)
      on conflict do nothing`,
    values: [event.provider, event.eventId, event.type, event.paymentKey, JSON.stringify(event.payload), CALM_SECONDS],
  })
  return rowCount === 1
}

export interface DueEvent {
  readonly provider: string
  readonly eventId: string
  readonly paymentId: PaymentId
  readonly orderId: OrderId
  readonly orderStatus: OrderStatus
  readonly number: string
}

/** News of this attempt may still change something: it is not final, or its money has to go back. */
const UNDECIDED = `
  (p.status in ('requested', 'sent', 'requires_action', 'pending')
   or o.status = 'cancelled' and p.status in ('authorized', 'captured'))`

/**
 * Ends what needs nothing more: the row says so already, the key is not ours, or it told of a charge that was still
 * waiting, and its workflow has heard of that once. Then takes up to `limit` of the others
 * that are due; each is due again in five seconds, until its effect is committed.
 */
export async function takeDueEvents(db: Db, limit: number): Promise<DueEvent[]> {
  await db.query({
    name: 'inbox.settle',
    text: `
      update inbox i
      set done_at = now()
      where i.done_at is null
        and i.due_at <= now()
        and not exists (
          select from payment p
          join orders o on o.id = p.order_id
          where p.key = i.payment_key and ${UNDECIDED}
            and not (i.payload ->> 'state' in ('requires_action', 'pending')
                     and (i.tries > 0 or i.payload ->> 'state' = p.status)))`,
  })
  const { rows } = await db.query<DueEvent>({
    name: 'inbox.due',
    text: `
      with due as (
        select provider, event_id
        from inbox
        where done_at is null and due_at <= now()
        order by due_at
        limit $1
        for update skip locked
      ),
      taken as (
        update inbox i
        set due_at = now() + make_interval(secs => least(${AGAIN_SECONDS_MAX}, $2 * power(2, greatest(0, i.tries - ${EAGER_TRIES})))),
            tries = i.tries + 1
        from due
        where i.provider = due.provider and i.event_id = due.event_id
        returning i.provider, i.event_id, i.payment_key
      )
      select t.provider, t.event_id as "eventId", p.id as "paymentId", o.id as "orderId", o.status as "orderStatus", o.number
      from taken t
      join payment p on p.key = t.payment_key
      join orders o on o.id = p.order_id
      where ${UNDECIDED}`,
    values: [limit, AGAIN_SECONDS],
  })
  return rows
}
