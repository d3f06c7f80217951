import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { migrate } from '../../db/migrate'
import { testServices } from '../support/services'

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

async function run(statement: string): Promise<void> {
  const client = new Client({ connectionString: new URL('/postgres', url).href })
  await client.connect()
  await client.query(statement)
  await client.end()
}
