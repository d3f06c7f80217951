import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Readable } from 'node:stream'
import { readBytes } from '../../../db/import/job'
import { importWorkflowId } from '../../../domain/workflow-id'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'
import { until } from '../../support/wait'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi({ REQUEST_TIMEOUT_MS: '1000' })
  key = await api.key('catalog')
})
afterAll(() => api.close())

const IMPORTS = '/v1/admin/imports'
const FILE = 'sku,title\nA1,Tea\n'

describe('POST /imports', () => {
  it('keeps the file, starts the workflow and answers where to look', async () => {
    const accepted = await post(FILE)
    expect(accepted).toMatchObject({
      status: 202,
      body: { state: 'running', rows_read: 0, rows_written: 0, rows_rejected: 0, rejected: [], failure: null },
    })
    const { id } = accepted.body
    expect(accepted.headers.get('location')).toBe(`${IMPORTS}/${id}`)
    expect(await api.call('get', `${IMPORTS}/${id}`, { key })).toMatchObject({ status: 200, body: { id } })
    expect((await readBytes(api.database.pool, id, 0))?.toString()).toBe(FILE)
    const { status } = await api.deps.temporal.workflow.getHandle(importWorkflowId(id)).describe()
    expect(status.name).toBe('RUNNING')
  })

  it('keeps a large file in pieces of at most 1 MiB, to the byte', async () => {
    const bytes = Buffer.concat([Buffer.from('sku,title\n'), Buffer.from(randomBytes(2_700_000).toString('hex'))])
    const { body } = await post(bytes)
    const { rows } = await api.database.pool.query<{ bytes: Buffer }>(
      'select bytes from import_chunk where import_id = $1 order by first_byte',
      [body.id],
    )
    expect(rows.length).toBeGreaterThan(5)
    expect(rows.every((chunk) => chunk.bytes.length <= 1_048_576)).toBe(true)
    expect(Buffer.concat(rows.map((chunk) => chunk.bytes)).equals(bytes)).toBe(true)
  })

  it('imports one file per key, and refuses the key for another file', async () => {
    const first = await post(FILE, 'one-file')
    const again = await post(FILE, 'one-file')
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await post(`${FILE}B,Cup\n`, 'one-file')).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    })
    expect(await count("state = 'failed'")).toBe(2)
    const { rows } = await api.database.pool.query(
      "select count(*)::int as n from import_chunk join import on id = import_id where state = 'failed'",
    )
    expect(rows[0].n).toBe(0)
  })

  it('answers 409 while the same key is being answered', async () => {
    const held = await holdTable(api.database.pool, 'idempotency')
    const first = post(FILE, 'at-once')
    await held.waitedForBy(1)
    expect(await post(FILE, 'at-once')).toMatchObject({ status: 409, body: { code: 'request_in_progress' } })
    await held.release()
    expect(await first).toMatchObject({ status: 202 })
  })

  it.each([
    ['', 'empty'],
    ['\n\n', 'empty'],
    ['title,price\n', '"sku"'],
    ['sku,colour\nA,red\n', '"colour"'],
    ['PK\u0003\u0004', 'PK'],
  ])('refuses the file %j, and makes no import of it', async (file, reason) => {
    const before = await count('true')
    const answer = await post(file)
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ code: 'bad_header' }] } })
    expect(answer.body.detail).toContain(reason)
    expect(await count('true')).toBe(before)
  })

  it('takes text/csv only, and only from keys that may', async () => {
    expect(await api.call('post', IMPORTS, { key, body: { sku: 'x' } })).toMatchObject({ status: 415 })
    const gzipped = { 'content-type': 'text/csv', 'content-encoding': 'gzip' }
    expect(await api.call('post', IMPORTS, { key, raw: FILE, headers: gzipped })).toMatchObject({ status: 415 })
    const support = await api.key('support')
    const csv = { 'content-type': 'text/csv' }
    expect(await api.call('post', IMPORTS, { key: support, raw: FILE, headers: csv })).toMatchObject({ status: 403 })
  })

  it('refuses more than 1 GiB before it comes', async () => {
    const { answer, upload } = open({ 'content-length': String(2 ** 30 + 1) })
    upload.write(FILE)
    expect(await answer).toMatchObject({ status: 413, code: 'body_too_large' })
    upload.destroy()
  })

  it('gives up a sender that falls silent, and says so', async () => {
    const { answer, upload } = open({})
    upload.write(FILE + 'x'.repeat(2_000_000))
    expect(await answer).toMatchObject({ status: 408, code: 'request_timeout' })
    upload.destroy()
    expect(await lastImport()).toMatchObject({ state: 'failed', failure: 'The upload broke off.' })
  })

  it('fails, visibly, an upload that breaks off', async () => {
    const before = await count("state = 'failed'")
    const { answer, upload } = open({})
    upload.write(FILE + 'x'.repeat(2_000_000))
    await until('the upload has begun', () => count("state = 'receiving'"))
    upload.destroy()
    await expect(answer).rejects.toThrow()
    await until(
      'the upload is given up',
      () => count("state = 'failed'"),
      (failed) => failed > before,
    )
    expect(await lastImport()).toMatchObject({ state: 'failed', failure: 'The upload broke off.' })
  })
})

it('knows no other import', async () => {
  expect(await api.call('get', `${IMPORTS}/imp_01h455vb4pex5vsknk084sn02q`, { key })).toMatchObject({ status: 404 })
  expect(await api.call('get', `${IMPORTS}/nothing`, { key })).toMatchObject({ status: 404 })
})

it('has been seen to answer all that is listed', () => {
  // 408 and 413 come while the body is still on its way, and are looked at above.
  expect(api.unseen('Imports').filter((name) => !/ (408|413)$/.test(name))).toEqual([])
})

function post(file: string | Buffer, idempotencyKey?: string): Promise<Answer> {
  const headers = { 'content-type': 'text/csv; charset=utf-8' }
  return api.call('post', IMPORTS, { key, raw: file, headers, ...(idempotencyKey && { idempotencyKey }) })
}

/** An upload that the test writes itself. */
function open(headers: Record<string, string>) {
  const upload = request(api.url + IMPORTS, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'text/csv', ...headers },
  })
  const answer = new Promise<{ status: number; code: string }>((resolve, reject) => {
    upload.once('error', reject)
    upload.once('response', (response) => {
      void text(response).then((body) => resolve({ status: response.statusCode ?? 0, code: JSON.parse(body).code }))
    })
  })
  return { upload, answer }
}

async function text(stream: Readable): Promise<string> {
  let whole = ''
  for await (const piece of stream) whole += piece
  return whole
}

async function count(condition: string): Promise<number> {
  const { rows } = await api.database.pool.query<{ n: number }>(
    `select count(*)::int as n from import where ${condition}`,
  )
  return rows[0]?.n ?? 0
}

async function lastImport() {
  const { rows } = await api.database.pool.query('select state, failure from import order by id desc limit 1')
  return rows[0]
}
