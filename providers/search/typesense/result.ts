import type { SearchResponse } from 'typesense/lib/Typesense/Documents'
import {
  type FacetCount,
  type Facets,
  limitFacets,
  PRICE_LADDER,
  priceRange,
  RATING_STEPS,
  correctedQuery,
  type SearchHit,
  type SearchQuery,
} from '../../../domain/search'
import { formsOf, markWords, wordsOf } from '../../../domain/words'
import type { Stored } from './collection'

export type Result = SearchResponse<Stored>

/** By field, how many have each value. */
type Counts = Map<string, Map<string, number>>

export function countsOf(result: Result | undefined): Counts {
  return new Map(
    (result?.facet_counts ?? []).map(({ field_name, counts }) => [
      String(field_name),
      new Map(counts.map(({ value, count }) => [value, count])),
    ]),
  )
}

export function replaceCounts(counts: Counts, others: Counts, field: string, attribute: string | null): void {
  const isReplaced = (value: string): boolean => attribute === null || value.startsWith(`${attribute}=`)
  const kept = [...(counts.get(field) ?? [])].filter(([value]) => !isReplaced(value))
  const added = [...(others.get(field) ?? [])].filter(([value]) => isReplaced(value))
  counts.set(field, new Map([...kept, ...added]))
}

export function toFacets(counts: Counts, { currency, filters }: SearchQuery): Facets {
  const listed = (field: string): FacetCount[] =>
    [...(counts.get(field) ?? [])]
      .filter(([, count]) => count > 0)
      .map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
  const kinds: Record<string, FacetCount[]> = {}
  for (const kind of ['category', 'brand']) if (listed(kind).length > 0) kinds[kind] = listed(kind)
  for (const { value, count } of listed('attributes')) {
    const at = value.indexOf('=')
    ;(kinds[`attr.${value.slice(0, at)}`] ??= []).push({ value: value.slice(at + 1), count })
  }
  const ratings = RATING_STEPS.map((step) => ({
    value: String(step),
    count: listed('rating').reduce((sum, { value, count }) => sum + (Number(value) >= step ? count : 0), 0),
  })).filter(({ count }) => count > 0)
  return {
    values: {
      ...limitFacets(kinds, filters),
      ...(ratings.length > 0 && { rating: ratings }),
      ...(listed('in_stock').length > 0 && { in_stock: listed('in_stock') }),
    },
    price: PRICE_LADDER.map((from, step) =>
      priceRange(step, counts.get(`price_${currency}`)?.get(String(from)) ?? 0),
    ).filter(({ count }) => count > 0),
  }
}

/** Which words matched is the engine's to say; what is markup is ours. */
export function toHit(
  { document, highlights = [] as never }: NonNullable<Result['hits']>[number],
  words: readonly string[],
): SearchHit {
  if (words.length === 0) return { id: document.id as SearchHit['id'], highlight: null }
  const found = new Set(matchedWords({ highlights }))
  return {
    id: document.id as SearchHit['id'],
    // Of a beginning that matched, Typesense names the beginning.
    highlight: {
      title: markWords(document.title, (word) =>
        [...found].some((one) => word.startsWith(one) && (word === one || words.includes(one))),
      ),
    },
  }
}

function matchedWords({ highlights }: Pick<NonNullable<Result['hits']>[number], 'highlights'>): string[] {
  return (highlights ?? []).flatMap(({ matched_tokens }) => matched_tokens.flat().flatMap(wordsOf))
}

/** Null when the best hit has every word as it was typed. */
export function betterSpelling({ hits }: Result, words: readonly string[]): string | null {
  const [best] = hits ?? []
  if (!best || words.length === 0) return null
  const found = matchedWords(best)
  const isFound = (word: string): boolean => found.some((one) => formsOf(word).includes(one) || one.startsWith(word))
  return words.every(isFound) ? null : correctedQuery(words, best.document.title)
}
