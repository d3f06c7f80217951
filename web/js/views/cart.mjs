import { callCart, cartKey, h, money, show } from '../shop.mjs'

await show('Your cart', async () => view(cartKey() ? await callCart('GET').catch(forgotten) : null))

/** A cart that is over is as good as none. */
function forgotten(error) {
  if (cartKey() === null) return null
  throw error
}

function view(cart) {
  const heading = h('h1', {}, 'Your cart')
  if (!cart || cart.lines.length === 0)
    return [heading, h('p', {}, 'It is empty. ', h('a', { href: '/' }, 'Look around'))]
  return [
    heading,
    problems(cart),
    table(cart),
    totals(cart),
    h('p', {}, h('a', { class: 'button', href: '/checkout' }, 'Check out')),
  ].filter(Boolean)
}

function problems({ problems: list, checkout }) {
  if (checkout)
    return h(
      'p',
      { class: 'notice' },
      'A checkout of this cart is open. ',
      h('a', { href: '/checkout' }, 'Go on with it'),
    )
  if (list.length === 0) return null
  return h(
    'ul',
    { class: 'notice bad', role: 'alert' },
    list.map(({ message }) => h('li', {}, message)),
  )
}

function table(cart) {
  return h(
    'table',
    {},
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Product'),
        h('th', { scope: 'col' }, 'Quantity'),
        h('th', { scope: 'col', class: 'number' }, 'Price'),
        h('th', { scope: 'col', class: 'number' }, 'Total'),
        h('th', {}, h('span', { class: 'hidden' }, 'Remove')),
      ),
    ),
    h('tbody', {}, cart.lines.map(line)),
  )
}

function line({ sku, title, quantity, unit_price: unitPrice, total }) {
  const set = (event) => change('PATCH', sku, { quantity: Number(event.target.value) })
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, title),
    h(
      'td',
      {},
      h(
        'label',
        {},
        h('span', { class: 'hidden' }, `Quantity of ${title}`),
        h('input', { type: 'number', min: 0, max: 100000, value: quantity, onchange: set }),
      ),
    ),
    h('td', { class: 'number' }, money(unitPrice)),
    h('td', { class: 'number' }, money(total)),
    h(
      'td',
      {},
      h(
        'button',
        { class: 'quiet', type: 'button', onclick: () => change('DELETE', sku) },
        'Remove',
        h('span', { class: 'hidden' }, ` ${title}`),
      ),
    ),
  )
}

async function change(method, sku, body) {
  const main = document.querySelector('main')
  try {
    main.replaceChildren(...view(await callCart(method, `/lines/${encodeURIComponent(sku)}`, body)))
  } catch (error) {
    main.prepend(h('p', { class: 'notice bad', role: 'alert' }, error.message))
  }
}

function totals({ totals: { subtotal, discount, shipping, tax, total, estimated } }) {
  const rows = [
    ['Subtotal', subtotal],
    ...(discount.amount > 0 ? [['Discount', { ...discount, amount: -discount.amount }]] : []),
    ['Shipping', shipping],
    ...(tax.amount > 0 ? [['Tax', tax]] : []),
    [estimated ? 'Total, estimated' : 'Total', total],
  ]
  return h(
    'table',
    {},
    h(
      'tbody',
      {},
      rows.map(([label, value]) =>
        h('tr', {}, h('th', { scope: 'row' }, label), h('td', { class: 'number' }, money(value))),
      ),
    ),
  )
}
