import { appendEvents } from '../../db/platform/event-stream'
import type { Redis } from '../../db/redis'
import type { Consumer } from './consumer'

/** Passes every event on to the Redis Stream, as it is written: types that only a newer program knows too. */
export function streamConsumer(redis: Redis): Consumer {
  return {
    name: 'stream',
    consume: async (events) => void (await appendEvents(redis, events)),
  }
}
