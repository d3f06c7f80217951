import { MockActivityEnvironment } from '@temporalio/testing'
import { createActivities } from '../../activities'
import type { Placed } from '../../activities/checkout/checkout'
import type { OrderWorkflows } from '../../activities/deps'
import { readSettings } from '../../config'
import { createRedis } from '../../db/redis'
import type { OrderId } from '../../domain/ids'
import { createPaymentProviders, type PaymentProviders } from '../../providers/payment'
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
  const activitiesWith = (theirs: PaymentProviders) =>
    createActivities({
      settings,
      pool: stack.database.pool,
      redis,
      providers: theirs,
      tax: noTaxProvider,
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

  return {
    stack,
    shop,
    proxy,
    activities,
    run,
    accepted,
    placed,
    activitiesWith,
    providers,
    async stop() {
      redis.disconnect()
      await providers.close()
      await proxy.close()
      await stack.stop()
    },
  }
}
