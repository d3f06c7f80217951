import { askForAddress, askToCancel } from '../order/actions.mjs'
import { eventWords, problemWords, refundWords, shipmentStatus, statusOf } from '../order/words.mjs'
import { call, cartKey, forgetCart, h, money, show } from '../shop.mjs'

const STATES = {
  in_progress: 'It is being paid.',
  requires_action: 'It waits for you at the card’s bank.',
  ready_for_payment: 'It is not paid. Try another card.',
}
const POLL_MS = 800
const POLLS_MAX = 60
const POLLS_FOR_BANK = 10
const OVER = ['completed', 'cancelled']
const FIRST_LOOK_MS = 3_000
const LAST_LOOK_MS = 60_000
let sections = 0

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
  if (STATES[checkout.state]) return unpaid(checkout)
  if (checkout.state === 'completed' && cartKey()?.token === known.token) forgetCart()
  const read = async () => (await call('GET', `/v1/store/orders/${known.id}`, { headers })).body
  return orderView(await read(), read, headers)
})

function unpaid({ state, action }) {
  return [
    h('h1', {}, 'Your order'),
    h('p', { class: 'notice' }, STATES[state]),
    h(
      'p',
      {},
      action
        ? h('a', { class: 'button', href: action.url }, 'Go on')
        : h('a', { class: 'button', href: '/checkout' }, 'Back to the checkout'),
    ),
  ]
}

/** The order, which looks after itself: what happens to it is seen here soon, ever more rarely while nothing does. */
function orderView(first, read, headers) {
  const title = h('h1', {})
  const message = h('p', { id: 'message', class: 'notice', role: 'status', tabindex: -1 })
  const content = h('div', {})
  let shown = ''
  let status = ''
  let timer
  let lookAfter = FIRST_LOOK_MS
  /** How often an action was answered: what was read before that is old. */
  let answers = 0

  function draw(order) {
    const text = JSON.stringify(order)
    if (text === shown) return false
    shown = text
    title.textContent = `${order.status === 'cancelled' ? 'Order' : 'Thank you: order'} ${order.number}`
    // What was said last stays while nothing else is to be said.
    if (status !== statusOf(order)) message.textContent = status = statusOf(order)
    replace(content, partsOf(order, { onCancel, onAddress }))
    return true

    function onCancel() {
      askToCancel(order, headers, ({ status: answered, body }) => {
        arrived(body)
        if (answered === 202) say('We are cancelling it. What you paid goes back to you.')
        else say(body.status === 'cancelled' ? statusOf(body) : 'What had not left yet is cancelled.')
      })
    }
    function onAddress() {
      askForAddress(order, headers, ({ body }) => {
        arrived(body)
        say('It will be sent to the new address.')
      })
    }
  }

  function say(text) {
    message.textContent = text
    // The button that was pressed may be gone: the reader goes on where it is said what was done.
    requestAnimationFrame(() => message.focus())
  }

  function arrived(order) {
    answers++
    draw(order)
    lookAfter = FIRST_LOOK_MS
    plan(order)
  }

  function plan(order) {
    clearTimeout(timer)
    if (OVER.includes(order.status) && order.totals.refund_pending.amount === 0) return
    timer = setTimeout(look, lookAfter)
    lookAfter = Math.min(LAST_LOOK_MS, lookAfter * 1.5)
  }

  async function look() {
    clearTimeout(timer)
    if (document.hidden) return
    const before = JSON.parse(shown)
    const answersBefore = answers
    try {
      const order = await read()
      if (answers !== answersBefore) return
      if (draw(order)) lookAfter = FIRST_LOOK_MS
      const refused = newlyRefused(before, order)
      if (refused) say(problemWords(refused.code))
      plan(order)
    } catch (error) {
      console.warn(error)
      if (answers === answersBefore) plan(before)
    }
  }

  document.addEventListener('visibilitychange', look)
  draw(first)
  plan(first)
  return [title, message, content]
}

/** What was asked for and could not be answered at once: a cancellation that came too late, say. */
function newlyRefused({ commands: before = [] }, { commands = [] }) {
  const known = new Set(before.filter(({ state }) => state === 'refused').map(({ id }) => id))
  return commands.find(({ id, state, shipment_id: parcel }) => state === 'refused' && !parcel && !known.has(id))
}

/** Fills the place anew; what had the focus, or was unfolded, still is. */
function replace(place, parts) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : ''
  const unfolded = [...place.querySelectorAll('details[open]')].map(({ id }) => id)
  place.replaceChildren(...parts.flat().filter(Boolean))
  for (const details of place.querySelectorAll('details')) details.open = unfolded.includes(details.id)
  if (focused) document.getElementById(focused)?.focus()
}

function partsOf(order, { onCancel, onAddress }) {
  const may = (action) => order.actions.includes(action)
  const parcels = (order.shipments ?? []).filter(({ status }) => status !== 'cancelled')
  return [
    h('p', { class: 'muted' }, 'Ordered on ', moment(order.created_at), `, by ${order.email}.`),
    h(
      'div',
      { class: 'order' },
      h(
        'div',
        {},
        parcels.map((parcel, index) => parcelPart(parcel, { index, count: parcels.length, lines: order.lines })),
        linesPart(order),
      ),
      h(
        'div',
        {},
        section(
          'Send to',
          addressOf(order.shipping_address),
          may('change_address') &&
            h(
              'button',
              { id: 'change-address', type: 'button', class: 'second', onclick: onAddress },
              'Change the address',
            ),
        ),
        moneyPart(order),
        may('cancel') &&
          section(
            'Changed your mind?',
            h('button', { id: 'cancel-order', type: 'button', class: 'second', onclick: onCancel }, 'Cancel the order'),
          ),
      ),
    ),
    h('p', {}, h('a', { href: '/' }, 'Go on shopping')),
  ]
}

