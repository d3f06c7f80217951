import type { Browser, Page } from 'playwright-core'
import { startBrowser } from '../../scripts/stack/browser'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { startStripeStub, type StripeStub } from '../support/stripe-stub'

const STEP_MS = 20_000
const PUBLISHABLE_KEY = 'pk_test_of_the_shop'

let stub: StripeStub
let stack: TestStack
let shop: Shop
let browser: Browser
let page: Page
/** What the page said that it should not. */
let complaints: string[]

beforeAll(async () => {
  stub = await startStripeStub({ secretKey: 'sk_test_of_the_shop', webhookSecret: 'whsec_of_the_shop' })
  const env = {
    STRIPE_API_URL: stub.url,
    STRIPE_SECRET_KEY: 'sk_test_of_the_shop',
    STRIPE_PUBLISHABLE_KEY: PUBLISHABLE_KEY,
    STRIPE_WEBHOOK_SECRETS: 'whsec_of_the_shop',
  }
  ;[stack, browser] = await Promise.all([testStack({ env }), startBrowser()])
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
  await stub?.stop()
}, 30_000)

beforeEach(async () => {
  const context = await browser.newContext({ baseURL: stack.api })
  context.setDefaultTimeout(STEP_MS)
  page = await context.newPage()
  complaints = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  await page.route('https://js.stripe.com/v3', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: FAKE_STRIPE_JS }),
  )
})
afterEach(async () => {
  await page.context().close()
  expect(complaints).toEqual([])
})

/** What the page uses of Stripe.js. What is typed as the card's number becomes its token. */
const FAKE_STRIPE_JS = `window.Stripe = (key) => ({
  elements: () => ({
    create: () => {
      const input = document.createElement('input')
      input.setAttribute('aria-label', 'Card number for ' + key)
      return {
        input,
        mount(place) {
          if (!place.isConnected) throw new Error('the place is not in the page')
          place.append(input)
        },
      }
    },
  }),
  createPaymentMethod: async ({ card, billing_details: { name, email } }) =>
    card.input.value.startsWith('pm_') && name && email
      ? { paymentMethod: { id: card.input.value } }
      : { error: { message: 'Your card number is incomplete.' } },
})`

/** A cart in the browser, with one thing in it. */
async function goToCheckout(): Promise<void> {
  const buyer = await shop.buyer({ [await shop.product({ price: 1_250 })]: 1 })
  const cart = JSON.stringify({ id: buyer.cartId, token: buyer.token })
  await page.addInitScript(`localStorage.setItem('holdfast-cart', ${JSON.stringify(cart)})`)
  await page.goto('/checkout')
}

const card = () => page.getByLabel(`Card number for ${PUBLISHABLE_KEY}`)
const pay = () => page.getByRole('button', { name: /^Pay/ }).click()

describe('the checkout of a shop that takes payments by Stripe', () => {
  it('sells by a card that only Stripe has seen', async () => {
    await goToCheckout()
    await card().fill('pm_card_visa')
    await pay()
    await page.getByRole('heading', { level: 1, name: /^Thank you: order HF-/ }).waitFor()
    const [intent] = stub.account.all('payment_intent')
    expect(intent).toMatchObject({ status: 'requires_capture', currency: 'gbp' })
  }, 60_000)

  it('says what Stripe says of a card, and takes another', async () => {
    await goToCheckout()
    await card().fill('4242')
    await pay()
    await page.getByRole('alert').getByText('Your card number is incomplete.').waitFor()
    await card().fill('pm_card_chargeDeclined')
    await pay()
    await page.getByRole('alert').getByText('The payment was declined').waitFor()
    complaints.length = 0 // The browser itself reports the 402.
    await card().fill('pm_card_visa')
    await pay()
    await page.getByRole('heading', { level: 1, name: /^Thank you/ }).waitFor()
  }, 60_000)

  it('lets in what Stripe needs, on that page alone', async () => {
    const policyOf = async (path: string) => (await shop.call('get', path)).headers.get('content-security-policy')
    expect(await policyOf('/checkout')).toMatch(/script-src 'self' https:\/\/js\.stripe\.com/)
    for (const path of ['/', '/cart', '/order']) {
      expect(await policyOf(path)).toMatch(/script-src 'self';/)
      expect(await policyOf(path)).not.toMatch(/stripe/)
    }
  })
})
