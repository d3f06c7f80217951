import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { appendEvents, EVENT_STREAM } from '../../../db/platform/event-stream'
import { newId } from '../../../db/id'
import { RELAY_PARTITIONS } from '../../../db/platform/outbox'
import { createRedis } from '../../../db/redis'
import { createLog } from '../../../log'
import type { Consumer } from '../../../workers/consumers/consumer'
import { streamConsumer } from '../../../workers/consumers/stream'
import { runRelay } from '../../../workers/loops/relay'
import { testDatabase, type TestDatabase } from '../../support/database'
import { testRedis } from '../../support/redis'
import { Shop } from '../../support/shop'
import { type TestStack, testStack } from '../../support/stack'
import { until } from '../../support/wait'

interface StreamEvent {
  readonly aggregate: string
  readonly seq: number
  readonly type: string
}

async function readStream(redis: Redis): Promise<StreamEvent[]> {
  const entries = await redis.xrange(EVENT_STREAM, '-', '+')
  return entries.map(([, fields]) => JSON.parse(fields[fields.indexOf('event') + 1] as string) as StreamEvent)
}

/** Each aggregate's events, in the order of the stream, are 1, 2, 3 … without a gap or a repetition. */
function expectInOrder(events: readonly StreamEvent[]): void {
  const last = new Map<string, number>()
  for (const { aggregate, seq } of events) {
    expect(seq).toBe((last.get(aggregate) ?? 0) + 1)
    last.set(aggregate, seq)
  }
}

describe('the relay', () => {
  const log = createLog('silent', 'test')
  let database: TestDatabase
  let redisUrl: string
  let redis: Redis
  const stops: AbortController[] = []
  const running: Promise<void>[] = []

  beforeEach(async () => {
    database = await testDatabase()
    redisUrl = (await testRedis()).url
    redis = new Redis(redisUrl)
  })
  afterEach(async () => {
    for (const stop of stops.splice(0)) stop.abort()
    await Promise.all(running.splice(0))
    redis.disconnect()
    await database.drop()
  })

  function relay(...consumers: Consumer[]): void {
    const stop = new AbortController()
    stops.push(stop)
    for (let partition = 0; partition < RELAY_PARTITIONS; partition++) {
      running.push(runRelay({ settings: { DATABASE_URL: database.url }, consumers, log }, partition, stop.signal))
    }
  }

  /** Events of `aggregates` orders, `each` of every one, mixed. */
  async function emit(aggregates: readonly string[], from: number, to: number): Promise<void> {
    for (let seq = from; seq <= to; seq++) {
      await Promise.all(
        aggregates.map((aggregate) =>
          database.pool.query(
            `insert into outbox (event_id, aggregate, seq, type, payload) values ($1, $2, $3, 'order.tested', '{}')`,
            [newId('event'), aggregate, seq],
          ),
        ),
      )
    }
  }

  const orders = (count: number): string[] => Array.from({ length: count }, () => newId('order'))

  async function allPublished(): Promise<boolean> {
    const { rows } = await database.pool.query('select count(*)::int as left from outbox where published_at is null')
    return rows[0].left === 0
  }

  it('publishes every event once, in order per aggregate, several processes at work', async () => {
    const client = createRedis({ REDIS_URL: redisUrl })
    relay(streamConsumer(client))
    relay(streamConsumer(client))
    const aggregates = orders(30)
    await emit(aggregates, 1, 8)
    await until('all is published', allPublished)
    const events = await readStream(redis)
    expect(events).toHaveLength(240)
    expectInOrder(events)
    client.disconnect()
  })

  it('drops what was published and not yet marked when it comes again', async () => {
    const client = createRedis({ REDIS_URL: redisUrl })
    let failures = 5
    const consumer: Consumer = {
      name: 'stream',
      async consume(events) {
        await appendEvents(client, events)
        // The answer is lost: the relay does not mark them.
        if (failures-- > 0) throw new Error('the connection broke')
      },
    }
    relay(consumer)
    const aggregates = orders(5)
    await emit(aggregates, 1, 3)
    await until('all is published', allPublished)
    await database.pool.query('update outbox set published_at = null')
    await emit(aggregates, 4, 4)
    await until('all is published again', allPublished)
    const events = await readStream(redis)
    expect(events).toHaveLength(20)
    expectInOrder(events)
    client.disconnect()
  })

  it('keeps what a consumer does not take, in order, until it does', async () => {
    const client = createRedis({ REDIS_URL: redisUrl })
    let down = true
    let refused = 0
    relay({
      name: 'stream',
      async consume(events) {
        if (down) {
          refused++
          throw new Error('down')
        }
        await appendEvents(client, events)
      },
    })
    await emit(orders(4), 1, 3)
    await until('it has been tried', () => refused > 1)
    expect(await readStream(redis)).toEqual([])
    down = false
    await until('all is published', allPublished)
    expectInOrder(await readStream(redis))
    client.disconnect()
  })

  it('holds up no other consumer while one is away, and brings that one everything in order when it is back', async () => {
    const aggregate = newId('order')
    let down = true
    const seen = { away: [] as number[], there: [] as number[] }
    const take = (name: keyof typeof seen): Consumer => ({
      name,
      consume: async (events) => {
        if (name === 'away' && down) throw new Error('down')
        seen[name].push(...events.map((event) => event.seq))
      },
    })
    relay(take('away'), take('there'))
    const count = 1_300
    await database.pool.query(
      `insert into outbox (event_id, aggregate, seq, type, payload)
       select 'evt_' || lpad(n::text, 26, '0'), $1, n, 'order.tested', '{}' from generate_series(1, $2::int) as n`,
      [aggregate, count],
    )
    await until('the other consumer has all', () => seen.there.length === count)
    await emit([aggregate], count + 1, count + 2)
    await until('and what came later', () => seen.there.length === count + 2)
    expect(seen.away).toEqual([])
    expect(await allPublished()).toBe(false)
    down = false
    await until('all is published', allPublished)
    const inOrder = Array.from({ length: count + 2 }, (_, index) => index + 1)
    expect(seen.away).toEqual(inOrder)
    expect(seen.there).toEqual(inOrder)
  })

  it('has one publisher per partition at any time', async () => {
    const busy = new Map<string, number>()
    let most = 0
    const consumer: Consumer = {
      name: 'slow',
      async consume(events) {
        for (const { aggregate } of events) {
          const now = (busy.get(aggregate) ?? 0) + 1
          busy.set(aggregate, now)
          most = Math.max(most, now)
        }
        await pause(20)
        for (const { aggregate } of events) busy.set(aggregate, (busy.get(aggregate) ?? 1) - 1)
      },
    }
    for (let process = 0; process < 3; process++) relay(consumer)
    const aggregates = orders(8)
    await emit(aggregates, 1, 1)
    await until('all is published', allPublished)
    for (let seq = 2; seq <= 5; seq++) {
      await emit(aggregates, seq, seq)
      await until('all is published', allPublished)
    }
    expect(most).toBe(1)
  })
})

