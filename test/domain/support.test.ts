import {
  type ParcelPlight,
  plightOf,
  type ShipmentStatus,
  type WarehouseTrouble,
} from '../../domain/fulfillment/shipment'
import {
  ATTENTION_CASES,
  type AttentionCase,
  choicesInWords,
  CURRENT_BUILD,
  isClosedByDecision,
  PINNED_BUILD,
  type RepairChoice,
  repairChoices,
  repairsOf,
  SWEPT_CASES,
  takesRepair,
  UNKNOWN_MONEY,
} from '../../domain/support'
import { ORDER_ACTIVITIES } from '../../workflows/contract'

const CODES = Object.keys(ATTENTION_CASES) as AttentionCase[]
const choicesOf = (code: AttentionCase): readonly RepairChoice[] => ATTENTION_CASES[code].choices

it.each(CODES)('%s has a title and something to choose, each with when it is right', (code) => {
  expect(ATTENTION_CASES[code].title).toMatch(/^[A-Z]/)
  // What is about no order has no workflow to repair: whoever mends it elsewhere sees the case close.
  expect(choicesOf(code).length > 0).toBe(code !== 'sweep_failing')
  for (const { when, repair, outcome } of choicesOf(code)) {
    expect(when).toMatch(/^[A-Z].*\.$/)
    expect(outcome !== undefined).toBe(repair === 'resolveStep')
  }
})

it('names only steps that there are', () => {
  const named = CODES.flatMap((code) => choicesOf(code).flatMap(({ steps = [] }) => steps))
  const others = named.filter((step) => !(ORDER_ACTIVITIES as readonly string[]).includes(step))
  expect(others).toEqual([UNKNOWN_MONEY, PINNED_BUILD])
})

it.each([
  ['step_failing', 'place', false, ['retryStep', 'forceCancel']],
  ['step_failing', 'place', true, ['retryStep']],
  ['step_failing', 'confirm', false, ['retryStep']],
  ['step_failing', 'capturePayment', false, ['retryStep', 'resolveStep']],
  ['step_failing', 'refundPayment', false, ['retryStep', 'resolveStep']],
  ['step_failing', 'releasePayment', true, ['retryStep', 'resolveStep']],
  ['step_failing', 'refreshPayment', false, ['retryStep', 'resolveStep']],
  ['step_failing', 'renewPayment', true, ['retryStep', 'resolveStep']],
  ['undo_failed', 'cancelOrder', false, ['retryStep']],
  ['undo_failed', 'resolveCharge', true, ['retryStep', 'resolveStep']],
  ['workflow_failing', null, false, ['resume']],
  ['version_without_workers', PINNED_BUILD, false, ['moveToCurrent']],
  ['version_without_workers', CURRENT_BUILD, false, []],
] as const)('%s of %s, the order over: %s, takes %j', (code, step, isOver, repairs) => {
  expect(repairsOf({ code, step, isOver })).toEqual(repairs)
  expect(new Set(repairChoices({ code, step, isOver }).map(({ repair }) => repair))).toEqual(new Set(repairs))
})

it.each([
  ['provider_unreachable', 'resolveCharge', ['done', 'not_done']],
  ['step_failing', 'capturePayment', ['done', 'not_done']],
  ['step_failing', 'refundPayment', ['done']],
  ['step_failing', 'releasePayment', ['done']],
  ['step_failing', 'refreshPayment', ['done']],
  ['step_failing', 'renewPayment', ['not_done']],
  ['step_failing', 'confirm', []],
  ['undo_failed', 'resolveCharge', ['done', 'not_done']],
  ['undo_failed', 'syncDecision', ['not_done']],
  ['amount_mismatch', 'charge', ['done', 'not_done']],
  ['amount_mismatch', UNKNOWN_MONEY, ['done']],
  ['late_money', 'refundPayment', ['done']],
  ['late_money', 'releasePayment', ['done']],
  ['capture_refused', 'capturePayment', ['done', 'not_done']],
  ['refund_refused', 'refundPayment', ['done', 'not_done']],
  ['authorization_expiring', 'renewPayment', ['done', 'not_done']],
  ['dispute', 'closeDispute', ['done', 'not_done']],
  ['reconciliation_difference', null, ['done']],
] as const)('%s of %s is resolved by %j alone: what its workflow makes something of', (code, step, outcomes) => {
  const atHand = { code, step, isOver: false }
  const taken = (['done', 'not_done'] as const).filter((outcome) =>
    takesRepair(atHand, { action: 'resolveStep', outcome }),
  )
  expect(taken).toEqual(outcomes)
  expect(takesRepair(atHand, { action: 'resolveStep' })).toBe(false)
})

const PARCELS: [ShipmentStatus, WarehouseTrouble | null, boolean, boolean, ParcelPlight, string][] = [
  ['allocated', null, false, false, 'inside', 'retryStep, reroute, cancelShipment'],
  ['labelled', 'refused', false, false, 'inside', 'retryStep, reroute, cancelShipment'],
  ['labelled', null, true, false, 'released', 'retryStep'],
  ['labelled', 'left', false, false, 'left', 'retryStep, resolveStep done'],
  ['shipped', null, true, false, 'silent', 'retryStep, resolveStep done'],
  ['lost', null, false, false, 'gone', 'retryStep, reroute, resolveStep done'],
  ['returned', null, true, false, 'gone', 'retryStep, reroute, resolveStep done'],
  ['returned', null, false, true, 'over', 'resolveStep done'],
  ['shipped', 'left', false, false, 'over', 'resolveStep done'],
  ['cancelled', 'refused', false, false, 'over', 'resolveStep done'],
  ['cancelled', 'left', false, true, 'over', 'resolveStep done'],
]
it.each(PARCELS)(
  'of a parcel that is %s (%s; released: %s; its order over: %s) only what does something is offered',
  (status, trouble, isReleased, isOver, plight, choices) => {
    expect(plightOf({ status, trouble, isReleased, isOver })).toBe(plight)
    expect(choicesInWords({ code: 'fulfillment_stalled', step: 'decideParcel', isOver, plight })).toBe(choices)
  },
)

it('takes a repair without an outcome whatever outcome is named, and says what it takes', () => {
  const atHand = { code: 'step_failing', step: 'renewPayment', isOver: false } as const
  expect(takesRepair(atHand, { action: 'retryStep' })).toBe(true)
  expect(takesRepair(atHand, { action: 'retryStep', outcome: 'done' })).toBe(true)
  expect(takesRepair(atHand, { action: 'forceCancel' })).toBe(false)
  expect(choicesInWords(atHand)).toBe('retryStep, resolveStep not_done')
})

it('lets the sweep close only what the rows of an order and its payments tell about', () => {
  expect(CODES.filter((code) => !SWEPT_CASES.includes(code))).toEqual([
    'sweep_failing',
    'version_without_workers',
    'reconciliation_difference',
  ])
})

it('lets a decision alone close what no workflow waits for', () => {
  expect(isClosedByDecision({ code: 'reconciliation_difference', step: null })).toBe(true)
  expect(isClosedByDecision({ code: 'amount_mismatch', step: UNKNOWN_MONEY })).toBe(true)
  expect(isClosedByDecision({ code: 'amount_mismatch', step: 'charge' })).toBe(false)
})
