/** Tells the person at the terminal one line. */
export type Say = (line: string) => void

/** Runs a step, saying what it does when it takes long, and how long it took. */
export async function timed<T>(say: Say, what: string, step: () => Promise<T>): Promise<T> {
  const begun = Date.now()
  const reminder = setInterval(() => say(`${what} … ${seconds(begun)}`), 5_000)
  try {
    return await step()
  } finally {
    clearInterval(reminder)
  }
}

export function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`
}
