import type { Browser, Page, Route } from 'playwright-core'
import { startBrowser } from '../../scripts/stack/browser'
import { type Buyer, Shop } from '../support/shop'
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
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
}, 30_000)
beforeEach(() => openBrowser())
afterEach(async () => {
  await page.context().close()
  expect(complaints).toEqual([])
})

async function openBrowser(): Promise<void> {
  const context = await browser.newContext({ baseURL: stack.api, viewport: { width: 390, height: 844 } })
  context.setDefaultTimeout(STEP_MS)
  page = await context.newPage()
  complaints = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
}

interface Bought {
  readonly buyer: Buyer & { sku: string }
  readonly id: string
  readonly order: any
}

/** A paid order, in the browser of whoever paid it. */
async function bought({ quantity = 2 } = {}): Promise<Bought> {
  const buyer = await shop.buyerOf({ price: 1_250 }, quantity)
  const { body: order } = await buyer.checkout()
  const known = JSON.stringify({ id: order.id, token: buyer.token })
  await page.addInitScript(`sessionStorage.setItem('holdfast-order', ${JSON.stringify(known)})`)
  return { buyer, id: order.id, order }
}

async function open(): Promise<void> {
  await page.goto('/order')
  await page.locator('main[aria-busy]').waitFor({ state: 'detached' })
}

/** The API's own answer, with what carriers and warehouses would have added. */
async function answerWith(id: string, added: (order: any) => object): Promise<void> {
  await page.route(`**/v1/store/orders/${id}`, async (route: Route) => {
    if (route.request().method() !== 'GET') return route.fallback()
    const response = await route.fetch()
    const order = (await response.json()) as object
    return route.fulfill({ response, json: { ...order, ...added(order) } })
  })
}

const refuse = (status: number, body: object) => (route: Route) =>
  route.fulfill({ status, contentType: 'application/problem+json', body: JSON.stringify({ status, ...body }) })

const notice = (text: string | RegExp) => page.getByRole('status').getByText(text)
const cancelButton = () => page.getByRole('button', { name: 'Cancel the order' })

function parcel(sku: string, given: object = {}): object {
  return {
    ...{ id: 'shp_01h455vb4pex5vsknk084sn02q', warehouse_id: 'wh_01h455vb4pex5vsknk084sn02q', status: 'shipped' },
    lines: [{ sku, quantity: 1 }],
    ...{ carrier: 'Parcel & Co', service: 'Express', tracking_number: 'TRACK-1', label_url: null },
    ...{ tracking_url: 'https://carrier.example/TRACK-1', expected_at: '2026-12-24T12:00:00.000Z' },
    events: [
      { at: '2026-12-21T08:00:00.000Z', type: 'accepted', detail: null },
      { at: '2026-12-22T09:30:00.000Z', type: 'exception', detail: 'snow' },
    ],
    ...given,
  }
}

