/**
 * A refusal with a stable code: something the caller asked for that cannot be done as asked.
 * Expected business outcomes (declined, out of stock) are returned as union members instead.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ErrorCode
  /** Extra members of the problem document, such as `checkout` or `lines`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, detail: string, details: Record<string, unknown> = {}) {
    super(detail)
    this.code = code
    this.details = details
  }
}

/** Every code that an answer may carry, with its status and its short title. */
export const ERROR_CODES = {
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  validation_failed: { status: 400, title: 'The request is not valid' },
  idempotency_key_required: { status: 400, title: 'An Idempotency-Key header is required' },
  amount_out_of_range: { status: 422, title: 'An amount is too large to be exact' },
  unauthenticated: { status: 401, title: 'Credentials are missing or unknown' },
  payment_declined: { status: 402, title: 'The payment was declined' },
  capture_failed: { status: 402, title: 'The money could not be taken' },
  insufficient_scope: { status: 403, title: 'The key does not allow this' },
  not_found: { status: 404, title: 'There is no such thing' },
  sku_not_found: { status: 404, title: 'There is no such SKU' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  out_of_stock: { status: 409, title: 'Not enough stock' },
  price_changed: { status: 409, title: 'The price has changed' },
  cart_changed: { status: 409, title: 'The cart has changed' },
  cart_empty: { status: 409, title: 'The cart is empty' },
  cart_closed: { status: 409, title: 'The cart is closed' },
  cart_locked: { status: 409, title: 'The cart is being checked out' },
  checkout_in_progress: { status: 409, title: 'Another checkout of this cart is open' },
  checkout_expired: { status: 409, title: 'The checkout is over' },
  payment_in_progress: { status: 409, title: 'Another payment is not settled yet' },
  too_many_attempts: { status: 409, title: 'Too many payments were tried' },
  order_completed: { status: 409, title: 'The order is complete' },
  amount_exceeds_available: { status: 409, title: 'More than is available' },
  move_limit: { status: 409, title: 'The order has as many captures or refunds as it may have' },
  order_on_hold: { status: 409, title: 'The order is on hold' },
  cancel_instead: { status: 409, title: 'What has not been sent is cancelled, not refunded' },
  label_refused: { status: 409, title: 'The carrier refuses the label' },
  already_shipped: { status: 409, title: 'It has left already' },
  already_labelled: { status: 409, title: 'Its label is made already' },
  address_changes_price: { status: 409, title: 'The order would cost something else there' },
  invalid_state: { status: 409, title: 'It is not in the state for that' },
  order_not_confirmed: { status: 409, title: 'The order was never confirmed' },
  nothing_to_send: { status: 409, title: 'Nothing is left to be sent' },
  nothing_refunded: { status: 409, title: 'Nothing was refunded' },
  request_in_progress: { status: 409, title: 'A request with this key is running' },
  repair_not_allowed: { status: 409, title: 'This repair does not fit the case' },
  sku_taken: { status: 409, title: 'The SKU is taken' },
  slug_taken: { status: 409, title: 'The slug is taken' },
  name_taken: { status: 409, title: 'The name is taken' },
  category_cycle: { status: 409, title: 'A category cannot lie below itself' },
  category_too_deep: { status: 409, title: 'The category tree would be too deep' },
  category_not_empty: { status: 409, title: 'The category is not empty' },
  attributes_in_use: { status: 409, title: 'Stored products do not fit the attributes' },
  review_exists: { status: 409, title: 'There is a review by this buyer' },
  below_reserved: { status: 409, title: 'Fewer on hand than promised to customers' },
  precondition_failed: { status: 412, title: 'The resource has changed since it was read' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The media type is not supported' },
  idempotency_key_reused: { status: 422, title: 'The key was used with another body' },
  cart_too_large: { status: 422, title: 'The cart has too many lines' },
  no_price: { status: 422, title: 'There is no price in this currency' },
  email_required: { status: 422, title: 'An e-mail address is needed' },
  image_invalid: { status: 422, title: 'The file is no picture that can be read' },
  image_too_large: { status: 422, title: 'The picture has too many pixels' },
  image_limit: { status: 422, title: 'The product has too many pictures' },
  precondition_required: { status: 428, title: 'An If-Match header is required' },
  rate_limited: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something went wrong on our side' },
  unavailable: { status: 503, title: 'A dependency is unavailable' },
  no_worker: { status: 503, title: 'No worker took the request' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof ERROR_CODES
