import type { ParcelPlight } from './fulfillment/shipment'

export type RepairName =
  | 'retryStep'
  | 'resolveStep'
  | 'retryPayment'
  | 'forceCancel'
  | 'reroute'
  | 'cancelShipment'
  | 'resume'
  | 'moveToCurrent'

/** One thing that a person may do about a case, and when it is the right one. */
export interface RepairChoice {
  readonly repair: RepairName
  readonly outcome?: 'done' | 'not_done'
  readonly when: string
  /** The steps that it fits, by their activities; without, it fits all. */
  readonly steps?: readonly string[]
  /** What may be the matter with the parcel that the case is about; without, it fits all. */
  readonly plights?: readonly ParcelPlight[]
}

interface AttentionKind {
  readonly title: string
  readonly choices: readonly RepairChoice[]
  /**
   * Who closes it besides its workflow and a repair. `sweep`: its workflow may have been ended before it could, so the sweep
   * does, once the attempt or the order that it is about is settled. `nobody`: that says nothing about whether it is over.
   */
  readonly alsoClosedBy: 'sweep' | 'nobody'
}

/** Stands for the step of a case that no workflow waits for: money at the provider that no payment of ours asked for. */
export const UNKNOWN_MONEY = 'unknownMoney'
/** Stands for the step of a case about a whole run of the reconciliation. */
export const RUN_RECONCILIATION = 'runReconciliation'
/** Stands for the step of a case about a run whose build no worker serves. */
export const PINNED_BUILD = 'pinnedBuild'
/** Stands for the step of a case about the current build, which no worker serves: it is about no order. */
export const CURRENT_BUILD = 'currentBuild'

