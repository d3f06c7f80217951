import { distance } from '../../../domain/words'
import { parseFilter, type Filter } from './filter'
import { Refusal } from './refusal'
import { type Collection, type Document, type Field, findField, objectOf, refuseUnknown } from './schema'
import { stemOf, tokensOf } from './token'

/** What `POST /multi_search` and `GET …/documents/search` do with one search. */

export interface SynonymItem {
  readonly id: string
  readonly root?: string
  readonly synonyms: readonly string[]
}

export interface CurationItem {
  readonly id: string
  readonly rule: { readonly query?: string; readonly match?: 'exact' | 'contains'; readonly tags?: readonly string[] }
  readonly includes?: readonly { readonly id: string; readonly position: number }[]
  readonly excludes?: readonly { readonly id: string }[]
  readonly filter_curated_hits?: boolean
}

export interface Rules {
  readonly synonyms: readonly SynonymItem[]
  readonly curations: readonly CurationItem[]
}

const PARAMETERS = new Set([
  'q',
  'query_by',
  'query_by_weights',
  'prefix',
  'filter_by',
  'sort_by',
  'facet_by',
  'max_facet_values',
  'page',
  'per_page',
  'offset',
  'limit',
  'include_fields',
  'exclude_fields',
  'highlight_fields',
  'highlight_full_fields',
  'num_typos',
  'min_len_1typo',
  'min_len_2typo',
  'typo_tokens_threshold',
  'drop_tokens_threshold',
  'enable_typos_for_numerical_tokens',
  'enable_curations',
  'enable_synonyms',
  'curation_tags',
  'pinned_hits',
  'hidden_hits',
])
const HITS_PER_PAGE_MAX = 250
const SORT_FIELDS_MAX = 3

interface Queried {
  readonly field: Field
  readonly weight: number
  readonly typos: number
  readonly prefix: boolean
}

interface Match {
  readonly document: Document
  readonly score: number
  /** By field, the tokens that matched. */
  readonly tokens: ReadonlyMap<string, readonly string[]>
}

export function search(collection: Collection, body: unknown, rules: Rules): Record<string, unknown> {
  const given = objectOf(body)
  refuseUnknown(given, PARAMETERS, 'a search')
  const text = (name: string): string => textOf(given, name)
  const number = (name: string, fallback: number): number => numberOf(given, name, fallback)
  const q = given['q']
  if (typeof q !== 'string') throw new Refusal(400, 'Parameter `q` is required.')
  const limit = given['limit'] === undefined ? number('per_page', 10) : number('limit', 10)
  if (limit > HITS_PER_PAGE_MAX) throw new Refusal(422, `Only upto ${HITS_PER_PAGE_MAX} hits can be fetched per page.`)
  if (given['page'] === 0) throw new Refusal(422, 'Page must be an integer of value greater than 0.')
  const offset = given['offset'] === undefined ? (number('page', 1) - 1) * limit : number('offset', 0)
  const queried = q === '*' ? [] : readQueried(collection, given)
  const filter = parseFilter(collection, text('filter_by'))
  const order = readOrder(collection, text('sort_by'))
  const facets = readFacets(collection, text('facet_by'))
  for (const name of list(text('include_fields'))) requireField(collection, name)
  for (const name of list(text('highlight_fields'))) requireField(collection, name)

  const passing = [...collection.documents.values()].filter(filter)
  const tokens = tokensOf(collection, q)
  const matches = q === '*' ? passing.map(asMatch) : find(collection, passing, tokens, queried, given, rules)
  const curated = curate(collection, matches, filter, {
    tokens,
    rules,
    tags: list(text('curation_tags')),
    enabled: given['enable_curations'] !== false,
  })
  const sorted = [...curated.pins, ...curated.rest.sort(order)]
  return {
    facet_counts: facets.map((facet) => countFacet(facet, sorted, number('max_facet_values', 10))),
    found: sorted.length,
    out_of: collection.documents.size,
    page: 1,
    request_params: { collection_name: collection.name, per_page: limit, q },
    search_cutoff: false,
    search_time_ms: 1,
    hits: sorted.slice(offset, offset + limit).map((match) => toHit(match, given)),
  }
}

