/** As a build that cannot follow its own history. */
export async function expiry(): Promise<void> {
  throw new Error('staged')
}
