import { ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client'
import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { acceptDifference, listDifferences, readDifference, type RecordedDifference } from '../../db/payment/difference'
import {
  listReconciliations,
  readReconciliation,
  type Reconciliation,
  requestReconciliation,
} from '../../db/payment/reconciliation'
import type { Db } from '../../db/pool'
import { closeCase } from '../../db/support/attention'
import { DomainError } from '../../domain/errors'
import { type DifferenceId, isId, type ReconciliationId } from '../../domain/ids'
import { DIFFERENCE_KINDS, type DifferenceKind } from '../../domain/payment/reconciliation'
import { RECONCILIATION_ID } from '../../domain/workflow-id'
import type { ApiDeps } from '../deps'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, money, pathId, timestamp } from '../http/schemas'

const TAG = 'Support'

const difference = z
  .strictObject({
    id: idOf('difference'),
    state: z.enum(['open', 'accepted', 'gone']).meta({ description: '`accepted`: a person knows why' }),
    kind: z.enum(Object.keys(DIFFERENCE_KINDS) as [DifferenceKind, ...DifferenceKind[]]),
    meaning: z.string().meta({ description: 'what the two figures are, in words' }),
    provider: z.string(),
    object: z.string().meta({ description: "a payment, capture or refund of ours, or the provider's id" }),
    order_id: idOf('order').nullable(),
    payment_id: idOf('payment').nullable(),
    ours: money,
    theirs: money,
    first_seen: timestamp,
    last_seen: timestamp,
    accepted: z.strictObject({ by: z.string(), reason_code: z.string(), note: z.string().nullable() }).nullable(),
  })
  .meta({ id: 'ReconciliationDifference' })

const run = {
  id: idOf('reconciliation'),
  state: z.enum(['requested', 'running', 'completed', 'failed']),
  failure: z.string().nullable(),
  requested_at: timestamp,
  started_at: timestamp.nullable(),
  ended_at: timestamp.nullable(),
  compared: z
    .strictObject({ movements: z.int(), charges: z.int(), payments: z.int(), captures_and_refunds: z.int() })
    .meta({ description: 'written down when the run has ended' }),
  healed: z.int().meta({ description: 'payments that were late, and agree now' }),
  waiting: z.int().meta({ description: 'payments that changed just then: the next run compares them' }),
  difference_count: z.int(),
  providers: z.array(
    z.strictObject({
      provider: z.string(),
      since: timestamp.meta({ description: 'what changed there from then on was compared' }),
      watermark_before: timestamp.nullable(),
      watermark_after: timestamp.nullable(),
    }),
  ),
}
const reconciliation = z.strictObject(run).meta({ id: 'Reconciliation' })
const reconciliationWithDifferences = z
  .strictObject({ ...run, differences: listPageOf(difference) })
  .meta({ id: 'ReconciliationWithDifferences' })

const getReconciliations = defineRoute({
  method: 'get',
  path: '/v1/admin/reconciliations',
  tag: TAG,
  summary: 'List the reconciliations with the payment providers, newest first',
  caller: { admin: 'support', access: 'read' },
  query: listPageQuery,
  answers: { 200: listPageOf(reconciliation).meta({ id: 'ReconciliationPage' }) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => {
  const before = readCursor(query.cursor, isRunId)
  const runs = await listReconciliations(pool, { before, limit: query.limit + 1 })
  return { status: 200, body: listPageFrom(runs, query.limit, { keyOf: ({ id }) => id, present: presentRun }) }
})

const getReconciliation = defineRoute({
  method: 'get',
  path: '/v1/admin/reconciliations/{id}',
  tag: TAG,
  summary: 'Read a reconciliation with the differences that it saw',
  caller: { admin: 'support', access: 'read' },
  params: pathId('reconciliation'),
  query: listPageQuery,
  answers: { 200: reconciliationWithDifferences },
}).handle(async ({ params, query }, deps) => ({ status: 200, body: await presentWhole(params.id, query, deps) }))

/** Temporal has this long to take it. */
const TRIGGER_MS = 3_000

const postReconciliation = defineRoute({
  method: 'post',
  path: '/v1/admin/reconciliations',
  tag: TAG,
  summary: 'Compare our books with those of the payment providers now',
  description:
    'Read the run for what came of it. While one runs, it is that one. A run that Temporal could not be told of begins with the next night, or with the next request.',
  caller: { admin: 'support', access: 'write' },
  body: z.strictObject({}),
  answers: { 202: reconciliation, 409: ['request_in_progress'] },
}).handle(async ({ idempotency, log }, deps) => {
  let isNew = false
  const answer = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const requested = await requestReconciliation(tx)
      isNew = requested.isNew
      return { status: 202, resource: requested.id }
    },
    (id) => requireRun(id, deps),
  )
  if (answer.body.state === 'requested') await beginSoon({ ...deps, log }, isNew)
  const Location = `/v1/admin/reconciliations/${answer.body.id}`
  return { status: 202, body: presentRun(answer.body), headers: { ...answer.headers, Location } }
})

/**
 * The request is committed: if Temporal is away, or has no schedule yet, the run begins later. A run that is about to end does
 * not see a new request any more, so another one has to follow it; of an older request that was said before.
 */
