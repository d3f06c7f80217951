import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { type Pool, withTransaction } from '../../db/pool'
import {
  dropOvertakenRequest,
  listRebuildRequests,
  listRebuilds,
  newBuild,
  type Rebuild,
  type RebuildRequest,
  requestRebuild,
} from '../../db/search/rebuild'
import { readSearchRules, replaceCurations, replaceSynonyms } from '../../db/search/rule'
import type { CurationRule, SearchRules, SynonymRule } from '../../domain/search'
import { DomainError } from '../../domain/errors'
import { wordsOf } from '../../domain/words'
import { reindexStart, WORKFLOWS } from '../../workflows/contract'
import { etagOf, ifMatch } from '../http/etag'
import { wholeList } from '../http/pagination'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { readOnlyField, idOf, listPageOf, timestamp } from '../http/schemas'

const TAG = 'Search rules'
const RULES_MAX = 1_000
const TERMS_MAX = 20
const PRODUCTS_MAX = 50
const TEMPORAL_DEADLINE_MS = 3_000

const term = z
  .string()
  .trim()
  .max(100)
  .refine((text) => wordsOf(text).length > 0, 'It has no letter and no digit.')

const synonym = z
  .strictObject({
    root: term
      .nullish()
      .meta({ description: 'left out: each term finds all of them; else the root finds the terms too' }),
    terms: z.array(term).min(1).max(TERMS_MAX),
  })
  .refine(({ root, terms }) => typeof root === 'string' || terms.length > 1, 'One term alone has no synonym.')
  .meta({ example: { terms: ['sofa', 'couch'] } })

const curation = z
  .strictObject({
    query: term.meta({ description: 'the whole query, compared by its words' }),
    pins: z.array(idOf('product')).max(PRODUCTS_MAX).default([]).meta({ description: 'shown first, in this order' }),
    hides: z.array(idOf('product')).max(PRODUCTS_MAX).default([]),
  })
  .refine(({ pins, hides }) => !pins.some((id) => hides.includes(id)), 'A product is pinned and hidden.')

const synonyms = listPageOf(synonym)
const curations = listPageOf(curation)

const RULES_ANSWERS = { 412: ['precondition_failed'], 428: ['precondition_required'] } as const
const SEEN_WITHIN = 'Searches go by them within a second. The ETag is that of synonyms and curations together.'

const getSynonyms = defineRoute({
  method: 'get',
  path: '/v1/admin/search/synonyms',
  tag: TAG,
  summary: 'List the synonyms',
  caller: { admin: 'catalog', access: 'read' },
  answers: { 200: synonyms },
}).handle(async (_input, { pool }) => presentSynonyms(await readSearchRules(pool)))

const putSynonyms = defineRoute({
  method: 'put',
  path: '/v1/admin/search/synonyms',
  tag: TAG,
  summary: 'Replace the synonyms',
  description: `All of them, with If-Match. ${SEEN_WITHIN}`,
  caller: { admin: 'catalog', access: 'write' },
  body: z.strictObject({ data: z.array(synonym).max(RULES_MAX), has_more: readOnlyField, next_cursor: readOnlyField }),
  answers: { 200: synonyms, ...RULES_ANSWERS },
}).handle(async ({ body, headers }, { pool }) => {
  const rules = body.data.map(({ root, terms }): SynonymRule => ({ root: root ?? null, terms }))
  const isSeen = ifMatch(headers)
  await withTransaction(pool, (tx) => replaceSynonyms(tx, rules, isSeen))
  return presentSynonyms(await readSearchRules(pool))
})

const getCurations = defineRoute({
  method: 'get',
  path: '/v1/admin/search/curations',
  tag: TAG,
  summary: 'List what queries pin and hide',
  caller: { admin: 'catalog', access: 'read' },
  answers: { 200: curations },
}).handle(async (_input, { pool }) => presentCurations(await readSearchRules(pool)))

const putCurations = defineRoute({
  method: 'put',
  path: '/v1/admin/search/curations',
  tag: TAG,
  summary: 'Replace what queries pin and hide',
  description: `All of them, with If-Match. ${SEEN_WITHIN} Pins are shown by relevance alone, and only where they fit the filters.`,
  caller: { admin: 'catalog', access: 'write' },
  body: z.strictObject({
    data: z
      .array(curation)
      .max(RULES_MAX)
      .refine((all) => new Set(all.map(({ query }) => queryOf(query))).size === all.length, 'A query is named twice.'),
    has_more: readOnlyField,
    next_cursor: readOnlyField,
  }),
  answers: { 200: curations, ...RULES_ANSWERS },
}).handle(async ({ body, headers }, { pool }) => {
  const rules = body.data.map(({ query, pins, hides }): CurationRule => ({ query: queryOf(query), pins, hides }))
  const isSeen = ifMatch(headers)
  await withTransaction(pool, (tx) => replaceCurations(tx, rules, isSeen))
  return presentCurations(await readSearchRules(pool))
})

