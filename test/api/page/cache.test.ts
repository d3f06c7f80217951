import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type BuiltPage, PageCache } from '../../../api/page/cache'
import { subscribeToDrops } from '../../../api/page/subscribe'
import { claimPage, dropPages, releasePage } from '../../../db/page'
import { createRedis, type Redis } from '../../../db/redis'
import { DomainError } from '../../../domain/errors'
import { testRedis } from '../../support/redis'
import { until } from '../../support/wait'

let redis: Redis
beforeAll(async () => {
  // A busy machine is not a Redis that hangs: what is counted here is counted with Redis there.
  redis = createRedis({ REDIS_URL: (await testRedis()).url }, 10_000)
  await until('Redis is there', () => redis.status === 'ready')
})
afterAll(() => redis.disconnect())

let made = 0
const newKey = () => `page-${++made}`

function cache(): PageCache {
  const pages = new PageCache({ redis, maxBytes: 1_000_000 })
  pages.setSubscribed(true)
  return pages
}

/** Counts how often it was made; `value` may be changed. */
function source(tags: readonly string[] = ['prod_1'], expiresAt: Date | null = null) {
  const state = { value: 1, builds: 0, gate: Promise.resolve(), fails: false, degraded: false, gone: false }
  const build = async (): Promise<BuiltPage> => {
    state.builds++
    if (state.fails) throw new Error('Postgres is away')
    if (state.gone) throw new DomainError('not_found', 'There is no such product.')
    const { value } = state
    await state.gate
    return { body: { value }, tags, expiresAt, degraded: state.degraded }
  }
  return { state, build }
}

const text = ({ bytes }: { bytes: Buffer }) => bytes.toString()

describe('a page', () => {
  it('is made once for a thousand who ask at once, and served from memory then', async () => {
    const { state, build } = source()
    const pages = cache()
    const key = newKey()
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => pages.get(key, build)))
    expect(new Set(answers.map(text))).toEqual(new Set(['{"value":1}']))
    expect(pages.ready(key, build)).toBe(answers[0])
    expect(state.builds).toBe(1)
  })

  it('is made once for two processes', async () => {
    const { state, build } = source()
    const key = newKey()
    const first = await cache().get(key, build)
    const second = await cache().get(key, build)
    expect(second.etag).toBe(first.etag)
    expect(state.builds).toBe(1)
  })

  it('is made once for two processes that are asked at once', async () => {
    const { state, build } = source()
    const key = newKey()
    const processes = [cache(), cache()]
    await Promise.all(processes.flatMap((pages) => Array.from({ length: 500 }, () => pages.get(key, build))))
    expect(state.builds).toBe(1)
  })

  it('is made anew when one of its tags is dropped, in this process and in another', async () => {
    const { state, build } = source(['prod_2', 'cat_1'])
    const [here, there, key] = [cache(), cache(), newKey()]
    await here.get(key, build)
    await there.get(key, build)
    state.value = 2
    await dropPages(redis, ['cat_1'])
    for (const pages of [here, there]) {
      pages.drop(['cat_1'])
      expect(pages.ready(key, build)).toBeUndefined()
      expect(text(await pages.get(key, build))).toBe('{"value":2}')
    }
  })

  it('stays when something else is dropped', async () => {
    const { state, build } = source(['prod_3'])
    const [pages, key] = [cache(), newKey()]
    await pages.get(key, build)
    await dropPages(redis, ['prod_4'])
    pages.drop(['prod_4'])
    await pages.get(key, build)
    expect(state.builds).toBe(1)
  })

  it('begun before a change is neither kept, stored, nor given to those who come after the change', async () => {
    const { state, build } = source(['prod_5'])
    const [pages, key] = [cache(), newKey()]
    let open = (): void => undefined
    state.gate = new Promise((resolve) => (open = resolve))
    const early = pages.get(key, build)
    await until('it has read', () => state.builds === 1)
    state.value = 2
    await dropPages(redis, ['prod_5'])
    pages.drop(['prod_5'])
    const late = pages.get(key, build)
    open()
    expect(text(await early)).toBe('{"value":1}')
    expect(text(await late)).toBe('{"value":2}')
    expect(text(await pages.get(key, build))).toBe('{"value":2}')
    expect(text(await cache().get(key, build))).toBe('{"value":2}')
  })

  it('ends at the moment when something on it ends', async () => {
    const expiresAt = new Date(Date.now() + 300)
    const { state, build } = source(['prod_6'], expiresAt)
    const [pages, key] = [cache(), newKey()]
    const first = await pages.get(key, build)
    expect(pages.ready(key, build)).toBe(first)
    await until('it has ended', () => Date.now() > expiresAt.getTime())
    expect(pages.ready(key, build)).toBeUndefined()
    await cache().get(key, build)
    expect(state.builds).toBe(2)
  })

  it('is not believed for long by a process that does not hear of changes', async () => {
    const { state, build } = source(['prod_7'])
    const [pages, key] = [cache(), newKey()]
    await pages.get(key, build)
    pages.setSubscribed(false)
    await until('it is old', () => pages.ready(key, build) === undefined, Boolean, 2_000)
    pages.setSubscribed(true)
    expect(pages.ready(key, build)).toBeUndefined()
    expect(state.builds).toBeGreaterThanOrEqual(1)
  })

  it('that lacks parts is kept for a moment, by its own process alone, and then made whole', async () => {
    const { state, build } = source(['prod_8'])
    state.degraded = true
    const [pages, key] = [cache(), newKey()]
    await Promise.all(Array.from({ length: 50 }, () => pages.get(key, build)))
    expect((await pages.get(key, build)).degraded).toBe(true)
    expect(state.builds).toBe(1)
    expect((await cache().get(key, build)).degraded).toBe(true)
    expect(state.builds).toBe(2)
    state.degraded = false
    await until('it is whole', async () => !(await pages.get(key, build)).degraded, Boolean, 3_000)
    expect(state.builds).toBe(3)
  })

  it('that is whole is not given up for one that lacks parts', async () => {
    const { state, build } = source(['prod_10'])
    const [pages, key] = [cache(), newKey()]
    await pages.get(key, build)
    state.degraded = true
    await redis.flushdb()
    const later = Date.now() + 15_000
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => later)
    try {
      expect((await pages.get(key, build)).degraded).toBe(false)
      await until('it was made anew', () => state.builds === 2, Boolean, 3_000)
      expect((await pages.get(key, build)).degraded).toBe(false)
    } finally {
      clock.mockRestore()
    }
  })

  it('is gone when its maker says so, also for a process that does not hear of changes', async () => {
    const { state, build } = source(['prod_11'])
    const [pages, key] = [cache(), newKey()]
    await pages.get(key, build)
    pages.setSubscribed(false)
    state.gone = true
    await redis.flushdb()
    await until('it is old', () => pages.ready(key, build) === undefined, Boolean, 2_000)
    await expect(pages.get(key, build)).rejects.toThrow('There is no such product.')
  })

  it('begun while changes were not heard of is not kept', async () => {
    const { state, build } = source(['prod_12'])
    const [pages, key] = [cache(), newKey()]
    pages.setSubscribed(false)
    let open = (): void => undefined
    state.gate = new Promise((resolve) => (open = resolve))
    const first = pages.get(key, build)
    await until('it is begun', () => state.builds === 1)
    pages.setSubscribed(true)
    open()
    await first
    expect(pages.ready(key, build)).toBeUndefined()
  })

  it('is claimed by one, whose claim nobody else gives back', async () => {
    const key = newKey()
    expect(await claimPage(redis, key, 'one')).toBe(true)
    await releasePage(redis, key, 'other')
    expect(await claimPage(redis, key, 'other')).toBe(false)
    await releasePage(redis, key, 'one')
    expect(await claimPage(redis, key, 'other')).toBe(true)
  })

  it('is served old while it cannot be made, and refused when there is none', async () => {
    const { state, build } = source(['prod_9'])
    const [pages, key] = [cache(), newKey()]
    await pages.get(key, build)
    pages.setSubscribed(false)
    state.fails = true
    await redis.flushdb()
    await until('it is old', () => pages.ready(key, build) === undefined, Boolean, 2_000)
    expect(text(await pages.get(key, build))).toBe('{"value":1}')
    await expect(pages.get(newKey(), build)).rejects.toThrow('Postgres is away')
  })

  it('makes room for others: memory is bounded', async () => {
    const pages = new PageCache({ redis, maxBytes: 5_000 })
    pages.setSubscribed(true)
    const { build } = source([])
    const keys = Array.from({ length: 10 }, newKey)
    for (const key of keys) await pages.get(key, build)
    expect(keys.filter((key) => pages.ready(key, build)).length).toBeLessThan(5)
  })
})

