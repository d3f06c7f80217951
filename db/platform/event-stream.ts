import type { OutboxRow } from './outbox'
import type { Redis } from '../redis'

export const EVENT_STREAM = '{events}'
const STREAM_LENGTH_MAX = 100_000
const SEEN_SECONDS = 7 * 86_400

/** One call per batch. What an aggregate has published already (its last sequence number is kept) is dropped. */
const APPEND = `
  local appended = 0
  for i = 1, #KEYS - 1 do
    local at = (i - 1) * 3
    local seq = tonumber(ARGV[2 + at + 1])
    local last = tonumber(redis.call('GET', KEYS[i + 1]) or '0')
    if seq > last then
      redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'type', ARGV[2 + at + 2], 'event', ARGV[2 + at + 3])
      redis.call('SET', KEYS[i + 1], seq, 'EX', ARGV[2])
      appended = appended + 1
    end
  end
  return appended`

/** Appends events to the Redis Stream `{events}`, each once, in their order. Throws when Redis does not take them. */
export async function appendEvents(redis: Redis, events: readonly OutboxRow[]): Promise<number> {
  const keys = [EVENT_STREAM, ...events.map((event) => `${EVENT_STREAM}:seen:${event.aggregate}`)]
  const fields = events.flatMap((event) => [
    String(event.seq),
    event.type,
    JSON.stringify({
      id: event.eventId,
      type: event.type,
      aggregate: event.aggregate,
      seq: event.seq,
      timestamp: event.createdAt,
      data: event.payload,
    }),
  ])
  return (await redis.eval(APPEND, keys.length, ...keys, STREAM_LENGTH_MAX, SEEN_SECONDS, ...fields)) as number
}
