import { formatAmount } from './amount'
import type { ChargeRecord } from './charge'

/** The view that stands for the bank's page: the customer approves or refuses a payment. */
export function decisionView(charge: ChargeRecord): string {
  const amount = escapeHtml(formatAmount(charge.amount, charge.currency))
  return html(
    'Approve this payment',
    `<p>Your bank asks whether you want to pay:</p>
    <dl>
      <dt>Amount</dt><dd>${amount}</dd>
      <dt>Order</dt><dd><code>${escapeHtml(charge.reference)}</code></dd>
    </dl>
    <div class="choices">
      <form method="post" action="/3ds/${charge.id}/approve"><button class="approve">Approve</button></form>
      <form method="post" action="/3ds/${charge.id}/refuse"><button>Refuse</button></form>
    </div>`,
  )
}

/** Shown when there is nothing (left) to decide, or nowhere to go back to. */
export function resultView(charge: ChargeRecord): string {
  const back = returnAddress(charge)
  return html(
    RESULT_TITLES[decisionResult(charge)],
    `<dl>
      <dt>Amount</dt><dd>${escapeHtml(formatAmount(charge.amount, charge.currency))}</dd>
      <dt>Order</dt><dd><code>${escapeHtml(charge.reference)}</code></dd>
    </dl>
    <p>${back ? `<a href="${escapeHtml(back)}">Back to the shop</a>` : 'You can close this page.'}</p>`,
  )
}

export function unknownView(): string {
  return html('There is no such payment', '<p>The address is wrong, or the sandbox started with an empty journal.</p>')
}

/** Where the customer returns to, with hints in the query that prove nothing; null when the shop named no address. */
export function returnAddress(charge: ChargeRecord): string | null {
  if (charge.return_url === null) return null
  const url = new URL(charge.return_url)
  url.searchParams.set('order_id', charge.reference)
  url.searchParams.set('result', decisionResult(charge))
  return url.href
}

type DecisionResult = 'approved' | 'refused' | 'cancelled'

const RESULT_TITLES: Record<DecisionResult, string> = {
  approved: 'The payment is approved',
  refused: 'The payment was refused',
  cancelled: 'The payment was cancelled by the shop',
}

function decisionResult(charge: ChargeRecord): DecisionResult {
  if (charge.status === 'authorized' || charge.status === 'captured' || charge.status === 'refunded') return 'approved'
  return charge.status === 'voided' ? 'cancelled' : 'refused'
}

function html(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title} · Sandbox bank</title>
  <style>${STYLE}</style>
</head>
<body>
  <main>
    <p class="brand">Sandbox bank <small>no real money moves here</small></p>
    <h1>${title}</h1>
    ${content}
  </main>
</body>
</html>
`
}

const STYLE = `
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f3f4f6, #111827); color: light-dark(#111827, #f3f4f6); }
  main { box-sizing: border-box; width: min(26rem, 100%); padding: 2rem; border-radius: .75rem; background: light-dark(#fff, #1f2937); }
  .brand { margin: 0 0 1.5rem; font-weight: 600; }
  small { font-weight: 400; margin-inline-start: .5rem; color: light-dark(#4b5563, #d1d5db); }
  h1 { margin: 0 0 1rem; font-size: 1.375rem; line-height: 1.25; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0 1.5rem; }
  dt { color: light-dark(#4b5563, #d1d5db); }
  dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  .choices { display: grid; gap: .75rem; }
  button { width: 100%; min-height: 3rem; font: inherit; font-weight: 600; border-radius: .5rem; border: 1px solid light-dark(#6b7280, #9ca3af); background: transparent; color: inherit; cursor: pointer; }
  button.approve { background: #1d4ed8; border-color: #1d4ed8; color: #fff; }
  button:focus-visible, a:focus-visible { outline: 3px solid light-dark(#1d4ed8, #93c5fd); outline-offset: 2px; }
  a { color: light-dark(#1d4ed8, #93c5fd); }
`

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
