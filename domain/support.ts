export type RepairName = 'retryStep' | 'resolveStep' | 'retryPayment' | 'forceCancel' | 'resume'

/** One thing that a person may do about a case, and when it is the right one. */
export interface RepairChoice {
  readonly repair: RepairName
  readonly outcome?: 'done' | 'not_done'
  readonly when: string
}

interface AttentionKind {
  readonly title: string
  readonly repairs: readonly RepairName[]
  readonly choices: readonly RepairChoice[]
}

/** Cases that wait for a person, and what that person may do about each. Read at night by people who write no code. */
export const ATTENTION_CASES = {
  provider_unreachable: {
    title: 'The payment provider does not say what became of a charge',
    repairs: ['retryPayment', 'resolveStep', 'forceCancel'],
    choices: [
      { repair: 'retryPayment', when: 'The provider works again: ask it now.' },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show this charge as paid. An open order is confirmed; of a cancelled one the money goes back.",
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The provider's own pages do not show this charge, or show it as failed. The customer may pay with another card.",
      },
      {
        repair: 'forceCancel',
        when: 'The customer shall not wait any longer: the order is cancelled and its stock goes back; the charge is settled afterwards.',
      },
    ],
  },
  undo_failed: {
    title: 'Stock or money could not be given back',
    repairs: ['retryStep', 'resolveStep'],
    choices: [
      { repair: 'retryStep', when: 'What was down works again: try now.' },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The provider's own pages show that this charge took no money, or you have cancelled it there.",
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show this charge as paid: the money is then given back.",
      },
    ],
  },
  amount_mismatch: {
    title: 'The provider names another amount, currency or order',
    repairs: ['resolveStep', 'forceCancel'],
    choices: [
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You accept the payment as it is: the order is confirmed. The books keep the amount that was asked for.',
      },
      { repair: 'forceCancel', when: 'You do not: the order is cancelled, the charge too, and the stock goes back.' },
    ],
  },
  late_money: {
    title: 'A payment for a cancelled order could not be returned',
    repairs: ['retryStep', 'resolveStep'],
    choices: [
      { repair: 'retryStep', when: 'What kept the money from going back is mended: try now.' },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "You have given the money back yourself, on the provider's own pages.",
      },
    ],
  },
  workflow_failing: {
    title: 'The workflow of this order was stopped, or keeps failing',
    repairs: ['resume'],
    choices: [
      {
        repair: 'resume',
        when: 'It was stopped by hand, or what made it fail is mended: it begins again from what the database knows. By the API only.',
      },
    ],
  },
} as const satisfies Record<string, AttentionKind>

export type AttentionCase = keyof typeof ATTENTION_CASES

export function allowsRepair(attention: AttentionCase, repair: RepairName): boolean {
  return (ATTENTION_CASES[attention].repairs as readonly string[]).includes(repair)
}

/** What a person can do about a case. An order that is over cannot be cancelled once more. */
export function repairChoices(attention: AttentionCase, isOver: boolean): readonly RepairChoice[] {
  const choices: readonly RepairChoice[] = ATTENTION_CASES[attention].choices
  return choices.filter(({ repair }) => repair !== 'forceCancel' || !isOver)
}