async function beginSoon({ temporal, log }: Pick<ApiDeps, 'temporal' | 'log'>, isNew: boolean): Promise<void> {
  const schedule = temporal.schedule.getHandle(RECONCILIATION_ID)
  const overlap = isNew ? ScheduleOverlapPolicy.BUFFER_ONE : ScheduleOverlapPolicy.SKIP
  try {
    await temporal.withDeadline(Date.now() + TRIGGER_MS, () => schedule.trigger(overlap))
  } catch (error) {
    const reason = error instanceof ScheduleNotFoundError ? 'no worker has registered the schedule' : 'Temporal is away'
    log.warn({ err: error }, `${reason}: this reconciliation begins later`)
  }
}

const resolveBody = z.strictObject({
  outcome: z.literal('done'),
  reason_code: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'Send a short code, such as checked_with_provider.'),
  note: z.string().max(2_000).optional().meta({ description: 'why the two sides differ' }),
})

const postResolve = defineRoute({
  method: 'post',
  path: '/v1/admin/reconciliations/differences/{id}/resolve',
  tag: TAG,
  summary: 'Say that you know why a difference is there, and have settled it',
  description:
    'Closes its case. It is a case again when its figures change. What vanishes by itself needs nobody: the next run closes it.',
  caller: { admin: 'support', access: 'write' },
  idempotency: 'required',
  params: pathId('difference'),
  body: resolveBody,
  answers: {
    200: difference,
    404: ['not_found'],
    409: ['repair_not_allowed', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
}).handle(async ({ params: { id }, body, caller, idempotency }, { pool }) => {
  const answer = await withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      await requireDifference(tx, id)
      const by = { by: caller.keyId, reasonCode: body.reason_code, note: body.note ?? null }
      const accepted = await acceptDifference(tx, { id, ...by })
      if (!accepted) throw new DomainError('repair_not_allowed', 'This difference is not open.')
      await closeCase(tx, { workflowId: RECONCILIATION_ID, step: accepted.kind, object: id })
      return { status: 200, resource: id }
    },
    (accepted, db) => requireDifference(db, accepted),
  )
  return { ...answer, body: presentDifference(answer.body) }
})

export const reconciliationRoutes: readonly Route[] = [
  getReconciliations,
  getReconciliation,
  postReconciliation,
  postResolve,
]

async function presentWhole(
  id: ReconciliationId,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  { pool }: ApiDeps,
): Promise<z.input<typeof reconciliationWithDifferences>> {
  const after = readCursor(cursor, isDifferenceId) ?? ''
  const summary = presentRun(await requireRun(id, { pool }))
  const differences = await listDifferences(pool, { id, after, limit: limit + 1 })
  const page = listPageFrom(differences, limit, { keyOf: (each) => each.id, present: presentDifference })
  return { ...summary, differences: page }
}

async function requireRun(id: ReconciliationId, { pool }: Pick<ApiDeps, 'pool'>): Promise<Reconciliation> {
  const found = await readReconciliation(pool, id)
  if (!found) throw new DomainError('not_found', 'There is no such reconciliation.')
  return found
}

async function requireDifference(db: Db, id: DifferenceId): Promise<RecordedDifference> {
  const found = await readDifference(db, id)
  if (!found) throw new DomainError('not_found', 'There is no such difference.')
  return found
}

function presentRun({ providers, ...of }: Reconciliation): z.input<typeof reconciliation> {
  const sum = (count: 'movements' | 'charges') => providers.reduce((total, part) => total + part[count], 0)
  return {
    id: of.id,
    state: of.state,
    failure: of.failure,
    requested_at: of.requestedAt.toISOString(),
    started_at: of.startedAt?.toISOString() ?? null,
    ended_at: of.endedAt?.toISOString() ?? null,
    compared: {
      movements: sum('movements'),
      charges: sum('charges'),
      payments: of.payments,
      captures_and_refunds: of.moves,
    },
    healed: of.healed,
    waiting: of.waiting,
    difference_count: of.differences,
    providers: providers.map(({ provider, since, watermarkBefore, watermarkAfter }) => ({
      provider,
      since: inUtc(since),
      watermark_before: watermarkBefore === null ? null : inUtc(watermarkBefore),
      watermark_after: watermarkAfter === null ? null : inUtc(watermarkAfter),
    })),
  }
}

function presentDifference(of: RecordedDifference): z.input<typeof difference> {
  const { id, kind, currency, acceptedBy, reasonCode, note } = of
  return {
    id,
    state: of.state === 'suspected' ? 'open' : of.state,
    kind,
    meaning: DIFFERENCE_KINDS[kind],
    provider: of.provider,
    object: of.object,
    order_id: of.orderId,
    payment_id: of.paymentId,
    ours: { amount: of.ours, currency },
    theirs: { amount: of.theirs, currency },
    first_seen: of.firstSeen.toISOString(),
    last_seen: of.lastSeen.toISOString(),
    accepted:
      of.state !== 'accepted' || acceptedBy === null ? null : { by: acceptedBy, reason_code: reasonCode ?? '', note },
  }
}

/** JSON of Postgres has the offset of its own time zone. */
function inUtc(time: string): string {
  return new Date(time).toISOString()
}

function isRunId(value: unknown): value is ReconciliationId {
  return typeof value === 'string' && isId('reconciliation', value)
}

function isDifferenceId(value: unknown): value is DifferenceId {
  return typeof value === 'string' && isId('difference', value)
}
