import { randomUUID } from 'node:crypto'
import { ApplicationFailure } from '@temporalio/common'
import type { ReconciliationDone } from '../../workflows/reconciliation'
import { reconciliationStart } from '../../workflows/contract'
import { startStubWorker, type StubWorker, type Stubs } from '../support/stub-worker'

const STEPS = ['compareMovements', 'compareCharges', 'compareLedger', 'compareMoves', 'recheckDifferences']
let worker: StubWorker
beforeAll(async () => {
  worker = await startStubWorker('platform', ['beginReconciling', ...STEPS, 'endReconciling'])
}, 60_000)
afterAll(() => worker?.stop(), 30_000)

const NOTHING = { after: null, compared: 0, healed: 0, waiting: 0, told: 0 }
const PART = { provider: 'sandbox', since: '2026-01-01T00:00:00.000Z', until: '2026-01-03T00:00:00.000Z' }
const ID = 'rec_01h455vb4pex5vsknk084sn02q'

const CALM: Stubs = {
  ...Object.fromEntries(STEPS.map((step) => [step, async () => NOTHING])),
  beginReconciling: async () => ({ id: ID, parts: [PART] }),
  endReconciling: async () => undefined,
}

async function reconcile(stubs: Stubs): Promise<ReconciliationDone> {
  worker.stub({ ...CALM, ...stubs })
  const { type: _type, workflowType, ...start } = reconciliationStart()
  const options = { ...start, workflowId: `reconciliation-${randomUUID()}` }
  return (await worker.temporal.workflow.execute(workflowType, options)) as ReconciliationDone
}

it('goes through each step slice by slice, and writes down what all of them came to', async () => {
  const done = await reconcile({
    compareMovements: async ({ after }: { after: string | null }) => ({
      ...{ ...NOTHING, compared: 500, healed: 1, waiting: 2 },
      after: after === null ? 'next' : null,
    }),
    compareMoves: async () => ({ ...NOTHING, compared: 7 }),
  })
  expect(done).toEqual({ id: ID, state: 'completed' })
  expect(worker.calls()).toEqual(['beginReconciling', 'compareMovements', ...STEPS, 'endReconciling'])
  expect(worker.inputs('compareMovements')).toEqual([
    { part: PART, after: null },
    { part: PART, after: 'next' },
  ])
  expect(worker.inputs('compareLedger')).toEqual([{ since: PART.since, after: null, away: [] }])
  expect(worker.inputs('endReconciling')).toEqual([
    {
      ...{ id: ID, failure: null, payments: 0, moves: 7, healed: 2, waiting: 4 },
      providers: [{ provider: 'sandbox', isCompared: true, movements: 1_000, charges: 0 }],
    },
  ])
})

it('gives workflows that were told of news their time before it judges', async () => {
  let toldAt = 0
  let judgedAt = 0
  await reconcile({
    compareCharges: async () => {
      toldAt = Date.now()
      return { ...NOTHING, told: 1 }
    },
    recheckDifferences: async () => {
      judgedAt = Date.now()
      return NOTHING
    },
  })
  expect(judgedAt - toldAt).toBeGreaterThanOrEqual(14_000)
}, 60_000)

it('says why it could not be made', async () => {
  const compareCharges = () => Promise.reject(ApplicationFailure.nonRetryable('sandbox: no answer'))
  expect(await reconcile({ compareCharges })).toEqual({ id: ID, state: 'failed' })
  expect(worker.inputs('endReconciling')).toMatchObject([
    { id: ID, failure: 'Step compareCharges failed: sandbox: no answer' },
  ])
})

describe('a provider that is away', () => {
  const [AWAY, OTHER] = [{ ...PART, provider: 'away' }, PART]
  const beginReconciling = async () => ({ id: ID, parts: [AWAY, OTHER] })
  const compareMovements = async ({ part }: { part: typeof PART }) => {
    if (part.provider === 'away') throw ApplicationFailure.nonRetryable('away: no answer')
    return { ...NOTHING, compared: 3 }
  }

  it('keeps neither the others nor the ledger from being compared, and is reported', async () => {
    expect(await reconcile({ beginReconciling, compareMovements })).toEqual({ id: ID, state: 'failed' })
    expect(worker.calls()).toEqual(['beginReconciling', 'compareMovements', ...STEPS, 'endReconciling'])
    for (const step of ['compareLedger', 'compareMoves', 'recheckDifferences'])
      expect(worker.inputs(step)).toMatchObject([{ after: null, away: ['away'] }])
    expect(worker.inputs('endReconciling')).toMatchObject([
      {
        failure: 'Step compareMovements failed: away: no answer',
        providers: [
          { provider: 'away', isCompared: false },
          { provider: 'sandbox', isCompared: true, movements: 3 },
        ],
      },
    ])
  })

  it('is one of two failures when a later step fails too: then nothing was compared to its end', async () => {
    const compareLedger = () => Promise.reject(ApplicationFailure.nonRetryable('no ledger'))
    expect(await reconcile({ beginReconciling, compareMovements, compareLedger })).toMatchObject({ state: 'failed' })
    expect(worker.inputs('endReconciling')).toMatchObject([
      {
        failure: 'Step compareMovements failed: away: no answer. Step compareLedger failed: no ledger',
        providers: [{ isCompared: false }, { isCompared: false }],
      },
    ])
  })
})
