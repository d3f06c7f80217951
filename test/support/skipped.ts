/** A test that cannot be run here, shown as skipped with its reason. */
export function skipped(reason: string): void {
  test.skip(reason, () => {})
}
