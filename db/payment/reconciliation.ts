import type { ReconciliationId } from '../../domain/ids'
import { newId } from '../id'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'
import { SEEN } from './difference'

/** The runs of the reconciliation, and how far they have come. What they found is in `difference.ts`. */

export type ReconciliationState = 'requested' | 'running' | 'completed' | 'failed'

/** What is at the border of the last run is looked at once more: it may have been late. */
const OVERLAP_HOURS = 48

/** Asks for a run; while one is asked for, or runs, it is that one. */
export async function requestReconciliation(db: Db): Promise<{ id: ReconciliationId; isNew: boolean }> {
  for (;;) {
    const { rows } = await db.query<{ id: ReconciliationId; isNew: boolean }>(REQUEST({ id: newId('reconciliation') }))
    // None: another one was asked for at the same time, and is seen from now on.
    if (rows[0]) return rows[0]
  }
}

const REQUEST = statement(
  'reconciliation.request',
  `
    with open as (
      select id from reconciliation where ended_at is null
    ),
    requested as (
      insert into reconciliation (id)
      select :id where not exists (select from open)
      on conflict do nothing
      returning id
    )
    select id, false as "isNew" from open
    union all
    select id, true from requested`,
)

/** Since when no run has ended, of which there had been some: null when that is not `hours` ago. */
export async function findLateSince(db: Db, hours: number): Promise<Date | null> {
  const { rows } = await db.query<{ since: Date }>(LATE({ hours }))
  return rows[0]?.since ?? null
}

const LATE = statement(
  'reconciliation.late',
  `
    select coalesce(max(ended_at), min(requested_at)) as since
    from reconciliation
    having coalesce(max(ended_at), min(requested_at)) < now() - make_interval(hours => :hours)`,
)

/** What is compared with one provider: what changed there from `since` on. RFC 3339. */
export interface ReconciliationPart {
  readonly provider: string
  readonly since: string
  /** What happened later waits for the next run. */
  readonly until: string
}

/** Begins the run that was asked for, or one of its own; one that began before and did not end goes on as it was. */
export async function beginReconciliation(
  tx: Tx,
  { providers, quietSeconds }: { providers: readonly string[]; quietSeconds: number },
): Promise<{ id: ReconciliationId; parts: ReconciliationPart[] }> {
  const begun = await tx.query<{ id: ReconciliationId }>(BEGIN({ id: newId('reconciliation') }))
  const { id } = begun.rows[0] as { id: ReconciliationId }
  await tx.query(ADD_PARTS({ id, providers, quietSeconds, overlapHours: OVERLAP_HOURS }))
  const { rows } = await tx.query<{ provider: string; since: Date; until: Date }>(READ_PARTS({ id, providers }))
  return {
    id,
    parts: rows.map(({ provider, since, until }) => ({
      provider,
      since: since.toISOString(),
      until: until.toISOString(),
    })),
  }
}

const BEGIN = statement(
  'reconciliation.begin',
  `
    with open as (
      update reconciliation
      set state = 'running', started_at = coalesce(started_at, now())
      where ended_at is null
      returning id
    ),
    made as (
      insert into reconciliation (id, state, started_at)
      select :id, 'running', now() where not exists (select from open)
      returning id
    )
    select id from open union all select id from made`,
)

const ADD_PARTS = statement(
  'reconciliation.addParts',
  `
    insert into reconciliation_provider (reconciliation_id, provider, since, until, watermark_before)
    select :id, p.name, coalesce(w.at - make_interval(hours => :overlapHours), 'epoch'),
           now() - make_interval(secs => :quietSeconds), w.at
    from unnest(:providers::text[]) as p (name)
    left join reconciliation_watermark w on w.provider = p.name
    on conflict do nothing`,
)

const READ_PARTS = statement(
  'reconciliation.readParts',
  `
    select provider, since, until
    from reconciliation_provider
    where reconciliation_id = :id and provider = any (:providers)
    order by provider`,
)

