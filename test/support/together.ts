/** What is begun as soon as the file's own set-up is done. */
const waiting: (() => void)[] = []

/**
 * Tests that mostly wait: all those of a file are begun at once, once its set-up is done, and told one by one. The file
 * takes as long as the slowest of them. Call it inside a `describe`, after the hooks that they need.
 */
export function together(scenarios: Readonly<Record<string, () => Promise<void>>>, withinMs = 50_000): void {
  const running = new Map<string, Promise<{ error: unknown } | null>>()
  waiting.push(() => {
    for (const [name, run] of Object.entries(scenarios)) {
      running.set(
        name,
        run().then(
          () => null,
          (error: unknown) => ({ error }),
        ),
      )
    }
  })
  beforeAll(() => {
    for (const begin of waiting.splice(0)) begin()
  })
  for (const name of Object.keys(scenarios)) {
    it(
      name,
      async () => {
        const failed = await running.get(name)
        if (failed) throw failed.error
      },
      withinMs,
    )
  }
}