describe('who listens for changes', () => {
  it('hears them, and notices when the line goes dead without a word', async () => {
    const line = await lineTo((await testRedis()).url)
    const over = createRedis({ REDIS_URL: line.url })
    const heard: string[] = []
    let subscribed = false
    const stop = subscribeToDrops(over, {
      setSubscribed: (now) => (subscribed = now),
      drop: (tags) => heard.push(...tags),
    })
    try {
      await until('it listens', () => subscribed)
      await dropPages(redis, ['prod_13'])
      await until('it has heard', () => heard.includes('prod_13'))
      await until('it still listens when it has been asked', () => line.pings() > 0)
      expect(subscribed).toBe(true)
      line.freeze()
      await until('it knows that it hears nothing', () => !subscribed, Boolean, 2_500)
    } finally {
      stop()
      over.disconnect()
      await line.close()
    }
  })
})

/** A way to Redis that can be frozen: nothing is closed, nothing comes through. */
async function lineTo(redisUrl: string) {
  const { hostname, port, pathname, username, password } = new URL(redisUrl)
  const ends: Socket[] = []
  let pings = 0
  let isFrozen = false
  const server = createServer((near) => {
    if (isFrozen) return void ends.push(near)
    const far = connect(Number(port), hostname)
    ends.push(near, far)
    for (const end of [near, far]) end.on('error', () => undefined)
    near.on('data', (bytes) => (pings += bytes.includes('ping') ? 1 : 0))
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(`redis://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`)
  Object.assign(url, { username, password })
  return {
    url: url.href,
    pings: () => pings,
    freeze: () => {
      isFrozen = true
      for (const end of ends) end.unpipe().pause()
    },
    close: async () => {
      for (const end of ends) end.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
