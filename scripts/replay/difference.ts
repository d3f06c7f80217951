import { orderDifferencesOf } from './order-report'
import type { Plan } from './plan'
import type { Reconciled } from './reconciliation'
import { differencesOf } from './report'
import type { Replayed } from './run'
import { sumDifferencesOf } from './sum-report'

/** One sentence for each thing that did not come as computed. */
export function allDifferences(plan: Plan, outcome: Replayed): string[] {
  const { story, reconciled, cases } = outcome
  return [
    ...differencesOf(plan, outcome),
    ...orderDifferencesOf(story),
    ...sumDifferencesOf(plan, story),
    ...reconciledDifferences(reconciled),
    ...cases.map(
      ({ case: kind, order_id: id, step, detail }) => `a case is open: ${kind} of ${id}, ${step}: ${detail}`,
    ),
  ]
}

function reconciledDifferences({ state, failure, difference_count: count }: Reconciled): string[] {
  return [
    ...(state === 'completed' ? [] : [`the reconciliation ${state}: ${failure ?? ''}`]),
    ...(count > 0 ? [`the reconciliation has found ${count} differences`] : []),
  ]
}

export function describeReconciled({ compared, waiting }: Reconciled): string {
  const counts = Object.entries(compared).map(([what, count]) => `${count} ${what.replaceAll('_', ' ')}`)
  return `The shop's own reconciliation compared ${counts.join(', ')}; ${waiting} wait for the next one.`
}
