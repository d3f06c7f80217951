import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { migrate } from '../../db/platform/migrate'
import { createPool, type Pool } from '../../db/pool'
import { projectDocuments } from '../../db/search/document'
import { listProductIds } from '../../db/catalog/product'
import { PostgresSearch } from '../../providers/search/postgres/engine'
import { startStack } from '../../scripts/stack/supervisor'
import { type GeneratedCatalog, writeCatalog } from './generate'

/** A shop of a million SKUs, made once and kept for the next time: that takes ten minutes. */
export const LARGE: GeneratedCatalog = { count: 1_000_000, seed: 7 }
export const LARGE_FOLDER = join(ROOT, '.holdfast', 'bench-search-large')
const FILL_BATCH = 1_000
const FILLERS = 4

/** Products, stock and search documents, where they are missing. */
export async function prepareLarge(): Promise<void> {
  const stack = await startStack({ folder: LARGE_FOLDER, portOffset: 8_500, apis: 0, durable: false })
  const databaseUrl = stack.services.DATABASE_URL
  const pool = createPool({ DATABASE_URL: databaseUrl, DATABASE_POOL_MAX: 1 }, { name: 'bench' })
  try {
    await migrate(databaseUrl)
    await fill(databaseUrl, pool)
  } finally {
    await pool.end()
    await stack.stop()
  }
}

async function fill(databaseUrl: string, pool: Pool): Promise<void> {
  const counts = await pool.query<{ products: number; documents: number }>(
    `select (select count(*)::int from product) as products, (select count(*)::int from search_document) as documents`,
  )
  const { products = 0, documents = 0 } = counts.rows[0] ?? {}
  if (products === 0) {
    console.error(`Writing ${LARGE.count} SKUs …`)
    await writeCatalog(databaseUrl, LARGE)
  }
  if (documents < LARGE.count) await fillAll(databaseUrl)
  // Or the workers would begin to rebuild it.
  await pool.query(
    `insert into search_rebuild (engine, build, state, done, total) values ('postgres', 'bench', 'completed', $1, $1)
     on conflict (engine) do update set state = 'completed'`,
    [LARGE.count],
  )
}

/** As the workflow `reindex` does it, by several hands: what is measured here is searching. */
async function fillAll(databaseUrl: string): Promise<void> {
  const pool = createPool({ DATABASE_URL: databaseUrl, DATABASE_POOL_MAX: FILLERS + 1 }, { name: 'bench-fill' })
  const engine = new PostgresSearch(pool)
  const begun = Date.now()
  let after = ''
  let done = 0
  const filler = async (): Promise<void> => {
    for (;;) {
      const ids = await takeIds()
      if (ids.length === 0) return
      const { documents } = await projectDocuments(pool, ids)
      await engine.fill('', documents)
      done += ids.length
      if (done % 50_000 < FILL_BATCH) console.error(`  ${done} indexed, ${Math.round((Date.now() - begun) / 1_000)} s`)
    }
  }
  let taking: Promise<unknown> = Promise.resolve()
  const takeIds = (): Promise<Awaited<ReturnType<typeof listProductIds>>> => {
    const taken = taking.then(async () => {
      const ids = await listProductIds(pool, after, FILL_BATCH)
      after = ids.at(-1) ?? after
      return ids
    })
    taking = taken
    return taken
  }
  await Promise.all(Array.from({ length: FILLERS }, filler))
  await engine.swap()
  await pool.end()
  await vacuum(databaseUrl)
}

async function vacuum(databaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query('vacuum analyze')
  await client.end()
}
