import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../../config'
import { migrate } from '../../../db/platform/migrate'
import { testServices } from '../../support/services'

const name = `test_${randomUUID().replaceAll('-', '')}`
const url = new URL(testServices().postgres)

beforeAll(() => run(`create database ${name}`))
afterAll(() => run(`drop database ${name} with (force)`))

test('of several processes one migrates, and the others wait and find nothing to do', async () => {
  const names = readdirSync(join(ROOT, 'db', 'migrations')).map((file) => file.replace(/\.sql$/, ''))
  const own = new URL(url)
  own.pathname = `/${name}`
  const ran = await Promise.all([migrate(own.href), migrate(own.href), migrate(own.href)])
  expect(ran.toSorted((one, other) => other.length - one.length)).toEqual([names.toSorted(), [], []])
})

test('a database that is not there is named in the error', async () => {
  const absent = new URL(url)
  absent.pathname = '/absent'
  await expect(migrate(absent.href)).rejects.toThrow(
    'The database could not be migrated: database "absent" does not exist',
  )
})

test('rows that plain statements write get paths, brands and listings', async () => {
  const fresh = `test_${randomUUID().replaceAll('-', '')}`
  await run(`create database ${fresh}`)
  const target = new URL(`/${fresh}`, url).href
  await migrate(target)
  const client = new Client({ connectionString: target })
  await client.connect()
  try {
    const id = (noun: string, digit: number) => `${noun}_${'0'.repeat(25)}${digit}`
    await client.query(`
      insert into category (id, slug, title, parent_id)
      values ('${id('cat', 1)}', 'home', 'Home', null), ('${id('cat', 2)}', 'mugs', 'Mugs', '${id('cat', 1)}');
      insert into product (id, slug, title, brand)
      values ('${id('prod', 1)}', 'a', 'A', 'ACME'), ('${id('prod', 2)}', 'b', 'B', 'Acme'), ('${id('prod', 3)}', 'c', 'C', null);
      insert into product_category (product_id, category_id) values ('${id('prod', 1)}', '${id('cat', 2)}');
      insert into variant (sku, sku_written, product_id, title) values ('A', 'A', '${id('prod', 1)}', 'A');
      insert into price (sku, currency, amount) values ('A', 'GBP', 100)`)
    const { rows } = await client.query(`
      select (select array_agg(cardinality(path) order by id) from category) as depths,
             (select array_agg(slug) from brand) as brands,
             (select count(distinct brand)::int from product) as names,
             (select count(*)::int from listing) as listings`)
    expect(rows[0]).toEqual({ depths: [1, 2], brands: ['acme'], names: 1, listings: 4 })
  } finally {
    await client.end()
    await run(`drop database ${fresh} with (force)`)
  }
})

async function run(statement: string): Promise<void> {
  const client = new Client({ connectionString: new URL('/postgres', url).href })
  await client.connect()
  await client.query(statement)
  await client.end()
}
