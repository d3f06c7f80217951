import { Random } from '../chaos/random'

/** What the provider is told to do wrong (docs/sandbox.md). */
export interface ProviderFaults {
  readonly seed: number
  readonly delay_ms: number
  readonly error_rate: number
  readonly drop_answer_rate: number
}

/** Each seed is another bad day of the provider: up to every tenth request fails, and as many answers are lost. */
export function faultsOf(seed: number): ProviderFaults {
  const random = new Random(seed)
  return {
    seed,
    delay_ms: random.whole(0, 60),
    error_rate: random.whole(1, 10) / 100,
    drop_answer_rate: random.whole(1, 10) / 100,
  }
}

/** Null: it works again. */
export async function tellProvider(sandbox: string, faults: ProviderFaults | null): Promise<void> {
  const answer = await fetch(`${sandbox}/v1/faults`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(faults ?? {}),
  })
  if (!answer.ok) throw new Error(`The provider takes no faults: ${answer.status} ${await answer.text()}`)
}
