import type { CaptureId, OrderId, PaymentId, RefundId } from '../ids'
import { type Currency, formatMajor } from '../money'
import type { AttemptStatus } from './attempt'
import type { MoveStatus } from './books'

/**
 * What our rows and the payment providers say of the same money, side by side. Pure: `activities/payment/reconciliation.ts`
 * loads both sides. All amounts are minor units of one currency.
 */

/** Each kind of difference, and what its two figures are: ours first. */
export const DIFFERENCE_KINDS = {
  unknown_charge: 'No attempt of ours asked for this charge. Ours: nothing. Theirs: what it holds or took.',
  charge_amount: 'The charge is for another amount, currency or order than the payment.',
  authorized: 'What is set aside and neither captured nor let go: by the payment, and by the charge.',
  captured: 'What was captured: by the payment, and by the charge.',
  refunded: 'What the provider gave back: by the payment, and by the charge.',
  disputed: 'What is in disputes that are open or lost: by the payment, and by the charge.',
  dispute_lost: 'What is in disputes that are lost: by the payment, and by the charge.',
  movement_unknown: 'Money moved at the provider, and no capture, refund or dispute of ours says so.',
  movement_missing: 'Our capture or refund succeeded, and the provider has no such movement.',
  held_for_nothing: 'The order is over, and the provider still holds money for it. Ours: nothing.',
  ledger_authorized: 'What is set aside: by the payment, and by the ledger.',
  ledger_clearing: 'What the provider owes us: by the payment, and by the ledger.',
  ledger_payable: 'Refunds on their way: by the payment, and by the ledger.',
  ledger_disputed: 'What is in disputes that are open or lost: by the payment, and by the ledger.',
  incomparable:
    'The payment provider rejects what we ask about this charge or has no answer to it, or our books cannot take what it shows, so that they cannot be compared. Ours: what the payment is for. Theirs: not known.',
  waiting:
    'It changed just then, and is compared by the next run. Ours: what the payment is for. Theirs: not known. It is never open.',
  order_total: 'More is kept for the order than it costs. Ours: what it costs. Theirs: what is kept.',
} as const
export type DifferenceKind = keyof typeof DIFFERENCE_KINDS

export interface Difference {
  readonly kind: DifferenceKind
  /** What differs: the id of a payment, capture or refund of ours, or the provider's reference of a charge or a movement. */
  readonly object: string
  readonly ours: number
  readonly theirs: number
  readonly currency: string
}

/** A payment in our rows. */
interface PaymentSums {
  readonly id: PaymentId
  readonly orderId: OrderId
  readonly provider: string
  readonly key: string
  readonly reference: string | null
  readonly currency: string
  readonly status: AttemptStatus
  readonly amount: number
  readonly captured: number
  readonly released: number
  readonly refunded: number
  readonly refunding: number
  /** In disputes that are open or lost. */
  readonly disputed: number
  /** Of `refunded`: given back by another way than the provider. */
  readonly elsewhere: number
  /** It pays for its order, or is a renewal that is to do so: fulfillment owns its money. */
  readonly pays: boolean
  /** It changed a short time ago: what the provider says may be older or newer. */
  readonly isRecent: boolean
  /** Something of its order is being captured, refunded or let go right now. */
  readonly isAtWork: boolean
}

/** A payment as it is compared with its charge. */
export interface ChargedPayment extends PaymentSums {
  readonly captures: readonly OurCapture[]
  readonly refunds: readonly OurRefund[]
  readonly disputes: readonly OurDispute[]
  readonly order: OurStage
}

/** A payment as it is compared with its ledger and its order. */
export interface BookedPayment extends PaymentSums {
  readonly ledger: OurLedger
  readonly order: OurOrder
}

/** A payment with all that belongs to it. */
export type OurPayment = ChargedPayment & BookedPayment

export interface OurCapture {
  readonly id: CaptureId
  readonly key: string
  readonly reference: string | null
  readonly amount: number
  readonly status: MoveStatus
  /** `authorization`: the provider took it as it authorized; it has no key there. */
  readonly cause: string
  /** The provider's movement that was found for it. */
  readonly movement: string | null
}

