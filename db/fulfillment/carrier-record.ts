import type { OnTimeRecord } from '../../domain/fulfillment/carrier-choice'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

/** How often each carrier's services arrived in time, counted with each delivery. */

/** Services that have ever delivered to one country; far more than any shop uses. */
const SERVICES_MAX = 1_000

/** What is known of all services in a country. */
export async function readCarrierRecords(db: Db, country: string): Promise<OnTimeRecord[]> {
  const { rows } = await db.query<OnTimeRecord>(READ({ country, limit: SERVICES_MAX }))
  return rows
}

const READ = statement(
  'carrierRecord.read',
  `
    select carrier, service, delivered, on_time as "onTime"
    from carrier_record
    where country = :country
    order by carrier, service
    limit :limit`,
)

export interface Delivery {
  readonly carrier: string
  readonly service: string
  /** Where it arrived. */
  readonly country: string
  readonly onTime: boolean
}

/** Counts a delivery, in the transaction that books it, so that each counts once. */
export async function countDelivery(tx: Tx, { carrier, service, country, onTime }: Delivery): Promise<void> {
  await tx.query(COUNT({ carrier, service, country, onTime: onTime ? 1 : 0 }))
}

const COUNT = statement(
  'carrierRecord.count',
  `
    insert into carrier_record (carrier, service, country, delivered, on_time)
    values (:carrier, :service, :country, 1, :onTime::int)
    on conflict (carrier, service, country) do update
    set delivered = carrier_record.delivered + 1, on_time = carrier_record.on_time + excluded.on_time`,
)
