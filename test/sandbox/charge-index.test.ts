import { ChargeIndex } from '../../sandbox/charge-index'
import type { ChargeRecord } from '../../sandbox/charge'

const START = Date.parse('2026-01-01T00:00:00Z')
const COUNT = 50_000

/** Changed `second` seconds after the start. */
const chargeAt = (number: number, second: number): ChargeRecord => ({
  id: `ch_${number}`,
  key: `order_${number}/charge/1`,
  reference: `order_${number}`,
  amount: 510,
  currency: 'GBP',
  method: 'pm_card_visa',
  capture: false,
  return_url: null,
  expires_at: null,
  status: 'authorized',
  decline_code: null,
  captured: 0,
  released: 0,
  refunded: 0,
  capture_before: null,
  created_at: new Date(START + number * 1_000).toISOString(),
  updated_at: new Date(START + second * 1_000).toISOString(),
  authorization_ms: 1,
  pays_at: null,
  events: 1,
  captures: [],
  refunds: [],
  disputes: [],
})

test('a list of changes reads what changed, not what was ever made', () => {
  const index = new ChargeIndex()
  for (let number = 0; number < COUNT; number++) index.keep(chargeAt(number, number))
  for (let change = 0; change < 10; change++) index.keep(chargeAt(change, COUNT + change))

  let read = 0
  const isShown = () => (read += 1) > 0
  const numbers: string[] = []
  for (let cursor: number | null = 0; cursor !== null; ) {
    const page = index.listChanged(START + (COUNT - 10) * 1_000, cursor, 5, isShown)
    numbers.push(...page.charges.map(({ id }) => id))
    cursor = page.next
  }
  const last = Array.from({ length: 10 }, (_, place) => `ch_${COUNT - 10 + place}`)
  const changed = Array.from({ length: 10 }, (_, place) => `ch_${place}`)
  expect(numbers).toEqual([...last, ...changed])
  expect(read).toBeLessThanOrEqual(24)
})

test('what is not shown takes no place in a list page', () => {
  const index = new ChargeIndex()
  for (let number = 0; number < 6; number++) index.keep(chargeAt(number, number))
  const isEven = ({ id }: ChargeRecord) => Number(id.slice(3)) % 2 === 0
  const page = index.listCreated(0, 2, isEven)
  expect(page.charges.map(({ id }) => id)).toEqual(['ch_0', 'ch_2'])
  expect(index.listCreated(page.next ?? 0, 2, isEven)).toMatchObject({ charges: [{ id: 'ch_4' }], next: null })
})
