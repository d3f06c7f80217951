import { escapeHtml, html } from '../document'
import type { LabelRecord } from './label'

const CARRIER = { name: 'Sandbox carrier', note: 'no real parcel moves here' }

/** What a customer sees who follows the tracking link: no address, for whoever has the number may look. */
export function parcelView({ tracking_number, events, expected_at }: LabelRecord): string {
  const rows = events.map(
    ({ type, happened_at, detail }) =>
      `<dt>${escapeHtml(happened_at)}</dt><dd>${escapeHtml(SAID[type])}${detail === null ? '' : ` (${escapeHtml(detail)})`}</dd>`,
  )
  const last = events.at(-1)
  const content =
    rows.length === 0
      ? '<p>The sender has announced this parcel. We do not have it yet.</p>'
      : `<dl>${rows.join('\n')}</dl>`
  return html(
    CARRIER,
    `Parcel ${escapeHtml(tracking_number)}`,
    `${content}<p>Expected at ${escapeHtml(last?.expected_at ?? expected_at)}</p>`,
  )
}

export function unknownParcelView(): string {
  return html(
    CARRIER,
    'There is no such parcel',
    '<p>The number is wrong, or the carrier started with an empty journal.</p>',
  )
}

const SAID: Readonly<Record<LabelRecord['events'][number]['type'], string>> = {
  accepted: 'We have the parcel',
  in_transit: 'On its way',
  out_for_delivery: 'Out for delivery',
  delivered: 'Delivered',
  lost: 'Lost',
  returned: 'Back at the sender',
  exception: 'Something keeps it',
}
