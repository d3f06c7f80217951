/** What is left of the time that one call of the port may take. */
export interface Deadline {
  /** Milliseconds, at least 1. */
  left(): number
  /** Aborted once nobody waits any more. */
  readonly signal: AbortSignal
}

/** Ends what it is given after `timeoutMs` or with `signal`, whatever that waits for. */
export type WithDeadline = <T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  act: (deadline: Deadline) => Promise<T>,
) => Promise<T>

/** @param unavailable the port's error that says: what became of the requests is unknown */
export function deadlines(unavailable: (message: string) => Error): WithDeadline {
  return (what, timeoutMs, signal, act) => endedInTime(what, timeoutMs, signal, act, unavailable)
}

function endedInTime<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  act: (deadline: Deadline) => Promise<T>,
  unavailable: (message: string) => Error,
): Promise<T> {
  const end = Date.now() + timeoutMs
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const giveUp = (why: string): void => {
      reject(unavailable(`${what}: ${why}`))
      controller.abort()
    }
    if (signal?.aborted) return giveUp('the caller gave up')
    const onAbort = (): void => giveUp('the caller gave up')
    const timer = setTimeout(() => giveUp(`no answer within ${timeoutMs} ms`), timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    act({ left: () => Math.max(1, end - Date.now()), signal: controller.signal })
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      })
  })
}
