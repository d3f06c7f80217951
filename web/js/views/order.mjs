import { call, cartKey, forgetCart, h, money, show } from '../shop.mjs'

const STATES = {
  in_progress: 'It is being paid.',
  requires_action: 'It waits for you at the card’s bank.',
  ready_for_payment: 'It is not paid. Try another card.',
  cancelled: 'It was cancelled.',
  expired: 'It has expired.',
}
const POLL_MS = 800
const POLLS_MAX = 60
const POLLS_FOR_BANK = 10

await show('Your order', async () => {
  const known = JSON.parse(sessionStorage.getItem('holdfast-order') ?? 'null')
  if (!known) return [h('h1', {}, 'Your order'), h('p', {}, 'This browser knows of no order.')]
  const headers = { 'x-cart-token': known.token }
  let checkout
  for (let polls = 0; polls < POLLS_MAX; polls++) {
    checkout = (await call('GET', `/v1/store/checkouts/${known.id}`, { headers })).body
    // Back from the bank, the shop hears of it a moment later than the customer.
    const isWaiting = checkout.state === 'requires_action' && polls < POLLS_FOR_BANK
    if (checkout.state !== 'in_progress' && !isWaiting) break
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  if (checkout.state !== 'completed') return unpaid(checkout)
  if (cartKey()?.token === known.token) forgetCart()
  return view((await call('GET', `/v1/store/orders/${known.id}`, { headers })).body)
})

function unpaid({ state, action }) {
  return [
    h('h1', {}, 'Your order'),
    h('p', { class: 'notice' }, STATES[state] ?? state),
    h(
      'p',
      {},
      action
        ? h('a', { class: 'button', href: action.url }, 'Go on')
        : h('a', { class: 'button', href: '/checkout' }, 'Back to the checkout'),
    ),
  ]
}

function view(order) {
  return [
    h('h1', {}, `Thank you: order ${order.number}`),
    h(
      'p',
      { class: 'notice' },
      `It is ${order.status}; the payment is ${order.payment_status}. A confirmation goes to ${order.email}.`,
    ),
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, 'Product'),
          h('th', { scope: 'col', class: 'number' }, 'Quantity'),
          h('th', { scope: 'col', class: 'number' }, 'Total'),
        ),
      ),
      h(
        'tbody',
        {},
        order.lines.map(({ title, quantity, total }) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, title),
            h('td', { class: 'number' }, String(quantity)),
            h('td', { class: 'number' }, money(total)),
          ),
        ),
      ),
      h(
        'tfoot',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'row', colspan: 2 }, 'Total with shipping'),
          h('td', { class: 'number' }, money(order.totals.total)),
        ),
      ),
    ),
    h('p', {}, h('a', { href: '/' }, 'Go on shopping')),
  ]
}
