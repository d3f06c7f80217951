import {
  ATTENTION_CASES,
  type AttentionCase,
  isClosedByDecision,
  type RepairChoice,
  repairChoices,
  repairsOf,
  SWEPT_CASES,
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
  expect(
    named.filter((step) => step !== UNKNOWN_MONEY && !(ORDER_ACTIVITIES as readonly string[]).includes(step)),
  ).toEqual([])
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
] as const)('%s of %s, the order over: %s, takes %j', (code, step, isOver, repairs) => {
  expect(repairsOf({ code, step, isOver })).toEqual(repairs)
  expect(new Set(repairChoices({ code, step, isOver }).map(({ repair }) => repair))).toEqual(new Set(repairs))
})

it('lets the sweep close only what the rows of an order and its payments tell about', () => {
  expect(CODES.filter((code) => !SWEPT_CASES.includes(code))).toEqual(['sweep_failing', 'reconciliation_difference'])
})

it('lets a decision alone close what no workflow waits for', () => {
  expect(isClosedByDecision({ code: 'reconciliation_difference', step: null })).toBe(true)
  expect(isClosedByDecision({ code: 'amount_mismatch', step: UNKNOWN_MONEY })).toBe(true)
  expect(isClosedByDecision({ code: 'amount_mismatch', step: 'charge' })).toBe(false)
})
