import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { ROOT } from '../../config'
import { NO_AFFINITY, NO_FILTERS, type SearchFilters, type SearchQuery, type Sort } from '../../domain/search'
import { wordsOf } from '../../domain/words'
import { generatedTitles, type GeneratedCatalog, randomOf } from '../catalog/generate'

/** What people search for, made of titles by rule and by chance of a fixed seed: the same for everybody. */

const QUERIES = 4_000
const RECALL_QUERIES = 1_000

export const MIX_NOTE =
  'mix: 35 % two words of a title, 20 % three to five, 10 % one word, 15 % three words with one misspelt, 10 % ending in a beginning, 5 % two words in a category, 5 % a category by price; facets with each'

/** Every query of the mix, the same for the same titles. Words of titles: common ones come as often as people write them. */
export function mixOf(titles: readonly string[], categories: readonly string[]): SearchQuery[] {
  const random = randomOf(11)
  const some = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const words = (count: number): string[] => {
    for (;;) {
      const all = wordsOf(some(titles)).filter((word) => !/\d/.test(word))
      if (all.length >= count) {
        const at = Math.floor(random() * (all.length - count + 1))
        return all.slice(at, at + count)
      }
    }
  }
  const query = (text: string, filters: Partial<SearchFilters> = {}, sort: Sort = 'relevance'): SearchQuery => ({
    text,
    currency: 'GBP',
    filters: { ...NO_FILTERS, ...filters },
    sort,
    offset: 0,
    limit: 21,
    affinity: NO_AFFINITY,
  })
  return Array.from({ length: QUERIES }, () => {
    const lot = random()
    if (lot < 0.35) return query(`${words(2).join(' ')} `)
    if (lot < 0.55) return query(`${words(3 + Math.floor(random() * 3)).join(' ')} `)
    if (lot < 0.65) return query(`${words(1).join(' ')} `)
    if (lot < 0.8) return query(`${misspelt(words(3), random).join(' ')} `)
    if (lot < 0.9) return query(beginning(words(2), random))
    if (lot < 0.95) return query(`${words(2).join(' ')} `, { category: some(categories) })
    return query('', { category: some(categories) }, 'price_asc')
  })
}

/** A query that has to find the title it was made of. */
export interface Asked {
  readonly title: string
  readonly text: string
}

/** Titles of three words or more, each with one word misspelt: letters swapped, one dropped or one doubled. */
export function misspeltTitles(titles: readonly string[]): Asked[] {
  const random = randomOf(13)
  return longTitles(titles).map((title) => ({ title, text: `${misspelt(wordsOf(title), random).join(' ')} ` }))
}

/** The same titles, of whose last word only two to four letters are typed yet. */
export function titleBeginnings(titles: readonly string[]): Asked[] {
  const random = randomOf(17)
  return longTitles(titles).map((title) => ({ title, text: beginning(wordsOf(title), random) }))
}

/** The titles of the demo shop. */
export function demoTitles(): string[] {
  const csv = gunzipSync(readFileSync(join(ROOT, 'data', 'demo-shop.csv.gz'))).toString('utf8')
  return csv
    .split('\n')
    .slice(1)
    .map((line) => /^[^,]*,(?:"([^"]+)"|([^,]+)),/.exec(line))
    .map((match) => match?.[1] ?? match?.[2] ?? '')
    .filter((title) => title !== '')
}

/** Some thousands of the generated catalog's. */
export function generatedSample(catalog: GeneratedCatalog): string[] {
  return sampled(generatedTitles(catalog), catalog.count, 20_000)
}

function longTitles(titles: readonly string[]): string[] {
  const long = [...new Set(titles)].filter(
    (title) => wordsOf(title).length >= 3 && wordsOf(title).some((word) => /^[a-z]{4,}$/.test(word)),
  )
  const step = Math.max(1, Math.floor(long.length / RECALL_QUERIES))
  return long.filter((_, index) => index % step === 0).slice(0, RECALL_QUERIES)
}

function beginning(words: readonly string[], random: () => number): string {
  const last = words.at(-1) as string
  return [...words.slice(0, -1), last.slice(0, 2 + Math.floor(random() * 3))].join(' ')
}

/** One word of at least four letters with a swap, a drop or a double, in turn by chance. */
function misspelt(words: readonly string[], random: () => number): string[] {
  const long = words.map((word, index) => ({ word, index })).filter(({ word }) => /^[a-z]{4,}$/.test(word))
  if (long.length === 0) return [...words]
  const { word, index } = long[Math.floor(random() * long.length)] as { word: string; index: number }
  const at = 1 + Math.floor(random() * (word.length - 2))
  const kind = Math.floor(random() * 3)
  const wrong =
    kind === 0
      ? `${word.slice(0, at)}${word[at + 1]}${word[at]}${word.slice(at + 2)}`
      : kind === 1
        ? word.slice(0, at) + word.slice(at + 1)
        : word.slice(0, at) + word[at] + word.slice(at)
  return words.map((one, place) => (place === index ? wrong : one))
}

function sampled(titles: Iterable<string>, count: number, wanted: number): string[] {
  const step = Math.floor(count / wanted)
  const chosen: string[] = []
  let index = 0
  for (const title of titles) if (index++ % step === 0) chosen.push(title)
  return chosen
}