/** Cases that wait for a person, and what that person may do about each. Read at night by people who write no code. */
export const ATTENTION_CASES = {
  provider_unreachable: {
    title: 'The payment provider does not say what became of a charge',
    alsoClosedBy: 'sweep',
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
  step_failing: {
    title: 'A step of this order keeps failing',
    alsoClosedBy: 'sweep',
    choices: [
      { repair: 'retryStep', when: 'What made it fail is mended: try now.' },
      {
        repair: 'forceCancel',
        when: 'The customer shall not wait any longer: the order is cancelled and its stock goes back; a charge is settled afterwards.',
        steps: ['place', 'startNextAttempt'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show the money as taken: the books then show it too, and the provider is not asked any more.",
        steps: ['capturePayment'],
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The provider's own pages do not show the money as taken: this capture has failed, and what it asked for may be captured by another one.",
        steps: ['capturePayment'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You have given the money back in another way than by the provider, by bank transfer say. It has not gone back before, and will not.',
        steps: ['refundPayment'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show that no more is set aside, or you have let it go there.",
        steps: ['releasePayment'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'The provider will not show this payment any more, and you have compared it by hand: it is not looked up again for this.',
        steps: ['refreshPayment'],
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: 'It shall not be authorized anew: what is not captured by the end of its authorization cannot be captured any more. A new one that was asked for is cancelled.',
        steps: ['renewPayment'],
      },
    ],
  },
  undo_failed: {
    title: 'Stock or money could not be given back',
    alsoClosedBy: 'sweep',
    choices: [
      { repair: 'retryStep', when: 'What was down works again: try now.' },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The provider's own pages show that this charge took no money, or you have cancelled it there.",
        steps: ['cancelCharge', 'resolveCharge', 'syncDecision'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show this charge as paid: the money is then given back.",
        steps: ['cancelCharge', 'resolveCharge'],
      },
    ],
  },
  amount_mismatch: {
    title: 'The provider names another amount, currency or order, or holds money that nobody here asked for',
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You accept the payment as it is: the order is confirmed. The books keep the amount that was asked for.',
        steps: ['charge'],
      },
      {
        repair: 'forceCancel',
        when: 'You do not: the order is cancelled, the charge too, and the stock goes back.',
        steps: ['charge'],
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: 'You do not, and say so in this way: the same happens as by forceCancel.',
        steps: ['charge'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "You have given the money back on the provider's own pages, or know why it is there. The order goes on as it is.",
        steps: [UNKNOWN_MONEY],
      },
    ],
  },
  late_money: {
    title: 'A payment for a cancelled order could not be returned',
    alsoClosedBy: 'sweep',
    choices: [
      { repair: 'retryStep', when: 'What kept the money from going back is mended: try now.' },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "You have let the authorization go on the provider's own pages, or given the money back in another way than by the provider. A refund made on its pages is booked by itself.",
      },
    ],
  },
  workflow_failing: {
    title: 'The workflow of this order was stopped, does not move, or keeps failing',
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'resume',
        when: 'It was stopped by hand, or what made it fail is mended: it begins again from what the database knows. By the API only.',
      },
    ],
  },
  sweep_failing: {
    title: 'Orders and stock are not looked after as they should be: a part of the sweep keeps failing',
    alsoClosedBy: 'nobody',
    choices: [],
  },
  capture_refused: {
    title: 'The provider refuses to take the money of a confirmed order',
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'retryStep',
        when: 'What kept it from taking the money is mended, at the provider or at the bank of the customer: it is asked again, under a new key.',
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show the money as taken: the books then show it too.",
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: 'The money shall not be taken any more: this capture has failed, and what it asked for may be captured by another one.',
      },
      {
        repair: 'cancelShipment',
        when: 'The parcel that waits for this money shall not be sent: its units are cancelled, and what was authorized for them is let go.',
      },
    ],
  },
  refund_refused: {
    title: 'The provider refuses to give money back',
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'retryStep',
        when: 'What kept the money from going back is mended: the provider is asked again, under a new key.',
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You have given the money back in another way than by the provider, by bank transfer say.',
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The money shall not go back by this refund: it has failed, and its amount may be refunded by another one. Also when you have given it back on the provider's own pages: that is booked by itself.",
      },
    ],
  },
  authorization_expiring: {
    title: 'The right to take the money ends soon, and cannot be renewed without the customer',
    alsoClosedBy: 'sweep',
    choices: [
      { repair: 'retryStep', when: 'The provider or the customer has made it possible: try to renew it now.' },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You have settled it with the customer: what is due is or will be paid in another way.',
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: 'You let it end: what was not captured by then cannot be captured any more.',
      },
    ],
  },
  dispute: {
    title: "The customer's bank takes money back",
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The provider's own pages show the dispute as won: the money is ours again.",
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: "The provider's own pages show the dispute as lost, or you accept it: the money stays with the customer.",
      },
    ],
  },
  fulfillment_stalled: {
    title:
      'Goods do not move on: a warehouse or carrier is silent, refuses, or has lost a parcel, or units are not on their shelves',
    alsoClosedBy: 'sweep',
    choices: [
      {
        repair: 'retryStep',
        when: 'What kept the carrier from it is mended: it is asked now.',
        steps: ['buyLabel', 'voidLabel'],
      },
      {
        repair: 'resolveStep',
        outcome: 'not_done',
        when: 'This label is not bought: the shipment stays packed until a label is asked for by the API.',
        steps: ['buyLabel'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: "The carrier's own pages show that the label was taken back; or it stays paid for, and you accept that.",
        steps: ['voidLabel'],
      },
      {
        repair: 'retryStep',
        when: 'Wait on: the warehouse is at it. You are asked again in three days.',
        steps: ['decideParcel'],
        plights: ['inside'],
      },
      {
        repair: 'retryStep',
        when: 'It may leave, and the warehouse does not say that it has: its system is told once more. You are asked again in three days. It has left: press ship. It will not: let that system say `shipment.refused`.',
        steps: ['decideParcel'],
        plights: ['released'],
      },
      {
        repair: 'retryStep',
        when: 'Its money is asked for once more.',
        steps: ['decideParcel'],
        plights: ['left'],
      },
      {
        repair: 'retryStep',
        when: 'Wait on: the carrier looks for it, or you talk to the customer. You are asked again in two weeks; the order is not delivered before.',
        steps: ['decideParcel'],
        plights: ['silent', 'gone'],
      },
      {
        repair: 'reroute',
        when: 'Another warehouse shall send it.',
        steps: ['decideParcel'],
        plights: ['inside'],
      },
      {
        repair: 'reroute',
        when: 'Its units shall be sent once more. When no single warehouse has them all, nothing happens, and the case opens again.',
        steps: ['decideParcel'],
        plights: ['gone'],
      },
      {
        repair: 'cancelShipment',
        when: 'It shall not be sent: its units are cancelled, and what they cost goes back. Of one that is sent in the place of a lost parcel, you are asked about that parcel again.',
        steps: ['decideParcel'],
        plights: ['inside'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You have settled it with the customer, by a refund say: the order goes on without this parcel. One of which nobody hears counts as lost then.',
        steps: ['decideParcel'],
        plights: ['silent', 'gone'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You know where the parcel is, and have dealt with it: its stock is counted, and the customer has what is theirs.',
        steps: ['decideParcel'],
        plights: ['left', 'over'],
      },
      {
        repair: 'retryStep',
        when: 'Wait on: the units come. They are sent as soon as a warehouse has them; you are asked again in two weeks when none has.',
        steps: ['decideShort'],
      },
      {
        repair: 'cancelShipment',
        when: 'The customer shall not wait: the units are cancelled, and what they cost goes back.',
        steps: ['decideShort'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'The customer waits for them, however long: you are not asked again, and they are sent as soon as a warehouse has them.',
        steps: ['decideShort'],
      },
      {
        repair: 'retryStep',
        when: "What kept the warehouse's own system from hearing is mended: it is told now.",
        steps: ['tellWarehouse'],
      },
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'The warehouse knows it by other means, by telephone say: its system is not told any more.',
        steps: ['tellWarehouse'],
      },
    ],
  },
  version_without_workers: {
    title: 'No worker runs the build that this is to go on with',
    alsoClosedBy: 'nobody',
    choices: [
      {
        repair: 'moveToCurrent',
        when: 'No workers of that build will come back: it goes on with the current build. By the API only.',
        steps: [PINNED_BUILD],
      },
    ],
  },
  reconciliation_difference: {
    title: 'Our books and the payment provider say different things',
    alsoClosedBy: 'nobody',
    choices: [
      {
        repair: 'resolveStep',
        outcome: 'done',
        when: 'You know why, and have settled it. Say why in the note. By the API only.',
      },
    ],
  },
} as const satisfies Record<string, AttentionKind>

export type AttentionCase = keyof typeof ATTENTION_CASES

/** The kinds that the sweep may close. */
export const SWEPT_CASES: readonly AttentionCase[] = (Object.keys(ATTENTION_CASES) as AttentionCase[]).filter(
  (code) => ATTENTION_CASES[code].alsoClosedBy === 'sweep',
)

/** What is known of a case when a person has to choose. */
export interface CaseAtHand {
  readonly code: AttentionCase
  readonly step: string | null
  /** The order is over: it cannot be cancelled once more. */
  readonly isOver: boolean
  /** What is the matter with the parcel that it is about; without, nobody says: then each choice fits. */
  readonly plight?: ParcelPlight | null
}

/** No workflow waits for what a person decides: the decision just closes the case. */
export function isClosedByDecision({ code, step }: Pick<CaseAtHand, 'code' | 'step'>): boolean {
  return code === 'reconciliation_difference' || step === UNKNOWN_MONEY
}

/** What a person can do about a case, each with when it is right. */
export function repairChoices({ code, step, isOver, plight = null }: CaseAtHand): readonly RepairChoice[] {
  const choices: readonly RepairChoice[] = ATTENTION_CASES[code].choices
  return choices.filter(
    ({ repair, steps, plights }) =>
      !(repair === 'forceCancel' && isOver) &&
      (steps === undefined || (step !== null && steps.includes(step))) &&
      (plights === undefined || plight === null || plights.includes(plight)),
  )
}

/** What a person wants done about a case. */
export interface WantedRepair {
  readonly action: RepairName
  readonly outcome?: RepairChoice['outcome']
}

/** True when one of the choices is this repair with this outcome; a choice that names none takes any. */
export function takesRepair(atHand: CaseAtHand, { action, outcome }: WantedRepair): boolean {
  return repairChoices(atHand).some(
    (choice) => choice.repair === action && (choice.outcome === undefined || choice.outcome === outcome),
  )
}

/** "retryStep, resolveStep done, resolveStep not_done" */
export function choicesInWords(atHand: CaseAtHand): string {
  return repairChoices(atHand)
    .map(({ repair: action, outcome }) => repairInWords({ action, outcome }))
    .join(', ')
}

/** "resolveStep done" */
export function repairInWords({ action, outcome }: WantedRepair): string {
  return outcome === undefined ? action : `${action} ${outcome}`
}

/** The repairs that a case takes, each once. */
export function repairsOf(atHand: CaseAtHand): readonly RepairName[] {
  return [...new Set(repairChoices(atHand).map(({ repair }) => repair))]
}