function readQueried(collection: Collection, given: Readonly<Record<string, unknown>>): Queried[] {
  const names = list(textOf(given, 'query_by'))
  if (names.length === 0) throw new Refusal(400, 'No search fields specified for the query.')
  const perField = <T>(name: string, fallback: T, read: (text: string) => T): T[] => {
    const values = list(String(given[name] ?? '')).map(read)
    if (values.length === 0) return names.map(() => fallback)
    if (values.length === 1) return names.map(() => values[0] as T)
    if (values.length !== names.length) {
      throw new Refusal(400, `Number of values in \`${name}\` does not match number of \`query_by\` fields.`)
    }
    return values
  }
  const weights = perField('query_by_weights', 1, (value) => whole('query_by_weights', value, 127))
  const typos = perField('num_typos', 2, (value) => whole('num_typos', value, 2))
  const prefixes = perField('prefix', true, (value) => {
    if (value !== 'true' && value !== 'false') throw new Refusal(400, 'Parameter `prefix` must be a boolean.')
    return value === 'true'
  })
  return names.map((name, index) => {
    const field = requireField(collection, name)
    if (!field.type.startsWith('string'))
      throw new Refusal(400, `Field \`${name}\` should be a string or a string array.`)
    if (!field.index) throw new Refusal(400, `Field \`${name}\` is marked as a non-indexed field in the schema.`)
    return {
      field,
      weight: weights[index] as number,
      typos: typos[index] as number,
      prefix: prefixes[index] as boolean,
    }
  })
}

/** All tokens must match; typos are forgiven when nothing does without; then tokens are dropped from the right. */
function find(
  collection: Collection,
  documents: readonly Document[],
  tokens: readonly string[],
  queried: readonly Queried[],
  given: Readonly<Record<string, unknown>>,
  rules: Rules,
): Match[] {
  const typoThreshold = numberOf(given, 'typo_tokens_threshold', 1)
  const dropThreshold = numberOf(given, 'drop_tokens_threshold', 1)
  for (let kept = tokens.length; kept > 0; kept--) {
    const readings = [tokens.slice(0, kept), ...synonymsOf(collection, tokens.slice(0, kept), rules)]
    for (const typos of [0, 1, 2]) {
      const found = new Map<string, Match>()
      for (const [index, reading] of readings.entries()) {
        for (const document of documents) {
          // Synonyms are words as the merchant wrote them: no typos, nothing follows.
          const match = matchDocument(
            collection,
            document,
            reading,
            queried,
            given,
            index === 0 ? typos : 0,
            index === 0,
          )
          if (match && match.score > (found.get(document.id)?.score ?? 0)) found.set(document.id, match)
        }
      }
      if (found.size >= Math.max(1, typos === 2 ? 1 : typoThreshold)) return [...found.values()]
    }
    if (dropThreshold === 0) break
  }
  return []
}

function matchDocument(
  collection: Collection,
  document: Document,
  tokens: readonly string[],
  queried: readonly Queried[],
  given: Readonly<Record<string, unknown>>,
  typosAllowed: number,
  mayBePrefix: boolean,
): Match | null {
  const matched = new Map<string, string[]>()
  let score = 0
  for (const [index, token] of tokens.entries()) {
    let best = 0
    for (const { field, weight, typos, prefix } of queried) {
      for (const value of [document[field.name] ?? []].flat() as string[]) {
        for (const held of tokensOf(collection, value)) {
          const points = matchToken(token, held, {
            stem: field.stem,
            typos: Math.min(typos, typosAllowed, typosBearable(token, given)),
            prefix: prefix && mayBePrefix && index === tokens.length - 1,
          })
          if (points === 0) continue
          matched.set(field.name, [...(matched.get(field.name) ?? []), held])
          best = Math.max(best, points * weight)
        }
      }
    }
    if (best === 0) return null
    score += best
  }
  const [first] = queried
  const exact = first && tokensOf(collection, String(document[first.field.name])).length === tokens.length ? 1 : 0
  return { document, score: score * 10 + exact, tokens: matched }
}

function matchToken(
  token: string,
  held: string,
  { stem, typos, prefix }: { stem: boolean; typos: number; prefix: boolean },
): number {
  if (held === token) return 10
  if (stem && stemOf(held) === stemOf(token)) return 9
  if (prefix && held.startsWith(token)) return 8
  const off = typos > 0 && Math.abs(held.length - token.length) <= typos ? distance(token, held) : 9
  return off <= typos ? 7 - off : 0
}

function typosBearable(token: string, given: Readonly<Record<string, unknown>>): number {
  if (given['enable_typos_for_numerical_tokens'] === false && /^\p{N}+$/u.test(token)) return 0
  if (token.length < numberOf(given, 'min_len_1typo', 4)) return 0
  return token.length < numberOf(given, 'min_len_2typo', 7) ? 1 : 2
}

