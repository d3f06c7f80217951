import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity'

const HEARTBEAT_MS = 1_000

/** Heartbeats while `work` runs, which is also how it hears that it should stop. Inside a workflow task nobody listens. */
export async function withHeartbeat<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (activityInfo().isLocal) return work(cancellationSignal())
  const timer = setInterval(() => heartbeat(), HEARTBEAT_MS)
  try {
    return await work(cancellationSignal())
  } finally {
    clearInterval(timer)
  }
}
