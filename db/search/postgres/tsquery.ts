import { formsOf } from '../../../domain/words'

/** What may stand for one word of a query. */
export interface Term {
  readonly words: readonly string[]
  /** So may everything that begins like the first of them. */
  readonly isPrefix: boolean
}

/** A part of a query (a word, or several that have a synonym): found where all terms of one alternative are. */
export interface Slot {
  readonly alternatives: readonly (readonly Term[])[]
}

export interface Spelling {
  /** Words of the index that a word of the query may be a misspelling of. */
  readonly near: ReadonlyMap<string, readonly string[]>
  /** The last word of the query, if more may follow, and words that begin with it. */
  readonly prefix: string | null
  readonly completions: readonly string[]
}

/** Words that mean the same, by the words they stand for, joined by single spaces. */
export type Synonyms = ReadonlyMap<string, readonly (readonly string[])[]>

const SYNONYM_WORDS_MAX = 4

export function slotsOf(words: readonly string[], spelling: Spelling, synonyms: Synonyms): Slot[] {
  const slots: Slot[] = []
  for (let at = 0; at < words.length; ) {
    const { length, others } = synonymsAt(words, at, synonyms)
    const own = words
      .slice(at, at + length)
      .map((word, index) => termOf(word, at + index === words.length - 1, spelling))
    slots.push({
      alternatives: [own, ...others.map((other) => other.map((word) => ({ words: formsOf(word), isPrefix: false })))],
    })
    at += length
  }
  return slots
}

/** Every word that makes a title's word a match. */
export function matcherOf(slots: readonly Slot[]): (word: string) => boolean {
  const terms = slots.flatMap(({ alternatives }) => alternatives.flat())
  const words = new Set(terms.flatMap((term) => term.words))
  const beginnings = terms.filter((term) => term.isPrefix).map((term) => term.words[0] ?? '')
  return (word) => words.has(word) || beginnings.some((beginning) => word.startsWith(beginning))
}

/**
 * As `tsquery` is written: documents that have at least `needed` of the slots. Words have letters and digits alone.
 *
 * @param weights letters of the weights to look in; empty: all
 */
export function tsqueryOf(slots: readonly Slot[], needed: number, weights = ''): string {
  const written = slots.map(({ alternatives }) =>
    any(alternatives.map((terms) => all(terms.map((term) => termQuery(term, weights))))),
  )
  return any(choose(written, needed).map(all))
}

/** The longest run of words from `at` on that has synonyms; else the one word. */
function synonymsAt(
  words: readonly string[],
  at: number,
  synonyms: Synonyms,
): { length: number; others: readonly (readonly string[])[] } {
  for (let length = Math.min(SYNONYM_WORDS_MAX, words.length - at); length > 0; length--) {
    const run = words.slice(at, at + length)
    const written = length === 1 ? formsOf(run[0] as string) : [run.join(' ')]
    const others = written.flatMap((form) => synonyms.get(form) ?? [])
    if (others.length > 0) return { length, others }
  }
  return { length: 1, others: [] }
}

function termOf(word: string, isLast: boolean, { near, prefix, completions }: Spelling): Term {
  const isPrefix = isLast && prefix === word
  return {
    words: [...new Set([word, ...formsOf(word), ...(isPrefix ? completions : []), ...(near.get(word) ?? [])])],
    // Numbers are not in the table of words: there are too many.
    isPrefix: isPrefix && word.length > 2 && /\p{N}/u.test(word),
  }
}

function termQuery({ words, isPrefix }: Term, weights: string): string {
  const mark = weights === '' ? '' : `:${weights}`
  return any(words.map((word, index) => (index === 0 && isPrefix ? `'${word}':*${weights}` : `'${word}'${mark}`)))
}

function all(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] as string) : `(${parts.join(' & ')})`
}

function any(parts: readonly string[]): string {
  return parts.length === 1 ? (parts[0] as string) : `(${parts.join(' | ')})`
}

/** Every choice of `needed` parts, in order. */
function choose<T>(parts: readonly T[], needed: number): T[][] {
  if (needed <= 0) return [[]]
  return parts.flatMap((part, index) => choose(parts.slice(index + 1), needed - 1).map((rest) => [part, ...rest]))
}
