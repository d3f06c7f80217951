import type { Settings } from '../config'
import type { Pool } from '../db/pool'
import type { Redis } from '../db/redis'
import type { OrderId, PaymentId } from '../domain/ids'
import type { Carriers } from '../providers/carrier'
import type { FraudCheck } from '../providers/fraud'
import type { PaymentProviders } from '../providers/payment'
import type { Search } from '../providers/search'
import type { TaxProvider } from '../providers/tax'
import type { WarehouseSystems } from '../providers/warehouse'

/** What the activities of one worker process share. Made once, in `workers/main.ts`. */
export interface ActivityDeps {
  readonly settings: Settings
  readonly pool: Pool
  readonly redis: Redis
  readonly providers: PaymentProviders
  readonly carriers: Carriers
  readonly warehouses: WarehouseSystems
  readonly tax: TaxProvider
  readonly fraud: FraudCheck
  readonly search: Pick<Search, 'engines'>
  readonly orders: OrderWorkflows
}

/** A checkout, or the settlement of one of its payments. */
export interface OrderWorkflow {
  readonly workflowId: string
  readonly orderId: OrderId
  /** Null: it is the checkout. */
  readonly paymentId: PaymentId | null
}

/** For code that must know whether an order's workflow runs, or must start it again. */
export interface OrderWorkflows {
  /** Orders whose checkout is running, as Temporal's index has it: seconds old, so only good for skipping. Some of them, once `isOver`. */
  listRunning(isOver?: () => boolean): Promise<ReadonlySet<OrderId>>
  /** Those whose workflow tasks keep failing. Some of them, once `isOver`. */
  listFailing(isOver?: () => boolean): Promise<OrderWorkflow[]>
  /** Ids of the expiry workflows that ought to be running and are not. */
  listStoppedExpiry(): Promise<string[]>
  /** Whether a workflow of this id runs. */
  isOpen(workflowId: string): Promise<boolean>
  /** When the run that is open began; null when none is. */
  openSince(workflowId: string): Promise<Date | null>
  isCheckoutOpen(orderId: OrderId): Promise<boolean>
  /** False when it is running already. */
  startCheckout(order: { orderId: OrderId; number: string }): Promise<boolean>
  /** Tells a checkout that is running of an attempt that it has to take up. Again without harm. */
  remindOfAttempt(order: { orderId: OrderId; attempt: number }): Promise<void>
  /** Tells a checkout that is running that the buyer wants it cancelled. Again without harm. */
  remindOfCancel(orderId: OrderId): Promise<void>
  /** Tells a checkout that is running that the provider has news of a payment; false when it is not. Again without harm. */
  tellCheckout(payment: { orderId: OrderId; paymentId: PaymentId }): Promise<boolean>
  /**
   * Tells fulfillment of a confirmed order that something is to be done, and starts it when it is gone. False when the order is
   * over and its fulfillment has ended: then settlements own the money.
   */
  startFulfillment(order: { orderId: OrderId; isOver: boolean }): Promise<boolean>
  /** Starts fulfillment of an order that has just been confirmed. It begins by itself in `delayMs`. Again without harm. */
  awaitFulfillment(orderId: OrderId, delayMs: number): Promise<void>
  /**
   * Tells the workflow that owns the money of this payment that its provider has news: fulfillment when it pays for its
   * order, unless that has ended; else its settlement.
   */
  tellNews(payment: { orderId: OrderId; isOver: boolean; paymentId: PaymentId; pays: boolean }): Promise<void>
  /** Tells the settlement of a payment that there is news of it, and starts it if need be. Again without harm. */
  tellSettlement(payment: { orderId: OrderId; paymentId: PaymentId }): Promise<void>
  /** False when it is running already. */
  startSettlement(payment: { orderId: OrderId; paymentId: PaymentId }): Promise<boolean>
}
