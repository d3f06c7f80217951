import { setTimeout as pause } from 'node:timers/promises'

/**
 * Reads again and again until `ok` says so, and returns what was read last. Throws when it takes longer than `withinMs`,
 * naming what was waited for and what was read instead.
 */
export async function until<T>(
  what: string,
  read: () => Promise<T> | T,
  ok: (value: T) => boolean = Boolean,
  withinMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const value = await read()
    if (ok(value)) return value
    if (Date.now() > deadline)
      throw new Error(`Not within ${withinMs} ms: ${what}. Last seen: ${JSON.stringify(value)}`)
    await pause(POLL_MS)
  }
}

const POLL_MS = 100