export interface OurRefund {
  readonly id: RefundId
  readonly key: string
  readonly reference: string | null
  readonly amount: number
  readonly status: MoveStatus
  /** A person has given the money back in another way. */
  readonly isElsewhere: boolean
  readonly movement: string | null
}

export interface OurDispute {
  readonly reference: string
  readonly amount: number
  readonly status: 'open' | 'won' | 'lost'
}

/** Balances of a payment's accounts. */
export interface OurLedger {
  readonly authorized: number
  readonly clearing: number
  /** What is owed to the customer: of this account credits are positive. */
  readonly payable: number
  readonly disputed: number
}

export interface OurStage {
  readonly stage: 'open' | 'won' | 'over'
  readonly wasConfirmed: boolean
}

export interface OurOrder extends OurStage {
  /** What it costs now. */
  readonly owed: number
  /** What was captured for it and will not go back. */
  readonly kept: number
}

/** A charge as the provider shows it. */
export interface TheirCharge {
  readonly reference: string
  readonly key: string | null
  readonly orderId: string
  readonly amount: number
  readonly currency: string
  readonly isAuthorized: boolean
  readonly captured: number
  readonly released: number
  readonly refunded: number
  readonly captures: readonly { readonly reference: string; readonly key: string | null; readonly amount: number }[]
  readonly refunds: readonly {
    readonly reference: string
    readonly key: string | null
    readonly amount: number
    readonly status: MoveStatus
  }[]
  readonly disputes: readonly OurDispute[]
}

/** One movement of money at the provider. */
export interface TheirMovement {
  readonly type: 'capture' | 'refund' | 'refund_failed' | 'dispute' | 'dispute_won'
  readonly reference: string
  readonly key: string | null
  /** Positive to us, negative to the customer. */
  readonly amount: number
  readonly currency: string
}

/** What the provider still sets aside for us. */
export function heldBy({ isAuthorized, amount, captured, released }: TheirCharge): number {
  return isAuthorized ? amount - captured - released : 0
}

/** Money that the provider holds for a charge, or took and has not given back. */
export function moneyIn(charge: TheirCharge): number {
  return heldBy(charge) + charge.captured - charge.refunded
}

/** A charge that none of our attempts asked for. One that holds no money, and took none, says nothing. */
export function compareUnknown(charge: TheirCharge): Difference[] {
  const theirs = moneyIn(charge)
  if (theirs === 0) return []
  return [{ kind: 'unknown_charge', object: charge.reference, ours: 0, theirs, currency: charge.currency }]
}

/** The same in words for support; null when it holds nothing. */
export function describeUnknown(charge: TheirCharge): string | null {
  const held = moneyIn(charge)
  if (held === 0) return null
  const amount = `${charge.currency} ${formatMajor({ amount: held, currency: charge.currency as Currency })}`
  return `The provider holds ${amount} by charge ${charge.reference}, for which no payment of this order asked`
}

/** No currency, by ISO 4217: nothing is known of a charge that cannot be read. */
const NO_CURRENCY = 'XXX'

/** A payment, or a charge that none of our attempts asked for, that cannot be compared. */
export function incomparable(payment: Pick<OurPayment, 'amount' | 'currency'> | null, object: string): Difference {
  const { amount: ours, currency } = payment ?? { amount: 0, currency: NO_CURRENCY }
  return { kind: 'incomparable', object, ours, theirs: 0, currency }
}

/** A payment that changes right now: whatever was seen of it, it is compared later. */
export function waiting({ id, amount, currency }: Pick<OurPayment, 'id' | 'amount' | 'currency'>): Difference {
  return { kind: 'waiting', object: id, ours: amount, theirs: 0, currency }
}

/** Everything in which a payment differs from its charge (null: the provider has none), its ledger and its order. */
export function comparePayment(payment: OurPayment, charge: TheirCharge | null): Difference[] {
  return [...compareCharge(payment, charge), ...compareBooks(payment)]
}

