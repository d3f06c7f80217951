import { setTimeout as sleep } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'
import { Client, Connection, isRetryableError, makeGrpcRetryInterceptor } from '@temporalio/client'
import { connectionOptions, guardConnection, type TemporalSettings } from '../../temporal'

/** How soon a lost connection, and a call that failed with it, is tried again: a restarted Temporal is found within this. */
const RECONNECT_DELAY_MAX_MS = 1_000
const RETRY_DELAY_MAX_MS = 500
const RETRY_ATTEMPTS_MAX = 20

/**
 * Deadlines live in an AsyncLocalStorage of the connection. Before Node 24 one that was ever used slows down everything in
 * its process, a request by a twentieth; so it is put away whenever no call is in hand.
 */
class DeadlineClient extends Client {
  private readonly contexts: Connection['callContextStorage']
  private inHand = 0

  constructor(connection: Connection, namespace: string) {
    super({ connection, namespace })
    this.contexts = connection.callContextStorage
  }

  override async withDeadline<R>(deadline: number | Date, call: () => Promise<R>): Promise<R> {
    this.inHand++
    try {
      return await super.withDeadline(deadline, call)
    } finally {
      if (--this.inHand === 0) this.contexts.disable()
    }
  }
}

interface Retries {
  closing: boolean
  nextAtMost: number
}
const retriesOf = new WeakMap<Client, Retries>()

/**
 * The process's Temporal client. Making it does no I/O: it connects with the first call and again whenever it has to, so
 * that the API starts and serves while Temporal is away. Calls must bring a deadline: they are retried until then.
 */
export function createTemporalClient(settings: TemporalSettings): Client {
  const retries: Retries = { closing: false, nextAtMost: 0 }
  const connection = Connection.lazy({
    ...connectionOptions(settings),
    interceptors: [
      makeGrpcRetryInterceptor({
        retryableDecider: (attempt, status) =>
          !retries.closing && attempt < RETRY_ATTEMPTS_MAX && isRetryableError(status),
        delayFunction: (attempt) => {
          const delay = Math.min(RETRY_DELAY_MAX_MS, 50 * 1.7 ** attempt)
          retries.nextAtMost = Date.now() + delay
          return delay
        },
      }),
    ],
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': RECONNECT_DELAY_MAX_MS,
    },
  })
  const client = new DeadlineClient(guardConnection(connection), settings.TEMPORAL_NAMESPACE)
  retriesOf.set(client, retries)
  return client
}

/** Closes the connection. A retry that is already scheduled would throw on a closed channel, so it is waited for. */
export async function closeTemporalClient(client: Client): Promise<void> {
  const retries = retriesOf.get(client)
  if (retries) {
    retries.closing = true
    await sleep(Math.max(0, retries.nextAtMost - Date.now() + 10))
  }
  await client.connection.close()
}

/** True when the error says that Temporal could not be reached or did not answer in time. */
export function isTemporalUnavailable(error: unknown): boolean {
  for (let cause = error; isNativeError(cause); cause = cause.cause) {
    const { code } = cause as { code?: unknown }
    if (typeof code === 'number' && UNAVAILABLE_STATUS.has(code) && 'metadata' in cause) return true
  }
  return false
}

/**
 * gRPC: CANCELLED (the connection went away), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION (a workflow whose
 * task has just failed), ABORTED, INTERNAL (a server that is starting), UNAVAILABLE.
 */
const UNAVAILABLE_STATUS: ReadonlySet<number> = new Set([1, 4, 8, 9, 10, 13, 14])
