import type { OrderId } from '../../domain/ids'
import type { FraudAnswer } from '../../domain/order'

/** A place as far as a fraud check asks for it. */
export interface FraudAddress {
  readonly name: string
  readonly line1: string
  readonly line2: string | null
  readonly city: string | null
  readonly postal_code: string | null
  readonly region: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country: string
}

/** A paid order that nothing of has left. It holds personal data. */
export interface FraudQuestion {
  /** Also the key: the same order asked about again is the same question. */
  readonly orderId: OrderId
  readonly number: string
  readonly currency: string
  /** Minor units. */
  readonly total: number
  readonly units: number
  readonly email: string
  readonly shippingAddress: FraudAddress
  /** Null: the same as the shipping address. */
  readonly billingAddress: FraudAddress | null
  readonly shippingMethod: string
  /** By whom and with what it was paid; null when nothing was due. */
  readonly provider: string | null
  readonly method: string | null
  readonly createdAt: Date
}

/**
 * Says whether an order may be sent. Asked once per order, after it was paid and before its first label, outside of any
 * transaction; an adapter that gets no answer throws, and is asked again.
 */
export interface FraudCheck {
  review(question: FraudQuestion): Promise<FraudAnswer>
}

/** Lets every order pass: what the store uses until it has a check. */
export const noFraudCheck: FraudCheck = {
  review: async () => 'ok',
}
