import { startApi, type TestApi } from '../../support/http'
import { findProvider } from '../../../api/payment/choose'
import { behaviourOf } from '../../../sandbox/methods'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

it('the named provider is asked, or the first that takes the method', () => {
  const { providers } = api.deps
  expect(findProvider({ provider: 'sandbox', method: 'anything' }, providers)?.name).toBe('sandbox')
  expect(findProvider({ method: 'pm_sandbox_async' }, providers)?.name).toBe('sandbox')
  expect(findProvider({ provider: 'nobody', method: 'pm_card_visa' }, providers)).toBeUndefined()
  expect(findProvider({ method: 'cash' }, providers)).toBeUndefined()
})

it('storefronts are told what a checkout may name', async () => {
  const { body } = await api.call('get', '/v1/store/payment-methods?currency=GBP')
  expect(body).toMatchObject({ data: [{ provider: 'sandbox', type: 'card', publishable_key: null }], has_more: false })
  const methods: string[] = body.data[0].methods
  expect(methods).toContain('pm_card_visa')
  for (const method of methods) {
    expect(findProvider({ method }, api.deps.providers)?.name).toBe('sandbox')
    expect(behaviourOf(method).decline).not.toBe('unknown_payment_method')
  }
})

it('of a currency that there is', async () => {
  expect((await api.call('get', '/v1/store/payment-methods?currency=ZZZ')).status).toBe(400)
  expect((await api.call('get', '/v1/store/payment-methods?currency=GBP&provider=x')).status).toBe(400)
})