describe('the page of an order', () => {
  it('says how it stands, what was ordered, where it goes and what is paid', async () => {
    const { order } = await bought()
    await open()
    await page.getByRole('heading', { level: 1, name: `Thank you: order ${order.number}` }).waitFor()
    await page.getByText(/We have your order|We are getting your order ready/).waitFor()
    await page.getByRole('row', { name: /^Product SKU-.* 2 £25\.00$/ }).waitFor()
    await page.getByRole('region', { name: 'Send to' }).getByText('Leeds LS1 4DY').waitFor()
    await page.getByRole('region', { name: 'Payment' }).getByText('Reserved on your card').waitFor()
    expect(await page.getByText('undefined').count()).toBe(0)
  }, 60_000)

  it('shows what was cancelled, and money that went back', async () => {
    const { id, buyer } = await bought()
    await shop.admin('post', `/v1/admin/orders/${id}/captures`, { amount: 2_500 })
    const lines = [{ sku: buyer.sku, quantity: 1 }]
    await shop.admin('post', `/v1/admin/orders/${id}/cancel`, { reason_code: 'damaged', lines })
    await until('the money is back', async () => (await buyer.order(id)).body.totals.refunded.amount === 1_250)
    await open()
    await page.getByText('1 of 2 cancelled').waitFor()
    await page.getByRole('row', { name: 'Cancelled −£12.50' }).waitFor()
    await page.getByRole('list', { name: 'Refunds' }).getByText('£12.50 given back').waitFor()
    await page.getByText('Given back', { exact: true }).waitFor()
  }, 60_000)

  it('shows each parcel: its state, its carrier, its number, its way, and when it is expected', async () => {
    const { id, order, buyer } = await bought()
    const second = parcel(buyer.sku, {
      ...{ id: 'shp_01h455vb4pex5vsknk084sn02r', status: 'allocated', events: [], carrier: null, service: null },
      ...{ tracking_number: null, tracking_url: null, expected_at: null },
    })
    const gone = parcel(buyer.sku, { id: 'shp_01h455vb4pex5vsknk084sn02s', status: 'cancelled' })
    await answerWith(id, () => ({
      ...{ status: 'processing', fulfillment_status: 'partially_fulfilled' },
      shipments: [parcel(buyer.sku), gone, second],
    }))
    await open()
    await page.getByText('A part of your order is on its way.').waitFor()
    const first = page.getByRole('region', { name: 'Parcel 1 of 2' })
    await first.getByText('Parcel & Co, Express').waitFor()
    await first.getByText('24 December 2026').waitFor()
    await first.getByText(`1 × ${order.lines[0].title}`).waitFor()
    expect(await first.getByRole('link', { name: 'Track parcel TRACK-1' }).getAttribute('href')).toBe(
      'https://carrier.example/TRACK-1',
    )
    await first.getByText('What happened so far (2)').click()
    expect(await first.getByRole('listitem').allInnerTexts()).toEqual([
      expect.stringContaining('1 ×'),
      expect.stringMatching(/22 Dec 2026.*: Delayed, snow$/),
      expect.stringMatching(/21 Dec 2026.*: Handed to the carrier$/),
    ])
    await page.getByRole('region', { name: 'Parcel 2 of 2' }).getByText('Waits to be packed').waitFor()
  }, 60_000)

  it('follows no link of a carrier that is no address of the web, and takes its text as text', async () => {
    const { id, buyer } = await bought()
    const hostile = parcel(buyer.sku, {
      tracking_url: 'javascript:alert(1)',
      carrier: '<img src=x onerror=alert(1)>',
      status: 'not_yet_known',
      events: [{ at: '2026-12-21T08:00:00.000Z', type: 'out_for_pickup', detail: '<b>x</b>' }],
    })
    await answerWith(id, () => ({ shipments: [hostile] }))
    await open()
    const region = page.getByRole('region', { name: 'Your parcel' })
    await region.getByText('TRACK-1').waitFor()
    await region.getByText('Not yet known').waitFor()
    await region.getByText('What happened so far (1)').click()
    await region.getByText('Out for pickup, <b>x</b>').waitFor()
    expect(await region.locator('a, img, b').count()).toBe(0)
  }, 60_000)

  it('shows by itself what happens while one looks, and keeps the place of the reader', async () => {
    const { id, buyer } = await bought()
    let status = 'shipped'
    await answerWith(id, () => ({ shipments: [parcel(buyer.sku, { status })] }))
    await open()
    const summary = page.getByText('What happened so far (2)')
    await summary.focus()
    await page.keyboard.press('Enter')
    status = 'delivered'
    await page.getByText('Delivered', { exact: true }).waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('What happened so far (2)')
    await page.getByText('Handed to the carrier').waitFor()
  }, 60_000)
})