/** A payment against its charge. */
export function compareCharge(payment: ChargedPayment, charge: TheirCharge | null): Difference[] {
  const { id, currency } = payment
  // Nothing is ever converted: no other figure can be compared.
  if (charge && charge.currency !== currency) return compareAmount(payment, charge)
  const all: Difference[] = [
    ...(charge ? [...compareAmount(payment, charge), ...compareMoved(payment, charge)] : []),
    ...compareSums(payment, charge),
    ...compareMissing(payment, charge),
  ]
  const held = charge ? heldBy(charge) : 0
  if (payment.order.stage === 'over' && held > 0)
    all.push({ kind: 'held_for_nothing', object: id, ours: 0, theirs: held, currency })
  return all
}

/** A payment against its ledger and its order: our own rows among themselves. */
export function compareBooks(payment: BookedPayment): Difference[] {
  const { id, currency, captured, refunded, refunding, disputed, elsewhere, ledger, order } = payment
  const clearing = captured - (refunded - elsewhere) - disputed
  const pairs: [DifferenceKind, number, number][] = [
    ['ledger_authorized', authorizedOf(payment), ledger.authorized],
    ['ledger_clearing', clearing, ledger.clearing],
    ['ledger_payable', refunding, ledger.payable],
    ['ledger_disputed', disputed, ledger.disputed],
    ['order_total', order.owed, order.stage === 'open' ? order.owed : Math.max(order.owed, order.kept)],
  ]
  return differing(pairs, id, currency)
}

/** The row of ours that says that this movement happened; null when there is none of this amount. */
export function findMoved(
  payment: ChargedPayment,
  { type, reference, key, amount, currency }: TheirMovement,
): OurCapture | OurRefund | OurDispute | null {
  if (currency !== payment.currency) return null
  if (type === 'capture') {
    const capture = captureOf(payment, { reference, key, amount })
    return capture?.status === 'succeeded' && capture.amount === amount ? capture : null
  }
  if (type === 'dispute' || type === 'dispute_won') {
    const dispute = payment.disputes.find((each) => each.reference === reference)
    if (dispute?.amount !== Math.abs(amount)) return null
    return type === 'dispute_won' && dispute.status !== 'won' ? null : dispute
  }
  // What was given back in the place of one that failed has its reference, and comes first.
  const named = payment.refunds.filter((each) => each.reference === reference)
  const refund =
    named.find(({ status }) => status !== 'failed') ?? payment.refunds.find((each) => each.key === key) ?? named[0]
  if (refund?.amount !== Math.abs(amount)) return null
  return type === 'refund_failed' && refund.status !== 'failed' ? null : refund
}

function compareAmount({ id, orderId, amount, currency, status }: PaymentSums, charge: TheirCharge): Difference[] {
  const isSame = charge.amount === amount && charge.currency === currency && charge.orderId === orderId
  if (isSame || !HELD_ONCE.has(status)) return []
  return [{ kind: 'charge_amount', object: id, ours: amount, theirs: charge.amount, currency: charge.currency }]
}

function compareSums(payment: ChargedPayment, charge: TheirCharge | null): Difference[] {
  const { id, currency, captured, refunded, elsewhere, disputed, disputes } = payment
  const theirs = charge?.disputes ?? []
  return differing(
    [
      ['authorized', authorizedOf(payment), charge ? heldBy(charge) : 0],
      ['captured', captured, charge?.captured ?? 0],
      ['refunded', refunded - elsewhere, charge?.refunded ?? 0],
      ['disputed', disputed, sumOf(theirs, ['open', 'lost'])],
      // The sum before stays the same when an open one is lost.
      ['dispute_lost', sumOf(disputes, ['lost']), sumOf(theirs, ['lost'])],
    ],
    id,
    currency,
  )
}

function sumOf(disputes: readonly OurDispute[], statuses: readonly OurDispute['status'][]): number {
  return disputes.filter(({ status }) => statuses.includes(status)).reduce((sum, { amount }) => sum + amount, 0)
}

