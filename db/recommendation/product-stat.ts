import type { ProductInteraction } from '../../domain/recommendation/interaction'
import type { ProductId } from '../../domain/ids'
import { VELOCITY } from '../../domain/recommendation/velocity'
import { lowestIdAt } from '../id'
import { type Db, type Pool, withTransaction } from '../pool'
import { statement } from '../sql'

export type InteractionCounts = Readonly<Record<ProductInteraction, number>>

/** Days that are kept. */
export const STAT_DAYS = 400
/** Distinct searches that are counted per day: what comes from callers must not fill the disk. */
const SEARCHES_PER_DAY = 20_000
const DAY_MS = 86_400_000
/** Orders are confirmed at most so long after they were made. */
const CONFIRM_DAYS = 3

/** Adds to today's counts. What is no product is passed over. */
export async function addInteractionCounts(db: Db, counts: ReadonlyMap<ProductId, InteractionCounts>): Promise<void> {
  const rows = [...counts]
  await db.query({
    name: 'stat.add',
    text: `
      insert into product_stat as s (product_id, day, views, clicks, adds)
      select p.id, (now() at time zone 'utc')::date, n.views, n.clicks, n.adds
      from unnest($1::text[], $2::int[], $3::int[], $4::int[]) as n (id, views, clicks, adds)
      join product p on p.id = n.id
      order by p.id
      on conflict (product_id, day) do update
      set views = s.views + excluded.views, clicks = s.clicks + excluded.clicks, adds = s.adds + excluded.adds`,
    values: [
      rows.map(([id]) => id),
      rows.map(([, { view }]) => view),
      rows.map(([, { click }]) => click),
      rows.map(([, { add }]) => add),
    ],
  })
}

/** Adds to today's searches. When a day has too many different ones, new ones are passed over. */
export async function addSearchCounts(
  db: Db,
  counts: ReadonlyMap<string, { readonly searches: number; readonly fruitless: number }>,
): Promise<void> {
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  await db.query({
    name: 'stat.addSearches',
    text: `
      with today as materialized (
        select day, (select count(*) from search_stat k where k.day = d.day) as kept
        from (select (now() at time zone 'utc')::date as day) as d
      )
      insert into search_stat as s (day, query, searches, fruitless)
      select day, query, searches, fruitless
      from today, unnest($1::text[], $2::int[], $3::int[]) as n (query, searches, fruitless)
      where today.kept < ${SEARCHES_PER_DAY}
         or exists (select from search_stat k where k.day = today.day and k.query = n.query)
      on conflict (day, query) do update
      set searches = s.searches + excluded.searches, fruitless = s.fruitless + excluded.fruitless`,
    values: [
      rows.map(([query]) => query),
      rows.map(([, { searches }]) => searches),
      rows.map(([, { fruitless }]) => fruitless),
    ],
  })
}

export interface SearchCount {
  readonly query: string
  readonly searches: number
  readonly fruitless: number
}

/** What was looked for most in the last days. */
export async function listSearches(
  db: Db,
  { days, limit, fruitless }: { days: number; limit: number; fruitless: boolean },
): Promise<SearchCount[]> {
  const { rows } = await db.query<SearchCount>({
    name: 'stat.searches',
    text: `
      select query, sum(searches)::int as searches, sum(fruitless)::int as fruitless
      from search_stat
      where day > (now() at time zone 'utc')::date - $1::int
      group by query
      having not $3 or sum(fruitless) > 0
      order by case when $3 then sum(fruitless) else sum(searches) end desc, query
      limit $2`,
    values: [days, limit, fruitless],
  })
  return rows
}

/** The days, as `2026-05-09`, whose sales are to be counted (again): the last counted ones, and all since. */
export async function listUncountedDays(db: Db): Promise<string[]> {
  const { rows } = await db.query<{ day: string }>(
    `with today as (select (now() at time zone 'utc')::date as day)
     select to_char(each, 'YYYY-MM-DD') as day
     from today,
          generate_series(
            greatest(
              day - $1::int,
              coalesce((select max(s.day) from product_stat s where s.orders > 0), day - $1::int) - $2::int
            ),
            day,
            interval '1 day'
          ) as each
     order by each`,
    [VELOCITY.windowDays, CONFIRM_DAYS],
  )
  return rows.map(({ day }) => day)
}

