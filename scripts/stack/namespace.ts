import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '@temporalio/client'
import { msToTs } from '@temporalio/common/lib/time'
import { connectionOptions } from '../../temporal'

/** temporal.api.enums.v1.IndexedValueType */
const KEYWORD = 2
const BOOL = 5

/** By these support finds orders in the Temporal Web UI; a workflow that sets one the server does not know hangs. */
const SEARCH_ATTRIBUTES = {
  NeedsAttention: BOOL,
  AttentionReason: KEYWORD,
  CustomerRef: KEYWORD,
  SaleId: KEYWORD,
}

const RETENTION_DAYS = 7
const NOT_FOUND = 5
const ALREADY_EXISTS = 6

/**
 * Makes the namespace where it is missing, keeps closed workflows at least {@link RETENTION_DAYS} days, and registers
 * the search attributes. Does nothing a second time.
 */
export async function prepareNamespace(address: string, namespace: string): Promise<void> {
  // Loaded here, as it takes a while: a start has other things to begin before.
  const client = require('@temporalio/client') as typeof import('@temporalio/client')
  const connection = await client.Connection.connect({
    ...connectionOptions({ TEMPORAL_ADDRESS: address }),
    connectTimeout: 10_000,
  })
  try {
    await ensureNamespace(connection, namespace)
    await ensureSearchAttributes(connection, namespace)
  } finally {
    await connection.close()
  }
}

async function ensureNamespace({ workflowService }: Connection, namespace: string): Promise<void> {
  const retention = msToTs(`${RETENTION_DAYS} days`)
  try {
    const { config } = await workflowService.describeNamespace({ namespace })
    if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) >= Number(retention.seconds)) return
    await workflowService.updateNamespace({ namespace, config: { workflowExecutionRetentionTtl: retention } })
  } catch (error) {
    if (codeOf(error) !== NOT_FOUND) throw error
    await workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: retention })
  }
}

async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    try {
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
      const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => customAttributes?.[name] === undefined)
      if (missing.length === 0) return
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) })
    } catch (error) {
      // A peer may have registered them first, and a namespace made just now is not known everywhere at once.
      const mayPass = codeOf(error) === ALREADY_EXISTS || codeOf(error) === NOT_FOUND
      if (!mayPass || Date.now() > deadline) throw error
      await delay(100)
    }
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}
