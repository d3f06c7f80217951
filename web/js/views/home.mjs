import { categoryPath, h, productGrid, read, sessionId, show } from '../shop.mjs'

await show(null, async () => {
  const session = sessionId()
  const { sections } = await read(`/v1/store/pages/home${session ? `?session=${encodeURIComponent(session)}` : ''}`)
  return [h('h1', {}, 'Welcome'), sections.map(section)]
})

function section({ title, category, products }) {
  const heading = category ? h('a', { href: categoryPath(category.slug) }, title) : title
  return h('section', {}, h('h2', {}, heading), productGrid(products))
}
