import { randomUUID } from 'node:crypto'
import { type Db, type Pool, type Tx, withTransaction } from '../../pool'
import { statement } from '../../sql'

/** Longer than all files of a picture take to be written or deleted. */
const LEASE_SECONDS = 10
/** Names that one caller takes over from others at a time. */
const TAKEN_OVER_MAX = 10

/**
 * The name of a picture, for one holder alone: nobody else writes or deletes its files before the lease ends. It is a row,
 * not a lock, so that nothing is held while the store is waited for.
 */
export interface ImageLease {
  readonly name: string
  readonly holder: string
}

/** Null while somebody else has the name. */
export async function takeImageLease(db: Db, name: string): Promise<ImageLease | null> {
  const lease = { name, holder: randomUUID() }
  const { rowCount } = await db.query(TAKE({ ...lease, seconds: LEASE_SECONDS }))
  return rowCount === 1 ? lease : null
}

const TAKE = statement(
  'image.takeLease',
  `
    insert into image_lease as l (name, holder, ends_at)
    values (:name, :holder::uuid, clock_timestamp() + make_interval(secs => :seconds))
    on conflict (name) do update
    set holder = excluded.holder, ends_at = excluded.ends_at
    where l.ends_at <= clock_timestamp()`,
)

/** Some of the names whose holders did not finish. */
export async function takeEndedLeases(db: Db): Promise<ImageLease[]> {
  const holder = randomUUID()
  const { rows } = await db.query<{ name: string }>(
    TAKE_ENDED({ holder, seconds: LEASE_SECONDS, most: TAKEN_OVER_MAX }),
  )
  return rows.map(({ name }) => ({ name, holder }))
}

const TAKE_ENDED = statement(
  'image.takeEnded',
  `
    update image_lease
    set holder = :holder::uuid, ends_at = clock_timestamp() + make_interval(secs => :seconds)
    where name in (
      select name
      from image_lease
      where ends_at <= clock_timestamp()
      order by ends_at
      limit :most
      for update skip locked
    )
    returning name`,
)

/** Leaves a name to whoever takes ended leases next; to its holder, if somebody has it. */
export async function leaveImageName(tx: Tx, name: string): Promise<void> {
  await tx.query(LEAVE({ name, holder: randomUUID() }))
}

/** The update changes nothing: it waits for a holder that is just ending the lease, and then leaves the name anew. */
const LEAVE = statement(
  'image.leaveName',
  `
    insert into image_lease (name, holder, ends_at)
    values (:name, :holder::uuid, '-infinity')
    on conflict (name) do update set name = excluded.name`,
)

/**
 * True when no product names the files: the holder deletes them, then ends the lease, which begins anew here. Otherwise it is
 * over. Waits for a commit of its own holder whose answer was lost.
 */
export async function isImageUnused(pool: Pool, lease: ImageLease): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    const { rowCount: held } = await tx.query(RENEW({ ...lease, seconds: LEASE_SECONDS }))
    if (held === 0) return false
    const { rowCount: used } = await tx.query('select from product_image where name = $1 limit 1', [lease.name])
    if (used === 0) return true
    await endImageLease(tx, lease)
    return false
  })
}

const RENEW = statement(
  'image.renewLease',
  `
    update image_lease
    set ends_at = clock_timestamp() + make_interval(secs => :seconds)
    where name = :name and holder = :holder::uuid`,
)

/** False when it was over already, or is somebody else's. */
export async function endImageLease(db: Db, { name, holder }: ImageLease): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'image.endLease',
    text: 'delete from image_lease where name = $1 and holder = $2::uuid',
    values: [name, holder],
  })
  return rowCount === 1
}
