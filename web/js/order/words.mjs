/** What becomes of an order, in the words of a shopper. */

const BY_STATUS = {
  pending: 'It is being placed.',
  inventory_reserved: 'It is being paid.',
  payment_pending: 'It is being paid.',
  confirmed: 'We have your order, and will pack it soon.',
  processing: 'We are getting your order ready.',
  shipped: 'Your order is on its way.',
  delivered: 'Your order has arrived.',
  completed: 'Your order has arrived. All is done.',
  on_hold: 'We are checking your order before we send it. There is nothing that you have to do.',
}
const BY_REASON = {
  customer: 'Your order was cancelled, as you wished.',
  expired: 'Your order was not paid in time, so it was cancelled. Nothing was charged.',
  payment_failed: 'Your order could not be paid, so it was cancelled. Nothing was charged.',
  out_of_stock: 'Your order was cancelled: what you wanted is sold out.',
  price_changed: 'Your order was cancelled: a price has changed.',
}

export function statusOf({ status, cancel_reason: reason, fulfillment_status: goods }) {
  if (status === 'cancelled') return BY_REASON[reason] ?? 'Your order was cancelled by the shop.'
  if (status === 'processing' && goods === 'partially_fulfilled') return 'A part of your order is on its way.'
  if (status === 'shipped' && goods === 'partially_delivered') return 'A part of your order has arrived.'
  return BY_STATUS[status] ?? plain(status)
}

const OF_SHIPMENT = {
  allocated: 'Waits to be packed',
  picking: 'Being packed',
  packed: 'Packed',
  labelled: 'Ready to leave',
  shipped: 'On its way',
  delivered: 'Delivered',
  lost: 'Lost on its way: we are looking into it',
  returned: 'Came back to us',
  cancelled: 'Cancelled',
}
export const shipmentStatus = (status) => OF_SHIPMENT[status] ?? plain(status)

const OF_EVENT = {
  accepted: 'Handed to the carrier',
  in_transit: 'On its way',
  out_for_delivery: 'Out for delivery',
  exception: 'Delayed',
  lost: 'Lost',
  returned: 'Came back to us',
}
export const eventWords = (type) => OF_EVENT[type] ?? OF_SHIPMENT[type] ?? plain(type)

const OF_REFUND = {
  pending: 'on its way back to you',
  succeeded: 'given back',
  failed: 'did not reach you: we are looking into it',
}
export const refundWords = (status) => OF_REFUND[status] ?? plain(status)

/** A code that is newer than this page: `out_for_pickup` → "Out for pickup". */
function plain(code) {
  const text = String(code).replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const NOT_NOW = 'The shop cannot do that at the moment. Please try again in a minute: nothing is done twice.'
const NOT_YOURS = 'This browser may not change the order any more. Please write to us.'
const PROBLEMS = {
  already_shipped: 'It has left already, so it cannot be cancelled any more.',
  partly_shipped: 'Some of it has left already: only the rest was cancelled.',
  already_labelled: 'A parcel has its label already, so the address cannot be changed any more.',
  address_changes_price:
    'Shipping or tax would cost something else there, so the address cannot be changed. You can cancel the order and order again.',
  order_on_hold: 'We are checking your order: nothing can be changed meanwhile.',
  order_completed: 'The order is complete: nothing can be changed any more.',
  invalid_state: 'The order has moved on meanwhile: this is not possible any more.',
  checkout_in_progress: 'The order is being paid. Please try again in a minute.',
  request_in_progress: 'The shop is working on it. Please wait a moment.',
  validation_failed: 'Please look at the marked fields.',
  rate_limited: 'That was too often. Please wait a minute.',
  not_found: NOT_YOURS,
  unauthenticated: NOT_YOURS,
  unavailable: NOT_NOW,
  no_worker: NOT_NOW,
  internal: NOT_NOW,
  request_timeout: NOT_NOW,
}

export const problemWords = (code) => PROBLEMS[code] ?? 'That is not possible. Please reload the page.'

/** Of a call that failed. Without an answer nobody knows what became of it. */
export function failureWords(error) {
  if (error.body?.code) return problemWords(error.body.code)
  return error.status ? NOT_NOW : 'The shop did not answer. Please try again: nothing is done twice.'
}

export function fieldWords({ pointer, code }) {
  if (pointer.endsWith('/country')) return 'Two capital letters, such as GB, of a country that we send to.'
  if (code === 'too_big') return 'This is too long.'
  return code === 'too_small' || code === 'invalid_type' ? 'Please fill this in.' : 'Please check this.'
}
