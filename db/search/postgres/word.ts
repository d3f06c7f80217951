import type { Currency } from '../../../domain/money'
import { distance, editsOf, typosAllowed } from '../../../domain/words'
import type { Db } from '../../pool'
import { statement } from '../../sql'

/** How many words a beginning may stand for, and a misspelt word. */
const COMPLETIONS_MAX = 12
const NEAR_MAX = 6
const NEAR_READ_MAX = 40
/** Words are counted in so many documents, chosen by chance: enough to tell frequent from rare. */
const COUNTED_DOCUMENTS = 30_000

export interface LookedUp {
  /** Those of the words that some document has. */
  readonly known: ReadonlySet<string>
  /** The most frequent words that begin as asked. */
  readonly completions: readonly string[]
  /** By `"<kind> <value>"`. */
  readonly facets: ReadonlyMap<string, number>
  /** Of words that are not known, those that are one edit away, most likely first. */
  readonly near: ReadonlyMap<string, readonly string[]>
  /** Whether any document has a price in the currency. */
  readonly isPriced: boolean
}

/** All that a search must know before it can be asked, in one round trip. */
export async function lookUp(
  db: Db,
  {
    words,
    prefix,
    facets,
    currency,
  }: {
    words: readonly string[]
    prefix: string | null
    facets: readonly (readonly [kind: string, value: string])[]
    currency: Currency
  },
): Promise<LookedUp> {
  const [given, near] = editsOfAll(words)
  const { rows } = await db.query<LookedUpRow>(
    LOOK_UP({
      words,
      prefix,
      kinds: facets.map(([kind]) => kind),
      values: facets.map(([, value]) => value),
      given,
      near,
      currency,
    }),
  )
  const row = rows[0]
  return {
    known: new Set(row?.known),
    completions: row?.completions ?? [],
    facets: new Map(Object.entries(row?.facets ?? {})),
    near: ranked(row?.near ?? []),
    isPriced: row?.isPriced ?? false,
  }
}

const LOOK_UP = statement(
  'search.lookUp',
  `
    select coalesce((select array_agg(word) from search_word where word = any (:words::text[])), '{}') as known,
           coalesce((
             select array_agg(word)
             from (
               select word
               from search_word
               where word >= :prefix and word < :prefix || chr(1114111)
               order by uses desc, word
               limit ${COMPLETIONS_MAX}
             ) as c
           ), '{}') as completions,
           coalesce((
             select jsonb_object_agg(kind || ' ' || value, id)
             from search_facet
             where (kind, value) in (select * from unnest(:kinds::text[], :values::text[]))
           ), '{}') as facets,
           coalesce((
             select jsonb_agg(jsonb_build_object('given', given, 'word', w.word, 'uses', w.uses))
             from unnest(:given::text[], :near::text[]) as asked (given, word)
             join search_word w on w.word = asked.word
             where not exists (select from search_word k where k.word = asked.given)
           ), '[]') as near,
           exists (select from search_price where currency = :currency) as "isPriced"`,
)

interface LookedUpRow {
  readonly known: string[]
  readonly completions: string[]
  readonly facets: Record<string, number>
  readonly near: readonly Near[]
  readonly isPriced: boolean
}

interface Near {
  readonly given: string
  readonly word: string
  readonly uses: number
}

/** Every word one edit away, beside the word that it is an edit of. */
function editsOfAll(words: readonly string[]): [given: string[], edited: string[]] {
  const edits = words.filter((word) => typosAllowed(word) > 0).map((word) => ({ word, edited: editsOf(word) }))
  return [edits.flatMap(({ word, edited }) => edited.map(() => word)), edits.flatMap(({ edited }) => edited)]
}

/** The words of documents that are one edit away from each of these, most likely first: no swap escapes. */
export async function findOneEdit(db: Db, words: readonly string[]): Promise<Map<string, string[]>> {
  if (words.length === 0) return new Map()
  const { rows } = await db.query<Near>({
    name: 'search.oneEdit',
    text: `
      select given, w.word, w.uses
      from unnest($1::text[], $2::text[]) as asked (given, word)
      join search_word w on w.word = asked.word`,
    values: editsOfAll(words),
  })
  return ranked(rows)
}

/** Two edits away, of longer words, by common trigrams. */
export async function findByTrigrams(db: Db, given: readonly string[]): Promise<Map<string, string[]>> {
  const words = given.filter((word) => typosAllowed(word) > 1)
  if (words.length === 0) return new Map()
  const { rows } = await db.query<Near>({
    name: 'search.trigrams',
    text: `
      select given, near.word, near.uses
      from unnest($1::text[]) as asked (given)
      cross join lateral (
        select word, uses
        from search_word
        where word % given
        order by similarity(word, given) desc, uses desc
        limit ${NEAR_READ_MAX}
      ) as near`,
    values: [words],
  })
  return ranked(rows.filter(({ given, word }) => distance(given, word) <= 2))
}

/** People seldom mistake the first letter. */
function ranked(rows: readonly Near[]): Map<string, string[]> {
  const sorted = [...rows].sort((a, b) => mistakes(a) - mistakes(b) || b.uses - a.uses || (a.word < b.word ? -1 : 1))
  const byGiven = new Map<string, string[]>()
  for (const { given, word } of sorted) {
    const list = byGiven.get(given) ?? []
    if (list.length < NEAR_MAX) byGiven.set(given, [...list, word])
  }
  return byGiven
}

function mistakes({ given, word }: Near): number {
  return distance(given, word) + (given[0] === word[0] ? 0 : 1)
}

/** Counts anew how many documents use each word; of a small shop words that are used no more are dropped. */
export async function countWords(db: Db): Promise<void> {
  const { rows } = await db.query<{ percent: number }>(
    'select least(100, 100.0 * $1 / greatest(1, count(*)))::float8 as percent from search_document',
    [COUNTED_DOCUMENTS],
  )
  const percent = rows[0]?.percent ?? 100
  await db.query(
    `with used as (
       select word, greatest(1, round(ndoc * 100 / $1::float8))::int as uses
       from ts_stat(format('select words from search_document tablesample system (%s)', $1::float8))
     ),
     counted as (
       update search_word w set uses = used.uses from used where w.word = used.word and w.uses <> used.uses
     )
     delete from search_word w
     where $1::float8 = 100 and not exists (select from used where used.word = w.word)`,
    [percent],
  )
  // One by one: each has to end within a statement's time.
  for (const table of ['search_document', 'search_price', 'search_word', 'search_facet'])
    await db.query(`analyze ${table}`)
}
