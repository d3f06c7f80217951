import { describeInvariants, type Invariants } from './invariants'
import { readStack } from '../stack/state'

/** Prints every invariant of the running stack. Exits 1 when one is violated, 2 when they cannot be checked. */
async function main(): Promise<void> {
  const stack = readStack()
  if (!stack) throw new Error('Holdfast is not running in this folder. `npm start` starts it.')
  const response = await fetch(`${stack.api}/v1/admin/invariants`, {
    headers: { authorization: `Bearer ${stack.admin_key}` },
  })
  const answer = (await response.json()) as Invariants & { detail?: string }
  if (!response.ok) throw new Error(`The check could not be made (${response.status}): ${answer.detail ?? ''}`)
  console.log(describeInvariants(answer))
  process.exitCode = answer.ok ? 0 : 1
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
})
