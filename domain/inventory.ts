import countries from 'world-countries'
import type { Sku, WarehouseId } from './ids'

export interface Demand {
  readonly sku: Sku
  readonly quantity: number
}

/** A warehouse by what decides whether it sends an order. */
export interface Site {
  readonly warehouseId: WarehouseId
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  /** Degrees; both null: only its country is known. */
  readonly latitude: number | null
  readonly longitude: number | null
  /** Where distance says nothing the lower goes first. */
  readonly priority: number
}

interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

/** What one warehouse could give, with the order's own soft hold already counted as available. */
export interface Supply extends Site {
  readonly sku: Sku
  readonly available: number
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

/** Why a warehouse was chosen, as a shipment keeps it and support reads it. */
export interface RoutingScore {
  /** From there to the middle of the country that the order goes to; null within that country, or where nobody knows. */
  readonly distance_km: number | null
  readonly priority: number
  /** It sends all of the order. */
  readonly is_whole: boolean
}

export type Routed =
  | {
      readonly outcome: 'routed'
      readonly allocations: readonly Allocation[]
      /** Of each chosen warehouse, the nearest first. */
      readonly scores: ReadonlyMap<WarehouseId, RoutingScore>
    }
  | { readonly outcome: 'short'; readonly lines: readonly Shortage[] }

/**
 * Chooses the warehouses of an order that goes to `country`: one that has everything, the nearest of them; else as few as it
 * takes, the nearest of them. A warehouse in that country is nearer than any abroad: nothing crosses a border without need.
 * Demand must be summed per SKU. All or nothing: one short line refuses the whole.
 */
export function route(demand: readonly Demand[], supply: readonly Supply[], country: string): Routed {
  const free = freeUnits(supply)
  const lines = demand
    .map(({ sku, quantity }) => ({ sku, requested: quantity, available: free.get(sku) ?? 0 }))
    .filter(({ requested, available }) => available < requested)
  if (lines.length > 0) return { outcome: 'short', lines }
  const sites = sitesInOrder(supply, country)
  const candidates = candidatesOf(sites, demand, supply)
  const chosen = fewest(candidates, demand)
  const allocations = demand.flatMap((line, n) => allocate(line, n, chosen))
  return {
    outcome: 'routed',
    allocations: allocations.sort(bySkuAndWarehouse),
    scores: routingScores(
      chosen.map(({ site }) => site),
      country,
    ),
  }
}

/** {@link route} of as much as there is. */
export function routeWhatIsThere(
  demand: readonly Demand[],
  supply: readonly Supply[],
  country: string,
): readonly Allocation[] {
  const free = freeUnits(supply)
  const there = demand.map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, free.get(sku) ?? 0) }))
  const routed = route(
    there.filter(({ quantity }) => quantity > 0),
    supply,
    country,
  )
  return routed.outcome === 'routed' ? routed.allocations : []
}

/** {@link route} to a single warehouse, which sends all of it. Null: none could. */
export function routeWhole(
  demand: readonly Demand[],
  supply: readonly Supply[],
  country: string,
): readonly Allocation[] | null {
  const routed = route(demand, supply, country)
  return routed.outcome === 'routed' && routed.scores.size === 1 ? routed.allocations : null
}

/** How many units of each SKU all warehouses together could give. */
export function freeUnits(supply: readonly Supply[]): Map<Sku, number> {
  const free = new Map<Sku, number>()
  for (const { sku, available } of supply) free.set(sku, (free.get(sku) ?? 0) + Math.max(0, available))
  return free
}

/** The scores of the warehouses that send an order, the nearest first: all of them, and each once. */
export function routingScores(sites: readonly Site[], country: string): Map<WarehouseId, RoutingScore> {
  const is_whole = sites.length === 1
  return new Map(
    [...sites]
      .sort(nearestFirst(country))
      .map((site) => [site.warehouseId, { distance_km: distanceKm(site, country), priority: site.priority, is_whole }]),
  )
}

/** One warehouse, and what it could give of each line of the demand, at most what is wanted. */
interface Candidate {
  readonly site: Site
  readonly units: Int32Array
}

function sitesInOrder(supply: readonly Supply[], country: string): Site[] {
  const sites = new Map<WarehouseId, Site>()
  for (const row of supply) sites.set(row.warehouseId, row)
  return [...sites.values()].sort(nearestFirst(country))
}

/** In the order of `sites`; without those that have nothing of it. */
function candidatesOf(sites: readonly Site[], demand: readonly Demand[], supply: readonly Supply[]): Candidate[] {
  const candidates = new Map(
    sites.map((site): [WarehouseId, Candidate] => [site.warehouseId, { site, units: new Int32Array(demand.length) }]),
  )
  const place = new Map(demand.map(({ sku }, n) => [sku, n]))
  for (const { sku, warehouseId, available } of supply) {
    const n = place.get(sku)
    const units = candidates.get(warehouseId)?.units
    if (n !== undefined && units) units[n] = Math.max(0, Math.min(available, (demand[n] as Demand).quantity))
  }
  return [...candidates.values()].filter(({ units }) => units.some((count) => count > 0))
}

/**
 * So many looks at a line are taken for the smallest choice of all; then one is taken that may be larger than it need be.
 * A thousand lines in fifty warehouses take some ten milliseconds.
 */
const LOOKS_MAX = 2_000_000

