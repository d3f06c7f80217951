import {
  type CaseKey,
  closeCase as writeCaseClosed,
  type NewCase,
  openCase as writeCase,
  recordRepair as writeRepair,
} from '../../db/support/attention'
import type { OrderId } from '../../domain/ids'
import type { ActivityDeps } from '../deps'

export type SupportActivities = ReturnType<typeof createSupportActivities>

/** What makes a stuck order visible, and keeps who repaired it. */
export function createSupportActivities({ pool }: ActivityDeps) {
  return {
    /** Idempotent on workflow, step and object. */
    async openCase(input: NewCase): Promise<void> {
      await writeCase(pool, input)
    },

    /** Idempotent on workflow, step and object. */
    async closeCase(input: CaseKey): Promise<void> {
      await writeCaseClosed(pool, input)
    },

    /** Idempotent on the update's id. What came by the Web UI has no row yet; what came by the API gets its time. */
    async recordRepair({ orderId, id, action, repair }: AcceptedRepair): Promise<void> {
      await writeRepair(pool, {
        id,
        orderId,
        action,
        step: repair.step ?? null,
        object: repair.object ?? null,
        outcome: repair.outcome ?? null,
        reasonCode: repair.reason_code,
        note: null,
        actor: repair.by,
        accepted: true,
      })
    },
  }
}

interface AcceptedRepair {
  readonly orderId: OrderId
  readonly id: string
  readonly action: string
  readonly repair: {
    readonly step?: string
    readonly object?: string
    readonly outcome?: string
    readonly reason_code: string
    readonly by: string
  }
}
