import type { OrderId, ProductId, Sku } from '../../domain/ids'
import type { Db } from '../pool'

/** Whoever works on a row has it for so long; then another may: a killed worker keeps nobody's change from being found. */
const LEASE_SECONDS = 10
const RETRY_SECONDS_MAX = 60

export interface Pending {
  readonly productId: ProductId
  readonly generation: number
  /** When the lease ends, as Postgres writes it. */
  readonly lease: string
}

/** A row that is marked again is due now, however often it was refused; one that is being worked on is so once more. */
const AGAIN = `
  on conflict (engine, product_id) do update
  set generation = p.generation + 1, due_at = case when p.is_taken then p.due_at else least(p.due_at, clock_timestamp()) end`

/** Says that the documents of these products are old. */
export async function markForSearch(db: Db, engines: readonly string[], products: readonly ProductId[]): Promise<void> {
  if (products.length === 0) return
  await db.query({
    name: 'search.mark',
    text: `
      insert into search_pending as p (engine, product_id)
      select engine, product_id
      from unnest($1::text[]) as engine, unnest($2::text[]) as product_id
      order by engine, product_id
      ${AGAIN}`,
    values: [engines, [...new Set(products)]],
  })
}

/**
 * The same for the products of these orders and SKUs, but only where a document says otherwise than the stock whether
 * there is any, or where one is just being made: most orders do not take the last unit.
 */
export async function markStockChanges(
  db: Db,
  engines: readonly string[],
  { orders, skus }: { orders: readonly OrderId[]; skus: readonly Sku[] },
): Promise<void> {
  if (orders.length + skus.length === 0) return
  await db.query({
    name: 'search.markStock',
    text: `
      insert into search_pending as p (engine, product_id)
      select engine, product_id
      from unnest($1::text[]) as engine, (
        select product_id from order_line where order_id = any ($2::text[])
        union
        select product_id from variant where sku = any ($3::text[])
      ) as touched
      where exists (select from search_pending o where o.engine = any ($1::text[]) and o.product_id = touched.product_id)
         or (select in_stock from search_document d where d.product_id = touched.product_id) <> exists (
           select from variant v join stock_level s on s.sku = v.sku
           where v.product_id = touched.product_id and s.on_hand > s.reserved)
      order by engine, product_id
      ${AGAIN}`,
    values: [engines, orders, skus],
  })
}

/** The next products of an engine whose documents are old, for this caller alone until the lease ends. */
export async function takePending(db: Db, engine: string, limit: number): Promise<Pending[]> {
  const { rows } = await db.query<Pending>({
    name: 'search.take',
    text: `
      update search_pending p
      set due_at = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}), tries = p.tries + 1, is_taken = true
      from (
        select product_id
        from search_pending
        where engine = $1 and due_at <= clock_timestamp()
        order by due_at
        limit $2
        for update skip locked
      ) as due
      where p.engine = $1 and p.product_id = due.product_id
      returning p.product_id as "productId", p.generation, p.due_at::text as lease`,
    values: [engine, limit],
  })
  return rows
}

/**
 * Their documents are written. What was marked meanwhile stays, due at once; what another has taken because the lease was
 * over is marked again, for whose document came last cannot be told.
 */
export async function endPending(db: Db, engine: string, taken: readonly Pending[]): Promise<void> {
  if (taken.length === 0) return
  await db.query({
    name: 'search.end',
    text: `
      with taken as (
        select * from unnest($2::text[], $3::int[], $4::timestamptz[]) as t (product_id, generation, lease)
      ),
      done as (
        delete from search_pending p
        using taken t
        where p.engine = $1 and p.product_id = t.product_id and p.due_at = t.lease and p.generation = t.generation
      ),
      again as (
        update search_pending p
        set due_at = clock_timestamp(), tries = 0, is_taken = false
        from taken t
        where p.engine = $1 and p.product_id = t.product_id and p.due_at = t.lease and p.generation <> t.generation
      )
      insert into search_pending as p (engine, product_id)
      select $1, t.product_id
      from taken t
      where not exists (
        select from search_pending o where o.engine = $1 and o.product_id = t.product_id and o.due_at = t.lease)
      order by t.product_id
      ${AGAIN}`,
    values: [engine, ...columnsOf(taken)],
  })
}

/**
 * The engine did not take them: each is tried again, ever later, and holds up nothing but itself. What was marked meanwhile
 * is tried again at once.
 */
export async function putOffPending(db: Db, engine: string, taken: readonly Pending[]): Promise<void> {
  if (taken.length === 0) return
  await db.query({
    name: 'search.putOff',
    text: `
      update search_pending p
      set is_taken = false,
          due_at = clock_timestamp() + case when p.generation = t.generation
            then make_interval(secs => least(${RETRY_SECONDS_MAX}, 0.5 * power(2, least(p.tries, 10) - 1)))
            else interval '0' end
      from unnest($2::text[], $3::int[], $4::timestamptz[]) as t (product_id, generation, lease)
      where p.engine = $1 and p.product_id = t.product_id and p.due_at = t.lease`,
    values: [engine, ...columnsOf(taken)],
  })
}

function columnsOf(taken: readonly Pending[]): unknown[] {
  return [taken.map((one) => one.productId), taken.map((one) => one.generation), taken.map((one) => one.lease)]
}
