/** A label as the sandbox carrier's journal has it. */
export interface JournalLabel {
  readonly id: string
  readonly key: string
  readonly status: 'live' | 'voided'
  readonly tracking_number: string
  readonly handed_over_at: string | null
}

const PAGE = 1_000

/** All labels that the carrier has sold, oldest first. */
export async function readLabels(carrier: string): Promise<readonly JournalLabel[]> {
  const labels: JournalLabel[] = []
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const response = await fetch(`${carrier}/v1/labels?limit=${PAGE}&cursor=${cursor}`)
    const { data, next_cursor } = (await response.json()) as { data: JournalLabel[]; next_cursor: string | null }
    labels.push(...data)
    cursor = next_cursor
  }
  return labels
}