const rebuild = z.strictObject({
  engine: z.string(),
  build: z.string().nullable().meta({ description: 'names the rebuild; null: there was none yet' }),
  state: z.enum(['none', 'requested', 'running', 'completed', 'failed', 'cancelled']),
  done: z.int().meta({ description: 'products read' }),
  total: z.int().meta({ description: 'products when it began' }),
  failure: z.string().nullable(),
  started_at: timestamp.nullable(),
  updated_at: timestamp.nullable(),
})
const rebuilds = z.strictObject({ data: z.array(rebuild) }).meta({ id: 'Rebuilds' })

const postReindex = defineRoute({
  method: 'post',
  path: '/v1/admin/search/reindex',
  tag: TAG,
  summary: 'Rebuild search indexes from the catalog',
  description:
    'Searches go on meanwhile. One that runs already is left at it. While Temporal is away it stays `requested` and begins later. Read the same address for its progress.',
  caller: { admin: 'catalog', access: 'write' },
  body: z.strictObject({ engine: z.string().max(50).optional().meta({ description: 'left out: all of them' }) }),
  answers: { 202: rebuilds, 404: ['not_found'], 409: ['request_in_progress'], 422: ['idempotency_key_reused'] },
}).handle(async ({ body, idempotency, log }, deps) => {
  const { pool, search } = deps
  const names = search.engines.map(({ name }) => name).filter((name) => name === (body.engine ?? name))
  if (names.length === 0) throw new DomainError('not_found', 'There is no such search engine here.')
  const answer = await withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      const requests = names.map((engine) => ({ engine, build: newBuild() }))
      for (const request of requests) await requestRebuild(tx, request)
      return { status: 202, resource: requests }
    },
    async (requests) => {
      const waiting = (await listRebuildRequests(pool)).filter(({ engine }) => names.includes(engine))
      await Promise.all(waiting.map((request) => startRebuild(request, { ...deps, log })))
      return presentRebuilds(
        requests.map(({ engine }) => engine),
        pool,
      )
    },
  )
  return { ...answer, headers: { ...answer.headers, Location: '/v1/admin/search/reindex' } }
})

const getReindex = defineRoute({
  method: 'get',
  path: '/v1/admin/search/reindex',
  tag: TAG,
  summary: 'Read how far the rebuilds of search indexes are',
  caller: { admin: 'catalog', access: 'read' },
  answers: { 200: rebuilds },
}).handle(async (_input, { pool, search }) => ({
  status: 200,
  body: await presentRebuilds(
    search.engines.map(({ name }) => name),
    pool,
  ),
}))

export const searchAdminRoutes: readonly Route[] = [
  getSynonyms,
  putSynonyms,
  getCurations,
  putCurations,
  postReindex,
  getReindex,
]

/** The request is committed: whatever becomes of this call, a platform worker starts what has not begun soon. */
async function startRebuild(
  request: RebuildRequest,
  { pool, temporal, log }: Pick<ApiDeps, 'temporal' | 'pool' | 'log'>,
): Promise<void> {
  const start = reindexStart(request.engine, request.build)
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.start(WORKFLOWS.reindex, start),
    )
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return dropOvertakenRequest(pool, request)
    log.warn({ err: error, engine: request.engine }, 'Temporal is away: a platform worker starts this rebuild later')
  }
}

async function presentRebuilds(engines: readonly string[], pool: Pool): Promise<z.input<typeof rebuilds>> {
  const [all, requests] = await Promise.all([listRebuilds(pool), listRebuildRequests(pool)])
  const data = engines.map((name) => {
    const request = requests.find(({ engine }) => engine === name)
    if (request) return { ...present(name, null), build: request.build, state: 'requested' as const }
    return present(name, all.find(({ engine }) => engine === name) ?? null)
  })
  return { data }
}

function present(engine: string, last: Rebuild | null): z.input<typeof rebuild> {
  return {
    engine,
    build: last?.build ?? null,
    state: last?.state ?? 'none',
    done: last?.done ?? 0,
    total: last?.total ?? 0,
    failure: last?.failure ?? null,
    started_at: last?.startedAt.toISOString() ?? null,
    updated_at: last?.updatedAt.toISOString() ?? null,
  }
}

function presentSynonyms({ synonyms: rules, version }: SearchRules) {
  const data = rules.map(({ root, terms }) => ({ root, terms: [...terms] }))
  return { status: 200 as const, body: wholeList(data), headers: { ETag: etagOf(version) } }
}

function presentCurations({ curations: rules, version }: SearchRules) {
  const data = rules.map(({ query, pins, hides }) => ({ query, pins: [...pins], hides: [...hides] }))
  return { status: 200 as const, body: wholeList(data), headers: { ETag: etagOf(version) } }
}

function queryOf(text: string): string {
  return wordsOf(text).join(' ')
}