describe('cancelling on the page of an order', () => {
  it('asks first, by keyboard alone, and can be left', async () => {
    const { id, buyer } = await bought()
    await open()
    await cancelButton().focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Cancel the order?' }).waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Keep the order')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Cancel the order')
    expect((await buyer.order(id)).body.status).not.toBe('cancelled')
  }, 60_000)

  it('cancels, says so where the reader is, and offers it no more', async () => {
    const { id, buyer } = await bought()
    await open()
    await cancelButton().click()
    await page.getByRole('button', { name: 'Yes, cancel it' }).click()
    await notice(/Your order was cancelled, as you wished\.|We are cancelling it/).waitFor()
    await until('the reader is there', () => page.evaluate<boolean>('document.activeElement.id === "message"'))
    await notice('Your order was cancelled, as you wished.').waitFor()
    await cancelButton().waitFor({ state: 'detached' })
    expect((await buyer.order(id)).body.status).toBe('cancelled')
    await page.reload()
    await page.getByText('Your order was cancelled, as you wished.').waitFor()
    await page.getByText('Nothing was charged.').waitFor()
  }, 60_000)

  it('is not undone on the page by what was read before it', async () => {
    const { id } = await bought()
    let reads = 0
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    await page.route(`**/v1/store/orders/${id}`, async (route) => {
      const response = await route.fetch()
      if (++reads === 2) await released
      return route.fulfill({ response })
    })
    await open()
    await until('it is read again', () => reads === 2)
    await cancelButton().click()
    await page.getByRole('button', { name: 'Yes, cancel it' }).click()
    await notice(/cancel/).waitFor()
    const old = page.waitForResponse(`**/v1/store/orders/${id}`)
    release()
    await (await old).finished()
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))')
    expect(await cancelButton().count()).toBe(0)
  }, 60_000)

  it('sends one key, however often it is pressed or fails', async () => {
    const { id } = await bought()
    const keys: (string | undefined)[] = []
    await page.route(`**/v1/store/orders/${id}/cancel`, async (route) => {
      keys.push(route.request().headers()['idempotency-key'])
      if (keys.length === 1) return route.abort()
      return route.fallback()
    })
    await open()
    await cancelButton().click()
    const yes = page.getByRole('button', { name: 'Yes, cancel it' })
    await yes.click()
    await page.getByRole('alert').getByText('The shop did not answer.').waitFor()
    complaints.length = 0 // The browser itself reports the lost answer.
    await yes.dblclick()
    await notice(/cancel/).waitFor()
    expect(keys).toEqual([keys[0], keys[0]])
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
  }, 60_000)

  it.each([
    [409, 'already_shipped', 'It has left already'],
    [409, 'request_in_progress', 'The shop is working on it.'],
    [503, 'unavailable', 'The shop cannot do that at the moment.'],
    [404, 'not_found', 'This browser may not change the order any more.'],
    [409, 'a_newer_code', 'That is not possible.'],
  ])(
    'says in plain words why it cannot: %i %s',
    async (status, code, words) => {
      const { id } = await bought()
      await page.route(`**/v1/store/orders/${id}/cancel`, refuse(status, { code, detail: 'in the words of the API' }))
      await open()
      await cancelButton().click()
      await page.getByRole('button', { name: 'Yes, cancel it' }).click()
      await page.getByRole('alert').getByText(words).waitFor()
      expect(await page.getByText('in the words of the API').count()).toBe(0)
      complaints.length = 0 // The browser itself reports the status.
    },
    60_000,
  )

  it('tells of a cancellation that came too late', async () => {
    const { id } = await bought()
    let commands: object[] = []
    await answerWith(id, () => ({ commands }))
    await open()
    commands = [{ id: 'cmd_01h455vb4pex5vsknk084sn02q', state: 'refused', code: 'already_shipped' }]
    await notice('It has left already').waitFor()
  }, 60_000)

  it('is not offered when the order does not allow it', async () => {
    const { id } = await bought()
    await answerWith(id, () => ({ actions: [] }))
    await open()
    await page.getByRole('region', { name: 'Payment' }).waitFor()
    expect(await page.getByRole('button').count()).toBe(0)
  }, 60_000)
})

