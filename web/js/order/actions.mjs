import { call, h } from '../shop.mjs'
import { failureWords, fieldWords } from './words.mjs'

/** What a shopper may ask for of an order: each asks in a dialog first. */

/** Below what was done meanwhile, so that its place is known before it is needed. */
function dialogOf(id, title, content) {
  const dialog = h('dialog', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), content)
  document.querySelector(`#${id}`)?.remove()
  document.body.append(dialog)
  dialog.addEventListener('close', () => dialog.remove())
  // What is under way cannot be taken back by Escape.
  dialog.addEventListener('cancel', (event) => dialog.hasAttribute('aria-busy') && event.preventDefault())
  return dialog
}

/** Sends once, however often the button is pressed; says below what went wrong. */
async function sendFrom(dialog, send) {
  if (dialog.hasAttribute('aria-busy')) return
  const line = dialog.querySelector('[role="alert"]')
  dialog.setAttribute('aria-busy', 'true')
  line.replaceChildren()
  try {
    await send()
    dialog.close()
  } catch (error) {
    line.replaceChildren(failureWords(error))
    throw error
  } finally {
    dialog.removeAttribute('aria-busy')
  }
}

const alertLine = () => h('p', { class: 'problem', role: 'alert' })

/** @param done is told the answer: its status, and the order */
export function askToCancel(order, headers, done) {
  // One key for all tries: a second one finds what the first has done.
  const key = crypto.randomUUID()
  const cancel = async () => {
    const path = `/v1/store/orders/${order.id}/cancel`
    done(await call('POST', path, { body: {}, headers: { ...headers, 'idempotency-key': key } }))
  }
  const hasLeft = order.shipments.some(({ status }) => ['shipped', 'delivered'].includes(status))
  const dialog = dialogOf('cancel-dialog', 'Cancel the order?', [
    h(
      'p',
      {},
      hasLeft
        ? 'What has not left yet will not be sent, and you pay nothing for it.'
        : 'Nothing will be sent. What was charged goes back to you; what was only reserved on your card is let go.',
    ),
    alertLine(),
    h(
      'div',
      { class: 'choices' },
      h('button', { type: 'button', onclick: () => sendFrom(dialog, cancel).catch(console.warn) }, 'Yes, cancel it'),
      h('button', { type: 'button', class: 'quiet', autofocus: true, onclick: () => dialog.close() }, 'Keep the order'),
    ),
  ])
  dialog.showModal()
}

const FIELDS = [
  ['name', 'Name', 'name', true, 200],
  ['company', 'Company (optional)', 'organization', false, 200],
  ['line1', 'Street', 'address-line1', true, 200],
  ['line2', 'Flat, floor (optional)', 'address-line2', false, 200],
  ['city', 'City', 'address-level2', false, 100],
  ['postal_code', 'Postal code', 'postal-code', false, 20],
  ['region', 'Region (optional)', 'address-level1', false, 100],
  ['country', 'Country (ISO code)', 'country', true, 2],
  ['phone', 'Phone (optional)', 'tel', false, 50],
]

/** @param done is told the answer: its status, and the order */
export function askForAddress(order, headers, done) {
  const send = async (data) => {
    const value = (name) => String(data.get(name) ?? '').trim() || null
    const address = Object.fromEntries(FIELDS.map(([name]) => [name, value(name)]))
    done(await call('PATCH', `/v1/store/orders/${order.id}`, { body: { shipping_address: address }, headers }))
  }
  const submit = (event) => {
    event.preventDefault()
    markFields(form, [])
    sendFrom(dialog, () => send(new FormData(form))).catch((error) => markFields(form, error.body?.errors ?? []))
  }
  const form = h(
    'form',
    { class: 'stack', onsubmit: submit },
    FIELDS.map((field) => addressField(field, order.shipping_address[field[0]])),
    alertLine(),
    h(
      'div',
      { class: 'choices' },
      h('button', { type: 'submit' }, 'Send it there'),
      h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Leave it as it is'),
    ),
  )
  const dialog = dialogOf('address-dialog', 'Change the address', form)
  dialog.showModal()
}

function addressField([name, label, autocomplete, required, maxlength], value) {
  const id = `address-${name}`
  const describedby = `${id}-problem`
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, name, value: value ?? '', autocomplete, required, maxlength, 'aria-describedby': describedby }),
    h('p', { id: describedby, class: 'problem' }),
  )
}

/** Says at each field what is wrong with it, and goes to the first. */
function markFields(form, errors) {
  for (const [name] of FIELDS) {
    const wrong = errors.find(({ pointer }) => pointer === `/shipping_address/${name}`)
    const input = form.elements[name]
    form.querySelector(`#address-${name}-problem`).textContent = wrong ? fieldWords(wrong) : ''
    if (wrong) input.setAttribute('aria-invalid', 'true')
    else input.removeAttribute('aria-invalid')
  }
  form.querySelector('[aria-invalid]')?.focus()
}
