import { randomUUID } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { startBrowser } from '../../scripts/stack/browser'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

const STEP_MS = 20_000

let stack: TestStack
let shop: Shop
let browser: Browser
let page: Page
/** What the page said that it should not. */
let complaints: string[]
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([testStack(), startBrowser()])
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  await product('Blue china teapot', 1_250, 40)
  await product('Red enamel mug', 450, 3)
  await product('Green enamel jug', 800, 0)
  await until(
    'search has them',
    () => shop.call('get', '/v1/store/search?q=enamel'),
    ({ body }) => body.total === 2,
    30_000,
  )
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
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
})
afterEach(async () => {
  await page.context().close()
  expect(complaints).toEqual([])
})

async function product(title: string, amount: number, stock: number): Promise<void> {
  const sku = `WEB-${randomUUID().slice(0, 8).toUpperCase()}`
  const variants = [{ sku, prices: [{ amount, currency: 'GBP' }] }]
  await shop.admin('post', '/v1/admin/products', { title, categories: ['Kitchen'], variants })
  const { body: warehouses } = await shop.admin('get', '/v1/admin/warehouses')
  const warehouse = warehouses.data[0] ?? (await shop.admin('post', '/v1/admin/warehouses', WAREHOUSE)).body
  if (stock > 0) {
    const counted = { sku, warehouse_id: warehouse.id, set_on_hand: stock, reason: 'counted' }
    await shop.admin('post', '/v1/admin/inventory/adjustments', counted)
  }
}

const WAREHOUSE = { name: 'Web', country: 'GB', priority: 1 }

const heading = () => page.getByRole('heading', { level: 1 })

