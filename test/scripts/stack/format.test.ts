import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holderOf } from '../../../scripts/stack/claim'
import { requireFormat } from '../../../scripts/stack/format'
import { FORMAT, formatOf, lockFile, secretsOf } from '../../../scripts/stack/state'
import { startStack } from '../../../scripts/stack/supervisor'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'holdfast-format-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const said: string[] = []
const say = (line: string) => void said.push(line)
beforeEach(() => said.splice(0))

test('a new folder gets the format of this version, and goes on with it', () => {
  requireFormat(folder, { durable: true, say })
  const secrets = secretsOf(folder)
  expect(formatOf(folder)).toBe(FORMAT)
  requireFormat(folder, { durable: true, say })
  expect(secretsOf(folder)).toMatchObject(secrets)
  expect(said).toEqual([])
})

test.each([
  ['of the first format, which did not say its number', {}, 1],
  ['of a later version', { format: FORMAT + 1 }, FORMAT + 1],
])('a start ends with one line when the data is %s', async (_, kept, format) => {
  leave(kept)
  const start = startStack({ folder, say })
  await expect(start).rejects.toThrow(
    `The data in ${folder} has format ${format}; this version reads format ${FORMAT}. ` +
      '`npm run reset` deletes it and begins anew.',
  )
  expect(said).toEqual([])
  expect(holderOf(lockFile(folder))).toBeUndefined()
  expect(readdirSync(folder).sort()).toEqual(['logs', 'postgres', 'redis', 'secrets.json', 'temporal'])
})

test('data that is nobody’s is made anew, and that is said in one line', () => {
  leave({})
  requireFormat(folder, { durable: false, say })
  expect(said).toEqual([`The data in ${folder} has format 1; this version reads format ${FORMAT}. Making it anew.`])
  expect(readdirSync(folder)).toEqual(['logs'])
  secretsOf(folder)
  expect(formatOf(folder)).toBe(FORMAT)
})

/** What an earlier version left: data in all three stores, and secrets that say `kept` of its format. */
function leave(kept: { format?: number }): void {
  for (const name of ['postgres', 'temporal', 'redis', 'logs']) mkdirSync(join(folder, name))
  mkdirSync(join(folder, 'postgres', 'data'))
  writeFileSync(join(folder, 'secrets.json'), JSON.stringify({ ...kept, postgres: 'p', token: 't', webhook: 'w' }))
}
