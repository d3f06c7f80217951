import { call, callCart, cartKey, forgetCart, h, money, read, show } from '../shop.mjs'

const CARDS = {
  pm_card_visa: 'Visa, works',
  pm_card_authenticationRequired: '3-D Secure: asks you first',
  pm_card_chargeDeclined: 'Declined',
  pm_card_chargeDeclinedInsufficientFunds: 'Declined, insufficient funds',
  pm_sandbox_slow: 'Slow provider',
  pm_sandbox_async: 'Paid two seconds later',
}
const FIELDS = [
  ['name', 'Name', 'name', 'Sample Buyer'],
  ['line1', 'Street', 'address-line1', '1 High St'],
  ['city', 'City', 'address-level2', 'Leeds'],
  ['postal_code', 'Postal code', 'postal-code', 'LS1 4DY'],
]

/** Some countries have none; the API says where they are missing. */
const OPTIONAL = new Set(['city', 'postal_code'])

let card = null

await show('Checkout', async () => {
  const cart = cartKey() ? await callCart('GET') : null
  if (!cart || (cart.lines.length === 0 && !cart.checkout))
    return [h('h1', {}, 'Checkout'), h('p', {}, 'Your cart is empty. ', h('a', { href: '/' }, 'Look around'))]
  const [{ data: options }, chosen] = await Promise.all([callCart('GET', '/shipping-options'), cardOf(cart)])
  card = chosen
  return [h('h1', {}, 'Checkout'), form(cart, options)]
})
card?.mount()

/** Where the card comes from: Stripe's own field, when the shop takes payments by Stripe, or a list of the sandbox's cards. */
async function cardOf(cart) {
  const { data: methods } = await read(`/v1/store/payment-methods?currency=${cart.currency}`)
  const stripe = methods.find(({ provider, publishable_key: key }) => provider === 'stripe' && key)
  if (!stripe) return sandboxCard()
  const { stripeCard } = await import('../stripe.mjs')
  return stripeCard(stripe.publishable_key)
}

function sandboxCard() {
  const select = h(
    'select',
    { name: 'method' },
    Object.entries(CARDS).map(([value, label]) => h('option', { value }, label)),
  )
  return {
    field: h('label', {}, 'Card of the sandbox', select),
    mount() {},
    payment: async () => ({ provider: 'sandbox', method: select.value }),
  }
}

function form(cart, options) {
  const statusLine = h('div', { role: 'status', 'aria-live': 'polite' })
  const button = h('button', { type: 'submit' }, `Pay ${money(cart.totals.total)}`)
  const address = cart.shipping_address ?? {}

  async function pay(event) {
    event.preventDefault()
    button.disabled = true
    statusLine.replaceChildren(h('p', { class: 'notice' }, 'Paying …'))
    try {
      await checkOut(new FormData(event.target), statusLine)
    } catch (error) {
      statusLine.replaceChildren(refusal(error))
    }
    button.disabled = false
  }

  return h(
    'form',
    { class: 'stack', onsubmit: pay },
    field('email', 'E-mail', { type: 'email', autocomplete: 'email', value: cart.email ?? 'buyer@example.com' }),
    FIELDS.map(([name, label, autocomplete, example]) =>
      field(name, label, { autocomplete, required: !OPTIONAL.has(name), value: address[name] ?? example }),
    ),
    field('country', 'Country (ISO code)', {
      autocomplete: 'country',
      value: address.country ?? 'GB',
      pattern: '[A-Z]{2}',
    }),
    h(
      'label',
      {},
      'Delivery',
      h(
        'select',
        { name: 'shipping_method' },
        options.map(({ id, label, price, estimate }) =>
          h('option', { value: id }, `${label}, ${money(price)}, ${estimate}`),
        ),
      ),
    ),
    card.field,
    h('div', {}, button),
    statusLine,
  )
}

function field(name, label, attributes) {
  return h('label', {}, label, h('input', { name, required: true, maxlength: 200, ...attributes }))
}

async function checkOut(data, statusLine) {
  const value = (name) => String(data.get(name) ?? '').trim()
  const body = {
    email: value('email'),
    shipping_address: { ...Object.fromEntries(FIELDS.map(([name]) => [name, value(name)])), country: value('country') },
    shipping_method: value('shipping_method'),
    return_url: `${location.origin}/order`,
    payment: await card.payment({ name: value('name'), email: value('email') }),
  }
  const answer = await callCart('POST', '/checkout', body, { 'idempotency-key': crypto.randomUUID() })
  await follow(answer, statusLine)
}

/** An order, or a checkout that goes on: it asks the customer, or is waited for. */
async function follow(answer, statusLine) {
  if (answer.number) return finish(answer.id)
  rememberOrder(answer.order_id)
  if (answer.action) return location.assign(answer.action.url)
  statusLine.replaceChildren(h('p', { class: 'notice' }, 'The payment takes a moment. You may wait here.'))
  const { token } = cartKey()
  for (
    let state = answer;
    ;
    state = (await call('GET', `/v1/store/checkouts/${answer.order_id}`, { headers: { 'x-cart-token': token } })).body
  ) {
    if (state.state === 'completed') return finish(answer.order_id)
    if (state.action) return location.assign(state.action.url)
    if (state.state !== 'in_progress')
      return statusLine.replaceChildren(h('p', { class: 'notice bad' }, 'It was not paid. Try another card.'))
    await new Promise((resolve) => setTimeout(resolve, 700))
  }
}

function finish(orderId) {
  rememberOrder(orderId)
  forgetCart()
  location.assign('/order')
}

function rememberOrder(orderId) {
  const { token } = cartKey()
  sessionStorage.setItem('holdfast-order', JSON.stringify({ id: orderId, token }))
}

function refusal(error) {
  const lines = error.body?.lines ?? []
  return h(
    'div',
    { class: 'notice bad', role: 'alert' },
    h('p', {}, error.message),
    lines.length > 0
      ? h(
          'ul',
          {},
          lines.map(({ sku, requested, available }) => h('li', {}, `${sku}: ${available} of ${requested} left`)),
        )
      : null,
    (error.body?.errors ?? []).map(({ pointer, message }) => h('p', {}, `${pointer.split('/').at(-1)}: ${message}`)),
  )
}