/** What the charge shows as moved, and our rows do not. */
function compareMoved(payment: ChargedPayment, charge: TheirCharge): Difference[] {
  const { currency } = charge
  return movedIn(charge)
    .filter((movement) => !findMoved(payment, movement))
    .map(({ reference, amount }) => ({
      kind: 'movement_unknown',
      object: reference,
      ours: 0,
      theirs: amount,
      currency,
    }))
}

/** What a charge shows as moved. A refund that came back has moved nothing in the end. */
export function movedIn({ captures, refunds, disputes, currency }: TheirCharge): TheirMovement[] {
  const gone = refunds.filter(({ status }) => status === 'succeeded')
  return [
    ...captures.map((capture): TheirMovement => ({ ...capture, type: 'capture', currency })),
    ...gone.map(
      ({ reference, key, amount }): TheirMovement => ({
        type: 'refund',
        reference,
        key,
        amount: -amount,
        currency,
      }),
    ),
    ...disputes.map(
      ({ reference, amount, status }): TheirMovement => ({
        type: status === 'won' ? 'dispute_won' : 'dispute',
        reference,
        key: null,
        amount: status === 'won' ? amount : -amount,
        currency,
      }),
    ),
  ]
}

/** Our captures and refunds that succeeded and that the charge does not show. */
function compareMissing(payment: ChargedPayment, charge: TheirCharge | null): Difference[] {
  const { currency } = payment
  const taken = (charge?.captures ?? []).map((each) => captureOf(payment, each)?.id)
  const captures = payment.captures
    .filter(({ id, status }) => status === 'succeeded' && !taken.includes(id))
    .map(({ id, amount }) => ({ object: id, ours: amount }))
  const refunds = payment.refunds
    .filter(({ status, isElsewhere }) => status === 'succeeded' && !isElsewhere)
    .filter((ours) => !charge?.refunds.some((theirs) => theirs.status === 'succeeded' && isSame(ours, theirs)))
    .map(({ id, amount }) => ({ object: id, ours: -amount }))
  return [...captures, ...refunds].map((each) => ({ ...each, kind: 'movement_missing', theirs: 0, currency }))
}

interface Named {
  readonly reference: string | null
  readonly key: string | null
}

function isSame(ours: Named, theirs: Named): boolean {
  return ours.key === theirs.key || (ours.reference !== null && ours.reference === theirs.reference)
}

/** By key or reference; what was taken with the authorization has neither in our rows at first. */
function captureOf(
  { captures }: Pick<ChargedPayment, 'captures'>,
  theirs: { readonly reference: string; readonly key: string | null; readonly amount: number },
): OurCapture | undefined {
  return (
    captures.find((ours) => isSame(ours, theirs)) ??
    captures.find(
      ({ cause, status, reference, amount }) =>
        reference === null &&
        amount === theirs.amount &&
        (cause === 'authorization' || (theirs.key === null && status === 'succeeded')),
    )
  )
}

/** Statuses of payments that hold money, or did. */
const HELD_ONCE: ReadonlySet<AttemptStatus> = new Set(['authorized', 'captured', 'refunded'])

function authorizedOf({ status, amount, captured, released }: PaymentSums): number {
  return status === 'authorized' ? amount - captured - released : 0
}

function differing(
  pairs: readonly (readonly [DifferenceKind, number, number])[],
  object: string,
  currency: string,
): Difference[] {
  return pairs
    .filter(([, ours, theirs]) => ours !== theirs)
    .map(([kind, ours, theirs]) => ({ kind, object, ours, theirs, currency }))
}

/** Both figures in words, for the attention list: no personal data. */
export function describeDifference({ kind, object, ours, theirs, currency }: Difference): string {
  const text = (amount: number): string => `${currency} ${formatMajor({ amount, currency })}`
  const figures = kind === 'incomparable' ? text(ours) : `${text(ours)} and ${text(theirs)}`
  return `${DIFFERENCE_KINDS[kind]} \`${object}\`: ${figures}.`
}
