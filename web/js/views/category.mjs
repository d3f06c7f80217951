import { categoryPath, breadcrumbs, h, productGrid, read, show } from '../shop.mjs'

const slug = decodeURIComponent(location.pathname.split('/').at(-1))
let title = 'Category'

await show(
  () => title,
  async () => {
    const page = await read(`/v1/store/pages/category/${encodeURIComponent(slug)}`)
    title = page.category.title
    const grid = productGrid(page.products.data)
    return [
      breadcrumbs(page.breadcrumbs.slice(0, -1)),
      h('h1', {}, page.category.title),
      page.category.description ? h('p', {}, page.category.description) : null,
      page.children.length > 0
        ? h(
            'ul',
            { class: 'chips' },
            page.children.map((child) => h('li', {}, h('a', { href: categoryPath(child.slug) }, child.title))),
          )
        : null,
      page.products.data.length > 0 ? grid : h('p', { class: 'notice' }, 'Nothing here yet.'),
      page.products.has_more ? more(grid, page.products.next_cursor) : null,
    ].filter(Boolean)
  },
)

function more(grid, first) {
  let cursor = first
  const button = h('button', { type: 'button', onclick: load }, 'Show more')
  async function load() {
    button.disabled = true
    const query = new URLSearchParams({ category: slug, sort: 'newest', cursor, limit: '24' })
    const next = await read(`/v1/store/products?${query}`)
    grid.append(...productGrid(next.data).children)
    cursor = next.next_cursor
    button.disabled = false
    if (!next.has_more) button.remove()
  }
  return h('p', {}, button)
}
