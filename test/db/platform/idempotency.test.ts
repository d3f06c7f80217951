import { forgetKey, withIdempotency } from '../../../db/platform/idempotency'
import type { Tx } from '../../../db/pool'
import { newId } from '../../../db/id'
import { DomainError } from '../../../domain/errors'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

let keys = 0
const scopeOf = (bodyHash = 'body') => ({
  scope: 'test',
  operation: 'POST /things',
  key: `key-${keys}`,
  bodyHash: Buffer.from(bodyHash),
})
beforeEach(() => {
  keys++
})

const present = async (id: string) => ({ id })

describe('a key', () => {
  it('runs its work once and answers it again, as it stands', async () => {
    const first = await withIdempotency(database.pool, scopeOf(), addWarehouse, present)
    const again = await withIdempotency(database.pool, scopeOf(), addWarehouse, present)
    expect(again).toEqual({ ...first, headers: { 'Idempotent-Replayed': 'true' } })
    expect(first.headers).toEqual({})
    expect(await warehouses(first.body.id)).toBe(1)
  })

  it('is refused for another body, and belongs to its caller and operation', async () => {
    await withIdempotency(database.pool, scopeOf(), addWarehouse, present)
    await expect(withIdempotency(database.pool, scopeOf('other'), addWarehouse, present)).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    })
    const elsewhere = await withIdempotency(
      database.pool,
      { ...scopeOf('other'), scope: 'another' },
      addWarehouse,
      present,
    )
    expect(elsewhere.headers).toEqual({})
  })

  it('is forgotten with what came of it, not with what a repetition has stored since then', async () => {
    const first = await withIdempotency(database.pool, scopeOf(), addWarehouse, present)
    await forgetKey(database.pool, scopeOf(), newId('warehouse'))
    expect((await withIdempotency(database.pool, scopeOf(), addWarehouse, present)).body).toEqual(first.body)
    await forgetKey(database.pool, scopeOf(), first.body.id)
    expect((await withIdempotency(database.pool, scopeOf('other'), addWarehouse, present)).headers).toEqual({})
  })

  it('stores nothing of what was refused', async () => {
    const refuse = async (tx: Tx): Promise<{ status: 201; resource: string }> => {
      await addWarehouse(tx)
      throw new DomainError('sku_taken', 'taken')
    }
    const before = await warehouses()
    await expect(withIdempotency(database.pool, scopeOf(), refuse, present)).rejects.toMatchObject({
      code: 'sku_taken',
    })
    expect(await warehouses()).toBe(before)
    expect((await withIdempotency(database.pool, scopeOf(), addWarehouse, present)).headers).toEqual({})
  })

  it('is in progress for everybody else while its work runs, and free at once when its connection dies', async () => {
    let reached: (pid: number) => void = () => undefined
    const running = new Promise<number>((resolve) => (reached = resolve))
    const stuck = withIdempotency(
      database.pool,
      scopeOf(),
      async (tx) => {
        const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
        reached(rows[0]?.pid as number)
        await tx.query('select pg_sleep(60)')
        return addWarehouse(tx)
      },
      present,
    )
    const died = expect(stuck).rejects.toThrow()
    const pid = await running
    await expect(withIdempotency(database.pool, scopeOf(), addWarehouse, present)).rejects.toMatchObject({
      code: 'request_in_progress',
    })
    await database.pool.query('select pg_terminate_backend($1)', [pid])
    await died
    expect((await withIdempotency(database.pool, scopeOf(), addWarehouse, present)).headers).toEqual({})
  })

  it('lets one of twenty at once do the work', async () => {
    const before = await warehouses()
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, () => withIdempotency(database.pool, scopeOf(), addWarehouse, present)),
    )
    const ids = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.body.id] : []))
    expect(new Set(ids).size).toBe(1)
    expect(await warehouses()).toBe(before + 1)
  })

  it('is not needed: without one the work just runs', async () => {
    const before = await warehouses()
    await withIdempotency(database.pool, null, addWarehouse, present)
    await withIdempotency(database.pool, null, addWarehouse, present)
    expect(await warehouses()).toBe(before + 2)
  })
})

async function addWarehouse(tx: Tx): Promise<{ status: 201; resource: string }> {
  const id = newId('warehouse')
  await tx.query(`insert into warehouse (id, name, country) values ($1, $2, 'GB')`, [id, id])
  return { status: 201, resource: id }
}

async function warehouses(id: string | null = null): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(
    'select count(*) from warehouse where $1::text is null or id = $1',
    [id],
  )
  return rows[0]?.count ?? 0
}
