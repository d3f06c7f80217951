import type { CategoryId, OrderId, ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import {
  type BasketKind,
  type Candidate,
  type Feature,
  LIMITS,
  CLOSENESS,
  type RecommendationKind,
  type Recommended,
} from '../../domain/recommendation/similarity'
import { CATALOG_PRODUCT, type CatalogProduct } from '../catalog/listing'
import { lowestIdAt } from '../id'
import { type Db, type Pool, withTransaction } from '../pool'
import { statement } from '../sql'

/**
 * What goes with what. A run gathers baskets and features into tables of its own, batch by batch, then replaces the lists of
 * each product, batch by batch: every statement is bounded, and each may be repeated.
 */

const DAY_MS = 86_400_000
export const BESTSELLERS_PER_CATEGORY = 48

/** Forgets what a run before this one gathered. */
export async function clearGathered(db: Db): Promise<void> {
  await db.query(
    `truncate recommendation_basket, recommendation_basket_count, recommendation_feature, recommendation_feature_count`,
  )
}

/** Tells Postgres how large what was gathered is: it plans for empty tables otherwise. */
export async function analyzeGathered(db: Db): Promise<void> {
  await db.query(
    `analyze recommendation_basket, recommendation_basket_count, recommendation_feature, recommendation_feature_count`,
  )
}

/**
 * Gathers the confirmed orders before `before` (null: the newest), `limit` of them: each a basket, and a part of its
 * buyer's. Answers the last of them; null when there were none.
 */
export async function gatherBaskets(
  db: Db,
  { before, limit, now }: { before: OrderId | null; limit: number; now: Date },
): Promise<OrderId | null> {
  const { rows } = await db.query<{ last: OrderId | null }>({
    name: 'recommendation.gatherBaskets',
    text: `
      with batch as materialized (
        select id, hashtextextended(id, 0) as order_basket, hashtextextended(lower(email), 1) as buyer_basket,
               confirmed_at is not null and status <> 'cancelled' as sold,
               (
                 select count(*)
                 from recommendation_basket b
                 where b.kind = 'also_bought' and b.basket = hashtextextended(lower(email), 1)
               ) < ${LIMITS.perBuyer} as has_room
        from orders
        where id < $1 and id >= $2
        order by id desc
        limit $3
      ),
      line as materialized (
        select order_basket, buyer_basket, has_room, l.product_id
        from batch
        cross join lateral (
          select product_id from order_line where order_id = batch.id order by position limit ${LIMITS.perOrder}
        ) as l
        where sold
      ),
      basket as (
        select 'bought_together' as kind, order_basket as basket, product_id from line
        union
        select 'also_bought', buyer_basket, product_id from line where has_room
      ),
      added as (
        insert into recommendation_basket (kind, basket, product_id)
        select kind, basket, product_id from basket
        on conflict do nothing
        returning kind, product_id
      ),
      counted as (
        insert into recommendation_basket_count as c (kind, product_id, baskets)
        select kind, product_id, count(*) from added group by kind, product_id
        on conflict (kind, product_id) do update set baskets = c.baskets + excluded.baskets
      )
      select min(id) as last from batch`,
    values: [
      before ?? lowestIdAt('order', new Date(now.getTime() + DAY_MS)),
      lowestIdAt('order', new Date(now.getTime() - LIMITS.windowDays * DAY_MS)),
      limit,
    ],
  })
  return rows[0]?.last ?? null
}

export interface ProductText {
  readonly id: ProductId
  readonly title: string
  readonly brand: string | null
  readonly attributes: Readonly<Record<string, unknown>>
  readonly categories: readonly CategoryId[]
}

/** The active products after the id `after`, as features are made of. */
export async function listProductTexts(
  db: Db,
  { after, limit }: { after: string; limit: number },
): Promise<ProductText[]> {
  const { rows } = await db.query<ProductText>({
    name: 'recommendation.texts',
    text: `
      select p.id, p.title, p.brand, p.attributes,
             array(select category_id::text from product_category pc where pc.product_id = p.id) as categories
      from product p
      where p.id > $1 and p.status = 'active'
      order by p.id
      limit $2`,
    values: [after, limit],
  })
  return rows
}

export async function addFeatures(
  db: Db,
  features: readonly { readonly productId: ProductId; readonly feature: string }[],
): Promise<void> {
  await db.query({
    name: 'recommendation.addFeatures',
    text: `
      with added as (
        insert into recommendation_feature (product_id, feature)
        select * from unnest($1::text[], $2::text[])
        on conflict do nothing
        returning feature
      )
      insert into recommendation_feature_count as c (feature, products)
      select feature, count(*) from added group by feature
      on conflict (feature) do update set products = c.products + excluded.products`,
    values: [features.map(({ productId }) => productId), features.map(({ feature }) => feature)],
  })
}

/** How many products there are, as far as Postgres' own statistics go: a weight's logarithm needs no more. */
export async function countProducts(db: Db): Promise<number> {
  const { rows } = await db.query<{ products: number }>(
    `select greatest(1000, reltuples)::int as products from pg_class where oid = 'product'::regclass`,
  )
  return rows[0]?.products ?? 1_000
}

export interface BasketNeighbours {
  readonly productId: ProductId
  /** Baskets of the product that were looked at. */
  readonly ones: number
  readonly candidates: readonly Candidate[]
}

/** What shares baskets with these products: per product a sample of its baskets, and the likeliest candidates of them. */
export async function findBasketNeighbours(
  pool: Pool,
  kind: BasketKind,
  ids: readonly ProductId[],
): Promise<BasketNeighbours[]> {
  return inIndexOrder<BasketNeighbours>(
    pool,
    `
      with one as materialized (
        select w.id as product_id, b.basket
        from unnest($2::text[]) as w (id)
        cross join lateral (
          select basket
          from recommendation_basket
          where kind = $1 and product_id = w.id
          order by basket
          limit ${LIMITS.basketsPerProduct}
        ) as b
      ),
      size as (
        select product_id, count(*)::int as ones from one group by product_id
      ),
      pair as (
        select one.product_id, b.product_id as other_id, count(*)::int as together
        from one
        join recommendation_basket b on b.kind = $1 and b.basket = one.basket and b.product_id <> one.product_id
        group by one.product_id, b.product_id
        having count(*) >= ${CLOSENESS.togetherMin}
      ),
      ranked as (
        select pair.*, c.baskets,
               row_number() over (partition by pair.product_id order by together / sqrt(c.baskets) desc, other_id) as place
        from pair
        join recommendation_basket_count c on c.kind = $1 and c.product_id = pair.other_id
      )
      select size.product_id as "productId", size.ones,
             jsonb_agg(jsonb_build_object('otherId', other_id, 'together', together, 'others', baskets)) as candidates
      from size
      join ranked on ranked.product_id = size.product_id and place <= ${LIMITS.candidates}
      group by size.product_id, size.ones`,
    [kind, ids],
  )
}

/** Products that share the rarest features of these: per product the likeliest. */
export async function findSimilarCandidates(
  pool: Pool,
  ids: readonly ProductId[],
): Promise<Map<ProductId, ProductId[]>> {
  const rows = await inIndexOrder<{ id: ProductId; others: ProductId[] }>(
    pool,
    `
      with rare as materialized (
        select w.id, f.feature, f.products
        from unnest($1::text[]) as w (id)
        cross join lateral (
          select f.feature, c.products
          from recommendation_feature f
          join recommendation_feature_count c on c.feature = f.feature
          where f.product_id = w.id and c.products > 1
          order by c.products, f.feature
          limit ${LIMITS.featuresPerProduct}
        ) as f
      ),
      shared as (
        select rare.id, o.product_id as other_id, sum(1 / ln(1 + rare.products)) as weight
        from rare
        cross join lateral (
          select product_id
          from recommendation_feature f
          where f.feature = rare.feature
          order by product_id desc
          limit ${LIMITS.productsPerFeature}
        ) as o
        where o.product_id <> rare.id
        group by rare.id, o.product_id
      ),
      ranked as (
        select *, row_number() over (partition by id order by weight desc, other_id desc) as place from shared
      )
      select id, array_agg(other_id::text) as others from ranked where place <= ${LIMITS.likely} group by id`,
    [ids],
  )
  return new Map(rows.map(({ id, others }) => [id, others]))
}

/**
 * Runs a query that takes the first so many of each of many long lists. Left to itself Postgres reads and sorts each list
 * whole, since it takes them for as short as most are: of a word that a million products share that is a million rows.
 */
async function inIndexOrder<Row extends object>(pool: Pool, text: string, values: readonly unknown[]): Promise<Row[]> {
  return withTransaction(pool, async (tx) => {
    await tx.query('set local enable_bitmapscan = off')
    return (await tx.query<Row>(text, [...values])).rows
  })
}

/** The features of these products, and how many products share each. */
export async function readFeatures(db: Db, ids: readonly ProductId[]): Promise<Map<ProductId, Feature[]>> {
  const { rows } = await db.query<{ id: ProductId; features: string[]; products: number[] }>({
    name: 'recommendation.features',
    text: `
      select f.product_id as id, array_agg(f.feature::text) as features, array_agg(c.products) as products
      from recommendation_feature f
      join recommendation_feature_count c on c.feature = f.feature
      where f.product_id = any ($1::text[])
      group by f.product_id`,
    values: [ids],
  })
  return new Map(
    rows.map(({ id, features, products }) => [
      id,
      features.map((feature, index) => ({ feature, products: products[index] ?? 1 })),
    ]),
  )
}

/**
 * Replaces these products' lists of one kind in one statement: a reader sees each list as it was or as it is. A product
 * without one here has none. What did not change is not written.
 */
export async function replaceRecommendations(
  db: Db,
  kind: RecommendationKind,
  lists: ReadonlyMap<ProductId, readonly Recommended[]>,
): Promise<void> {
  const rows = [...lists].flatMap(([id, list]) => list.map((one, index) => ({ ...one, id, rank: index + 1 })))
  await db.query({
    name: 'recommendation.replace',
    text: `
      with given as (
        select n.*
        from unnest($3::text[], $4::int[], $5::text[], $6::real[]) as n (product_id, rank, other_id, score)
        join product p on p.id = n.product_id
        join product o on o.id = n.other_id
      ),
      dropped as (
        delete from recommendation r
        where r.kind = $1 and r.product_id = any ($2::text[])
          and not exists (select from given g where g.product_id = r.product_id and g.rank = r.rank)
      )
      insert into recommendation as r (product_id, kind, rank, other_id, score)
      select product_id, $1, rank, other_id, score from given
      on conflict (product_id, kind, rank) do update
      set other_id = excluded.other_id, score = excluded.score
      where (r.other_id, r.score) is distinct from (excluded.other_id, excluded.score)`,
    values: [
      kind,
      [...lists.keys()],
      rows.map(({ id }) => id),
      rows.map(({ rank }) => rank),
      rows.map(({ otherId }) => otherId),
      rows.map(({ score }) => score),
    ],
  })
}

/** Ranks the products of the next category after `after`, and all below it, by velocity. Null: there is no next one. */
export async function rankNextCategory(db: Db, after: string): Promise<CategoryId | null> {
  const { rows } = await db.query<{ id: CategoryId }>('select id from category where id > $1 order by id limit 1', [
    after,
  ])
  const id = rows[0]?.id
  if (!id) return null
  await db.query({
    name: 'recommendation.category',
    text: `
      with recursive branch as (
        select id from category where id = $1
        union
        select c.id from category c join branch on c.parent_id = branch.id
      ),
      best as (
        select s.product_id, row_number() over (order by s.velocity desc, s.product_id desc) as rank
        from product_signal s
        join product p on p.id = s.product_id and p.status = 'active'
        where s.velocity > 0
          and s.product_id in (select pc.product_id from product_category pc join branch on branch.id = pc.category_id)
        order by s.velocity desc, s.product_id desc
        limit ${BESTSELLERS_PER_CATEGORY}
      ),
      dropped as (
        delete from category_bestseller where category_id = $1 and rank > (select count(*) from best)
      )
      insert into category_bestseller as b (category_id, rank, product_id)
      select $1, rank, product_id from best
      on conflict (category_id, rank) do update
      set product_id = excluded.product_id
      where b.product_id <> excluded.product_id`,
    values: [id],
  })
  return id
}

/**
 * The products that go with this one, by id or slug, as the catalog lists them; when there are too few, those that sell
 * best in its categories and below them, then the newest there. Null when the product itself is not on sale. One read.
 */
export async function listRecommended(
  db: Db,
  { product, kind, currency, limit }: { product: string; kind: RecommendationKind; currency: Currency; limit: number },
): Promise<CatalogProduct[] | null> {
  const recommended = product.includes('_') ? RECOMMENDED.byId : RECOMMENDED.bySlug
  const { rows } = await db.query<CatalogProduct & { id: ProductId | null }>(
    recommended({ currency, product, kind, limit }),
  )
  if (rows.length === 0) return null
  return rows.filter(({ id }) => id !== null)
}

const RECOMMENDED = {
  byId: statement('recommendation.byId', recommendedTo('id')),
  bySlug: statement('recommendation.bySlug', recommendedTo('slug')),
}

function recommendedTo(column: 'id' | 'slug') {
  return `
    with self as materialized (
      select id from product where ${column} = :product and status = 'active'
    ),
    own_category as materialized (
      select c.id, c.number, row_number() over (order by pc.position) as place
      from product_category pc
      join category c on c.id = pc.category_id
      where pc.product_id = (select id from self)
      order by pc.position
      limit 3
    ),
    wanted as (
      select other_id as id, rank::int as place
      from recommendation
      where product_id = (select id from self) and kind = :kind
      union all
      select b.product_id, 1000 * own_category.place + b.rank
      from own_category
      join category_bestseller b on b.category_id = own_category.id
      join listing l on l.list = own_category.number and l.currency = :currency and l.product_id = b.product_id
      union all
      select newest.product_id, 1000000 * own_category.place
      from own_category
      cross join lateral (
        select product_id
        from listing
        where list = own_category.number and currency = :currency
        order by product_id desc
        -- Of a number that is not known Postgres expects a tenth of the category, and plans anew each time.
        limit ${LIMITS.perProduct + 1}
      ) as newest
    ),
    chosen as (
      select id, min(place) as place
      from wanted
      where id <> (select id from self)
      group by id
      order by min(place), id desc
      limit :limit * 2 + 8
    )
    select found.*
    from self
    left join lateral (
      select c.*
      from chosen
      cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
      order by chosen.place, c.id desc
      limit :limit
    ) as found on true` as const
}
