import { condition } from '@temporalio/workflow'

/** Goes on for ever. */
export async function expiry(): Promise<void> {
  await condition(() => false)
}
