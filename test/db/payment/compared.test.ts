import { providerOf, writePaidOrders } from '../../../bench/payment/history'
import { reconcileOnce, reconciliationOf } from '../../../bench/payment/run'
import {
  findLedgerPosition,
  listLedgerPayments,
  listUnmatchedMoves,
  markMatched,
  readComparedPayments,
  readPaymentsOfCharges,
} from '../../../db/payment/compared'
import type { PaymentId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'

const quietSeconds = 600
const pay = (n: number) => `pay_${String(n).padStart(26, '0')}` as PaymentId

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  await writePaidOrders(database.url, { from: 1, to: 41, hoursAgo: 100, isMatched: true })
  await writePaidOrders(database.url, { from: 41, to: 61, hoursAgo: 1, isMatched: false })
}, 60_000)
afterAll(() => database.drop())

it('reads a payment with all that belongs to it, by its key or its reference, and null where there is none', async () => {
  const charges = [
    { key: null, reference: 'ch_50' },
    { key: 'unknown', reference: 'ch_9999' },
    { key: `order_${'7'.padStart(26, '0')}/charge/1`, reference: 'another' },
  ]
  const found = await readPaymentsOfCharges(database.pool, { provider: 'sandbox', charges, quietSeconds })
  expect(found.map((payment) => payment?.id ?? null)).toEqual([pay(50), null, pay(7)])
  expect(found[0]).toMatchObject({
    ...{ captured: 500, refunded: 250, isRecent: false, isAtWork: false, elsewhere: 0 },
    captures: [{ reference: 'cp_50', movement: null }],
    refunds: [{ reference: 're_50', isElsewhere: false }],
    order: { stage: 'won', wasConfirmed: true },
  })
  const [whole] = await readComparedPayments(database.pool, { ids: [pay(50)], quietSeconds })
  expect(whole).toEqual({
    ...found[0],
    ledger: { authorized: 0, clearing: 250, payable: 0, disputed: 0 },
    order: { stage: 'won', wasConfirmed: true, owed: 500, kept: 250 },
  })
  const none = await readPaymentsOfCharges(database.pool, { provider: 'another', charges, quietSeconds })
  expect(none).toEqual([null, null, null])
})

it('says what is recent, and what is at work', async () => {
  const [young] = await readComparedPayments(database.pool, { ids: [pay(50)], quietSeconds: 7_200 })
  expect(young).toMatchObject({ isRecent: true, isAtWork: false })
  await database.pool.query(`update payment set releasing = true where id = $1`, [pay(50)])
  const [working] = await readComparedPayments(database.pool, { ids: [pay(50)], quietSeconds })
  expect(working).toMatchObject({ isRecent: false, isAtWork: true })
  await database.pool.query(`update payment set releasing = false where id = $1`, [pay(50)])
})

it('goes through the ledger from a time on, in pages', async () => {
  const since = new Date(Date.now() - 48 * 3_600_000)
  let after = await findLedgerPosition(database.pool, since)
  const found = new Set<PaymentId>()
  for (;;) {
    const { last, payments } = await listLedgerPayments(database.pool, { after, limit: 7 })
    if (last === null) break
    for (const payment of payments) found.add(payment)
    after = last
  }
  expect([...found].sort()).toEqual(Array.from({ length: 20 }, (_, index) => pay(41 + index)))
  expect(await findLedgerPosition(database.pool, new Date(0))).toBe(0)
  const now = new Date(Date.now() + 60_000)
  expect(
    await listLedgerPayments(database.pool, { after: await findLedgerPosition(database.pool, now), limit: 7 }),
  ).toEqual({
    last: null,
    payments: [],
  })
})

it('lists captures and refunds that no movement was found for, until one is', async () => {
  const page = { after: '', limit: 100, quietSeconds } as const
  const moves = await listUnmatchedMoves(database.pool, page)
  expect(moves).toHaveLength(22)
  expect(await listUnmatchedMoves(database.pool, { ...page, limit: 3 })).toEqual(moves.slice(0, 3))
  expect(await listUnmatchedMoves(database.pool, { ...page, after: moves[19]?.id ?? '' })).toEqual(moves.slice(20))
  expect(await listUnmatchedMoves(database.pool, { ...page, quietSeconds: 7_200 })).toEqual([])
  await markMatched(
    database.pool,
    moves.slice(0, 21).map(({ id }) => ({ id, movement: 'm' })),
  )
  expect(await listUnmatchedMoves(database.pool, page)).toEqual(moves.slice(21))
})

describe('what a run costs', () => {
  /** Pages of 8 KB that Postgres touched, and rows that it read, for one run over the same 200 recent orders. */
  async function costOfRun(past: number): Promise<{ buffers: number; rows: number }> {
    const own = await testDatabase()
    try {
      await writePaidOrders(own.url, { from: 0, to: past, hoursAgo: 24 * 30, isMatched: true })
      const recent = { from: past, to: past + 200, hoursAgo: 1 }
      await writePaidOrders(own.url, { ...recent, isMatched: false })
      await own.pool.query(`insert into reconciliation_watermark values ('sandbox', now() - interval '1 hour')`)
      const activities = reconciliationOf(own.pool, providerOf(recent))
      const before = await statistics(own)
      expect(await reconcileOnce(activities)).toMatchObject({
        payments: expect.any(Number),
        moves: 0,
        healed: 0,
        waiting: 0,
      })
      const after = await statistics(own)
      return { buffers: after.buffers - before.buffers, rows: after.rows - before.rows }
    } finally {
      await own.drop()
    }
  }

  async function statistics({ pool }: TestDatabase): Promise<{ buffers: number; rows: number }> {
    await pool.query('select pg_stat_force_next_flush()')
    // Sessions of the pool write what they counted once they are idle.
    const { rows } = await pool.query(`
      select (select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) from pg_statio_user_tables)::int as buffers,
             (select sum(seq_tup_read + idx_tup_fetch) from pg_stat_user_tables)::int as rows`)
    return rows[0]
  }

  it('does not grow with the history', async () => {
    const [few, many] = [await costOfRun(2_000), await costOfRun(16_000)]
    expect(many.rows / few.rows).toBeLessThan(1.3)
    expect(many.buffers / few.buffers).toBeLessThan(1.3)
  }, 120_000)
})
