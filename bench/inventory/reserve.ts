import { readSettings } from '../../config'
import { newId } from '../../db/id'
import { reserve } from '../../db/inventory/reservation'
import { createPool } from '../../db/pool'
import type { WarehouseId } from '../../domain/ids'
import { burst } from '../measure'

/** One of the processes that reserve the same SKU: prints how many reservations it made. */
async function main(): Promise<void> {
  const [sku = '', warehouseId = '', callers = '1', seconds = '1'] = process.argv.slice(2)
  const pool = createPool(readSettings(), { name: 'holdfast-bench' })
  const allocations = [{ sku, warehouseId: warehouseId as WarehouseId, quantity: 1 }]
  const { calls } = await burst(Number(callers), Number(seconds), async () => {
    if (!(await reserve(pool, { ownerId: newId('order'), allocations, seconds: 900 })))
      throw new Error('the stock ran out')
  })
  console.log(calls)
  await pool.end()
}

main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
