import { MockActivityEnvironment } from '@temporalio/testing'
import { createActivities } from '../../activities'
import type { Placed } from '../../activities/checkout/checkout'
import type { OrderWorkflows } from '../../activities/deps'
import { readSettings } from '../../config'
import { cancelUnits } from '../../db/fulfillment/cancel'
import { withBooks } from '../../db/payment/books'
import { withTransaction } from '../../db/pool'
import { createRedis } from '../../db/redis'
import type { OrderId } from '../../domain/ids'
import type { Books } from '../../domain/payment/books'
import { createCarriers } from '../../providers/carrier'
import { createPaymentProviders, type PaymentProviders } from '../../providers/payment'
import type { PaymentProvider } from '../../providers/payment/provider'
import { noFraudCheck } from '../../providers/fraud'
import { createWarehouseSystems } from '../../providers/warehouse'
import { noTaxProvider } from '../../providers/tax'
import { type ProviderProxy, startProviderProxy } from './provider-proxy'
import { type Buyer, Shop } from './shop'
import { type TestStack, testStack } from './stack'

/** No worker: each effect is called by hand, in the order in which a lost answer or a late message would bring it. */
export interface PaymentEffects {
  readonly stack: TestStack
  readonly shop: Shop
  /** Between the effects and the provider. */
  readonly proxy: ProviderProxy
  readonly activities: ReturnType<typeof createActivities>
  run<I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O>
  /** An order that nobody has begun. */
  accepted(method?: string): Promise<AcceptedByBuyer>
  /** One whose first attempt may be sent. */
  placed(method?: string): Promise<PlacedByBuyer>
  /** One that is paid and confirmed. */
  confirmed(method?: string): Promise<PlacedByBuyer>
  /** Decides in the books of an order. */
  inBooks<T>(order: AcceptedByBuyer, work: (books: Books) => T): Promise<Awaited<T>>
  /** Cancels the whole order after it was confirmed. */
  cancelled(order: AcceptedByBuyer): Promise<void>
  /** The activities with a provider that is asked for nothing but charges, and finds them so. */
  activitiesFinding(find: PaymentProvider['find']): ReturnType<typeof createActivities>
  /** Finds a charge as the sandbox shows it, but in euros. */
  readonly inEuros: PaymentProvider['find']
  /** The activities with another provider in the place of the sandbox. */
  activitiesWith(provider: PaymentProviders): ReturnType<typeof createActivities>
  readonly providers: PaymentProviders
  stop(): Promise<void>
}

export interface AcceptedByBuyer {
  readonly buyer: Buyer & { sku: string }
  readonly orderId: OrderId
}

export interface PlacedByBuyer extends AcceptedByBuyer {
  readonly attempt: NonNullable<Placed['attempt']>
}

export async function startPaymentEffects(): Promise<PaymentEffects> {
  const stack = await testStack({ workers: 0, env: { CHECKOUT_WAIT_MS: '1', PAYMENT_TIMEOUT_MS: '1000' } })
  const shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  const proxy = await startProviderProxy()
  proxy.target = stack.stack.file.sandbox
  const settings = readSettings({ ...stack.stack.env, SANDBOX_URL: proxy.url })
  const redis = createRedis(settings)
  const providers = createPaymentProviders(settings)
  const carriers = createCarriers(settings)
  const activitiesWith = (theirs: PaymentProviders) =>
    createActivities({
      settings,
      pool: stack.database.pool,
      redis,
      providers: theirs,
      carriers,
      warehouses: createWarehouseSystems(settings),
      tax: noTaxProvider,
      fraud: noFraudCheck,
      search: { engines: [] },
      orders: {} as OrderWorkflows,
    })
  const activities = activitiesWith(providers)
  const run = <I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> =>
    new MockActivityEnvironment().run(activity, input)

  async function accepted(method = 'pm_card_visa'): Promise<AcceptedByBuyer> {
    const buyer = await shop.buyerOf({ stock: 3 })
    const answer = await buyer.checkout({ method })
    expect(answer.status).toBe(202)
    return { buyer, orderId: answer.body.order_id }
  }

  async function placed(method?: string): Promise<PlacedByBuyer> {
    const order = await accepted(method)
    const result = await run(activities.place, { orderId: order.orderId })
    if (result.outcome !== 'placed' || !result.attempt) throw new Error('It was not placed')
    return { ...order, attempt: result.attempt }
  }

  async function confirmed(method?: string): Promise<PlacedByBuyer> {
    const order = await placed(method)
    const { orderId, attempt } = order
    const result = await run(activities.charge, { paymentId: attempt.paymentId })
    if (result.outcome !== 'paid') throw new Error(result.outcome)
    const paid = { paymentId: attempt.paymentId, ...result.charge }
    expect(await run(activities.confirm, { orderId, paid })).toBe(true)
    return order
  }

  const { pool } = stack.database
  const inBooks = <T>({ orderId }: AcceptedByBuyer, work: (books: Books) => T) => withBooks(pool, orderId, work)

  async function cancelled({ orderId }: AcceptedByBuyer): Promise<void> {
    const how = { orderId, wanted: null, reason: 'merchant', reasonCode: 'test', actor: null, step: 1 } as const
    expect(await withTransaction(pool, (tx) => cancelUnits(tx, how))).toEqual({ outcome: 'cancelled' })
  }

  return {
    stack,
    shop,
    proxy,
    activities,
    run,
    accepted,
    placed,
    confirmed,
    inBooks,
    cancelled,
    activitiesFinding: (find) =>
      activitiesWith({ ...providers, get: () => ({ find }) as Partial<PaymentProvider> as PaymentProvider }),
    async inEuros(request) {
      const charge = await providers.get('sandbox')?.find(request)
      return charge ? { ...charge, amount: { ...charge.amount, currency: 'EUR' } } : null
    },
    activitiesWith,
    providers,
    async stop() {
      redis.disconnect()
      await Promise.all([providers.close(), carriers.close()])
      await proxy.close()
      await stack.stop()
    },
  }
}
