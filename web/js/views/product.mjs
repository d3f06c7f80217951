import {
  addToCart,
  afterPaint,
  availability,
  breadcrumbs,
  h,
  money,
  picture,
  productGrid,
  read,
  show,
  stars,
  reportInteractions,
} from '../shop.mjs'

const KINDS = { bought_together: 'Bought together', also_bought: 'Others also bought', similar: 'Similar' }
const slug = decodeURIComponent(location.pathname.split('/').at(-1))
let page

await show(
  () => page?.product.title ?? 'Product',
  async () => {
    page = await read(`/v1/store/pages/product/${encodeURIComponent(slug)}`)
    const { product } = page
    return [breadcrumbs(page.breadcrumbs), h('div', { class: 'product' }, picture(product), buyBox(product))]
  },
)
if (page) {
  afterPaint(() => {
    document.querySelector('main').append(...further(page))
    reportInteractions([{ type: 'view', product_id: page.product.id }])
  })
}

/** Reviews, and what goes with the product: below all that is seen at once. */
function further(shown) {
  return [
    ...(shown.reviews ? [reviews(shown.reviews)] : []),
    ...Object.entries(KINDS)
      .filter(([kind]) => shown[kind]?.length > 0)
      .map(([kind, heading]) => h('section', {}, h('h2', {}, heading), productGrid(shown[kind]))),
  ]
}

function buyBox(product) {
  const [first] = product.variants
  const price = h('p', { class: 'price' })
  const stock = h('p', {})
  const statusLine = h('p', { role: 'status', 'aria-live': 'polite' })
  const choice = h(
    'select',
    { name: 'sku', onchange: choose },
    product.variants.map((variant) => h('option', { value: variant.sku }, variant.title)),
  )
  const quantity = h('input', { name: 'quantity', type: 'number', min: 1, max: 100000, value: 1, required: true })
  const button = h('button', { type: 'submit' }, 'Add to cart')

  function chosen() {
    return product.variants.find((variant) => variant.sku === choice.value) ?? first
  }

  function choose() {
    const variant = chosen()
    const was = variant.list_price.amount > variant.price.amount ? [' ', h('s', {}, money(variant.list_price))] : []
    price.replaceChildren(money(variant.price), ...was)
    stock.replaceChildren(availability(variant))
  }

  async function add(event) {
    event.preventDefault()
    button.disabled = true
    try {
      await addToCart(chosen().sku, Number(quantity.value))
      statusLine.replaceChildren('Added. ', h('a', { href: '/cart' }, 'Go to the cart'))
      reportInteractions([{ type: 'add', product_id: product.id }])
    } catch (error) {
      statusLine.replaceChildren(error.message)
    }
    button.disabled = false
  }

  choose()
  const facts = Object.entries({ ...product.attributes, ...first.attributes })
  return h(
    'div',
    {},
    h('h1', {}, product.title),
    product.brand ? h('p', { class: 'muted' }, product.brand) : null,
    stars(product.rating),
    price,
    stock,
    h(
      'form',
      { class: 'stack', onsubmit: add },
      product.variants.length > 1 ? h('label', {}, 'Choose', choice) : null,
      h('label', {}, 'Quantity', quantity),
      h('div', {}, button),
      statusLine,
    ),
    product.description ? h('p', {}, product.description) : null,
    facts.length > 0
      ? h(
          'table',
          {},
          h(
            'tbody',
            {},
            facts.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, String(value)))),
          ),
        )
      : null,
  )
}

function reviews({ summary, data }) {
  return h(
    'section',
    {},
    h('h2', {}, 'Reviews'),
    summary.count === 0
      ? h('p', { class: 'muted' }, 'Nobody has written about it yet.')
      : h('p', {}, stars({ average: summary.average, count: summary.count })),
    data.map((review) =>
      h(
        'article',
        {},
        h(
          'p',
          {},
          h('span', { class: 'stars', role: 'img', 'aria-label': `${review.rating} of 5` }, '★'.repeat(review.rating)),
          ' ',
          h('strong', {}, review.title ?? ''),
        ),
        h('p', {}, review.text),
        review.verified ? h('p', { class: 'hint good' }, 'Verified purchase') : null,
      ),
    ),
  )
}
