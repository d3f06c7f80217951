import { newId } from '../../../db/id'
import {
  type CaseKey,
  closeCase,
  closeSettledCase,
  listOpenCases,
  listSettledCases,
  openCase,
  readOpenCases,
} from '../../../db/support/attention'
import type { OrderId, PaymentId } from '../../../domain/ids'
import { ATTENTION_CASES, type AttentionCase } from '../../../domain/support'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { cancel, confirm, placed } = orderStatements(() => database.pool)

const open = (orderId: OrderId | null, key: Partial<CaseKey>, code: AttentionCase = 'undo_failed', detail?: string) =>
  openCase(database.pool, { orderId, code, workflowId: 'settlement-1', step: null, object: null, detail, ...key })

const casesOf = (orderId: OrderId) => readOpenCases(database.pool, orderId)

/** The workflows of settled cases of this order. */
async function settledOf(orderId: OrderId): Promise<string[]> {
  const ids = new Set((await casesOf(orderId)).map(({ id }) => id))
  const settled = await listSettledCases(database.pool, { shard: 0, shards: 1, limit: 1_000, overdueSeconds: 120 })
  return settled.filter(({ id }) => ids.has(id)).map(({ workflowId }) => workflowId)
}

const become = (paymentId: PaymentId, status: string) =>
  database.pool.query('update payment set status = $2 where id = $1', [paymentId, status])

describe('a case', () => {
  it('of one kind may be open for two attempts of an order; closing one leaves the other', async () => {
    const { orderId } = await placed()
    const [first, second] = [newId('payment'), newId('payment')]
    for (const object of [first, second])
      await open(orderId, { workflowId: `settlement-${object}`, step: 'resolveCharge', object })
    expect((await casesOf(orderId)).map(({ object }) => object)).toEqual([first, second])
    const key = { workflowId: `settlement-${first}`, step: 'resolveCharge', object: first }
    expect(await closeCase(database.pool, key)).toBe(true)
    expect(await closeCase(database.pool, key)).toBe(false)
    expect((await casesOf(orderId)).map(({ object }) => object)).toEqual([second])
  })

  it.each([
    ['the whole order', null],
    ['a payment', newId('payment')],
  ])('about %s, opened twice, is one, says what is known now, and is closed', async (_what, object) => {
    const { orderId } = await placed()
    await open(orderId, { object }, 'amount_mismatch', 'GBP 1 and GBP 2')
    const [before] = await casesOf(orderId)
    await open(orderId, { object }, 'amount_mismatch', 'GBP 1 and GBP 3')
    expect(await casesOf(orderId)).toEqual([{ ...before, detail: 'GBP 1 and GBP 3' }])
    expect(await closeCase(database.pool, { workflowId: 'settlement-1', step: null, object })).toBe(true)
    expect(await casesOf(orderId)).toEqual([])
  })

  it('may be about no order', async () => {
    await open(null, { workflowId: 'reconciliation-1', object: 'ch_stray' }, 'reconciliation_difference', 'GBP 1')
    const found = await listOpenCases(database.pool, { limit: 1_000, after: 0 })
    expect(found.find(({ object }) => object === 'ch_stray')).toMatchObject({
      orderId: null,
      number: null,
      atStake: null,
      currency: null,
      detail: 'GBP 1',
    })
  })

  it('takes every kind that the domain knows', async () => {
    const { orderId } = await placed()
    const codes = Object.keys(ATTENTION_CASES) as AttentionCase[]
    for (const code of codes) await open(orderId, { step: code }, code)
    expect((await casesOf(orderId)).map(({ code }) => code)).toEqual(codes)
  })
})

