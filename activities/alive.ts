import { cancellationSignal, heartbeat } from '@temporalio/activity'

const HEARTBEAT_MS = 1_000

/** Heartbeats while `work` runs, which is also how it hears that it should stop. */
export async function alive<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), HEARTBEAT_MS)
  try {
    return await work(cancellationSignal())
  } finally {
    clearInterval(timer)
  }
}
