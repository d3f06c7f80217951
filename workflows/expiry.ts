import { continueAsNew, sleep } from '@temporalio/workflow'
import { EXPIRY_SHARDS, type ExpiryInput } from './contract'
import { sweep } from './proxies'

/** A hold that is made now is due later than this. */
const ROUND_MS_MAX = 5_000
const ROUND_MS_MIN = 250
/** Eleven events a round: some way below the 4,096 at which Temporal suggests to begin anew. */
const ROUNDS_PER_RUN = 200

/**
 * Releases soft holds that are due and restarts orphaned checkouts, of one shard, for ever. The next round begins when
 * the next hold is due, at the latest after five seconds.
 */
export async function expiry({ shard }: ExpiryInput): Promise<void> {
  let after = ''
  for (let round = 0; round < ROUNDS_PER_RUN; round++) {
    const swept = await sweep({ shard, shards: EXPIRY_SHARDS, after })
    const { nextDueMs } = swept
    after = swept.after
    await sleep(Math.max(ROUND_MS_MIN, Math.min(nextDueMs ?? ROUND_MS_MAX, ROUND_MS_MAX)), {
      summary: 'Until the next hold is due, at most 5 s',
    })
  }
  await continueAsNew<typeof expiry>({ shard })
}
