import type { CaptureId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import type { WorkItem } from '../../domain/payment/work'
import type { Stubs } from './stub-worker'

type Capture = Extract<WorkItem, { kind: 'capture' }>
type Refund = Extract<WorkItem, { kind: 'refund' }>

/** The rows of an order's money as its workflow sees them: what is at work, and what the provider would answer. */
export class MoneyStubs {
  items: WorkItem[] = []
  isOver = false
  /** What the provider does not answer. */
  readonly away = new Set<string>()
  /** What it refuses, or takes and decides later. */
  readonly refused = new Set<string>()
  readonly accepted = new Set<string>()
  /** By when it should have decided what it accepts. */
  decideBy = Date.now() + 14 * 24 * 3_600_000
  openCase = async (): Promise<void> => undefined
  private readonly patienceMs: number
  private made = 0

  constructor({ patienceMs = 60_000 }: { patienceMs?: number } = {}) {
    this.patienceMs = patienceMs
  }

  capture(paymentId: PaymentId, status: Capture['status'] = 'pending'): Capture {
    const object = `cap_${++this.made}` as CaptureId
    return this.add({ kind: 'capture', object, shipmentId: null, ...move(paymentId, status) })
  }

  refund(paymentId: PaymentId, status: Refund['status'] = 'pending', decideBy: number | null = null): Refund {
    const object = `ref_${++this.made}` as RefundId
    return this.add({ kind: 'refund', object, ...move(paymentId, status), isAccepted: decideBy !== null, decideBy })
  }

  release(paymentId: PaymentId): WorkItem {
    return this.add({ kind: 'release', object: paymentId, paymentId, amount: 500 })
  }

  news(paymentId: PaymentId): WorkItem {
    return this.add({ kind: 'news', object: paymentId, paymentId })
  }

  dispute(paymentId: PaymentId): WorkItem {
    return this.add({ kind: 'dispute', object: `dp_${++this.made}`, paymentId, amount: 500, status: 'open' })
  }

  renewal(paymentId: PaymentId): WorkItem {
    return this.add({ kind: 'renewal', object: paymentId, paymentId, amount: 500 })
  }

  done({ kind, object }: Pick<WorkItem, 'kind' | 'object'>): void {
    this.items = this.items.filter((item) => item.kind !== kind || item.object !== object)
  }

  /** The effects of a fulfillment or settlement. */
  get stubs(): Stubs {
    return {
      readPaymentWork: async (_scope: { orderId: OrderId }) => ({
        isOver: this.isOver,
        currency: 'GBP',
        total: 1_000,
        items: this.items,
        patienceMs: this.patienceMs,
      }),
      advanceGoods: async () => ({
        isOver: this.isOver,
        items: [],
        lookAt: null,
        waitsFor: 'nothing.',
        hasClaimedMoney: false,
      }),
      capturePayment: async ({ captureId }: { captureId: CaptureId }) => this.move('capture', captureId),
      refundPayment: async ({ refundId }: { refundId: RefundId }) => this.move('refund', refundId),
      releasePayment: async ({ paymentId }: { paymentId: PaymentId }) => this.move('release', paymentId),
      renewPayment: async ({ paymentId }: { paymentId: PaymentId }) => {
        if (this.away.has(paymentId)) throw new Error('away')
        if (this.refused.has(paymentId)) return { outcome: 'refused', reason: 'no' }
        this.done({ kind: 'renewal', object: paymentId })
        return { outcome: 'renewed' }
      },
      letLapse: async ({ paymentId }: { paymentId: PaymentId }) => this.done({ kind: 'renewal', object: paymentId }),
      refreshPayment: async ({ paymentId }: { paymentId: PaymentId }) => {
        if (this.away.has(paymentId)) throw new Error('away')
        this.done({ kind: 'news', object: paymentId })
      },
      decideCapture: async ({ captureId, decision }: { captureId: CaptureId; decision: string }) =>
        this.decide({ kind: 'capture', object: captureId }, decision),
      decideRefund: async ({ refundId, decision }: { refundId: RefundId; decision: string }) =>
        this.decide({ kind: 'refund', object: refundId }, decision),
      settleElsewhere: async ({ object }: { object: string }) => {
        this.items = this.items.filter((item) => item.object !== object)
      },
      skipNews: async ({ paymentId }: { paymentId: PaymentId }) => this.done({ kind: 'news', object: paymentId }),
      closeDispute: async ({ reference }: { reference: string }) => this.done({ kind: 'dispute', object: reference }),
      openCase: () => this.openCase(),
      closeCase: async () => undefined,
      recordRepair: async () => undefined,
    }
  }

  private add<Item extends WorkItem>(item: Item): Item {
    this.items = [...this.items, item]
    return item
  }

  private change(object: string, change: object): void {
    this.items = this.items.map((item) => (item.object === object ? { ...item, ...change } : item)) as WorkItem[]
  }

  private move(kind: WorkItem['kind'], object: string): string {
    if (this.away.has(object)) throw new Error('away')
    if (this.refused.has(object)) {
      this.change(object, { status: 'failed', failureCode: 'no' })
      return 'failed'
    }
    if (this.accepted.has(object)) {
      this.change(object, { isAccepted: true, decideBy: this.decideBy })
      return 'pending'
    }
    this.done({ kind, object } as WorkItem)
    return 'succeeded'
  }

  private decide(item: Pick<WorkItem, 'kind' | 'object'>, decision: string): void {
    const failed = this.items.find((one) => one.object === item.object)
    this.done(item)
    if (decision !== 'retry' || !failed) return
    if (item.kind === 'capture') this.capture(failed.paymentId)
    else this.refund(failed.paymentId)
  }
}

function move(paymentId: PaymentId, status: Capture['status']) {
  return { paymentId, amount: 500, status, failureCode: status === 'failed' ? 'no' : null }
}
