import type { Sku, WarehouseId } from './ids'

export interface Demand {
  readonly sku: Sku
  readonly quantity: number
}

/** What one warehouse could give, with the order's own soft hold already counted as available. */
export interface Supply {
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly available: number
  /** Lower goes first. */
  readonly priority: number
  readonly country: string
}

export interface Allocation {
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly quantity: number
}

export interface Shortage {
  readonly sku: Sku
  readonly requested: number
  readonly available: number
}

export type Routed =
  | { readonly outcome: 'routed'; readonly allocations: readonly Allocation[] }
  | { readonly outcome: 'short'; readonly lines: readonly Shortage[] }

/**
 * Chooses warehouses for each SKU: those in the destination's country first, then by priority; one warehouse for the
 * whole quantity where one can, else as few as it takes. Demand must be summed per SKU.
 * All or nothing: one short line refuses the whole.
 */
export function route(demand: readonly Demand[], supply: readonly Supply[], country: string): Routed {
  const bySku = groupBySku(supply)
  const free = freeUnits(supply)
  const allocations: Allocation[] = []
  const lines: Shortage[] = []
  for (const { sku, quantity } of demand) {
    const candidates = (bySku.get(sku) ?? []).filter((candidate) => candidate.available > 0)
    const available = free.get(sku) ?? 0
    if (available < quantity) lines.push({ sku, requested: quantity, available })
    else allocations.push(...allocate(sku, quantity, candidates, country))
  }
  if (lines.length > 0) return { outcome: 'short', lines }
  return { outcome: 'routed', allocations: allocations.sort(bySkuAndWarehouse) }
}

/** How many units of each SKU all warehouses together could give. */
export function freeUnits(supply: readonly Supply[]): Map<Sku, number> {
  const free = new Map<Sku, number>()
  for (const { sku, available } of supply) free.set(sku, (free.get(sku) ?? 0) + Math.max(0, available))
  return free
}

function allocate(sku: Sku, quantity: number, candidates: readonly Supply[], country: string): Allocation[] {
  const nearest = [...candidates].sort(
    (a, b) => rank(a, country) - rank(b, country) || compare(a.warehouseId, b.warehouseId),
  )
  const single = nearest.find((candidate) => candidate.available >= quantity)
  if (single) return [{ sku, warehouseId: single.warehouseId, quantity }]
  const parts: Allocation[] = []
  let left = quantity
  for (const candidate of [...nearest].sort((a, b) => b.available - a.available)) {
    if (left === 0) break
    const taken = Math.min(left, candidate.available)
    parts.push({ sku, warehouseId: candidate.warehouseId, quantity: taken })
    left -= taken
  }
  return parts
}

/** Priorities stay below 1e6, so a warehouse at home always goes before one abroad. */
function rank(candidate: Supply, country: string): number {
  return candidate.priority + (candidate.country === country ? 0 : 1_000_000)
}

function groupBySku(supply: readonly Supply[]): Map<Sku, Supply[]> {
  const groups = new Map<Sku, Supply[]>()
  for (const row of supply) {
    const group = groups.get(row.sku)
    if (group) group.push(row)
    else groups.set(row.sku, [row])
  }
  return groups
}

/** The one order in which stock rows are locked, here and in every statement of db/. */
export function bySkuAndWarehouse(
  a: Pick<Allocation, 'sku' | 'warehouseId'>,
  b: Pick<Allocation, 'sku' | 'warehouseId'>,
): number {
  return compare(a.sku, b.sku) || compare(a.warehouseId, b.warehouseId)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
