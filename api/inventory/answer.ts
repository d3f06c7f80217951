import { z } from 'zod'
import type { StockLevel } from '../../db/inventory/stock'
import { idOf } from '../http/schemas'

/** A stock level as it is answered: its shape, and how it is made from its row. */

export const quantities = { on_hand: z.int(), reserved: z.int(), available: z.int() }

export const stockLevel = z
  .strictObject({ sku: z.string(), warehouse_id: idOf('warehouse'), ...quantities })
  .meta({ id: 'StockLevel', description: 'available = on_hand - reserved' })

export function presentLevel(found: StockLevel): z.input<typeof stockLevel> {
  const { sku, warehouseId, onHand, reserved, available } = found
  return { sku, warehouse_id: warehouseId, on_hand: onHand, reserved, available }
}
