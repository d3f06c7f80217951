import { ATTRIBUTE_NAME_PATTERN } from '../../domain/catalog/attribute'
import type { ProductId } from '../../domain/ids'
import {
  ATTRIBUTES_MAX,
  type IndexChanges,
  type Labelled,
  popularityOf,
  type Removal,
  type SearchDocument,
} from '../../domain/search'
import { facetValue, wordsOf } from '../../domain/words'
import type { Db } from '../pool'
import { statement } from '../sql'

const SKUS_MAX = 50
const DESCRIPTION_WORDS_MAX = 400

interface ProductRow {
  readonly id: ProductId
  readonly version: number | null
  readonly asOf: string
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly brand: string | null
  readonly attributes: readonly Record<string, unknown>[]
  /** Names of those that are no filters. */
  readonly unfiltered: readonly string[]
  readonly categories: readonly { slug: string; title: string }[]
  readonly skus: readonly string[]
  readonly prices: Readonly<Record<string, number>> | null
  readonly inStock: boolean
  readonly velocity: number
  readonly rating: number | null
  readonly ratingCount: number
  readonly margin: number | null
  readonly createdAt: number
}

/** The categories of a product `p` with all above them. */
const BRANCHES = `
  coalesce((
    with recursive branch as (
      select c.id, c.slug, c.title, c.parent_id
      from product_category pc
      join category c on c.id = pc.category_id
      where pc.product_id = p.id
      union
      select c.id, c.slug, c.title, c.parent_id
      from branch b
      join category c on c.id = b.parent_id
    )
    select jsonb_agg(jsonb_build_object('slug', slug, 'title', title)) from branch
  ), '[]'::jsonb)`

/** The attributes that the categories of a product `p` define, in each the nearest definition, and none wants as a filter. */
const UNFILTERED = `
  coalesce((
    select array_agg(name)
    from (
      select name
      from (
        select distinct on (c.id, a.name) a.name, a.filterable
        from product_category pc
        join category c on c.id = pc.category_id
        cross join unnest(c.path) with ordinality as step (id, depth)
        join category_attribute a on a.category_id = step.id
        where pc.product_id = p.id
        order by c.id, a.name, step.depth desc
      ) as nearest
      group by name
      having not bool_or(filterable)
    ) as unwanted
  ), '{}')`

/** What a product `p` needs to be found: on sale, with a price. */
const ON_SALE = `p.status = 'active' and priced.prices is not null`

/** The documents of these products as they are now, and those that have none. */
export async function projectDocuments(db: Db, ids: readonly ProductId[]): Promise<IndexChanges> {
  const { rows } = await db.query<ProductRow & { onSale: boolean | null }>({
    name: 'search.project',
    text: `
      select wanted.id, p.version, statement_timestamp()::text as "asOf", p.slug, p.title, p.description, p.brand,
             jsonb_build_array(p.attributes) || sold.attributes as attributes, ${UNFILTERED} as unfiltered,
             ${BRANCHES} as categories, sold.skus, priced.prices, ${ON_SALE} as "onSale",
             exists (
               select from variant v join stock_level s on s.sku = v.sku
               where v.product_id = p.id and s.on_hand > s.reserved
             ) as "inStock",
             coalesce(s.velocity, 0) as velocity, s.rating, coalesce(s.rating_count, 0) as "ratingCount", s.margin,
             (extract(epoch from p.created_at) * 1000)::float8 as "createdAt"
      from unnest($1::text[]) as wanted (id)
      left join product p on p.id = wanted.id
      left join product_signal s on s.product_id = p.id
      left join lateral (
        select coalesce(jsonb_agg(attributes), '[]') as attributes, coalesce(array_agg(sku_written), '{}') as skus
        from (select attributes, sku_written from variant v where v.product_id = p.id order by position limit ${SKUS_MAX}) as v
      ) as sold on true
      left join lateral (
        select jsonb_object_agg(currency, amount) as prices
        from (
          select currency, min(amount) as amount
          from variant v
          join price on price.sku = v.sku
          where v.product_id = p.id
          group by currency
        ) as lowest
      ) as priced on true`,
    values: [ids],
  })
  return {
    documents: rows.filter((row) => row.onSale).map(toDocument),
    removals: rows.filter((row) => !row.onSale).map(({ id, asOf }) => ({ id, asOf })),
  }
}

function toDocument(row: ProductRow): SearchDocument {
  const brand = row.brand === null ? '' : facetValue(row.brand)
  const attributes = attributesOf(row.attributes)
  const isDetail = ({ name }: { name: string }): boolean => row.unfiltered.includes(name)
  return {
    id: row.id,
    version: row.version ?? 0,
    asOf: row.asOf,
    slug: row.slug,
    title: row.title,
    description: row.description,
    skus: row.skus,
    brand: brand === '' ? null : { value: brand, label: row.brand ?? '' },
    categories: row.categories.map(({ slug, title }) => ({ value: slug, label: title })),
    attributes: attributes.filter((attribute) => !isDetail(attribute)),
    details: attributes.filter(isDetail).map(({ label }) => label),
    prices: row.prices ?? {},
    rating: row.rating,
    inStock: row.inStock,
    popularity: popularityOf(row),
    createdAt: Math.floor(row.createdAt),
  }
}

