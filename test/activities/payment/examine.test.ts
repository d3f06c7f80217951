import { reconcileOnce, reconciliationOf } from '../../../bench/payment/run'
import { listDifferences } from '../../../db/payment/difference'
import { listOpenCases } from '../../../db/support/attention'
import { ProviderRejected } from '../../../providers/payment/provider'
import { StripeProvider } from '../../../providers/payment/stripe/provider'
import { type TestDatabase, testDatabase } from '../../support/database'
import { startStripeStub, type StripeStub } from '../../support/stripe-stub'

const KEYS = { secretKey: 'sk_test_of_the_stub', webhookSecret: 'whsec_of_the_stub' }

let database: TestDatabase
let stub: StripeStub
let stripe: StripeProvider
beforeEach(async () => {
  ;[database, stub] = await Promise.all([testDatabase(), startStripeStub(KEYS)])
  stripe = new StripeProvider({
    ...{ publishableKey: null, secretKey: KEYS.secretKey, webhookSecrets: [KEYS.webhookSecret] },
    ...{ url: stub.url, timeoutMs: 2_000 },
  })
})
afterEach(async () => {
  await stripe.close()
  await stub.stop()
  await database.drop()
})

/** A charge of another shop that uses our account; made long enough ago to be compared. */
function foreign(method: string): string {
  stub.account.shift = -60
  const { id } = stub.account.createIntent({ amount: '700', currency: 'eur', capture_method: 'manual' })
  try {
    stub.account.confirmIntent(id, { payment_method: method })
  } catch {
    // Declined: the intent stays open for another card.
  }
  return id
}

/** What a run finds in all that is older than now. */
async function differences() {
  const { id } = await reconcileOnce(reconciliationOf(database.pool, stripe, 0))
  return listDifferences(database.pool, { id, after: '', limit: 10 })
}

const cases = async () => listOpenCases(database.pool, { limit: 10, after: 0 })

describe('a charge at Stripe that nobody here asked for', () => {
  it('is a case, and the run comes to its end', async () => {
    const id = foreign('pm_card_visa')
    const found = { kind: 'unknown_charge', object: id, ours: 0, theirs: 700, currency: 'EUR', orderId: null }
    expect(await differences()).toMatchObject([found])
    expect(await cases()).toMatchObject([{ code: 'reconciliation_difference', orderId: null }])
    stub.account.cancelIntent(id)
    expect(await differences()).toEqual([])
    expect(await cases()).toEqual([])
  })

  it('is left as it is', async () => {
    const [open, held] = [foreign('pm_card_chargeDeclined'), foreign('pm_card_visa')]
    expect(await differences()).toMatchObject([{ object: held }])
    expect(stub.account.get(open)['status']).toBe('requires_payment_method')
    expect(stub.account.get(held)['status']).toBe('requires_capture')
  })
})

it('a charge of a list that cannot be read is a difference of its own, and the run comes to its end', async () => {
  const page = { unreadable: ['ch_unreadable'], nextCursor: null }
  const provider = {
    name: 'stripe',
    list: async () => ({ ...page, charges: [] }),
    movements: async () => ({ ...page, movements: [] }),
    read: async () => Promise.reject(new ProviderRejected('captures_disagree', 'It tells of more than it took')),
  }
  const { id } = await reconcileOnce(reconciliationOf(database.pool, provider, 0))
  expect(await listDifferences(database.pool, { id, after: '', limit: 10 })).toMatchObject([
    { kind: 'incomparable', object: 'ch_unreadable' },
  ])
})
