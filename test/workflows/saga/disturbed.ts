import { ApplicationFailure, proxyLocalActivities } from '@temporalio/workflow'
import { CHECKOUT_STEPS, type CheckoutEnd, runCheckout } from '../../../workflows/checkout'
import type { CheckoutInput } from '../../../workflows/contract'
import type { Step } from '../../../workflows/saga'

export { settlement } from '../../../workflows/settlement'

/** What is done to one step of the saga. */
export const DISTURBANCES = [
  'do fails before its effect',
  'do loses its answer',
  'do runs twice',
  'undo runs before do',
  'undo fails before its effect',
  'undo loses its answer',
  'undo runs twice',
] as const
export type Disturbance = (typeof DISTURBANCES)[number]

export interface Plan {
  readonly step: keyof typeof CHECKOUT_STEPS
  readonly disturbance: Disturbance
}

export interface PlanActivities {
  /** What is to happen to the order's next run; null: nothing. */
  takePlan(input: CheckoutInput): Promise<Plan | null>
}

const { takePlan } = proxyLocalActivities<PlanActivities>({ startToCloseTimeout: '10s' })

/** Holdfast's own checkout, registered under its name, with one step of its table disturbed. */
export async function checkout(input: CheckoutInput): Promise<CheckoutEnd> {
  const plan = await takePlan(input)
  return runCheckout(input, plan === null ? CHECKOUT_STEPS : disturbed(plan))
}

function disturbed({ step, disturbance }: Plan): typeof CHECKOUT_STEPS {
  return { ...CHECKOUT_STEPS, [step]: DISTURB[disturbance](CHECKOUT_STEPS[step] as AnyStep) }
}

type AnyStep = Step<unknown, unknown, unknown>

const DISTURB: Readonly<Record<Disturbance, (step: AnyStep) => AnyStep>> = {
  'do fails before its effect': (step) => ({ ...step, do: () => Promise.reject(staged()) }),
  'do loses its answer': (step) => ({
    ...step,
    do: (...args) => step.do(...args).then(() => Promise.reject(staged())),
  }),
  'do runs twice': (step) => ({ ...step, do: (...args) => step.do(...args).then(() => step.do(...args)) }),
  'undo runs before do': (step) => ({ ...step, do: (...args) => undoOf(step)(...args).then(() => step.do(...args)) }),
  'undo fails before its effect': (step) => ({ ...step, undo: () => Promise.reject(staged()) }),
  'undo loses its answer': (step) => ({
    ...step,
    undo: (...args) => undoOf(step)(...args).then(() => Promise.reject(staged())),
  }),
  'undo runs twice': (step) => ({
    ...step,
    undo: (...args) => undoOf(step)(...args).then(() => undoOf(step)(...args)),
  }),
}

function undoOf({ undo }: AnyStep): NonNullable<AnyStep['undo']> {
  if (undo === null) throw staged()
  return undo
}

/** Ends the run, as the death of all workers for good would: the next run begins anew. */
function staged(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('Staged by a test', 'staged')
}
