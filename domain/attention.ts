/** Cases that wait for a person, and what that person may do about each. */
export const ATTENTION_CASES = {
  provider_unreachable: {
    title: 'The payment provider does not say what became of a charge',
    repairs: ['retryPayment', 'resolveStep', 'forceCancel'],
  },
  undo_failed: {
    title: 'Stock or money could not be given back',
    repairs: ['retryStep', 'resolveStep'],
  },
  amount_mismatch: {
    title: 'The provider names another amount, currency or status than the order',
    repairs: ['resolveStep', 'forceCancel'],
  },
  late_money: {
    title: 'A payment for a cancelled order could not be returned',
    repairs: ['retryStep', 'resolveStep'],
  },
  workflow_failing: {
    title: 'The workflow of this order keeps failing',
    repairs: ['resume'],
  },
} as const satisfies Record<string, { title: string; repairs: readonly string[] }>

export type AttentionCase = keyof typeof ATTENTION_CASES
export type RepairName = 'retryStep' | 'resolveStep' | 'retryPayment' | 'forceCancel' | 'resume'

export function allowsRepair(attention: AttentionCase, repair: RepairName): boolean {
  return (ATTENTION_CASES[attention].repairs as readonly string[]).includes(repair)
}