function synonymsOf(collection: Collection, tokens: readonly string[], { synonyms }: Rules): string[][] {
  const query = ` ${tokens.join(' ')} `
  return synonyms.flatMap(({ root, synonyms: terms }) => {
    const written = terms.map((term) => tokensOf(collection, term).join(' '))
    const sources = root === undefined ? written : [tokensOf(collection, root).join(' ')]
    return sources
      .filter((source) => query.includes(` ${source} `))
      .flatMap((source) =>
        written
          .filter((term) => term !== source)
          .map((term) => query.replace(` ${source} `, ` ${term} `).trim().split(' ')),
      )
  })
}

function curate(
  collection: Collection,
  matches: readonly Match[],
  filter: Filter,
  {
    tokens,
    rules,
    tags,
    enabled,
  }: { tokens: readonly string[]; rules: Rules; tags: readonly string[]; enabled: boolean },
): { pins: Match[]; rest: Match[] } {
  const item = rules.curations.find(({ rule }) => {
    const wanted = tokensOf(collection, rule.query ?? '').join(' ')
    const isTagged =
      tags.length === 0 ? (rule.tags ?? []).length === 0 : (rule.tags ?? []).some((tag) => tags.includes(tag))
    const query = tokens.join(' ')
    return isTagged && (rule.match === 'contains' ? ` ${query} `.includes(` ${wanted} `) : query === wanted)
  })
  if (!enabled || !item) return { pins: [], rest: [...matches] }
  const excluded = new Set((item.excludes ?? []).map(({ id }) => id))
  const pins = [...(item.includes ?? [])]
    .sort((a, b) => a.position - b.position)
    .map(({ id }) => collection.documents.get(id))
    .filter((document) => document !== undefined)
    .filter((document) => !excluded.has(document.id) && (item.filter_curated_hits !== true || filter(document)))
    .map(asMatch)
  const pinned = new Set(pins.map(({ document }) => document.id))
  return { pins, rest: matches.filter(({ document }) => !pinned.has(document.id) && !excluded.has(document.id)) }
}

function asMatch(document: Document): Match {
  return { document, score: 0, tokens: new Map() }
}

type Order = (a: Match, b: Match) => number

function readOrder(collection: Collection, text: string): Order {
  const parts = splitTop(text)
  if (parts.length > SORT_FIELDS_MAX)
    throw new Refusal(422, `Only upto ${SORT_FIELDS_MAX} sort fields can be specified in a single query.`)
  const fallback = collection.defaultSortingField
  const orders = (
    parts.length > 0 ? parts : ['_text_match:desc', ...(fallback === '' ? [] : [`${fallback}:desc`])]
  ).map((part) => readOrderPart(collection, part))
  return (a, b) => orders.reduce((decided, order) => decided || order(a, b), 0)
}

function readOrderPart(collection: Collection, part: string): Order {
  const written = /^(.+):\s*(\w+)$/s.exec(part.trim())
  if (!written) throw new Refusal(400, 'Parameter `sort_by` is malformed.')
  const [, name = '', direction = ''] = written
  if (!/^(?:asc|desc)$/i.test(direction))
    throw new Refusal(400, `Order for field \`${name}\` should be either ASC or DESC.`)
  const sign = direction.toLowerCase() === 'asc' ? 1 : -1
  const by = readSortKey(collection, name.trim())
  return (a, b) => sign * (by(a) - by(b))
}

function readSortKey(collection: Collection, name: string): (match: Match) => number {
  const buckets = /^_text_match(?:\(\s*buckets\s*:\s*(\d+)\s*\))?$/.exec(name)
  // Few documents: the buckets of a small result hold one rank each.
  if (buckets) return ({ score }) => Math.floor(score / 100)
  const evaluated = /^_eval\(\s*\[(.*)\]\s*\)$/s.exec(name)
  if (evaluated) {
    const scores = splitTop(evaluated[1] as string).map((one) => {
      const scored = /^\s*\((.*)\)\s*:\s*(\d+)\s*$/s.exec(one)
      if (!scored) throw new Refusal(400, 'Error parsing eval expression in sort_by clause.')
      return { filter: parseFilter(collection, scored[1] as string), score: Number(scored[2]) }
    })
    return ({ document }) => scores.find(({ filter }) => filter(document))?.score ?? 0
  }
  const field = findField(collection, name)
  if (!field || !field.sort || field.type.endsWith('[]')) {
    throw new Refusal(404, `Could not find a field named \`${name}\` in the schema for sorting.`)
  }
  return ({ document }) => Number(document[name] ?? Number.NEGATIVE_INFINITY)
}

