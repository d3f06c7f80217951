import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { EVENT_VERSIONS, parseEvent } from '../../domain/events'

const TYPES = Object.keys(EVENT_VERSIONS)

describe('the union of events', () => {
  it('has every type that stands in a statement of the outbox or of order events, and no other', () => {
    expect([...typesInStatements()].toSorted()).toEqual(TYPES.toSorted())
  })

  it('names each event by a noun and what it became', () => {
    for (const type of TYPES) expect(type).toMatch(/^[a-z]+\.[a-z]+(_[a-z]+)*(\.v[2-9])?$/)
  })

  it('has the version that stands in the name, else the first', () => {
    for (const [type, version] of Object.entries(EVENT_VERSIONS))
      expect(version).toBe(Number(/\.v(\d+)$/.exec(type)?.[1] ?? 1))
  })
})

describe('an event that is read', () => {
  it('has its version and its data', () => {
    const data = { sku: 'K-1', warehouse_id: 'wh_1', on_hand: 3 }
    expect(parseEvent('stock.adjusted', data)).toEqual({ type: 'stock.adjusted', version: 1, data })
  })

  it.each(['product.updated.v2', 'coupon.redeemed', 'toString', ''])('is null for the unknown type %p', (type) => {
    expect(parseEvent(type, {})).toBeNull()
  })
})

/** Events of an order's money and goods are decided by its books, and their statements write whatever these say. */
const DECIDED_IN = [
  'domain/payment/books.ts',
  ...['cancelling', 'goods', 'labels', 'leaving', 'order-progress', 'parcel-decisions', 'picking', 'tracking'].map(
    (subject) => `domain/fulfillment/${subject}.ts`,
  ),
  'domain/fulfillment/warehouse-news.ts',
]

/** What is quoted and looks like a type, but for the names of statements. */
function typesInStatements(): Set<string> {
  const types = new Set<string>()
  const statementFiles = readdirSync(join(ROOT, 'db'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.ts$|^migrations.*\.sql$/.test(file))
    .map((file) => join('db', file))
  for (const file of [...statementFiles, ...DECIDED_IN]) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    if (!DECIDED_IN.includes(file) && !/\b(outbox|order_event)\b/.test(text)) continue
    const statements = text.replaceAll(/\bname: .*|\bstatement\(\s*'[^']*'/g, '')
    for (const [, type] of statements.matchAll(/'([a-z]+\.[a-z_]+(?:\.v\d)?)'/g)) types.add(type as string)
    // A name that is put together could not be found here, nor by whoever looks for it.
    expect(statements).not.toMatch(/'[a-z]+\.' *\|\|/)
  }
  return types
}
