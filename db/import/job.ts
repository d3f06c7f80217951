import type { ImportId, WarehouseId } from '../../domain/ids'
import type { ImportContext, Rejection } from '../../domain/import/row'
import { newId } from '../id'
import type { Db } from '../pool'

export type ImportState = 'receiving' | 'running' | 'completed' | 'failed' | 'cancelled'

export interface ImportJob {
  readonly id: ImportId
  readonly state: ImportState
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly rowsRejected: number
  /** Why it failed, in words. */
  readonly failure: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface ImportPosition {
  readonly byte: number
  readonly line: number
}

export interface ImportProgress {
  readonly state: ImportState
  /** Where the next batch begins. */
  readonly nextByte: number
  readonly nextLine: number
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly rowsRejected: number
  readonly percent: number
}

/** An upload of which nothing came for so long is over. */
const UPLOAD_SILENCE_SECONDS = 60

/** How many rejected lines are kept; all of them are counted. */
export const REJECTIONS_KEPT_MAX = 1_000

/** Rows deleted per statement: an import of 10 million lines must not outlast a statement's time. */
const LEFTOVERS_PER_STATEMENT = 20_000

export async function createImport(db: Db): Promise<ImportId> {
  const id = newId('import')
  await db.query('insert into import (id) values ($1)', [id])
  return id
}

/** Appends to an upload. False when it is over: it was silent for too long and has been given up. */
export async function appendChunk(
  db: Db,
  { id, firstByte, bytes }: { id: ImportId; firstByte: number; bytes: Buffer },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'import.appendChunk',
    text: `
      with receiving as (
        update import
        set bytes = bytes + $3, updated_at = now()
        where id = $1 and state = 'receiving' and bytes = $2
        returning id
      )
      insert into import_chunk (import_id, first_byte, bytes)
      select id, $2, $4
      from receiving`,
    values: [id, firstByte, bytes.length, bytes],
  })
  return rowCount === 1
}

/** The upload is complete: from here on it is the workflow's. False when it had been given up. */
export async function beginImport(db: Db, id: ImportId): Promise<boolean> {
  const { rowCount } = await db.query(
    "update import set state = 'running', updated_at = now() where id = $1 and state = 'receiving'",
    [id],
  )
  return rowCount === 1
}

/** Ends an import once; an ended one stays as it is. */
export async function endImport(
  db: Db,
  { id, state, failure }: { id: ImportId; state: 'completed' | 'failed' | 'cancelled'; failure?: string | undefined },
): Promise<void> {
  await db.query(
    `update import
     set state = $2, failure = $3, updated_at = now()
     where id = $1 and state in ('receiving', 'running')`,
    [id, state, failure ?? null],
  )
}

/**
 * Tells Postgres how large the catalog has become. Without this a first import leaves it planning for empty tables until
 * its own housekeeping comes by, and a list of products takes seconds.
 */
export async function analyzeCatalog(db: Db): Promise<void> {
  await db.query('analyze product, product_category, variant, price, stock_level, listing')
}

/** Ends every upload that fell silent: its sender, or the API process that received it, died. */
export async function failSilentUploads(db: Db): Promise<ImportId[]> {
  const { rows } = await db.query<{ id: ImportId }>(
    `update import
     set state = 'failed', failure = 'The upload broke off.', updated_at = now()
     where state = 'receiving' and updated_at < now() - make_interval(secs => $1)
     returning id`,
    [UPLOAD_SILENCE_SECONDS],
  )
  return rows.map((row) => row.id)
}

/** Imports that should be at work but have not moved for a while: perhaps nobody ever started their workflow. */
export async function listStalledImports(db: Db, silenceSeconds: number): Promise<ImportId[]> {
  const { rows } = await db.query<{ id: ImportId }>(
    `select id
     from import
     where state = 'running' and updated_at < now() - make_interval(secs => $1)
     order by id
     limit 100`,
    [silenceSeconds],
  )
  return rows.map((row) => row.id)
}

export async function findImport(db: Db, id: ImportId): Promise<ImportJob | null> {
  const { rows } = await db.query<ImportJob>({
    name: 'import.byId',
    text: `
      select id, state, rows_read as "rowsRead", rows_written as "rowsWritten", rows_rejected as "rowsRejected", failure,
             created_at as "createdAt", updated_at as "updatedAt"
      from import
      where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** The rejected lines that are kept, in order. */
export async function listRejections(db: Db, id: ImportId): Promise<Rejection[]> {
  const { rows } = await db.query<Rejection>({
    name: 'import.rejections',
    text: `
      select line, code, message
      from import_rejection
      where import_id = $1
      order by line
      limit ${REJECTIONS_KEPT_MAX}`,
    values: [id],
  })
  return rows
}

/** How far it is. Throws when there is no such import. */
export async function readProgress(db: Db, id: ImportId): Promise<ImportProgress> {
  const { rows } = await db.query<ImportProgress>({
    name: 'import.progress',
    text: `
      select state, next_byte as "nextByte", next_line as "nextLine", rows_read as "rowsRead",
             rows_written as "rowsWritten", rows_rejected as "rowsRejected",
             (100 * next_byte / greatest(bytes, 1))::int as percent
      from import
      where id = $1`,
    values: [id],
  })
  const progress = rows[0]
  if (!progress) throw new Error(`there is no import ${id}`)
  return progress
}

/** The file's bytes from `byte` on, up to the end of the chunk that holds it; null at the end of the file. */
export async function readBytes(db: Db, id: ImportId, byte: number): Promise<Buffer | null> {
  const { rows } = await db.query<{ bytes: Buffer }>({
    name: 'import.readBytes',
    text: `
      select substr(bytes, ($2 - first_byte + 1)::int) as bytes
      from import_chunk
      where import_id = $1 and first_byte <= $2
      order by first_byte desc
      limit 1`,
    values: [id, byte],
  })
  const bytes = rows[0]?.bytes
  return bytes && bytes.length > 0 ? bytes : null
}

/** What lines are read against, as it is now. */
export async function readImportContext(db: Db): Promise<ImportContext> {
  const { rows } = await db.query<{ currency: string; warehouses: Record<string, WarehouseId> | null }>(
    `select default_currency as currency,
            (select jsonb_object_agg(lower(name), id) || jsonb_object_agg(id, id) from warehouse) as warehouses
     from store_settings`,
  )
  return {
    defaultCurrency: rows[0]?.currency ?? '',
    warehouses: new Map(Object.entries(rows[0]?.warehouses ?? {})),
  }
}

/** Deletes what only a running import needs: its bytes, and what its lines have said. */
export async function deleteLeftovers(db: Db, id: ImportId): Promise<void> {
  while (await deleteSomeLeftovers(db, id));
}

/** False: nothing is left. */
async function deleteSomeLeftovers(db: Db, id: ImportId): Promise<boolean> {
  const { rows } = await db.query<{ deleted: boolean }>(
    `with chunks as (
       delete from import_chunk
       where ctid = any (array(select ctid from import_chunk where import_id = $1 limit 200))
       returning 1
     ),
     facts as (
       delete from import_sku
       where ctid = any (array(select ctid from import_sku where import_id = $1 limit ${LEFTOVERS_PER_STATEMENT}))
       returning 1
     )
     select exists (select from chunks) or exists (select from facts) as deleted`,
    [id],
  )
  return rows[0]?.deleted ?? false
}
