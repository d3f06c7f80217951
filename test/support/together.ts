/**
 * Tests that mostly wait, all begun at once in `beforeAll` and told one by one: the file takes as long as the slowest.
 * Call it inside a `describe`, after the hooks that they need.
 */
export function together(scenarios: Readonly<Record<string, () => Promise<void>>>, withinMs = 50_000): void {
  const running = new Map<string, Promise<{ error: unknown } | null>>()
  beforeAll(() => {
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