describe('the sweep may close a case', () => {
  it('of an attempt, once that is settled, whatever another one of the order is', async () => {
    const order = await placed()
    const { orderId, paymentId } = order
    const [later] = (
      await database.pool.query<{ id: PaymentId }>(
        `insert into payment (id, order_id, attempt, key, provider, method, currency)
         values ($1::text, $2, 2, $1::text || '/2', 'sandbox', 'pm', 'GBP') returning id`,
        [newId('payment'), orderId],
      )
    ).rows
    await open(orderId, { workflowId: 'first', object: paymentId })
    await open(orderId, { workflowId: 'second', object: later?.id as string })
    expect(await settledOf(orderId)).toEqual([])
    await cancel(order)
    expect(await settledOf(orderId)).toEqual(['second'])
    await database.pool.query('update payment set releasing = true where id = $1', [paymentId])
    await become(paymentId, 'authorized')
    expect(await settledOf(orderId)).toEqual(['second'])
    await database.pool.query('update payment set releasing = false where id = $1', [paymentId])
    await become(paymentId, 'voided')
    expect(await settledOf(orderId)).toEqual(['first', 'second'])
    const first = (await casesOf(orderId)).find(({ workflowId }) => workflowId === 'first')
    await closeSettledCase(database.pool, first?.id as number)
    expect(await settledOf(orderId)).toEqual(['second'])
  })

  it('of a whole order, once nothing of it is left to do', async () => {
    const order = await placed()
    await open(order.orderId, { step: 'confirm' }, 'step_failing')
    expect(await settledOf(order.orderId)).toEqual([])
    await confirm(order)
    expect(await settledOf(order.orderId)).toHaveLength(1)
  })

  it('of these kinds only, and of nothing whose end the rows do not tell', async () => {
    const order = await placed()
    const codes = Object.keys(ATTENTION_CASES) as AttentionCase[]
    for (const code of codes) {
      await open(order.orderId, { workflowId: code, object: order.paymentId }, code)
      await open(order.orderId, { workflowId: `${code} of a dispute`, object: 'dp_1' }, code)
    }
    await confirm(order)
    expect(await settledOf(order.orderId)).toEqual([
      'provider_unreachable',
      'step_failing',
      'undo_failed',
      'amount_mismatch',
      'late_money',
      'workflow_failing',
      'capture_refused',
      'refund_refused',
      // Nothing has to be renewed.
      'authorization_expiring',
    ])
  })

  it('about a label or a parcel, once nobody has to decide about it', async () => {
    const order = await placed()
    await confirm(order)
    const { orderId } = order
    const label = newId('label')
    const { rows } = await database.pool.query<{ id: string }>('select id from shipment where order_id = $1', [orderId])
    const shipment = rows[0]?.id as string
    await database.pool.query(
      `insert into label (id, shipment_id, order_id, number, key, address_version, status, failure_code)
       values ($1, $2, $3, 1, $4, 1, 'refused', 'no_service')`,
      [label, shipment, orderId, `${orderId}/label/1`],
    )
    await database.pool.query('update shipment set needs_decision = true where id = $1', [shipment])
    await open(orderId, { workflowId: 'label', step: 'buyLabel', object: label }, 'fulfillment_stalled')
    await open(orderId, { workflowId: 'parcel', step: 'decideParcel', object: shipment }, 'fulfillment_stalled')
    await open(orderId, { workflowId: 'none', step: 'decideParcel', object: newId('shipment') }, 'fulfillment_stalled')
    expect(await settledOf(orderId)).toEqual([])
    await database.pool.query('update label set at_work = false where id = $1', [label])
    expect(await settledOf(orderId)).toEqual(['label'])
    await database.pool.query('update shipment set needs_decision = false where id = $1', [shipment])
    expect(await settledOf(orderId)).toEqual(['label', 'parcel'])
    await database.pool.query('update orders set short_ask_at = now() where id = $1', [orderId])
    await open(orderId, { workflowId: 'short', step: 'decideShort', object: orderId }, 'fulfillment_stalled')
    expect(await settledOf(orderId)).not.toContain('short')
    await database.pool.query('update orders set short_ask_at = null where id = $1', [orderId])
    expect(await settledOf(orderId)).toContain('short')
  })

  it('of a dispute, once it is won or a person has dealt with it', async () => {
    const order = await placed()
    await confirm(order)
    for (const [object, status] of [
      ['dp_won', 'won'],
      ['dp_lost', 'lost'],
    ] as const) {
      await open(order.orderId, { workflowId: object, step: 'closeDispute', object }, 'dispute')
      await database.pool.query(
        `insert into dispute (payment_id, reference, order_id, number, amount, currency, status)
         values ($1, $2, $3, $4, 70, 'GBP', $5)`,
        [order.paymentId, object, order.orderId, object.length, status],
      )
    }
    expect(await settledOf(order.orderId)).toEqual([])
    const done = (reference: string) =>
      database.pool.query('update dispute set at_work = false where order_id = $1 and reference = $2', [
        order.orderId,
        reference,
      ])
    await done('dp_won')
    expect(await settledOf(order.orderId)).toEqual(['dp_won'])
    await done('dp_lost')
    expect(await settledOf(order.orderId)).toEqual(['dp_won', 'dp_lost'])
  })

  it.each<[string, string, boolean]>([
    ['that ends soon', `update payment set updated_at = now() where id = $1`, false],
    ['that has ended', `update payment set status = 'voided' where id = $1`, false],
    ['that may lapse', `update payment set may_lapse = true where id = $1`, true],
    ['that lasts longer now', `update payment set capture_before = now() + interval '7 days' where id = $1`, true],
    ['of which all is captured', `update payment set status = 'captured', captured = amount where id = $1`, true],
    [
      'of an order that is over',
      `update orders set status = 'cancelled', cancel_reason = 'merchant'
       where id = (select order_id from payment where id = $1)`,
      true,
    ],
    [
      'that was renewed',
      `insert into payment (id, order_id, attempt, key, provider, method, amount, asked, currency, status, outcome, sent_at, renews)
       select left(id, 29) || case right(id, 1) when '0' then '1' else '0' end, order_id, 2, order_id || '/charge/2', provider, method, amount, amount, currency,
              'authorized', 'completed', now(), id
       from payment where id = $1`,
      true,
    ],
    [
      'whose order is over, while its renewal is under way',
      `with renewal as (
         insert into payment (id, order_id, attempt, key, provider, method, amount, asked, currency, status, sent_at, renews)
         select left(id, 29) || case right(id, 1) when '0' then '1' else '0' end, order_id, 2, order_id || '/charge/2', provider, method, amount, amount,
                currency, 'sent', now(), id
         from payment where id = $1)
       update orders set status = 'cancelled', cancel_reason = 'merchant'
       where id = (select order_id from payment where id = $1)`,
      false,
    ],
  ])('of an authorization %s: %#', async (_what, become, isSettled) => {
    const order = await placed()
    await confirm(order)
    await database.pool.query(
      `update payment set capture_before = now() + interval '1 hour', sent_at = now() - interval '7 days' where id = $1`,
      [order.paymentId],
    )
    for (const code of ['authorization_expiring', 'step_failing'] as const)
      await open(order.orderId, { workflowId: code, step: 'renewPayment', object: order.paymentId }, code)
    expect(await settledOf(order.orderId)).toEqual([])
    await database.pool.query(become, [order.paymentId])
    expect(await settledOf(order.orderId)).toHaveLength(isSettled ? 2 : 0)
  })
})
