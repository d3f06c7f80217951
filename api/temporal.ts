import { Client, Connection } from '@temporalio/client'
import type { Settings } from '../config'

/** How soon a lost connection is tried again: a restarted Temporal is found within this. */
const RECONNECT_DELAY_MAX_MS = 1_000

/**
 * The process's Temporal client. Making it does no I/O: it connects with the first call and again whenever it has to, so
 * that the API starts and serves while Temporal is away.
 */
export function createTemporalClient(settings: Pick<Settings, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'>): Client {
  const connection = Connection.lazy({
    address: settings.TEMPORAL_ADDRESS,
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': RECONNECT_DELAY_MAX_MS,
    },
  })
  return new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE })
}

/** True when the error says that Temporal could not be reached or did not answer in time. */
export function isTemporalUnavailable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown }
    if (typeof code === 'number' && UNAVAILABLE_STATUS.has(code) && 'metadata' in cause) return true
  }
  return false
}

/** gRPC: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. */
const UNAVAILABLE_STATUS: ReadonlySet<number> = new Set([4, 8, 14])
