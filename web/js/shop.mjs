/** What every view shares: the API, elements, money, the cart, the header. */

/** An answer that is no 2xx, with its problem document. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `The shop answered ${status}.`)
    this.status = status
    this.body = body ?? {}
  }
}

const TIMEOUT_MS = 25_000

export async function call(method, path, { body, headers } = {}) {
  const response = await fetch(path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  const answer = response.status === 204 ? null : await response.json().catch(() => null)
  if (!response.ok) throw new Problem(response.status, answer)
  return { status: response.status, body: answer }
}

export const read = async (path) => (await call('GET', path)).body

/** An element: `h('a', {href: '/'}, 'Home')`. Text is always text; nothing here makes HTML of a string. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key, value === true ? '' : String(value))
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** Highlighted text as the API answers it: escaped, with <mark> and nothing else. */
export function marked(html) {
  return html.split(/(<mark>.*?<\/mark>)/s).map((part) => {
    const inner = /^<mark>(.*)<\/mark>$/s.exec(part)
    return inner ? h('mark', {}, unescaped(inner[1])) : unescaped(part)
  })
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'" }
const unescaped = (text) => text.replace(/&(amp|lt|gt|quot|#39|#x27);/g, (_, name) => ENTITIES[name])

/** Of two decimals each, as in en-GB. The first `Intl.NumberFormat` of a visit takes 100 ms, more than all else here. */
const SIGNS = { GBP: '£', EUR: '€', USD: 'US$' }
const formats = new Map()

export function money({ amount, currency }) {
  const sign = SIGNS[currency]
  if (!sign) return asBrowserWrites(amount, currency)
  const whole = String(Math.floor(Math.abs(amount) / 100)).replace(/\B(?=(\d{3})+$)/g, ',')
  const cents = String(Math.abs(amount) % 100).padStart(2, '0')
  return `${amount < 0 ? '-' : ''}${sign}${whole}.${cents}`
}

function asBrowserWrites(amount, currency) {
  let format = formats.get(currency)
  if (!format) formats.set(currency, (format = new Intl.NumberFormat('en-GB', { style: 'currency', currency })))
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits)
}

/** Fills the view once its data is there; shows what went wrong otherwise. */
export async function show(title, build) {
  const main = document.querySelector('main')
  try {
    const content = await build()
    if (title) document.title = `${typeof title === 'function' ? title() : title} · Holdfast`
    main.replaceChildren(...[content].flat(2))
  } catch (error) {
    console.warn(error)
    main.replaceChildren(
      h('h1', {}, error.status === 404 ? 'There is no such page' : 'That did not work'),
      h('p', { class: 'notice bad', role: 'alert' }, error.message),
      h('p', {}, h('a', { href: '/' }, 'Back to the shop')),
    )
  } finally {
    main.removeAttribute('aria-busy')
    afterPaint(showKeptCount)
  }
}

/** Runs what can wait until the view is painted: the first read of local storage would delay the paint. */
export function afterPaint(work) {
  requestAnimationFrame(() => setTimeout(work))
}

export function breadcrumbs(list) {
  return h(
    'nav',
    { class: 'breadcrumbs', 'aria-label': 'Breadcrumbs' },
    h(
      'ol',
      {},
      h('li', {}, h('a', { href: '/' }, 'Shop')),
      list.map(({ slug, title }) => h('li', {}, h('a', { href: categoryPath(slug) }, title))),
    ),
  )
}

export const productPath = (slug) => `/product/${encodeURIComponent(slug)}`
export const categoryPath = (slug) => `/category/${encodeURIComponent(slug)}`

export function picture(product) {
  const [url] = product.image_urls ?? []
  return url
    ? h('img', { class: 'picture', src: url, alt: '', width: 400, height: 400, loading: 'lazy', decoding: 'async' })
    : h('div', { class: 'picture', 'aria-hidden': 'true' }, product.title.slice(0, 1))
}

export function priceRange({ price_range: { min, max } }) {
  return h('span', { class: 'price' }, min.amount === max.amount ? money(min) : `from ${money(min)}`)
}

export function availability({ available, available_hint: hint, available_quantity: left }) {
  if (!available) return h('span', { class: 'hint warn' }, 'Sold out')
  return hint === 'low'
    ? h('span', { class: 'hint warn' }, `Only ${left} left`)
    : h('span', { class: 'hint good' }, 'In stock')
}

export function stars(rating) {
  if (!rating?.count) return null
  const full = Math.round(rating.average)
  const label = `${rating.average.toFixed(1)} of 5, ${rating.count} ${rating.count === 1 ? 'review' : 'reviews'}`
  return h(
    'span',
    { class: 'stars', role: 'img', 'aria-label': label, title: label },
    '★'.repeat(full) + '☆'.repeat(5 - full),
  )
}

export function productCard(product) {
  return h(
    'li',
    {},
    h(
      'article',
      { class: 'card' },
      picture(product),
      h(
        'a',
        { href: productPath(product.slug) },
        product.highlight?.title ? marked(product.highlight.title) : product.title,
      ),
      stars(product.rating),
      priceRange(product),
      product.available ? null : h('span', { class: 'hint warn' }, 'Sold out'),
    ),
  )
}

export const productGrid = (products) => h('ul', { class: 'grid' }, products.map(productCard))

/** The cart is the shop's; the browser keeps what opens it. */
const CART = 'holdfast-cart'

export function cartKey() {
  try {
    return JSON.parse(localStorage.getItem(CART))
  } catch {
    return null
  }
}

export function forgetCart() {
  localStorage.removeItem(CART)
  showCount(0)
}

/** Calls the cart, if there is one. A cart that is over is forgotten. */
export async function callCart(method, rest = '', body = undefined, headers = {}) {
  const key = cartKey()
  if (!key) return null
  try {
    const path = `/v1/store/carts/${key.id}${rest}`
    const answer = await call(method, path, { body, headers: { 'x-cart-token': key.token, ...headers } })
    if (answer.body?.lines && !rest.startsWith('/checkout')) keepCount(answer.body)
    return answer.body
  } catch (error) {
    if (error.status === 404 || error.body?.code === 'cart_closed') forgetCart()
    throw error
  }
}

export async function addToCart(sku, quantity) {
  if (!cartKey()) await makeCart()
  try {
    return await callCart('POST', '/lines', { sku, quantity })
  } catch (error) {
    if (cartKey()) throw error
    await makeCart()
    return callCart('POST', '/lines', { sku, quantity })
  }
}

async function makeCart() {
  const { body } = await call('POST', '/v1/store/carts', { body: {} })
  localStorage.setItem(CART, JSON.stringify({ id: body.id, token: body.token }))
}

const COUNT = 'holdfast-cart-count'

function keepCount(cart) {
  showCount(
    cart.state === 'open' || cart.state === undefined ? cart.lines.reduce((sum, line) => sum + line.quantity, 0) : 0,
  )
}

function showCount(count) {
  localStorage.setItem(COUNT, String(count))
  const badge = document.querySelector('#cart-count')
  badge.textContent = String(count)
  badge.hidden = count === 0
}

function showKeptCount() {
  const count = Number(localStorage.getItem(COUNT) ?? 0)
  if (count > 0) showCount(count)
}

/** Reports what the shopper looked at, without a name: bestsellers and recommendations are computed from it. */
export function reportInteractions(interactions) {
  const session = sessionStorage.getItem('holdfast-session') ?? crypto.randomUUID()
  sessionStorage.setItem('holdfast-session', session)
  const body = JSON.stringify({ session, events: interactions })
  navigator.sendBeacon?.('/v1/store/events', new Blob([body], { type: 'application/json' }))
}

export const sessionId = () => sessionStorage.getItem('holdfast-session')

/** Search as you type: a list box under the field, moved through by the arrow keys. */
function suggestWhileTyping() {
  const field = document.querySelector('#q')
  const list = document.querySelector('#suggestions')
  field.setAttribute('role', 'combobox')
  field.setAttribute('aria-controls', list.id)
  field.setAttribute('aria-expanded', 'false')
  let timer
  let asked = 0
  field.value = location.pathname === '/search' ? (new URLSearchParams(location.search).get('q') ?? '') : ''

  function close() {
    list.hidden = true
    field.setAttribute('aria-expanded', 'false')
    field.removeAttribute('aria-activedescendant')
  }

  async function ask() {
    const q = field.value.trim()
    const number = ++asked
    if (q === '') return close()
    const found = await read(`/v1/store/search/suggest?q=${encodeURIComponent(q)}`).catch(() => null)
    if (number !== asked || !found || found.data.length === 0) return number === asked && close()
    list.replaceChildren(...found.data.map(suggestion))
    list.hidden = false
    field.setAttribute('aria-expanded', 'true')
  }

  function suggestion({ type, text, slug }, index) {
    const href =
      type === 'product'
        ? productPath(slug)
        : type === 'category'
          ? categoryPath(slug)
          : `/search?q=${encodeURIComponent(text)}`
    const note = type === 'category' ? h('small', {}, ' in categories') : null
    return h(
      'li',
      { role: 'presentation' },
      h('a', { id: `suggestion-${index}`, role: 'option', 'aria-selected': 'false', tabindex: -1, href }, text, note),
    )
  }

  function move(step) {
    const options = [...list.querySelectorAll('a')]
    if (list.hidden || options.length === 0) return
    const at = options.findIndex((option) => option.getAttribute('aria-selected') === 'true')
    const next = (at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length
    for (const option of options) option.setAttribute('aria-selected', 'false')
    options[next].setAttribute('aria-selected', 'true')
    field.setAttribute('aria-activedescendant', options[next].id)
  }

  field.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(ask, 120)
  })
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      move(event.key === 'ArrowDown' ? 1 : -1)
    } else if (event.key === 'Escape') {
      close()
    } else if (event.key === 'Enter') {
      const chosen = list.querySelector('a[aria-selected="true"]')
      if (!list.hidden && chosen) {
        event.preventDefault()
        location.assign(chosen.href)
      }
    }
  })
  document.addEventListener('click', (event) => {
    if (!event.target.closest('.search')) close()
  })
}

suggestWhileTyping()
