import type { SeenPayment } from '../../domain/payment/books'

type Refund = { -readonly [Field in keyof SeenPayment['refunds'][number]]: SeenPayment['refunds'][number][Field] }
type Dispute = { -readonly [Field in keyof SeenPayment['disputes'][number]]: SeenPayment['disputes'][number][Field] }

/** What a provider decides about the next thing that it is asked for. */
export type Mood = 'well' | 'refuses' | 'pending'

/**
 * A payment as a provider keeps it, with the provider's own bounds: what the port promises (`providers/payment/provider.ts`),
 * and nothing else. A key is answered once and for ever. Anybody else may also capture, refund and dispute.
 */
export class ProviderModel {
  readonly amount: number
  readonly capturesInParts: boolean
  released = 0
  readonly captures: { readonly reference: string; readonly key: string | null; readonly amount: number }[] = []
  readonly refunds: Refund[] = []
  readonly disputes: Dispute[] = []
  private readonly refused = new Set<string>()
  private readonly name: string
  private serial = 0

  constructor({ name, amount, capturesInParts }: { name: string; amount: number; capturesInParts: boolean }) {
    this.name = name
    this.amount = amount
    this.capturesInParts = capturesInParts
  }

  get captured(): number {
    return sum(this.captures)
  }

  get refunded(): number {
    return sum(this.refunds.filter(({ status }) => status === 'succeeded'))
  }

  /** In disputes that are open or lost. */
  get disputed(): number {
    return sum(this.disputes.filter(({ status }) => status !== 'won'))
  }

  get capturable(): number {
    return this.amount - this.captured - this.released
  }

  get refundable(): number {
    return this.captured - this.disputed - sum(this.refunds.filter(({ status }) => status !== 'failed'))
  }

  /** The reference of the capture; null when it is refused. */
  capture({ key, amount, final }: { key: string | null; amount: number; final: boolean }, mood: Mood): string | null {
    const known = this.captures.find((capture) => key !== null && capture.key === key)
    if (known) return known.reference
    if (mood === 'refuses' || amount > this.capturable || (key !== null && this.refused.has(key))) {
      if (key !== null) this.refused.add(key)
      return null
    }
    const reference = this.newReference('ca')
    this.captures.push({ reference, key, amount })
    if (final || !this.capturesInParts) this.release()
    return reference
  }

  release(): void {
    this.released += this.capturable
  }

  refund({ key, amount }: { key: string | null; amount: number }, mood: Mood): Readonly<Refund> | null {
    const known = this.refunds.find((refund) => key !== null && refund.key === key)
    if (known) return known
    if (amount > this.refundable && key === null) return null
    const isRefused = mood === 'refuses' || amount > this.refundable
    const status = isRefused ? 'failed' : mood === 'pending' ? 'pending' : 'succeeded'
    const refund = {
      reference: this.newReference('re'),
      key,
      amount,
      status,
      failureCode: isRefused ? 'no' : null,
    } as const
    this.refunds.push({ ...refund })
    return refund
  }

  /** Ends refunds that are pending; one that had succeeded may still fail. */
  endRefund(pick: number, status: 'succeeded' | 'failed'): void {
    const refund = this.refunds[pick % Math.max(1, this.refunds.length)]
    if (!refund || refund.status === 'failed' || (refund.status === 'succeeded' && status === 'succeeded')) return
    refund.status = status
    refund.failureCode = status === 'failed' ? 'later' : null
  }

  dispute(amount: number): void {
    const most = this.captured - this.disputed - this.refunded
    if (most > 0)
      this.disputes.push({ reference: this.newReference('dp'), amount: Math.min(amount, most), status: 'open' })
  }

  closeDispute(pick: number, status: 'won' | 'lost'): void {
    const open = this.disputes.filter((dispute) => dispute.status === 'open')
    const dispute = open[pick % Math.max(1, open.length)]
    if (dispute) dispute.status = status
  }

  /** As it stands at this moment; later changes do not show in it. */
  show(): SeenPayment {
    const { amount, capturesInParts, released } = this
    const state = this.capturable > 0 ? 'authorized' : this.captured === 0 ? 'voided' : 'captured'
    const lists = { captures: this.captures, refunds: this.refunds, disputes: this.disputes }
    const rest = { reference: this.name, amount, state, released, capturesInParts, captureBefore: null } as const
    return { ...rest, ...structuredClone(lists) }
  }

  private newReference(kind: string): string {
    return `${this.name}/${kind}${++this.serial}`
  }
}

function sum(rows: readonly { readonly amount: number }[]): number {
  return rows.reduce((total, { amount }) => total + amount, 0)
}
