import { Client } from 'pg'
import type { Query, SqlValue } from '../../db/sql'

interface Explained {
  readonly Plan: { readonly 'Shared Hit Blocks': number; readonly 'Shared Read Blocks': number }
}

/**
 * The pages of 8 KB that a statement touches, read or found in memory, by the plan that Postgres keeps for any values of it: a
 * statement that runs every few seconds is planned no other way. What it writes is taken back.
 */
export async function buffersOf(
  databaseUrl: string,
  { text, values = [] }: Pick<Query, 'text'> & Partial<Query>,
): Promise<number> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query('begin')
    await client.query('set local plan_cache_mode = force_generic_plan')
    await client.query(`prepare measured as ${text}`)
    const given = values.length === 0 ? '' : `(${values.map((value) => literalOf(client, value)).join(', ')})`
    const { rows } = await client.query<{ 'QUERY PLAN': readonly [Explained] }>(
      `explain (analyze, buffers, format json) execute measured${given}`,
    )
    await client.query('rollback')
    const { Plan } = (rows[0] as { 'QUERY PLAN': readonly [Explained] })['QUERY PLAN'][0]
    return Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks']
  } finally {
    await client.end()
  }
}

function literalOf(client: Client, value: SqlValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `array[${value.map((one) => literalOf(client, one as string)).join(', ')}]`
  return client.escapeLiteral(String(value))
}
