import fc from 'fast-check'
import {
  isCompleted,
  isOpen,
  mayBecome,
  OPEN_STATUSES,
  ORDER_STATUSES,
  ORDER_TRANSITIONS,
  orderLabel,
  type OrderStatus,
} from '../../domain/order'

describe('the states of an order', () => {
  it.each<[OrderStatus, OrderStatus]>([
    ['pending', 'inventory_reserved'],
    ['inventory_reserved', 'payment_pending'],
    ['payment_pending', 'confirmed'],
    ['confirmed', 'processing'],
    ['processing', 'shipped'],
    ['shipped', 'delivered'],
    ['delivered', 'completed'],
    ['payment_pending', 'cancelled'],
    ['on_hold', 'processing'],
  ])('%s may become %s', (from, to) => {
    expect(mayBecome(from, to)).toBe(true)
  })

  it.each<[OrderStatus, OrderStatus]>([
    ['pending', 'confirmed'],
    ['confirmed', 'payment_pending'],
    ['shipped', 'cancelled'],
    ['cancelled', 'confirmed'],
    ['completed', 'cancelled'],
    ['delivered', 'processing'],
  ])('%s never becomes %s', (from, to) => {
    expect(mayBecome(from, to)).toBe(false)
  })

  it('are open, completed or cancelled: exactly one of these', () => {
    for (const status of ORDER_STATUSES) {
      expect([isOpen(status), isCompleted(status), status === 'cancelled'].filter(Boolean)).toHaveLength(1)
    }
    expect(OPEN_STATUSES.every(isOpen)).toBe(true)
  })

  it('end: from any of them every walk comes to rest, and what is over never moves', () => {
    expect(ORDER_TRANSITIONS.completed).toEqual([])
    expect(ORDER_TRANSITIONS.cancelled).toEqual([])
    for (const status of ORDER_STATUSES) expect(reachable(status).some((end) => ends(end))).toBe(true)
  })

  it('no walk revives an order: once cancelled it stays, once completed it is never open again but by a hold', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (choices) => {
        let status: OrderStatus = 'pending'
        let over = false
        for (const choice of choices) {
          const next: readonly OrderStatus[] = ORDER_TRANSITIONS[status]
          if (next.length === 0) break
          const to = next[choice % next.length] as OrderStatus
          expect(over).toBe(false)
          expect(to).not.toBe('pending')
          status = to
          over = ends(status)
        }
      }),
    )
  })
})

const ends = (status: OrderStatus): boolean => ORDER_TRANSITIONS[status].length === 0

function reachable(from: OrderStatus): OrderStatus[] {
  const found = new Set<OrderStatus>([from])
  for (const status of found) for (const next of ORDER_TRANSITIONS[status]) found.add(next)
  return [...found]
}

describe('the label of an order', () => {
  const order = { number: 'HF-100001', currency: 'GBP', total: 510, cartId: 'cart_1' }

  it('is one line, and its lines as Markdown', () => {
    const label = orderLabel({ ...order, lines: [{ sku: '85123A', quantity: 2, total: 510 }] })
    expect(label.summary).toBe('HF-100001 · GBP 5.10 · 1 line')
    expect(label.details).toBe(
      '**Order HF-100001** of `cart_1`, GBP 5.10 when it was accepted.\n\n- 2 × `85123A`, GBP 5.10',
    )
  })

  it('names the first fifteen lines of many, and counts the others', () => {
    const lines = Array.from({ length: 17 }, (_, n) => ({ sku: `S${n}`, quantity: 1, total: 30 }))
    const { summary, details } = orderLabel({ ...order, lines })
    expect(summary).toMatch(/ · 17 lines$/)
    expect(details).toContain('`S14`')
    expect(details).toMatch(/`S14`, GBP 0\.30\n- and 2 more$/)
  })
})
