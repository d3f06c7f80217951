import { proxyActivities } from '@temporalio/workflow'

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '10s' })

/** The control: what the same Temporal server makes of a workflow with one activity that does nothing. */
export async function noop(): Promise<void> {
  await nothing()
}