/** The fewest candidates that together have everything; of several such choices the one whose first is nearest, then the second. */
function fewest(candidates: readonly Candidate[], demand: readonly Demand[]): Candidate[] {
  const scarcest = scarcestFirst(candidates, demand)
  const looks = { left: LOOKS_MAX }
  for (let size = 1; size < candidates.length; size++) {
    const found = choose(candidates, { size, from: 0, chosen: [] }, scarcest, looks)
    if (found) return found
    if (looks.left <= 0) break
  }
  return greedily(candidates, demand, scarcest)
}

interface Line {
  readonly n: number
  readonly quantity: number
}

/** A choice that does not do fails at these first. */
function scarcestFirst(candidates: readonly Candidate[], demand: readonly Demand[]): Line[] {
  const owners = demand.map((_line, n) => candidates.filter(({ units }) => (units[n] as number) > 0).length)
  return demand
    .map(({ quantity }, n) => ({ n, quantity }))
    .sort((a, b) => (owners[a.n] as number) - (owners[b.n] as number) || a.n - b.n)
}

/** The first choice of `size` more candidates, in order, that has everything. Null: there is none, or nobody looks any longer. */
function choose(
  candidates: readonly Candidate[],
  { size, from, chosen }: { size: number; from: number; chosen: readonly Candidate[] },
  lines: readonly Line[],
  looks: { left: number },
): Candidate[] | null {
  if (size === 0) return hasAll(chosen, lines, looks) ? [...chosen] : null
  for (let n = from; n <= candidates.length - size && looks.left > 0; n++) {
    const next = { size: size - 1, from: n + 1, chosen: [...chosen, candidates[n] as Candidate] }
    const found = choose(candidates, next, lines, looks)
    if (found) return found
  }
  return null
}

function hasAll(chosen: readonly Candidate[], lines: readonly Line[], looks: { left: number }): boolean {
  for (const { n, quantity } of lines) {
    looks.left -= chosen.length
    let units = 0
    for (const candidate of chosen) units += candidate.units[n] as number
    if (units < quantity) return false
  }
  return true
}

/** Takes the candidate that has most of what is missing, until nothing is; then puts back, from the farthest, what is not needed. */
function greedily(candidates: readonly Candidate[], demand: readonly Demand[], lines: readonly Line[]): Candidate[] {
  const missing = demand.map(({ quantity }) => quantity)
  const given = ({ units }: Candidate): number =>
    missing.reduce((sum, quantity, n) => sum + Math.min(quantity, units[n] as number), 0)
  const chosen = new Set<Candidate>()
  while (missing.some((quantity) => quantity > 0)) {
    const [best] = candidates
      .filter((candidate) => !chosen.has(candidate))
      .map((candidate) => ({ candidate, gives: given(candidate) }))
      .sort((a, b) => b.gives - a.gives)
    if (!best || best.gives === 0) throw new Error('More was routed than there is')
    chosen.add(best.candidate)
    best.candidate.units.forEach((count, n) => (missing[n] = Math.max(0, (missing[n] as number) - count)))
  }
  const kept = candidates.filter((candidate) => chosen.has(candidate))
  for (const candidate of [...kept].reverse()) {
    const others = kept.filter((one) => one !== candidate)
    if (hasAll(others, lines, { left: 0 })) kept.splice(kept.indexOf(candidate), 1)
  }
  return kept
}

/** One line from the chosen candidates: from the nearest that has all of it, else from one after the other. */
function allocate({ sku, quantity }: Demand, n: number, chosen: readonly Candidate[]): Allocation[] {
  const single = chosen.find(({ units }) => units[n] === quantity)
  if (single) return [{ sku, warehouseId: single.site.warehouseId, quantity }]
  const parts: Allocation[] = []
  let left = quantity
  for (const { site, units } of chosen) {
    const taken = Math.min(left, units[n] as number)
    if (taken > 0) parts.push({ sku, warehouseId: site.warehouseId, quantity: taken })
    left -= taken
  }
  return parts
}

function nearestFirst(country: string): (a: Site, b: Site) => number {
  const kilometres = (site: Site): number =>
    site.country === country ? -1 : (distanceKm(site, country) ?? Number.MAX_SAFE_INTEGER)
  return (a, b) => kilometres(a) - kilometres(b) || a.priority - b.priority || compare(a.warehouseId, b.warehouseId)
}

/** The middle of each country, in degrees. */
const CENTROIDS: ReadonlyMap<string, Coordinates> = new Map(
  countries.map(({ cca2, latlng: [latitude, longitude] }) => [cca2, { latitude, longitude }]),
)

/**
 * Whole kilometres from a warehouse, or from the middle of its country, to the middle of another country. Null within one
 * country, where that middle says nothing, and where a country is unknown.
 */
function distanceKm({ country: from, latitude, longitude }: Site, to: string): number | null {
  const begin = latitude !== null && longitude !== null ? { latitude, longitude } : CENTROIDS.get(from)
  const end = CENTROIDS.get(to)
  return from === to || !begin || !end ? null : Math.round(greatCircleKm(begin, end))
}

const EARTH_RADIUS_KM = 6_371

/** By the haversine formula. */
function greatCircleKm(a: Coordinates, b: Coordinates): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180
  const half = (from: number, to: number): number => Math.sin(radians(to - from) / 2) ** 2
  const chord =
    half(a.latitude, b.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(a.longitude, b.longitude)
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)))
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
