import type { Client, ConnectionLike } from '@temporalio/client'
import type { Settings } from './config'
import { guarded } from './transaction-guard'

/** What of the settings says where Temporal is. */
export type TemporalSettings = Pick<Settings, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'>

/** How Temporal is reached: the options of every connection, those of clients and those of workers. */
export function connectionOptions({ TEMPORAL_ADDRESS }: Pick<TemporalSettings, 'TEMPORAL_ADDRESS'>): {
  readonly address: string
} {
  return { address: TEMPORAL_ADDRESS }
}

/** The same connection, whose calls throw inside a transaction in tests. */
export function guardConnection<C extends Pick<ConnectionLike, 'workflowService'>>(connection: C): C {
  return Object.assign(connection, { workflowService: guarded(connection.workflowService, 'Temporal') })
}

/**
 * A connected client, for a program that asks something and ends. Who calls this closes `client.connection`. Throws when
 * Temporal is not reached within 10 s, the default of its SDK; the API has a client that connects again
 * (`api/http/temporal.ts`).
 */
export async function connectTemporal(settings: TemporalSettings): Promise<Client> {
  // Loaded here, as it takes a while: a start has other things to begin before, and workers need the options alone.
  const { Client, Connection } = require('@temporalio/client') as typeof import('@temporalio/client')
  const connection = guardConnection(await Connection.connect(connectionOptions(settings)))
  return new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE })
}
