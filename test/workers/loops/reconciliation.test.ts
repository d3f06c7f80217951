import { requestReconciliation } from '../../../db/payment/reconciliation'
import { listOpenCases } from '../../../db/support/attention'
import { askIfLate } from '../../../workers/loops/reconciliation'
import { type TestDatabase, testDatabase } from '../../support/database'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database?.drop())

const cases = () => listOpenCases(database.pool, { limit: 10, after: 0 })

it('a comparison that has not ended for two nights is one case, however often it is looked at', async () => {
  const { id } = await requestReconciliation(database.pool)
  await askIfLate(database.pool)
  expect(await cases()).toEqual([])
  await database.pool.query(`update reconciliation set requested_at = now() - interval '51 hours' where id = $1`, [id])
  for (let times = 0; times < 2; times++) await askIfLate(database.pool)
  expect(await cases()).toMatchObject([
    {
      code: 'step_failing',
      step: 'runReconciliation',
      orderId: null,
      detail: expect.stringMatching(/^No run has ended/),
    },
  ])
})