/** Of the product and its variants: words, numbers and yes or no, alone or in lists. Each value once. */
function attributesOf(all: readonly Record<string, unknown>[]): SearchDocument['attributes'] {
  const found = new Map<string, Labelled & { name: string }>()
  for (const [written, given] of all.flatMap((attributes) => Object.entries(attributes))) {
    const name = written.toLowerCase()
    if (!ATTRIBUTE_NAME_PATTERN.test(name)) continue
    for (const label of (Array.isArray(given) ? given : [given]).filter(isPlain).map(String)) {
      const value = facetValue(label).slice(0, 64)
      if (value !== '' && found.size < ATTRIBUTES_MAX) found.set(`${name} ${value}`, { name, value, label })
    }
  }
  return [...found.values()]
}

function isPlain(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

/** Writes documents, each unless a newer one of its product is there. */
export async function writeDocuments(db: Db, documents: readonly SearchDocument[]): Promise<void> {
  if (documents.length === 0) return
  const facets = await ensureFacets(db, documents.flatMap(facetsOf))
  const sorted = [...documents].sort((a, b) => (a.id < b.id ? -1 : 1))
  const vectors = sorted.map(vectorOf)
  await addWords(
    db,
    vectors.flatMap(({ words }) => words),
  )
  await db.query(
    WRITE({
      ids: sorted.map(({ id }) => id),
      versions: sorted.map(({ version }) => version),
      asOf: sorted.map(({ asOf }) => asOf),
      slugs: sorted.map(({ slug }) => slug),
      titles: sorted.map(({ title }) => title),
      titleWords: sorted.map(({ title }) => Math.min(wordsOf(title).length, 1_000)),
      words: vectors.map(({ text }) => text),
      facets: sorted.map((document) => `{${facetsOf(document).map((facet) => facets.get(nameOf(facet)))}}`),
      prices: sorted.map(({ prices }) => JSON.stringify(prices)),
      ratings: sorted.map(({ rating }) => rating),
      inStock: sorted.map(({ inStock }) => inStock),
      popularities: sorted.map(({ popularity }) => popularity),
    }),
  )
}

const WRITE = statement(
  'search.write',
  `
    with written as (
      insert into search_document as d
        (product_id, version, as_of, slug, title, title_words, words, facets, prices, rating, in_stock, popularity)
      select id, version, as_of, slug, title, title_words, words::tsvector, facets::int[], prices, rating, in_stock,
             popularity
      from unnest(:ids::text[], :versions::int[], :asOf::timestamptz[], :slugs::text[], :titles::text[],
                  :titleWords::smallint[], :words::text[], :facets::text[], :prices::jsonb[], :ratings::real[],
                  :inStock::boolean[], :popularities::real[])
        as n (id, version, as_of, slug, title, title_words, words, facets, prices, rating, in_stock, popularity)
      on conflict (product_id) do update
      set version = excluded.version, as_of = excluded.as_of, slug = excluded.slug, title = excluded.title,
          title_words = excluded.title_words, words = excluded.words, facets = excluded.facets,
          prices = excluded.prices, rating = excluded.rating, in_stock = excluded.in_stock,
          popularity = excluded.popularity
      where (excluded.version, excluded.as_of) >= (d.version, d.as_of)
      returning product_id, prices
    ),
    dropped as (
      delete from search_price p
      using written w
      where p.product_id = w.product_id and not w.prices ? p.currency
    )
    insert into search_price as p (product_id, currency, amount)
    select w.product_id, key, value::bigint
    from written w, jsonb_each_text(w.prices)
    on conflict (product_id, currency) do update
    set amount = excluded.amount
    where p.amount <> excluded.amount`,
)

/** Removes documents, each unless one was written from what was read later. */
export async function deleteDocuments(db: Db, removals: readonly Removal[]): Promise<void> {
  if (removals.length === 0) return
  await db.query({
    name: 'search.delete',
    text: `
      delete from search_document d
      using unnest($1::text[], $2::timestamptz[]) as gone (id, as_of)
      where d.product_id = gone.id and d.as_of <= gone.as_of`,
    values: [removals.map(({ id }) => id), removals.map(({ asOf }) => asOf)],
  })
}

/**
 * Moves what is new into the indexes. Until then every search reads all of it, which costs it more than finding the rest;
 * Postgres does so by itself only when there is much, or when it vacuums.
 */
export async function tidyIndexes(db: Db): Promise<void> {
  await db.query({
    name: 'search.tidy',
    text: `
      select gin_clean_pending_list(name::regclass)
      from unnest(array['search_document_words', 'search_document_sample', 'search_word_trigrams']) as name`,
  })
}

/** How the merchant writes these values, by `"<kind> <value>"`. */
export async function readFacetLabels(
  db: Db,
  facets: readonly { readonly kind: string; readonly value: string }[],
): Promise<Map<string, string>> {
  const { rows } = await db.query<{ name: string; label: string }>({
    name: 'search.labels',
    text: `
      select kind || ' ' || value as name, label
      from search_facet
      where (kind, value) in (select * from unnest($1::text[], $2::text[]))`,
    values: [facets.map(({ kind }) => kind), facets.map(({ value }) => value)],
  })
  return new Map(rows.map(({ name, label }) => [name, label]))
}

/** How many documents there are, as the last analyze found. */
export async function estimateDocuments(db: Db): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: 'search.size',
    text: `select reltuples::float8 as count from pg_class where oid = 'search_document'::regclass`,
  })
  return rows[0]?.count ?? 0
}

