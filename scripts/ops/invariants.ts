/** The answer of `GET /v1/admin/invariants`. */
export interface Invariants {
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

/** One line per invariant, examples of what violates it below, and what it comes to. */
export function describeInvariants({ ok, settled, checks }: Invariants): string {
  const width = Math.max(...checks.map((check) => check.name.length))
  const lines = checks.flatMap((check) => {
    const counts = settled || check.holds === 'always'
    const mark = check.ok ? 'ok       ' : counts ? 'VIOLATED ' : 'in flight'
    const holds = check.holds === 'always' ? 'always ' : 'at rest'
    const line = `${mark}  ${check.name.padEnd(width)}  ${holds}  ${check.violations}`
    return [line, ...check.sample.map((one) => `             ${one}`)]
  })
  const violated = checks.filter((check) => !check.ok && (settled || check.holds === 'always')).length
  const state = settled ? 'Nothing is in flight.' : 'Something is in flight: what holds only at rest was left out.'
  const end = `${checks.length} invariants, ${violated} violated. ${state}${ok ? '' : ' Look at the samples above.'}`
  return [...lines, end].join('\n')
}