describe('the demo storefront', () => {
  it('shows what is new, and leads to a category and its products', async () => {
    await page.goto('/')
    await page.getByRole('heading', { name: 'New' }).waitFor()
    await page.getByRole('link', { name: 'Kitchen' }).first().click()
    await page.getByRole('heading', { level: 1, name: 'Kitchen' }).waitFor()
    await page.getByRole('link', { name: 'Red enamel mug' }).click()
    await page.getByRole('heading', { level: 1, name: 'Red enamel mug' }).waitFor()
    await page.getByText('Only 3 left').waitFor()
    expect(await page.title()).toBe('Red enamel mug · Holdfast')
  }, 60_000)

  it('suggests while one types, by keyboard alone, and forgives a slip', async () => {
    await page.goto('/')
    await page.getByRole('combobox', { name: 'Search' }).pressSequentially('ena', { delay: 30 })
    await page.getByRole('option').first().waitFor()
    await page.keyboard.press('Escape')
    expect(await page.getByRole('option').count()).toBe(0)
    await page.getByRole('combobox', { name: 'Search' }).fill('enamle mug')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: '“enamle mug”' }).waitFor()
    await page.getByRole('link', { name: 'Red enamel mug' }).waitFor()
  }, 60_000)

  it('narrows a search to what is in stock', async () => {
    await page.goto('/search?q=enamel')
    await page.getByRole('link', { name: 'Green enamel jug' }).waitFor()
    await page.getByLabel('In stock').check()
    await page.waitForURL(/in_stock=true/)
    await page.getByRole('link', { name: 'Red enamel mug' }).waitFor()
    expect(await page.getByRole('link', { name: 'Green enamel jug' }).count()).toBe(0)
  }, 60_000)

  it.each(['/', '/search?q=enamel', '/cart', '/checkout'])(
    '%s is no wider than a telephone',
    async (path) => {
      await intoCart('Blue china teapot', 1)
      await page.setViewportSize({ width: 390, height: 844 })
      await page.goto(path)
      await page.locator('main :is(h1, h2)').first().waitFor()
      expect(
        await page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth'),
      ).toBeLessThanOrEqual(0)
    },
    60_000,
  )

  it('sells: product, cart, checkout, order', async () => {
    await intoCart('Blue china teapot', 2)
    await page.getByRole('link', { name: 'Go to the cart' }).click()
    await page.getByRole('rowheader', { name: 'Blue china teapot' }).waitFor()
    await page
      .getByRole('row', { name: /^Total/ })
      .getByText('£25.00')
      .waitFor()
    await page.getByRole('link', { name: 'Check out' }).click()
    await page.getByRole('button', { name: 'Pay £25.00' }).click()
    await page.getByRole('heading', { level: 1, name: /^Thank you: order HF-/ }).waitFor()
    const number = /HF-\d+/.exec(await heading().innerText())?.[0]
    const { body } = await shop.admin('get', '/v1/admin/orders?status=confirmed&limit=100')
    expect(body.data.map((order: { number: string }) => order.number)).toContain(number)
    await page.goto('/cart')
    await page.getByText('It is empty.').waitFor()
  }, 60_000)

  it('says why a card was declined, and takes another', async () => {
    await intoCart('Blue china teapot', 1)
    await page.goto('/checkout')
    await page.getByLabel('Card of the sandbox').selectOption('pm_card_chargeDeclined')
    await page.getByRole('button', { name: /^Pay/ }).click()
    await page.getByRole('alert').getByText('The payment was declined').waitFor()
    complaints.length = 0 // The browser itself reports the 402.
    await page.getByLabel('Card of the sandbox').selectOption('pm_card_visa')
    await page.getByRole('button', { name: /^Pay/ }).click()
    await page.getByRole('heading', { level: 1, name: /^Thank you/ }).waitFor()
  }, 60_000)

  it('comes back from the card’s bank to the order', async () => {
    await intoCart('Blue china teapot', 1)
    await page.goto('/checkout')
    await page.getByLabel('Card of the sandbox').selectOption('pm_card_authenticationRequired')
    await page.getByRole('button', { name: /^Pay/ }).click()
    await page.getByRole('button', { name: /approve/i }).click()
    await page.getByRole('heading', { level: 1, name: /^Thank you/ }).waitFor()
  }, 60_000)

  it('keeps a cart within bounds, and says what is short', async () => {
    await intoCart('Red enamel mug', 5)
    await page.goto('/cart')
    await page.getByText('Only 3 of').waitFor()
    await page.getByLabel('Quantity of Red enamel mug').fill('2')
    await page.keyboard.press('Tab')
    await page.getByText('Only 3 of').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Remove Red enamel mug' }).click()
    await page.getByText('It is empty.').waitFor()
  }, 60_000)

  it('says that there is no such page', async () => {
    await page.goto('/product/no-such-thing')
    await page.getByRole('heading', { level: 1, name: 'There is no such page' }).waitFor()
    complaints.length = 0 // The browser itself reports the 404.
  }, 60_000)

  it('loads little: at most ten requests and 60 kB of script a page', async () => {
    const paths = ['/', '/category/kitchen', '/search?q=enamel', '/cart']
    for (const path of paths) {
      const seen: { url: string; bytes: number }[] = []
      const note = async (response: { url(): string; body(): Promise<Buffer> }) => {
        const body = await response.body().catch(() => Buffer.alloc(0))
        seen.push({ url: response.url(), bytes: body.length })
      }
      page.on('response', note)
      await page.goto(path)
      await page.locator('main[aria-busy]').waitFor({ state: 'detached' })
      await until('nothing more is loaded', async () => {
        const before = seen.length
        await page.waitForTimeout(500)
        return seen.length === before
      })
      page.off('response', note)
      expect(seen.length).toBeLessThanOrEqual(10)
      const script = seen.filter(({ url }) => url.endsWith('.mjs')).reduce((sum, { bytes }) => sum + bytes, 0)
      expect(script).toBeGreaterThan(0)
      expect(script).toBeLessThanOrEqual(60_000)
    }
  }, 120_000)

  it('writes money as the browser would', async () => {
    await page.goto('/cart')
    const written = await page.evaluate<[string, string][]>(`import('/assets/js/shop.mjs').then(({ money }) =>
      ['GBP', 'EUR', 'USD', 'JPY', 'KWD'].flatMap((currency) => {
        const format = new Intl.NumberFormat('en-GB', { style: 'currency', currency })
        const { maximumFractionDigits } = format.resolvedOptions()
        return [0, 5, 99, 100, 123456, 100000000, 123456789, -5, -123456].map((amount) =>
          [money({ amount, currency }), format.format(amount / 10 ** maximumFractionDigits)])
      }))`)
    for (const [ours, browsers] of written) expect(ours).toBe(browsers)
    expect(written).toHaveLength(45)
  }, 60_000)

  it('runs no script but its own', async () => {
    const { headers } = await shop.call('get', '/')
    expect(headers.get('content-security-policy')).toMatch(/script-src 'self';/)
  })

  it('shows the document of the API without anything from outside', async () => {
    await page.goto('/docs')
    await page.getByText('Buy what is in the cart').waitFor()
  }, 60_000)
})

async function intoCart(title: string, quantity: number): Promise<void> {
  await page.goto('/search?q=' + encodeURIComponent(title))
  await page.getByRole('link', { name: title }).first().click()
  await page.getByLabel('Quantity').fill(String(quantity))
  await page.getByRole('button', { name: 'Add to cart' }).click()
  await page.getByText('Added.').waitFor()
}