/** Kind and value of facets, by their numbers, which never change. */
export async function readFacets(
  db: Db,
  ids: readonly number[],
): Promise<{ readonly id: number; readonly kind: string; readonly value: string }[]> {
  const { rows } = await db.query<{ id: number; kind: string; value: string }>({
    name: 'search.names',
    text: 'select id, kind, value from search_facet where id = any ($1::int[])',
    values: [ids],
  })
  return rows
}

interface Facet extends Labelled {
  readonly kind: string
}

function facetsOf(document: SearchDocument): Facet[] {
  return [
    ...document.categories.map((category) => ({ kind: 'category', ...category })),
    ...(document.brand ? [{ kind: 'brand', ...document.brand }] : []),
    ...document.attributes.map(({ name, value, label }) => ({ kind: `attr.${name}`, value, label })),
  ]
}

function nameOf({ kind, value }: { kind: string; value: string }): string {
  return `${kind} ${value}`
}

/** The numbers of facets, those that are new made, those whose label has changed renamed. */
async function ensureFacets(db: Db, facets: readonly Facet[]): Promise<Map<string, number>> {
  const wanted = [...new Map(facets.map((facet) => [nameOf(facet), facet])).values()]
  const values = [wanted.map(({ kind }) => kind), wanted.map(({ value }) => value), wanted.map(({ label }) => label)]
  const known = await db.query<Facet & { id: number }>({
    name: 'search.facets',
    text: `
      select f.id, f.kind, f.value
      from search_facet f
      join unnest($1::text[], $2::text[], $3::text[]) as w (kind, value, label) using (kind, value, label)`,
    values,
  })
  if (known.rows.length === wanted.length) return new Map(known.rows.map((facet) => [nameOf(facet), facet.id]))
  const all = await db.query<Facet & { id: number }>({
    name: 'search.ensureFacets',
    text: `
      insert into search_facet (kind, value, label)
      select kind, value, label
      from unnest($1::text[], $2::text[], $3::text[]) as w (kind, value, label)
      order by kind, value
      on conflict (kind, value) do update set label = excluded.label
      returning id, kind, value`,
    values,
  })
  return new Map(all.rows.map((facet) => [nameOf(facet), facet.id]))
}

/** New words only: those that everything uses must not become hot rows. */
async function addWords(db: Db, words: readonly string[]): Promise<void> {
  const distinct = [...new Set(words)].filter((word) => word.length > 1 && !/\p{N}/u.test(word))
  await db.query({
    name: 'search.addWords',
    text: `
      insert into search_word (word)
      select word
      from unnest($1::text[]) as given (word)
      where not exists (select from search_word w where w.word = given.word)
      order by word
      on conflict do nothing`,
    values: [distinct],
  })
}

/** A document's words with their places and weights, as `tsvector` is written. */
function vectorOf({ title, skus, brand, categories, attributes, details, description }: SearchDocument): {
  text: string
  words: string[]
} {
  const places = new Map<string, string[]>()
  let place = 0
  const add = (text: string, weight: string, limit = 100): void => {
    for (const word of wordsOf(text).slice(0, limit)) {
      const of = places.get(word) ?? []
      if (of.length < 50) of.push(`${++place}${weight}`)
      places.set(word, of)
    }
    // What stands next to each other in different fields is no phrase.
    place++
  }
  add(title, 'A')
  for (const sku of skus) add(sku, 'A')
  for (const { label } of [...(brand ? [brand] : []), ...categories]) add(label, 'B')
  for (const label of [...attributes.map((attribute) => attribute.label), ...details]) add(label, 'C')
  add(description, 'D', DESCRIPTION_WORDS_MAX)
  return { text: [...places].map(([word, at]) => `'${word}':${at.join(',')}`).join(' '), words: [...places.keys()] }
}
