import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseFilter } from './typesense/filter'
import { Refusal } from './typesense/refusal'
import {
  type Collection,
  describeCollection,
  type Document,
  objectOf,
  readCollection,
  readDocument,
  readNames,
  refuseUnknown,
} from './typesense/schema'
import { type CurationItem, search, type SynonymItem } from './typesense/search'

/**
 * Stands for a Typesense 30 server, of which none can be had here: its documented API as far as Holdfast uses it, in
 * memory, over HTTP. It searches in earnest (tokens, beginnings, typos, filters, facets, orders, synonyms, curation), and
 * refuses what the server refuses with the same statuses, and parameters it does not know, which the server would ignore.
 */
export interface TypesenseStub {
  readonly url: string
  /** Of each collection, by name. */
  readonly collections: ReadonlyMap<string, Collection>
  readonly aliases: ReadonlyMap<string, string>
  /** Every answer from now on is late by so much. */
  slowDown(ms: number): void
  /** Nothing listens any more; what it holds stays. */
  kill(): Promise<void>
  /** Listens again at the same address. */
  revive(): Promise<void>
  stop(): Promise<void>
}

interface Stub {
  readonly collections: Map<string, Collection>
  readonly aliases: Map<string, string>
  readonly synonymSets: Map<string, readonly SynonymItem[]>
  readonly curationSets: Map<string, readonly CurationItem[]>
}

interface Call {
  readonly method: string
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly body: string
}

type Answer = unknown

export async function startTypesenseStub({
  apiKey,
  port = 0,
}: {
  apiKey: string
  port?: number
}): Promise<TypesenseStub> {
  const stub: Stub = { collections: new Map(), aliases: new Map(), synonymSets: new Map(), curationSets: new Map() }
  let delay = 0
  const handle = (request: IncomingMessage): Promise<{ status: number; text: string }> => answer(stub, apiKey, request)
  const make = (): Server =>
    createServer((request, response) => {
      void handle(request).then(({ status, text }) => {
        setTimeout(() => {
          // Of an import each line is JSON, the whole is not.
          const isLines = status === 200 && request.url?.includes('/documents/import')
          response.writeHead(status, { 'content-type': isLines ? 'text/plain' : 'application/json; charset=utf-8' })
          response.end(text)
        }, delay).unref()
      })
    })
  let server = make()
  const listen = (at: number): Promise<void> => new Promise((resolve) => server.listen(at, '127.0.0.1', resolve))
  await listen(port)
  const chosen = (server.address() as AddressInfo).port
  const kill = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    url: `http://127.0.0.1:${chosen}`,
    collections: stub.collections,
    aliases: stub.aliases,
    slowDown: (ms) => (delay = ms),
    kill,
    revive: async () => {
      server = make()
      await listen(chosen)
    },
    stop: kill,
  }
}

