import { formatAmount } from './amount'
import type { ChargeRecord } from './charge'
import { escapeHtml, html } from './document'

const BANK = { name: 'Sandbox bank', note: 'no real money moves here' }

/** The view that stands for the bank's page: the customer approves or refuses a payment. */
export function decisionView(charge: ChargeRecord): string {
  const amount = escapeHtml(formatAmount(charge.amount, charge.currency))
  return html(
    BANK,
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
    BANK,
    RESULT_TITLES[decisionResult(charge)],
    `<dl>
      <dt>Amount</dt><dd>${escapeHtml(formatAmount(charge.amount, charge.currency))}</dd>
      <dt>Order</dt><dd><code>${escapeHtml(charge.reference)}</code></dd>
    </dl>
    <p>${back ? `<a href="${escapeHtml(back)}">Back to the shop</a>` : 'You can close this page.'}</p>`,
  )
}

export function unknownView(): string {
  return html(
    BANK,
    'There is no such payment',
    '<p>The address is wrong, or the sandbox started with an empty journal.</p>',
  )
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
