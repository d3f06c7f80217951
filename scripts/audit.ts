import { readStack } from './stack/state'

interface Answer {
  readonly ok: boolean
  readonly settled: boolean
  readonly checks: readonly {
    readonly name: string
    readonly holds: 'always' | 'at_rest'
    readonly ok: boolean
    readonly violations: number
    readonly sample: readonly string[]
  }[]
}

/** Prints every invariant of the running stack. Exits 1 when one is violated, 2 when they cannot be checked. */
async function main(): Promise<void> {
  const stack = readStack()
  if (!stack) throw new Error('Holdfast is not running in this folder. `npm start` starts it.')
  const response = await fetch(`${stack.api}/v1/admin/invariants`, {
    headers: { authorization: `Bearer ${stack.admin_key}` },
  })
  const answer = (await response.json()) as Answer & { detail?: string }
  if (!response.ok) throw new Error(`The check could not be made (${response.status}): ${answer.detail ?? ''}`)
  print(answer)
  process.exitCode = answer.ok ? 0 : 1
}

function print({ ok, settled, checks }: Answer): void {
  const width = Math.max(...checks.map((check) => check.name.length))
  for (const check of checks) {
    const counts = settled || check.holds === 'always'
    const mark = check.ok ? 'ok       ' : counts ? 'VIOLATED ' : 'in flight'
    console.log(
      `${mark}  ${check.name.padEnd(width)}  ${check.holds === 'always' ? 'always ' : 'at rest'}  ${check.violations}`,
    )
    for (const line of check.sample) console.log(`             ${line}`)
  }
  const violated = checks.filter((check) => !check.ok && (settled || check.holds === 'always')).length
  const state = settled ? 'Nothing is in flight.' : 'Something is in flight: what holds only at rest was left out.'
  console.log(`${checks.length} invariants, ${violated} violated. ${state}${ok ? '' : ' Look at the samples above.'}`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
})
