import { h, money, productGrid, read, sessionId, show, reportInteractions } from '../shop.mjs'

const query = new URLSearchParams(location.search)
const q = query.get('q') ?? ''
const SORTS = {
  relevance: 'Best match',
  price_asc: 'Price, low to high',
  price_desc: 'Price, high to low',
  newest: 'Newest',
  rating: 'Best rated',
}

await show(q === '' ? 'Search' : `Search: ${q}`, async () => {
  const found = await find(query)
  if (q !== '') reportInteractions([{ type: 'search', query: q, results: found.total }])
  const grid = productGrid(found.data)
  const count = `${found.total_is_exact ? '' : 'more than '}${found.total} ${found.total === 1 ? 'product' : 'products'}`
  return [
    h('h1', {}, q === '' ? 'All products' : `“${q}”`),
    h('p', { role: 'status' }, count),
    found.did_you_mean
      ? h(
          'p',
          { class: 'notice' },
          'Did you mean ',
          h('a', { href: address({ q: found.did_you_mean }) }, found.did_you_mean),
          '?',
        )
      : null,
    h(
      'div',
      { class: 'split' },
      facets(found.facets),
      h('div', {}, sorting(), grid, found.has_more ? more(grid, found.next_cursor) : null),
    ),
  ].filter(Boolean)
})

/** What this visit looked at, if anything, comes first among equals. */
function find(wanted) {
  const asked = new URLSearchParams(wanted)
  const session = sessionId()
  if (session) asked.set('session', session)
  return read(`/v1/store/search?${asked}`)
}

/** This search with something changed; null takes it out. */
function address(changes) {
  const next = new URLSearchParams(query)
  next.delete('cursor')
  for (const [name, value] of Object.entries(changes)) value === null ? next.delete(name) : next.set(name, value)
  return `/search?${next}`
}

function sorting() {
  const go = (event) => location.assign(address({ sort: event.target.value }))
  const chosen = query.get('sort') ?? 'relevance'
  return h(
    'p',
    {},
    h(
      'label',
      {},
      'Sort ',
      h(
        'select',
        { onchange: go },
        Object.entries(SORTS).map(([value, label]) => h('option', { value, selected: value === chosen }, label)),
      ),
    ),
  )
}

function facets(all) {
  const inStock = query.get('in_stock') === 'true'
  return h(
    'form',
    { 'aria-label': 'Filters' },
    h(
      'fieldset',
      { class: 'facet' },
      h('legend', {}, 'Availability'),
      tick('In stock', inStock, address({ in_stock: inStock ? null : 'true' })),
    ),
    Object.entries(all ?? {})
      .filter(([name]) => name !== 'in_stock')
      .map(([name, values]) => facet(name, values)),
  )
}

function facet(name, values) {
  if (!values || values.length === 0) return null
  if (name === 'price') return h('fieldset', { class: 'facet' }, h('legend', {}, 'Price'), values.map(priceRange))
  return h(
    'fieldset',
    { class: 'facet' },
    h('legend', {}, titleOf(name)),
    values.slice(0, 12).map((value) => option(name, value)),
  )
}

function option(facetName, { value, label, count }) {
  const name = facetName === 'rating' ? 'rating_min' : facetName
  const chosen = query.get(name) === String(value)
  return tick(`${label ?? value} (${count})`, chosen, address({ [name]: chosen ? null : value }))
}

/** `to` is where the next range begins. */
function priceRange({ from, to, count }) {
  const text = to === null ? `from ${money(from)}` : `${money(from)} to ${money({ ...to, amount: to.amount - 1 })}`
  const low = String(from.amount)
  const high = to === null ? null : String(to.amount - 1)
  const chosen = query.get('price_min') === low && query.get('price_max') === high
  return tick(
    `${text} (${count})`,
    chosen,
    address({ price_min: chosen ? null : low, price_max: chosen ? null : high }),
  )
}

function tick(text, chosen, href) {
  return h('label', {}, h('input', { type: 'checkbox', checked: chosen, onchange: () => location.assign(href) }), text)
}

function titleOf(name) {
  const plain = name.replace(/^attr\./, '').replaceAll('_', ' ')
  return plain.charAt(0).toUpperCase() + plain.slice(1)
}

function more(grid, first) {
  let cursor = first
  const button = h('button', { type: 'button', onclick: load }, 'Show more')
  async function load() {
    button.disabled = true
    const next = new URLSearchParams(query)
    next.set('cursor', cursor)
    const found = await find(next)
    grid.append(...productGrid(found.data).children)
    cursor = found.next_cursor
    button.disabled = false
    if (!found.has_more) button.remove()
  }
  return h('p', {}, button)
}
