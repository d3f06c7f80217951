import type { Db } from '../pool'
import { OPEN } from '../sql'

/** What the metrics show of the database: all of it small counts over partial indexes. */
export interface Gauges {
  readonly outboxUnpublished: number
  /** Age of the oldest event that is not published, in seconds; 0 when there is none. */
  readonly outboxLagSeconds: number
  readonly inboxWaiting: number
  readonly openOrders: number
  readonly attentionOpen: number
  readonly reservations: readonly { readonly kind: string; readonly count: number; readonly units: number }[]
}

export async function readGauges(db: Db): Promise<Gauges> {
  const { rows } = await db.query<Gauges>({
    name: 'gauges.read',
    text: `
      select (select count(*) from outbox where published_at is null) as "outboxUnpublished",
             (select coalesce(extract(epoch from now() - min(created_at)), 0)::float8
              from outbox where published_at is null) as "outboxLagSeconds",
             (select count(*) from inbox where done_at is null) as "inboxWaiting",
             (select count(*) from orders
              where status in ${OPEN}) as "openOrders",
             (select count(*) from attention where closed_at is null) as "attentionOpen",
             (select coalesce(json_agg(held), '[]')
              from (
                select kind, count(*) as count, sum(quantity) as units
                from reservation
                where state = 'held'
                group by kind
              ) held) as reservations`,
  })
  return rows[0] as Gauges
}
