import type { WorkflowHandle } from '@temporalio/client'
import { SEARCH_ATTRIBUTES } from '../../workflows/contract'
import { until } from './wait'

/** Staff find the workflow by one of these reasons, without any not at all; once the task in which that changed has ended. */
export async function isFoundBy(handle: WorkflowHandle, ...reasons: string[]): Promise<void> {
  const { needsAttention, attentionReason } = SEARCH_ATTRIBUTES
  await until(
    `staff find it by ${reasons.join(' or ') || 'nothing'}`,
    async () => {
      const { typedSearchAttributes } = await handle.describe()
      return [typedSearchAttributes.get(needsAttention), typedSearchAttributes.get(attentionReason)] as const
    },
    ([isFound, reason]) =>
      isFound === reasons.length > 0 && (reason === undefined ? !isFound : reasons.includes(reason)),
    30_000,
  )
}
