import { EVENT_STREAM } from '../../../db/platform/event-stream'
import { newId } from '../../../db/id'
import { type OutboxEvent, readRow } from '../../../db/platform/outbox'
import { createRedis, type Redis } from '../../../db/redis'
import { streamConsumer } from '../../../workers/consumers/stream'
import { testRedis } from '../../support/redis'
import { until } from '../../support/wait'

let redis: Redis
beforeAll(async () => {
  redis = createRedis({ REDIS_URL: (await testRedis()).url })
  await until('Redis is there', () => redis.status === 'ready')
})
afterAll(() => redis.disconnect())

function written(seq: number, type: string, aggregate: string): OutboxEvent {
  const payload = { product_id: aggregate, version: seq }
  return readRow({ id: seq, eventId: newId('event'), aggregate, seq, type, payload, createdAt: new Date(seq) })
}

it('passes events on as they are written, types that it does not know too, each once', async () => {
  const aggregate = newId('product')
  const events = [
    written(1, 'product.created', aggregate),
    written(2, 'product.updated.v2', aggregate),
    written(3, 'product.updated', aggregate),
  ]
  const consumer = streamConsumer(redis)
  await consumer.consume(events.slice(0, 2))
  await consumer.consume(events)
  const entries = await redis.xrange(EVENT_STREAM, '-', '+')
  expect(entries.map(([, fields]) => fields)).toEqual(
    events.map(({ eventId, type, seq, payload, createdAt }) => [
      'type',
      type,
      'event',
      JSON.stringify({ id: eventId, type, aggregate, seq, timestamp: createdAt, data: payload }),
    ]),
  )
})