function section(title, ...content) {
  const id = `section-${++sections}`
  return h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, title), ...content)
}

function parcelPart(parcel, { index, count, lines }) {
  const { id, status, carrier, service, tracking_number: number, tracking_url: url, expected_at: expected } = parcel
  const titles = new Map(lines.map(({ sku, title }) => [sku, title]))
  const isWaitedFor = !['delivered', 'lost', 'returned'].includes(status)
  return section(
    count === 1 ? 'Your parcel' : `Parcel ${index + 1} of ${count}`,
    h('p', {}, h('strong', {}, shipmentStatus(status))),
    facts([
      ['Carrier', carrier && [carrier, service].filter(Boolean).join(', ')],
      ['Tracking number', number && trackingLink(id, number, url)],
      ['Expected', isWaitedFor && expected && day(expected)],
    ]),
    h(
      'ul',
      { class: 'plain' },
      parcel.lines.map(({ sku, quantity }) => h('li', {}, `${quantity} × ${titles.get(sku) ?? sku}`)),
    ),
    parcel.events.length > 0 && history(id, parcel.events),
  )
}

/** Links of carriers come from outside: only addresses of the web are followed. */
function trackingLink(id, number, url) {
  return /^https?:\/\//i.test(url ?? '')
    ? h('a', { id: `track-${id}`, href: url, rel: 'noreferrer', 'aria-label': `Track parcel ${number}` }, number)
    : number
}

function history(id, events) {
  const newest = [...events].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
  return h(
    'details',
    { id: `history-${id}` },
    h('summary', { id: `summary-${id}` }, `What happened so far (${events.length})`),
    h(
      'ol',
      { class: 'plain' },
      newest.map(({ at, type, detail }) =>
        h('li', {}, moment(at), `: ${eventWords(type)}`, detail && h('span', { class: 'muted' }, `, ${detail}`)),
      ),
    ),
  )
}

function linesPart({ lines, totals }) {
  if (lines.length === 0) return null
  const row = (name, amount) =>
    h('tr', {}, h('th', { scope: 'row', colspan: 2 }, name), h('td', { class: 'number' }, amount))
  return section(
    'What you ordered',
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
      h('tbody', {}, lines.map(lineRow)),
      h(
        'tfoot',
        {},
        totals.discount.amount > 0 && row('Discount', `−${money(totals.discount)}`),
        row('Shipping', money(totals.shipping)),
        row('Total with shipping', money(totals.total)),
        totals.cancelled.amount > 0 && row('Cancelled', `−${money(totals.cancelled)}`),
      ),
    ),
  )
}

function lineRow({ title, quantity, cancelled, total }) {
  const note = cancelled === quantity ? 'Cancelled' : `${cancelled} of ${quantity} cancelled`
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, title, cancelled > 0 && h('div', { class: 'hint warn' }, note)),
    h('td', { class: 'number' }, String(quantity)),
    h('td', { class: 'number' }, money(total)),
  )
}

function moneyPart({ status, payment_status: payment, payments, totals, refunds }) {
  const reserved = { ...totals.authorized, amount: totals.authorized.amount - totals.captured.amount }
  const isReserved = reserved.amount > 0 && status !== 'cancelled'
  const some = (amount) => amount.amount > 0 && money(amount)
  return section(
    'Payment',
    facts([
      ['Charged', some(totals.captured)],
      ['Reserved on your card', isReserved && money(reserved)],
      ['Given back', some(totals.refunded)],
      ['On its way back', some(totals.refund_pending)],
    ]),
    isReserved && h('p', { class: 'muted' }, 'It is charged when your order leaves us.'),
    payments.length === 0 && status !== 'cancelled' && h('p', {}, 'There was nothing to pay.'),
    status === 'cancelled' && totals.captured.amount === 0 && h('p', {}, 'Nothing was charged.'),
    payment === 'disputed' && h('p', {}, 'Your bank is looking into this payment.'),
    refunds.length > 0 &&
      h(
        'ul',
        { class: 'plain', 'aria-label': 'Refunds' },
        refunds.map(({ amount, status: state, created_at: at }) =>
          h('li', {}, `${money(amount)} ${refundWords(state)}, asked for on `, day(at)),
        ),
      ),
  )
}

/** What is known of it, as names and values. */
function facts(list) {
  const known = list.filter(([, value]) => value)
  return (
    known.length > 0 &&
    h(
      'dl',
      {},
      known.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
    )
  )
}

function addressOf({ name, company, line1, line2, city, postal_code: code, region, country, phone }) {
  const place = [city, code].filter(Boolean).join(' ')
  const lines = [name, company, line1, line2, place, region, country, phone].filter(Boolean)
  return h(
    'address',
    {},
    lines.map((line) => h('div', {}, line)),
  )
}

function moment(at) {
  return time(at, { dateStyle: 'medium', timeStyle: 'short' })
}

function day(at) {
  return time(at, { dateStyle: 'full' })
}

function time(at, style) {
  return h('time', { datetime: at }, new Intl.DateTimeFormat('en-GB', style).format(new Date(at)))
}
