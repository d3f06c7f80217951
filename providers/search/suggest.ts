import type { Suggestion } from '../../domain/search'
import { wordsOf } from '../../domain/words'

const QUERIES_MAX = 3
const CATEGORIES_MAX = 2

interface Titled {
  readonly slug: string
  readonly title: string
}

/** What a search box shows for these words: queries, categories, then the products that engines found for them. */
export function suggestionsOf(
  words: readonly string[],
  { categories, products, limit }: { categories: readonly Titled[]; products: readonly Titled[]; limit: number },
): Suggestion[] {
  const suggested: Suggestion[] = [
    ...completedQueries(words, products).map((query) => ({ type: 'query' as const, text: query, slug: null })),
    ...categories.slice(0, CATEGORIES_MAX).map(({ slug, title }) => ({ type: 'category' as const, text: title, slug })),
    ...products.map(({ slug, title }) => ({ type: 'product' as const, text: title, slug })),
  ]
  return suggested.slice(0, limit)
}

/** What was typed, its last word completed by those that such products have most. */
function completedQueries(words: readonly string[], products: readonly Titled[]): string[] {
  const last = words.at(-1) ?? ''
  const counts = new Map<string, number>()
  for (const word of products.flatMap(({ title }) => [...new Set(wordsOf(title))])) {
    if (word.startsWith(last)) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts]
    .sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1))
    .slice(0, QUERIES_MAX)
    .map(([word]) => [...words.slice(0, -1), word].join(' '))
}