async function answer(stub: Stub, apiKey: string, request: IncomingMessage): Promise<{ status: number; text: string }> {
  try {
    const url = new URL(request.url ?? '/', 'http://stub')
    const path = url.pathname.split('/').slice(1).map(decodeURIComponent)
    const body = await readBody(request)
    if (url.pathname === '/health') return { status: 200, text: '{"ok":true}' }
    if (request.headers['x-typesense-api-key'] !== apiKey) {
      throw new Refusal(401, 'Forbidden - a valid `x-typesense-api-key` header must be sent.')
    }
    const call = { method: request.method ?? 'GET', path, query: url.searchParams, body }
    const result = route(stub, call)
    const status = call.method === 'POST' && path.length === 1 && path[0] === 'collections' ? 201 : 200
    return { status, text: typeof result === 'string' ? result : JSON.stringify(result) }
  } catch (error) {
    if (!(error instanceof Refusal)) return { status: 500, text: JSON.stringify({ message: String(error) }) }
    return { status: error.status, text: JSON.stringify({ message: error.message }) }
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

function route(stub: Stub, call: Call): Answer {
  const [first, name, third, fourth] = call.path
  const place = `${call.method} ${first}${name === undefined ? '' : '/:'}${third === undefined ? '' : `/${third}`}${fourth === undefined ? '' : `/${fourth}`}`
  const handler = HANDLERS[place]
  if (!handler) throw new Refusal(404, 'Not Found')
  return handler(stub, call, name ?? '')
}

const HANDLERS: Readonly<Record<string, (stub: Stub, call: Call, name: string) => Answer>> = {
  'GET stats.json': () => ({
    latency_ms: {},
    requests_per_second: {},
    search_latency_ms: 0,
    search_requests_per_second: 0,
  }),
  'POST multi_search': multiSearch,
  'GET collections': ({ collections }) => [...collections.values()].map(describeCollection),
  'POST collections': createCollection,
  'GET collections/:': (stub, _call, name) => describeCollection(collectionOf(stub, name)),
  'PATCH collections/:': updateCollection,
  'DELETE collections/:': dropCollection,
  'POST collections/:/documents/import': importDocuments,
  'DELETE collections/:/documents': deleteDocuments,
  'GET collections/:/documents/search': (stub, { query }, name) =>
    searchOf(stub, collectionOf(stub, name), Object.fromEntries(query)),
  'GET aliases/:': (stub, _call, name) => ({ name, collection_name: known(stub.aliases.get(name)) }),
  'PUT aliases/:': upsertAlias,
  'DELETE aliases/:': (stub, _call, name) => {
    const collection_name = known(stub.aliases.get(name))
    stub.aliases.delete(name)
    return { name, collection_name }
  },
  'GET synonym_sets/:': (stub, _call, name) => ({ name, items: known(stub.synonymSets.get(name)) }),
  'PUT synonym_sets/:': upsertSynonyms,
  'GET curation_sets/:': (stub, _call, name) => ({ name, items: known(stub.curationSets.get(name)) }),
  'PUT curation_sets/:': upsertCurations,
}

function createCollection(stub: Stub, { body }: Call): Answer {
  const collection = readCollection(jsonOf(body))
  if (stub.collections.has(collection.name))
    throw new Refusal(409, `A collection with name \`${collection.name}\` already exists.`)
  stub.collections.set(collection.name, collection)
  return describeCollection(collection)
}

function updateCollection(stub: Stub, { body }: Call, name: string): Answer {
  const collection = collectionOf(stub, name)
  const given = objectOf(jsonOf(body))
  refuseUnknown(given, new Set(['synonym_sets', 'curation_sets']), 'a change of a collection')
  if (given['synonym_sets'] !== undefined) collection.synonymSets = readNames(given, 'synonym_sets')
  if (given['curation_sets'] !== undefined) collection.curationSets = readNames(given, 'curation_sets')
  return given
}

function dropCollection(stub: Stub, _call: Call, name: string): Answer {
  const collection = collectionOf(stub, name)
  stub.collections.delete(collection.name)
  return describeCollection(collection)
}

/** `throwOnFail` is sent by the official client, whose own it is. */
const IMPORT_PARAMETERS = new Set(['action', 'batch_size', 'dirty_values', 'return_id', 'return_doc', 'throwOnFail'])

function importDocuments(stub: Stub, { query, body }: Call, name: string): Answer {
  refuseUnknown(Object.fromEntries(query), IMPORT_PARAMETERS, 'an import')
  const collection = collectionOf(stub, name)
  const action = query.get('action') ?? 'create'
  if (!['create', 'upsert', 'update', 'emplace'].includes(action)) {
    throw new Refusal(400, 'Parameter `action` must be a create|update|upsert.')
  }
  if (body === '') throw new Refusal(400, 'The request body was empty. So, no records were imported.')
  return body
    .split('\n')
    .map((line) => JSON.stringify(importLine(collection, line, action)))
    .join('\n')
}

function importLine(collection: Collection, line: string, action: string): Record<string, unknown> {
  try {
    const document = readDocument(collection, jsonOf(line))
    const isThere = collection.documents.has(document.id)
    if (action === 'create' && isThere) throw new Refusal(409, `A document with id ${document.id} already exists.`)
    if (action === 'update' && !isThere) throw new Refusal(404, `Could not find a document with id: ${document.id}`)
    collection.documents.set(document.id, document)
    return { success: true }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { success: false, error: error.message, code: error.status, document: line }
  }
}

function deleteDocuments(stub: Stub, { query }: Call, name: string): Answer {
  refuseUnknown(
    Object.fromEntries(query),
    new Set(['filter_by', 'batch_size', 'ignore_not_found', 'truncate']),
    'a deletion',
  )
  const collection = collectionOf(stub, name)
  const filterBy = query.get('filter_by')
  if (!filterBy) throw new Refusal(400, 'Parameter `filter_by` must be provided.')
  const filter = parseFilter(collection, filterBy)
  const doomed: Document[] = [...collection.documents.values()].filter(filter)
  for (const { id } of doomed) collection.documents.delete(id)
  return { num_deleted: doomed.length }
}

/** A refused search does not refuse the others. */
function multiSearch(stub: Stub, { body, query }: Call): Answer {
  refuseUnknown(Object.fromEntries(query), new Set(), 'a multi search')
  const { searches, ...others } = objectOf(jsonOf(body))
  refuseUnknown(others, new Set(['union']), 'a multi search')
  if (!Array.isArray(searches)) throw new Refusal(400, 'Missing `searches` array.')
  if (searches.length > 50)
    throw new Refusal(400, 'Number of multi searches exceeds `limit_multi_searches` parameter value.')
  const results = searches.map((one: unknown) => {
    try {
      const { collection, ...parameters } = objectOf(one)
      return searchOf(stub, collectionOf(stub, String(collection)), parameters)
    } catch (error) {
      if (error instanceof Refusal) return { code: error.status, error: error.message }
      throw error
    }
  })
  return { results }
}

function searchOf(stub: Stub, collection: Collection, parameters: unknown): Record<string, unknown> {
  return search(collection, parameters, {
    synonyms: collection.synonymSets.flatMap((name) => stub.synonymSets.get(name) ?? []),
    curations: collection.curationSets.flatMap((name) => stub.curationSets.get(name) ?? []),
  })
}

function upsertAlias(stub: Stub, { body }: Call, name: string): Answer {
  const given = objectOf(jsonOf(body))
  refuseUnknown(given, new Set(['collection_name']), 'an alias')
  const collectionName = given['collection_name']
  if (typeof collectionName !== 'string') throw new Refusal(400, 'Parameter `collection_name` is required.')
  stub.aliases.set(name, collectionName)
  return { name, collection_name: collectionName }
}

function upsertSynonyms(stub: Stub, { body }: Call, name: string): Answer {
  const items = readItems(body, new Set(['id', 'synonyms', 'root', 'locale', 'symbols_to_index']))
  for (const item of items) {
    if (!isTexts(item['synonyms']) || item['synonyms'].length === 0)
      throw new Refusal(400, 'Could not find an array of `synonyms`')
    if (item['root'] !== undefined && typeof item['root'] !== 'string')
      throw new Refusal(400, 'Key `root` should be a string.')
  }
  stub.synonymSets.set(name, items as unknown as SynonymItem[])
  return { name, items }
}

const CURATION_KEYS = new Set([
  'id',
  'rule',
  'includes',
  'excludes',
  'filter_by',
  'sort_by',
  'filter_curated_hits',
  'stop_processing',
])

function upsertCurations(stub: Stub, { body }: Call, name: string): Answer {
  const items = readItems(body, CURATION_KEYS)
  for (const item of items) {
    const rule = objectOf(item['rule'], 'Missing `rule` definition.')
    refuseUnknown(rule, new Set(['query', 'match', 'filter_by', 'tags']), 'a rule')
    if (typeof rule['query'] !== 'string' || !['exact', 'contains'].includes(String(rule['match']))) {
      throw new Refusal(400, 'The `rule` definition must contain either a `tags` or a `query` and `match`.')
    }
    if (rule['tags'] !== undefined && !isTexts(rule['tags']))
      throw new Refusal(400, 'The `tags` should be an array of strings.')
    if (item['includes'] === undefined && item['excludes'] === undefined) {
      throw new Refusal(
        400,
        'Must contain one of: `includes`, `excludes`, `metadata`, `filter_by`, `sort_by`, `remove_matched_tokens`, `replace_query`.',
      )
    }
    for (const include of listOf(item['includes'])) {
      if (
        typeof include['id'] !== 'string' ||
        !Number.isInteger(include['position']) ||
        (include['position'] as number) < 1
      ) {
        throw new Refusal(400, 'Inclusion definition must define both `id` and `position` keys.')
      }
    }
    for (const exclude of listOf(item['excludes'])) {
      if (typeof exclude['id'] !== 'string') throw new Refusal(400, 'Exclusion definition must define an `id` key.')
    }
  }
  stub.curationSets.set(name, items as unknown as CurationItem[])
  return { name, items }
}

function readItems(body: string, known: ReadonlySet<string>): Readonly<Record<string, unknown>>[] {
  const given = objectOf(jsonOf(body))
  refuseUnknown(given, new Set(['items']), 'a set')
  if (!Array.isArray(given['items'])) throw new Refusal(400, 'Missing or invalid `items` field.')
  return given['items'].map((one: unknown) => {
    const item = objectOf(one, 'Invalid item.')
    refuseUnknown(item, known, 'an item')
    if (typeof item['id'] !== 'string' || item['id'] === '') throw new Refusal(400, 'Missing or invalid `id` field.')
    return item
  })
}

function listOf(value: unknown): Readonly<Record<string, unknown>>[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new Refusal(400, 'The `includes` and `excludes` values must be arrays.')
  return value.map((one: unknown) => objectOf(one))
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** By name or by alias. */
function collectionOf({ collections, aliases }: Stub, name: string): Collection {
  const collection = collections.get(aliases.get(name) ?? name)
  if (!collection) throw new Refusal(404, `No collection with name \`${name}\` found.`)
  return collection
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Refusal(404, 'Not Found')
  return value
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'Bad JSON.')
  }
}
