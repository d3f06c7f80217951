import { categoryPath, h, productGrid, read, sessionId, show } from '../shop.js'

await show(null, async () => {
  const session = sessionId()
  const { sections } = await read(`/v1/store/pages/home${session ? `?session=${encodeURIComponent(session)}` : ''}`)
  return [h('h1', {}, 'Welcome'), sections.filter(isFilled).map(section)]
})

function isFilled({ products = [], categories = [] }) {
  return products.length > 0 || categories.length > 0
}

function section({ title, products = [], categories = [] }) {
  return h(
    'section',
    {},
    h('h2', {}, title),
    categories.length > 0
      ? h('ul', { class: 'chips' }, categories.map((category) => h('li', {}, h('a', { href: categoryPath(category.slug) }, category.title))))
      : null,
    products.length > 0 ? productGrid(products) : null,
  )
}