describe('the relay of a process', () => {
  let stack: TestStack
  let shop: Shop
  let redis: Redis
  beforeAll(async () => {
    stack = await testStack({ workers: 2 })
    shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
    redis = new Redis(stack.stack.services.REDIS_URL)
    // The first worker shall have every partition, the second wait for them.
    await stack.stack.halt('worker-2', 'SIGKILL')
    await until('the first has them all', async () => (await holders()).size === RELAY_PARTITIONS)
    await stack.stack.revive('worker-2')
  }, 90_000)
  afterAll(async () => {
    redis?.disconnect()
    await stack?.stop()
  }, 30_000)

  /** The worker that publishes the events of this partition, by the ports of its connections. */
  async function holders(): Promise<Map<string, number>> {
    const { rows } = await stack.database.pool.query<{ client_port: number; partitions: number }>(
      `select a.client_port, count(*)::int as partitions
       from pg_locks l join pg_stat_activity a on a.pid = l.pid
       where l.locktype = 'advisory' and l.granted and a.application_name = 'holdfast-relay'
         and a.datname = current_database()
       group by a.client_port`,
    )
    return new Map(rows.map((row) => [String(row.client_port), row.partitions]))
  }

  async function unpublished(): Promise<number> {
    const { rows } = await stack.database.pool.query(
      'select count(*)::int as left from outbox where published_at is null',
    )
    return rows[0].left
  }

  it('is taken over within 3 s of a SIGKILL, and within 20 s when it is frozen; nothing is lost or told twice', async () => {
    const buyer = await shop.buyerOf()
    expect(await buyer.checkout()).toMatchObject({ status: 201 })
    await until('its events are published', async () => (await unpublished()) === 0)

    const before = await holders()
    // Left down: the other one has to do it.
    await stack.stack.halt('worker-1', 'SIGKILL')
    await until(
      'the other worker has every partition',
      async () => {
        const ports = [...(await holders()).keys()]
        return ports.length === RELAY_PARTITIONS && ports.every((port) => !before.has(port))
      },
      Boolean,
      3_000,
    )
    const next = await shop.buyerOf()
    expect(await next.checkout()).toMatchObject({ status: 201 })
    await until('its events are published', async () => (await unpublished()) === 0)

    await stack.stack.revive('worker-1')
    const pid = stack.stack.file.processes.find(({ name }) => name === 'worker-2')?.pid as number
    const frozen = await holders()
    process.kill(pid, 'SIGSTOP')
    try {
      const last = await shop.buyerOf()
      expect([201, 202]).toContain((await last.checkout()).status)
      await until(
        'the woken worker has evicted the frozen one',
        async () => [...(await holders()).keys()].every((port) => !frozen.has(port)),
        Boolean,
        25_000,
      )
      await until('its events are published', async () => (await unpublished()) === 0, Boolean, 15_000)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await until('the thawed one waits for its turn', async () => (await holders()).size === RELAY_PARTITIONS)
    const events = await readStream(redis)
    expectInOrder(events)
    expect(new Set(events.map((event) => event.aggregate)).size).toBe(3)
  }, 90_000)
})