/** Counts the confirmed orders of a day per product, from the orders themselves: repeated, it comes to the same. */
export async function countSalesOf(pool: Pool, day: string): Promise<void> {
  const begins = new Date(`${day}T00:00:00Z`)
  const ends = new Date(begins.getTime() + DAY_MS)
  await withTransaction(pool, async (tx) => {
    await tx.query('update product_stat set orders = 0 where day = $1 and orders > 0', [day])
    await tx.query(
      `insert into product_stat as s (product_id, day, orders)
       select l.product_id, $1, count(distinct o.id)
       from orders o
       join order_line l on l.order_id = o.id
       join product p on p.id = l.product_id
       where o.id >= $2 and o.id < $3 and o.confirmed_at >= $4 and o.confirmed_at < $5 and o.status <> 'cancelled'
       group by l.product_id
       order by l.product_id
       on conflict (product_id, day) do update set orders = excluded.orders`,
      [
        day,
        lowestIdAt('order', new Date(begins.getTime() - CONFIRM_DAYS * DAY_MS)),
        lowestIdAt('order', ends),
        begins,
        ends,
      ],
    )
  })
}

/** Deletes some rows that are older than is kept. False: nothing is left. */
export async function pruneStats(db: Db): Promise<boolean> {
  const { rows } = await db.query<{ deleted: boolean }>(
    `with products as (
       delete from product_stat
       where ctid = any (array(
         select ctid from product_stat where day < (now() at time zone 'utc')::date - $1::int limit 20000
       ))
       returning 1
     ),
     searches as (
       delete from search_stat
       where ctid = any (array(
         select ctid from search_stat where day < (now() at time zone 'utc')::date - $1::int limit 20000
       ))
       returning 1
     )
     select exists (select from products) or exists (select from searches) as deleted`,
    [STAT_DAYS],
  )
  return rows[0]?.deleted ?? false
}

/**
 * Writes the sales velocity of the products after `after`, `limit` of them, by the formula of
 * `domain/recommendation/velocity.ts`.
 * Answers the last of them, null when there were none, and those that sell otherwise than before.
 */
export async function updateVelocity(
  db: Db,
  { after, limit }: { after: string; limit: number },
): Promise<{ last: ProductId | null; changed: ProductId[] }> {
  const { rows } = await db.query<{ last: ProductId | null; changed: ProductId[] }>(
    UPDATE_VELOCITY({ ...VELOCITY, after, limit }),
  )
  return rows[0] ?? { last: null, changed: [] }
}

const UPDATE_VELOCITY = statement(
  'stat.velocity',
  `
    with batch as (
      select id from product where id > :after order by id limit :limit
    ),
    sums as (
      select s.product_id, sum(weight * orders) as sold,
             sum(weight * (:add::float8 * adds + :click::float8 * clicks + :view::float8 * views)) as seen
      from product_stat s
      join batch on batch.id = s.product_id
      cross join lateral (
        select power(2::float8, -((now() at time zone 'utc')::date - s.day) / :halfLifeDays::float8) as weight
      ) as w
      where s.day between (now() at time zone 'utc')::date - :windowDays::int and (now() at time zone 'utc')::date
      group by s.product_id
    ),
    written as (
      insert into product_signal as g (product_id, velocity)
      select batch.id, coalesce(sold + least(seen, sold + 1), 0)
      from batch
      left join sums on sums.product_id = batch.id
      where sums.product_id is not null or exists (select from product_signal k where k.product_id = batch.id)
      on conflict (product_id) do update
      set velocity = excluded.velocity, updated_at = now()
      where g.velocity <> excluded.velocity
      returning g.product_id
    )
    select max(id) as last, (select coalesce(array_agg(product_id::text), '{}') from written) as changed from batch`,
)
