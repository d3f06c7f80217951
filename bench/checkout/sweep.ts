import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { expireDueHolds } from '../../db/inventory/reservation'
import { listOrdersAtWork } from '../../db/order/sweep'
import { readGauges } from '../../db/platform/gauges'
import { migrate } from '../../db/platform/migrate'
import { createPool, type Db } from '../../db/pool'
import { listSettledCases } from '../../db/support/attention'
import type { Query } from '../../db/sql'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { buffersOf } from './buffers'
import { writeHistory, writeWork } from './history'

const FEW = 1_000
const MANY = 200_000
const BAR = 1.2

/** What a round of the sweep and the gauges read of Postgres: with many past orders against few. */
export async function benchSweep({ services }: Stack): Promise<Figure[]> {
  const name = `bench_sweep_${randomUUID().slice(0, 8)}`
  const url = new URL(services.DATABASE_URL)
  url.pathname = `/${name}`
  const owner = new Client({ connectionString: services.DATABASE_URL })
  await owner.connect()
  try {
    await owner.query(`create database ${name}`)
    await migrate(url.href)
    const costs = await costsOfHistory(url.href, FEW, MANY)
    return [figureOf(sumOf(costs)), ...costs.map((cost) => ({ ...figureOf(cost), bar: '', good: true }))]
  } finally {
    await owner.query(`drop database if exists ${name} with (force)`)
    await owner.end()
  }
}

/** Pages of 8 KB that a statement reads. */
export interface CostOfHistory {
  readonly statement: string
  readonly few: number
  readonly many: number
}

/** On an empty database, with so few past orders and with so many, and the same work. */
export async function costsOfHistory(databaseUrl: string, few: number, many: number): Promise<CostOfHistory[]> {
  await writeHistory(databaseUrl, { from: 0, to: few })
  await writeWork(databaseUrl)
  const statements = await statementsOf(databaseUrl)
  const measure = async () => {
    const costs = new Map<string, number>()
    for (const [name, query] of statements) costs.set(name, await buffersOf(databaseUrl, query))
    return costs
  }
  const before = await measure()
  await writeHistory(databaseUrl, { from: few, to: many })
  const after = await measure()
  return [...statements.keys()].map((name) => ({
    statement: name,
    few: before.get(name) ?? 0,
    many: after.get(name) ?? 0,
  }))
}

/** What is asked every few seconds, as it is sent. */
async function statementsOf(databaseUrl: string): Promise<Map<string, Query>> {
  const pool = createPool({ DATABASE_URL: databaseUrl, DATABASE_POOL_MAX: 1 }, { name: 'holdfast-bench' })
  const sent = new Map<string, Query>()
  const noting = {
    query: (query: Query) => {
      sent.set(query.name ?? '', query)
      return pool.query(query)
    },
  } as unknown as Db
  const shard = { shard: 0, shards: 1 }
  await expireDueHolds(noting, { ...shard, limit: 500 })
  await listOrdersAtWork(noting, { ...shard, limit: 500, after: '', holdSeconds: 900, overdueSeconds: 120 })
  await listSettledCases(noting, { ...shard, limit: 200, overdueSeconds: 120 })
  await readGauges(noting)
  await pool.end()
  return sent
}

function sumOf(costs: readonly CostOfHistory[]): CostOfHistory {
  const sum = (of: 'few' | 'many'): number => costs.reduce((pages, cost) => pages + cost[of], 0)
  return { statement: 'all of a round', few: sum('few'), many: sum('many') }
}

function figureOf({ statement, few, many }: CostOfHistory): Figure {
  const value = many / few
  return {
    what: `pages that the sweep reads: ${statement}, ${MANY} past orders ÷ ${FEW}`,
    bar: `≤ ${BAR}`,
    value,
    good: value <= BAR,
    note: `${many} ÷ ${few}`,
  }
}
