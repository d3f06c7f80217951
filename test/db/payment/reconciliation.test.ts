import {
  beginReconciliation,
  endReconciliation,
  findLateSince,
  readReconciliation,
  type Reconciliation,
} from '../../../db/payment/reconciliation'
import { withTransaction } from '../../../db/pool'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

/** A run over two providers, of which these answered. */
async function run(answered: readonly string[]): Promise<Reconciliation> {
  const names = ['away', 'sandbox']
  const begun = { providers: names, quietSeconds: 0 }
  const { id } = await withTransaction(database.pool, (tx) => beginReconciliation(tx, begun))
  const failure = answered.length === names.length ? null : 'no answer'
  const counts = { payments: 0, moves: 0, healed: 0, waiting: 0, movements: 0, charges: 0 }
  const providers = names.map((provider) => ({ provider, isCompared: answered.includes(provider), ...counts }))
  await endReconciliation(database.pool, { id, failure, ...counts, providers })
  return (await readReconciliation(database.pool, id)) as Reconciliation
}

it('moves the watermark on of each provider that was compared to its end, and leaves that of the others', async () => {
  const first = await run(['away', 'sandbox'])
  expect(first).toMatchObject({ state: 'completed', failure: null })
  const marks = first.providers.map(({ watermarkAfter }) => watermarkAfter)
  expect(marks).toEqual([expect.any(String), expect.any(String)])

  const second = await run(['sandbox'])
  expect(second).toMatchObject({ state: 'failed', failure: 'no answer' })
  expect(second.providers.map(({ watermarkBefore }) => watermarkBefore)).toEqual(marks)
  expect(second.providers.map(({ watermarkAfter }) => watermarkAfter)).toEqual([null, expect.any(String)])

  const third = await run([])
  const after = second.providers[1]?.watermarkAfter
  expect(third.providers.map(({ watermarkBefore }) => watermarkBefore)).toEqual([marks[0], after])
})

it('is late once no run has ended for so long, though there was one', async () => {
  await database.pool.query('delete from reconciliation_provider')
  await database.pool.query('delete from reconciliation')
  expect(await findLateSince(database.pool, 50)).toBeNull()
  const { id } = await run(['away', 'sandbox'])
  expect(await findLateSince(database.pool, 50)).toBeNull()
  await database.pool.query(`update reconciliation set ended_at = now() - interval '51 hours' where id = $1`, [id])
  expect(await findLateSince(database.pool, 50)).toBeInstanceOf(Date)
  await database.pool.query(
    `update reconciliation set state = 'running', ended_at = null, requested_at = now() - interval '51 hours'`,
  )
  expect(await findLateSince(database.pool, 50)).toBeInstanceOf(Date)
})
