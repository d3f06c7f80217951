import { randomUUID } from 'node:crypto'
import type { Db } from '../pool'

export type RebuildState = 'running' | 'completed' | 'failed' | 'cancelled'

/** The last rebuild of an engine. */
export interface Rebuild {
  readonly engine: string
  /** Names this rebuild, and what it fills. */
  readonly build: string
  readonly state: RebuildState
  /** All products up to this id are done. */
  readonly afterId: string
  readonly done: number
  /** How many products there were when it began. */
  readonly total: number
  readonly failure: string | null
  readonly startedAt: Date
  readonly updatedAt: Date
}

const REBUILD = `
  engine, build, state, after_id as "afterId", done, total, failure, started_at as "startedAt", updated_at as "updatedAt"`

/** A rebuild that was asked for and has not begun. */
export interface RebuildRequest {
  readonly engine: string
  readonly build: string
}

/** Who asks for a rebuild starts its workflow. If none has begun by then, somebody else starts it. */
const START_SECONDS = 10

/** Asks for a rebuild; one that is asked for already is left at it. Its workflow is to be started after the commit. */
export async function requestRebuild(db: Db, { engine, build }: RebuildRequest): Promise<void> {
  await db.query(
    `insert into search_rebuild_request (engine, build, due_at)
     values ($1, $2, clock_timestamp() + make_interval(secs => $3))
     on conflict (engine) do nothing`,
    [engine, build, START_SECONDS],
  )
}

export async function listRebuildRequests(db: Db): Promise<RebuildRequest[]> {
  const { rows } = await db.query<RebuildRequest>('select engine, build from search_rebuild_request order by engine')
  return rows
}

/** The request that nobody has started in time, for this caller alone for a while; null when there is none. */
export async function takeRebuildRequest(db: Db, engine: string): Promise<RebuildRequest | null> {
  const { rows } = await db.query<RebuildRequest>({
    name: 'search.takeRequest',
    text: `
      update search_rebuild_request
      set due_at = clock_timestamp() + make_interval(secs => $2)
      where engine = $1 and due_at <= clock_timestamp()
      returning engine, build`,
    values: [engine, START_SECONDS],
  })
  return rows[0] ?? null
}

/** For a request whose workflow cannot be started because another runs: if its rebuild has begun, that is the answer. */
export async function dropOvertakenRequest(db: Db, { engine, build }: RebuildRequest): Promise<void> {
  await db.query(
    `delete from search_rebuild_request
     where engine = $1 and build = $2 and exists (select from search_rebuild where engine = $1 and state = 'running')`,
    [engine, build],
  )
}

/** For a request whose workflow has ended before its rebuild began: nobody starts it again. */
export async function dropRequest(db: Db, { engine, build }: RebuildRequest): Promise<void> {
  await db.query('delete from search_rebuild_request where engine = $1 and build = $2', [engine, build])
}

/** A name for a rebuild. */
export function newBuild(): string {
  return randomUUID()
}

/** The rebuild that runs, or this one as a new one. Whoever asked for a rebuild has it now. */
export async function beginRebuild(db: Db, engine: string, build: string): Promise<Rebuild> {
  await db.query(
    `with begun as (
       delete from search_rebuild_request where engine = $1
     )
     insert into search_rebuild as r (engine, build, state, total)
     select $1, $2, 'running', count(*) from product
     on conflict (engine) do update
     set build = excluded.build, state = 'running', after_id = '', done = 0, total = excluded.total, failure = null,
         started_at = now(), updated_at = now()
     where r.state <> 'running'`,
    [engine, build],
  )
  const rebuild = await findRebuild(db, engine)
  if (!rebuild) throw new Error(`the rebuild of ${engine} vanished`)
  return rebuild
}

export async function findRebuild(db: Db, engine: string): Promise<Rebuild | null> {
  const { rows } = await db.query<Rebuild>({
    name: 'search.rebuild',
    text: `select ${REBUILD} from search_rebuild where engine = $1`,
    values: [engine],
  })
  return rows[0] ?? null
}

export async function listRebuilds(db: Db): Promise<Rebuild[]> {
  const { rows } = await db.query<Rebuild>(`select ${REBUILD} from search_rebuild order by engine`)
  return rows
}

/** Moves a rebuild on; false when it is not at `from` (any more). */
export async function advanceRebuild(
  db: Db,
  { engine, build, afterId }: Rebuild,
  to: { readonly afterId: string; readonly products: number },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'search.advance',
    text: `
      update search_rebuild
      set after_id = $4, done = done + $5, updated_at = now()
      where engine = $1 and build = $2 and after_id = $3 and state = 'running'`,
    values: [engine, build, afterId, to.afterId, to.products],
  })
  return rowCount === 1
}

/** Ends a rebuild once. */
export async function endRebuild(
  db: Db,
  { engine, build }: Pick<Rebuild, 'engine' | 'build'>,
  state: Exclude<RebuildState, 'running'>,
  failure: string | null = null,
): Promise<void> {
  await db.query(
    `update search_rebuild set state = $3, failure = $4, updated_at = now()
     where engine = $1 and build = $2 and state = 'running'`,
    [engine, build, state, failure],
  )
}
