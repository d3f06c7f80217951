import { ProviderUnavailable } from './provider'

/** What is left of the time that one call of the port may take. */
export interface Deadline {
  /** Milliseconds, at least 1. */
  left(): number
  /** Aborted once nobody waits any more. */
  readonly signal: AbortSignal
}

/**
 * Ends `act` after `timeoutMs` or with `signal`, whatever it waits for. Throws {@link ProviderUnavailable}: what became of
 * its requests is then unknown.
 */
export function withDeadline<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  act: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const end = Date.now() + timeoutMs
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const giveUp = (why: string): void => {
      reject(new ProviderUnavailable(`${what}: ${why}`))
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