interface FacetRequest {
  readonly field: Field
  readonly ranges: readonly { readonly label: string; readonly from: number; readonly to: number }[]
}

function readFacets(collection: Collection, text: string): FacetRequest[] {
  return splitTop(text).map((part) => {
    const written = /^\s*([\w.-]+)\s*(?:\((.*)\))?\s*$/s.exec(part)
    if (!written) throw new Refusal(400, 'Facet syntax is malformed.')
    const name = written[1] as string
    const field = findField(collection, name)
    if (!field?.facet) throw new Refusal(404, `Could not find a facet field named \`${name}\` in the schema.`)
    if (written[2] === undefined) return { field, ranges: [] }
    if (!/^(?:int32|int64|float)$/.test(field.type))
      throw new Refusal(400, `Range facet is restricted to only integer and float fields.`)
    const ranges = splitTop(written[2]).map((range) => {
      const parsed = /^\s*([^:]+?)\s*:\s*\[\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\]\s*$/.exec(range)
      if (!parsed) throw new Refusal(400, 'Error splitting the range string.')
      return { label: parsed[1] as string, from: Number(parsed[2]), to: Number(parsed[3]) }
    })
    for (const [index, range] of ranges.entries()) {
      const next = ranges[index + 1]
      if (next && next.from !== range.to) throw new Refusal(400, 'Ranges in range facet syntax should be continous.')
    }
    return { field, ranges }
  })
}

function countFacet({ field, ranges }: FacetRequest, matches: readonly Match[], max: number): Record<string, unknown> {
  const counts = new Map<string, number>()
  for (const { document } of matches) {
    for (const held of [document[field.name] ?? []].flat()) {
      const value =
        ranges.length === 0
          ? String(held)
          : ranges.find(({ from, to }) => (held as number) >= from && (held as number) < to)?.label
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1)
    }
  }
  return {
    field_name: field.name,
    sampled: false,
    stats: { total_values: counts.size },
    counts: [...counts]
      .sort(([, one], [, other]) => other - one)
      .slice(0, max)
      .map(([value, count]) => ({ value, highlighted: value, count })),
  }
}

function toHit({ document, score, tokens }: Match, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const included = list(textOf(given, 'include_fields'))
  const shown =
    included.length === 0
      ? document
      : Object.fromEntries(Object.entries(document).filter(([name]) => included.includes(name)))
  const wanted = list(textOf(given, 'highlight_fields'))
  const highlights = [...tokens]
    .filter(([name]) => wanted.length === 0 || wanted.includes(name))
    .map(([field, matched]) => ({ field, matched_tokens: [...new Set(matched)], snippet: String(document[field]) }))
  return { document: shown, highlight: {}, highlights, text_match: score }
}

function requireField(collection: Collection, name: string): Field {
  const field = name === 'id' ? ({ name, type: 'string', index: true } as Field) : findField(collection, name)
  if (!field) throw new Refusal(404, `Could not find a field named \`${name}\` in the schema.`)
  return field
}

function textOf(given: Readonly<Record<string, unknown>>, name: string): string {
  const value = given[name] ?? ''
  if (typeof value !== 'string') throw new Refusal(400, `Parameter \`${name}\` must be a string.`)
  return value
}

function numberOf(given: Readonly<Record<string, unknown>>, name: string, fallback: number): number {
  const value = given[name]
  if (value === undefined) return fallback
  return whole(name, String(value), 10_000_000)
}

function whole(name: string, text: string, max: number): number {
  if (!/^\d+$/.test(text) || Number(text) > max)
    throw new Refusal(400, `Parameter \`${name}\` must be an unsigned integer.`)
  return Number(text)
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** At commas that stand in no bracket and no literal. */
function splitTop(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let isLiteral = false
  let part = ''
  for (const character of text) {
    if (character === '`') isLiteral = !isLiteral
    else if (!isLiteral && /[([]/.test(character)) depth++
    else if (!isLiteral && /[)\]]/.test(character)) depth--
    if (character === ',' && depth === 0 && !isLiteral) {
      parts.push(part)
      part = ''
    } else part += character
  }
  return [...parts, part].map((one) => one.trim()).filter((one) => one !== '')
}
