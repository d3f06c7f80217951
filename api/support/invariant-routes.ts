import { randomUUID } from 'node:crypto'
import { type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import { z } from 'zod'
import { DomainError } from '../../domain/errors'
import type { audit } from '../../workflows/audit'
import { auditStart, WORKFLOWS } from '../../workflows/contract'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { isTemporalUnavailable } from '../http/temporal'

const check = z.strictObject({
  name: z.string(),
  holds: z.enum(['always', 'at_rest']),
  ok: z.boolean(),
  violations: z.int(),
  sample: z.array(z.string()),
})

const getInvariants = defineRoute({
  method: 'get',
  path: '/v1/admin/invariants',
  tag: 'Support',
  summary: 'Check every invariant',
  description:
    'Compares Postgres, the payment providers, Redis and Temporal. While something is in flight `settled` is false, and `ok` leaves out the checks that hold only at rest.',
  caller: { admin: 'support', access: 'read' },
  answers: {
    200: z.strictObject({ ok: z.boolean(), settled: z.boolean(), checks: z.array(check) }).meta({ id: 'Invariants' }),
    503: ['no_worker', 'unavailable'],
  },
}).handle(async (_input, deps) => {
  const { settled, checks } = await runAudit(deps)
  const ok = checks.every((one) => one.ok || (one.holds === 'at_rest' && !settled))
  return {
    status: 200,
    body: { ok, settled, checks: checks.map((one) => ({ ...one, sample: [...one.sample] })) },
  }
})

/** Nobody has taken it by then: no worker serves the queue. */
const TAKEN_WITHIN_MS = 3_000
const DONE_WITHIN_MS = 100_000
const CALL_MS = 3_000

async function runAudit({ temporal }: ApiDeps): ReturnType<typeof audit> {
  const ask = <T>(call: () => Promise<T>): Promise<T> => temporal.withDeadline(Date.now() + CALL_MS, call)
  try {
    const start = () => temporal.workflow.start<typeof audit>(WORKFLOWS.audit, auditStart(randomUUID()))
    const handle = await ask(start)
    const soon = await resultWithin(handle, TAKEN_WITHIN_MS, temporal)
    if (soon) return soon
    if (!(await ask(() => isTaken(handle)))) {
      await ask(() => handle.terminate('No worker took it in time.'))
      throw new DomainError('no_worker', 'No worker of the queue `platform` took the check. Is one running?')
    }
    const done = await resultWithin(handle, DONE_WITHIN_MS, temporal)
    if (done) return done
    await ask(() => handle.terminate('It took too long.'))
  } catch (error) {
    if (!isTemporalUnavailable(error) && !(error instanceof WorkflowFailedError)) throw error
  }
  throw new DomainError('unavailable', 'The check did not come to an end. Try again.', { dependency: 'temporal' })
}

/** Null when there is none yet. */
async function resultWithin(
  handle: WorkflowHandle<typeof audit>,
  ms: number,
  temporal: Client,
): Promise<Awaited<ReturnType<typeof audit>> | null> {
  try {
    return await temporal.withDeadline(Date.now() + ms, () => handle.result())
  } catch (error) {
    if (isTemporalUnavailable(error)) return null
    throw error
  }
}

/** A workflow begins with two events that the server writes by itself; a worker adds the third. */
async function isTaken(handle: WorkflowHandle<typeof audit>): Promise<boolean> {
  return (await handle.describe()).historyLength > 2
}

export const invariantRoutes: Route[] = [getInvariants]