describe('changing the address on the page of an order', () => {
  const addressButton = () => page.getByRole('button', { name: 'Change the address' })
  const send = () => page.getByRole('button', { name: 'Send it there' })

  it('sends the whole address, and shows it', async () => {
    const { id, order, buyer } = await bought()
    await answerWith(id, () => ({ actions: ['cancel', 'change_address'] }))
    const sent: { body: any; token: string | undefined }[] = []
    await page.route(`**/v1/store/orders/${id}`, async (route) => {
      const request = route.request()
      if (request.method() !== 'PATCH') return route.fallback()
      sent.push({ body: request.postDataJSON(), token: request.headers()['x-cart-token'] })
      return route.fulfill({ json: { ...order, ...request.postDataJSON(), actions: ['cancel', 'change_address'] } })
    })
    await open()
    await addressButton().click()
    await page.getByRole('dialog', { name: 'Change the address' }).waitFor()
    await page.getByLabel('Street').fill('  9 Low St ')
    await page.getByLabel('Flat, floor').fill('2b')
    await page.keyboard.press('Enter')
    await notice('It will be sent to the new address.').waitFor()
    await page.getByRole('region', { name: 'Send to' }).getByText('9 Low St').waitFor()
    const address = { ...order.shipping_address, line1: '9 Low St', line2: '2b' }
    expect(sent).toEqual([{ body: { shipping_address: address }, token: buyer.token }])
  }, 60_000)

  it('says at each field what is wrong, and goes to the first', async () => {
    const { id } = await bought()
    await answerWith(id, () => ({ actions: ['change_address'] }))
    const errors = [
      { in: 'body', pointer: '/shipping_address/postal_code', code: 'too_small', message: 'Too small' },
      { in: 'body', pointer: '/shipping_address/country', code: 'invalid_format', message: 'Regex' },
    ]
    await page.route(`**/v1/store/orders/${id}`, (route) =>
      route.request().method() === 'PATCH'
        ? refuse(400, { code: 'validation_failed', errors })(route)
        : route.fallback(),
    )
    await open()
    await addressButton().click()
    await page.getByLabel('Postal code').fill('')
    await send().click()
    await page.getByRole('alert').getByText('Please look at the marked fields.').waitFor()
    const field = page.getByRole('textbox', { name: 'Postal code' })
    expect(await field.getAttribute('aria-invalid')).toBe('true')
    expect(await page.locator(`#${await field.getAttribute('aria-describedby')}`).innerText()).toBe(
      'Please fill this in.',
    )
    expect(await page.evaluate('document.activeElement.name')).toBe('postal_code')
    expect(await page.locator('[aria-invalid]').count()).toBe(2)
    complaints.length = 0 // The browser itself reports the 400.
  }, 60_000)

  it.each([
    ['already_labelled', 'A parcel has its label already'],
    ['address_changes_price', 'Shipping or tax would cost something else there'],
  ])(
    'says in plain words why it cannot: %s',
    async (code, words) => {
      const { id } = await bought()
      await answerWith(id, () => ({ actions: ['change_address'] }))
      await page.route(`**/v1/store/orders/${id}`, (route) =>
        route.request().method() === 'PATCH' ? refuse(409, { code })(route) : route.fallback(),
      )
      await open()
      await addressButton().click()
      await send().click()
      await page.getByRole('alert').getByText(words).waitFor()
      complaints.length = 0 // The browser itself reports the 409.
    },
    60_000,
  )
})

describe.each([390, 1280])('the page of an order at %i px', (width) => {
  it('fits, whatever stands in it, and does not jump', async () => {
    await page.setViewportSize({ width, height: 844 })
    const { id, order, buyer } = await bought()
    const long = 'x'.repeat(200)
    const lines = [{ ...order.lines[0], title: long, cancelled: 1 }]
    await answerWith(id, () => ({
      ...{ lines, actions: ['cancel', 'change_address'], email: `${long}@example.com` },
      shipments: [parcel(buyer.sku, { tracking_number: long, carrier: long })],
      shipping_address: { ...order.shipping_address, name: long },
    }))
    await page.addInitScript(`
      window.jumps = []
      new PerformanceObserver((list) => window.jumps.push(...list.getEntries().map(({ value }) => value)))
        .observe({ type: 'layout-shift', buffered: true })`)
    await open()
    await page.getByText('What happened so far (2)').click()
    const wider = () => page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth')
    expect(await wider()).toBeLessThanOrEqual(0)
    for (const button of ['Cancel the order', 'Change the address']) {
      await page.getByRole('button', { name: button }).click()
      await page.getByRole('dialog').waitFor()
      const box = await page.getByRole('dialog').boundingBox()
      expect(box?.x).toBeGreaterThanOrEqual(0)
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width)
      expect(await wider()).toBeLessThanOrEqual(0)
      await page.keyboard.press('Escape')
    }
    const jumps = await page.evaluate<number[]>('window.jumps')
    expect(jumps.reduce((sum, one) => sum + one, 0)).toBeLessThan(0.1)
  }, 60_000)
})
