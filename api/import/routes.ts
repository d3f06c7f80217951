import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { beginImport, findImport, listRejections } from '../../db/import/job'
import type { Db } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { ImportId } from '../../domain/ids'
import { IMPORT_COLUMNS } from '../../domain/import/row'
import { importStart, WORKFLOWS } from '../../workflows/contract'
import { abandonUpload, receiveUpload } from './upload'
import { defineRoute, type Route } from '../http/route'
import { idOf, pathId, timestamp } from '../http/schemas'

const importBody = z
  .strictObject({
    id: idOf('import'),
    state: z.enum(['receiving', 'running', 'completed', 'failed', 'cancelled']),
    rows_read: z.int(),
    rows_written: z.int().meta({ description: 'accepted; what was in the catalog already is counted too' }),
    rows_rejected: z.int(),
    rejected: z
      .array(z.strictObject({ line: z.int(), code: z.string(), message: z.string() }))
      .meta({ description: 'the first 1,000 of them' }),
    failure: z.string().nullable(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Import' })

/** Temporal has this long to take it. */
const START_MS = 3_000

const postImport = defineRoute({
  method: 'post',
  path: '/v1/admin/imports',
  tag: 'Imports',
  summary: 'Import a catalog file',
  description:
    `CSV in UTF-8, up to 1 GiB. The first line names the columns, in any order, of: ${IMPORT_COLUMNS.join(', ')}. ` +
    'A column attr.<name> holds that attribute; a category may be a path such as Kitchen/Mugs, and is made if it is new. ' +
    "Price and cost are in major units of the currency, or the store's without one; cost is what a unit costs you, and " +
    'no storefront shows it. Weight and dimensions are whole grams and millimetres. Several lines of one SKU give it several warehouses or currencies. An empty field leaves ' +
    'what is there as it is. Answers when the file is received; read the import for its progress.',
  caller: { admin: 'catalog', access: 'write' },
  body: { raw: 'stream', mediaType: 'text/csv' },
  answers: {
    202: importBody,
    400: ['validation_failed'],
    408: ['request_timeout'],
    409: ['request_in_progress'],
    413: ['body_too_large'],
    422: ['idempotency_key_reused'],
  },
  example: {
    answer: 202,
    body: [
      'sku,title,category,attr.color,price,cost,currency,weight_grams,length_mm,width_mm,height_mm',
      'MUG-RED,Red Enamel Mug,Kitchen/Mugs,red,4.50,1.95,GBP,310,120,90,85',
      '',
    ].join('\n'),
  },
}).handle(async ({ body, headers, idempotency, log }, { pool, temporal, settings }) => {
  const { id, sha256 } = await receiveUpload(pool, body, {
    contentLength: Number(headers['content-length'] ?? 0),
    silenceMs: settings.REQUEST_TIMEOUT_MS,
  })
  try {
    const answer = await withIdempotency(
      pool,
      idempotency && { ...idempotency, bodyHash: sha256 },
      async (tx) => {
        if (!(await beginImport(tx, id))) throw new DomainError('request_timeout', 'The upload took too long.')
        return { status: 202, resource: id }
      },
      presentById,
    )
    // Of a repeated request the first upload is the import.
    if (answer.body.id !== id) await abandonUpload(pool, id)
    else {
      const start = () => temporal.workflow.start(WORKFLOWS.import, importStart(id))
      await temporal.withDeadline(Date.now() + START_MS, start).catch((error: unknown) => {
        log.warn({ err: error, import_id: id }, 'Temporal is away: the platform worker starts this import later')
      })
    }
    return { ...answer, headers: { ...answer.headers, Location: `/v1/admin/imports/${answer.body.id}` } }
  } catch (error) {
    await abandonUpload(pool, id)
    throw error
  }
})

const getImport = defineRoute({
  method: 'get',
  path: '/v1/admin/imports/{id}',
  tag: 'Imports',
  summary: 'Read how far an import is, and what it rejected',
  caller: { admin: 'catalog', access: 'read' },
  params: pathId('import'),
  answers: { 200: importBody },
}).handle(async ({ params }, { pool }) => ({ status: 200, body: await presentById(params.id, pool) }))

export const importRoutes: readonly Route[] = [postImport, getImport]

async function presentById(id: ImportId, db: Db): Promise<z.input<typeof importBody>> {
  const job = await findImport(db, id)
  if (!job) throw new DomainError('not_found', 'There is no import with this id.')
  return {
    id: job.id,
    state: job.state,
    rows_read: job.rowsRead,
    rows_written: job.rowsWritten,
    rows_rejected: job.rowsRejected,
    rejected: job.rowsRejected > 0 ? await listRejections(db, id) : [],
    failure: job.failure,
    created_at: job.createdAt.toISOString(),
    updated_at: job.updatedAt.toISOString(),
  }
}
