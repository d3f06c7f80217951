import { WorkflowNotFoundError } from '@temporalio/client'
import { z } from 'zod'
import type { Order } from '../../db/order/read'
import { checkoutWorkflowId, fulfillmentWorkflowId } from '../../domain/workflow-id'
import type { ApiDeps } from '../deps'

/** Where the workflow of an order is looked at. */

export const workflowBody = z
  .strictObject({
    id: z.string(),
    run_id: z
      .string()
      .nullable()
      .meta({ description: 'of the latest run; null when there is none, or Temporal is away' }),
    status: z.string().nullable(),
    url: z.string().meta({ description: 'in the Temporal Web UI' }),
  })
  .meta({ id: 'WorkflowLink' })

const DESCRIBE_MS = 1_000

/** The workflow that owns the order now: its checkout, and fulfillment once it was confirmed. */
export async function describeWorkflow(
  { id: orderId, confirmedAt }: Pick<Order, 'id' | 'confirmedAt'>,
  deps: ApiDeps,
): Promise<z.input<typeof workflowBody>> {
  const id = confirmedAt ? fulfillmentWorkflowId(orderId) : checkoutWorkflowId(orderId)
  const run = await findRun(id, deps)
  return { id, run_id: run?.runId ?? null, status: run?.status ?? null, url: workflowUrl(id, deps, run?.runId) }
}

export function workflowUrl(workflowId: string, { settings }: Pick<ApiDeps, 'settings'>, runId?: string): string {
  const base = `${settings.TEMPORAL_UI_URL}/namespaces/${settings.TEMPORAL_NAMESPACE}/workflows/${workflowId}`
  return runId ? `${base}/${runId}/history` : base
}

async function findRun(id: string, { temporal, log }: ApiDeps): Promise<{ runId: string; status: string } | null> {
  try {
    const { runId, status } = await temporal.withDeadline(Date.now() + DESCRIBE_MS, () =>
      temporal.workflow.getHandle(id).describe(),
    )
    return { runId, status: status.name }
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) log.debug({ err: error }, 'a workflow could not be described')
    return null
  }
}
