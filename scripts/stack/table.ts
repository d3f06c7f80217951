import type { StackFile } from './state'

/** What a person needs after a start: addresses, keys, and one line that buys something. */
export function stackTable(stack: StackFile, sku: string): string {
  const rows: [string, string][] = [
    ...stack.apis.map((api, index): [string, string] => [index === 0 ? 'API' : '', api]),
    ['OpenAPI', `${stack.api}/openapi.json`],
    ['Temporal Web UI', stack.temporal_ui],
    ['Temporal', stack.temporal],
    ['Postgres', stack.postgres],
    ['Redis', stack.redis],
    ['Sandbox payments', stack.sandbox],
    ['Sandbox carrier', stack.carrier],
    ['Admin key', stack.admin_key],
  ]
  const width = Math.max(...rows.map(([label]) => label.length))
  const lines = rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)
  return [
    ...lines,
    '',
    'Buy something (paste it into a shell; 201 means it is paid for):',
    '',
    purchaseLine(stack.api, sku),
  ].join('\n')
}

/** One line for any POSIX shell with curl and sed: makes a cart, fills it, checks out, prints the order and the status. */
export function purchaseLine(api: string, sku: string): string {
  const post = "curl -sS -H 'content-type: application/json'"
  const address = { name: 'Sample Buyer', line1: '1 High St', city: 'Leeds', postal_code: 'LS1 4DY', country: 'GB' }
  const checkout = {
    email: 'buyer@example.com',
    shipping_address: address,
    shipping_method: 'standard',
    payment: { provider: 'sandbox', method: 'pm_card_visa' },
  }
  const steps = [
    `S=${api}/v1/store/carts`,
    `J=$(${post} $S -d '${JSON.stringify({ currency: 'GBP' })}')`,
    `C=$(echo "$J" | sed 's/.*"id":"\\(cart_[^"]*\\)".*/\\1/')`,
    `T=$(echo "$J" | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')`,
    `${post} -o /dev/null -H "x-cart-token: $T" $S/$C/lines -d '${JSON.stringify({ sku, quantity: 1 })}'`,
    `${post} -w '\\nHTTP %{http_code}\\n' -H "x-cart-token: $T" -H "idempotency-key: $C" $S/$C/checkout -d '${JSON.stringify(checkout)}'`,
  ]
  return `(${steps.join('; ')})`
}