/** How much was compared, and what came of it. */
export interface ReconciliationCounts {
  /** Payments of ours whose ledger changed; captures and refunds for which no movement had been found. */
  readonly payments: number
  readonly moves: number
  /** Payments that were late, and agree now. */
  readonly healed: number
  /** Those that are too young, at work, or of a provider that is away: they are compared next time. */
  readonly waiting: number
  readonly providers: readonly ComparedProvider[]
}

export interface ComparedProvider {
  readonly provider: string
  /** To its end, and so was everything else in the run. */
  readonly isCompared: boolean
  readonly movements: number
  readonly charges: number
}

/** Ends a run, once. Only of providers that were compared to the end the watermarks move on. */
export async function endReconciliation(
  db: Db,
  { id, failure, providers, ...counts }: ReconciliationCounts & { id: ReconciliationId; failure: string | null },
): Promise<void> {
  await db.query(END({ id, failure, ...counts, parts: JSON.stringify(providers) }))
}

const END = statement(
  'reconciliation.end',
  `
    with ended as (
      update reconciliation
      set state = case when :failure::text is null then 'completed' else 'failed' end, failure = :failure, payments = :payments,
          moves = :moves, healed = :healed, waiting = :waiting, ended_at = now()
      where id = :id and ended_at is null
      returning id
    ),
    counted as (
      update reconciliation_provider p
      set movements = c.movements, charges = c.charges, is_compared = c."isCompared"
      from ended, json_to_recordset(:parts::json) as c (provider text, movements bigint, charges bigint, "isCompared" boolean)
      where p.reconciliation_id = ended.id and p.provider = c.provider
      returning p.provider, p.until, p.is_compared
    )
    insert into reconciliation_watermark (provider, at)
    select provider, until from counted where is_compared
    on conflict (provider) do update set at = greatest(reconciliation_watermark.at, excluded.at)`,
)

export interface Reconciliation extends Omit<ReconciliationCounts, 'providers'> {
  readonly id: ReconciliationId
  readonly state: ReconciliationState
  readonly failure: string | null
  /** How many differences it saw. */
  readonly differences: number
  readonly requestedAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
  readonly providers: readonly {
    readonly provider: string
    /** RFC 3339. */
    readonly since: string
    readonly watermarkBefore: string | null
    readonly watermarkAfter: string | null
    readonly movements: number
    readonly charges: number
  }[]
}

const RUN = `
  r.id, r.state, r.failure, r.payments, r.moves, r.healed, r.waiting, r.requested_at as "requestedAt", r.started_at as "startedAt",
  r.ended_at as "endedAt",
  (select count(*) from reconciliation_difference d where ${SEEN}) as differences,
  (select coalesce(json_agg(json_build_object('provider', p.provider, 'since', p.since, 'watermarkBefore', p.watermark_before,
            'watermarkAfter', case when p.is_compared then greatest(p.until, p.watermark_before) end,
            'movements', p.movements, 'charges', p.charges) order by p.provider), '[]')
   from reconciliation_provider p where p.reconciliation_id = r.id) as providers` as const

/** Runs, newest first, before the one of the id `before` (null: from the last one). */
export async function listReconciliations(
  db: Db,
  page: { before: ReconciliationId | null; limit: number },
): Promise<Reconciliation[]> {
  const { rows } = await db.query<Reconciliation>(LIST({ ...page }))
  return rows
}

const LIST = statement(
  'reconciliation.list',
  `
    select ${RUN}
    from reconciliation r
    where :before::text is null or r.id < :before
    order by r.id desc
    limit :limit` as const,
)

export async function readReconciliation(db: Db, id: ReconciliationId): Promise<Reconciliation | null> {
  const { rows } = await db.query<Reconciliation>(READ({ id }))
  return rows[0] ?? null
}

const READ = statement('reconciliation.read', `select ${RUN} from reconciliation r where r.id = :id` as const)
