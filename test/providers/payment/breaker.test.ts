import { setTimeout as delay } from 'node:timers/promises'
import type { BreakerState } from '../../../providers/breaker'
import { BreakingProvider } from '../../../providers/payment/breaker'
import {
  AttemptOver,
  type ChargeRequest,
  type PaymentProvider,
  ProviderRejected,
  ProviderUnavailable,
} from '../../../providers/payment/provider'

const RESET_MS = 60

/** A provider of which only `find` is asked here. */
function rig(): {
  provider: BreakingProvider
  states: BreakerState[]
  asked: () => number
  answerWith: (error: Error | null) => void
} {
  let error: Error | null = null
  let asked = 0
  const states: BreakerState[] = []
  const find = () => {
    asked++
    return error ? Promise.reject(error) : Promise.resolve(null)
  }
  const offer = { type: 'card', methods: null, publishableKey: 'pk_1' }
  const inner = {
    name: 'inner',
    keyLifetimeMs: 5,
    renews: true,
    offer,
    find,
    close: () => Promise.resolve(),
  } as unknown as PaymentProvider
  const provider = new BreakingProvider(inner, (state) => states.push(state), {
    volumeThreshold: 4,
    resetTimeoutMs: RESET_MS,
  })
  return { provider, states, asked: () => asked, answerWith: (next) => (error = next) }
}

let current: ReturnType<typeof rig>
beforeEach(() => (current = rig()))
afterEach(() => current.provider.close())

const find = () => current.provider.find({} as ChargeRequest)
const findUnavailable = () => expect(find()).rejects.toThrow(ProviderUnavailable)

async function silence(times = 4): Promise<void> {
  current.answerWith(new ProviderUnavailable('nobody is there'))
  for (let time = 0; time < times; time++) await findUnavailable()
}

test('a provider that does not answer is left alone, and the caller told at once', async () => {
  await silence()
  expect(current.provider.state).toBe('open')
  await findUnavailable()
  expect(current.asked()).toBe(4)
  expect(current.states).toEqual(['open'])
})

test('fewer calls than that say nothing', async () => {
  await silence(3)
  expect(current.provider.state).toBe('closed')
})

test.each([
  ['a fault of ours', new ProviderRejected('resource_missing', 'no such charge')],
  ['an attempt that is over', new AttemptOver('over')],
  ['a fault of the database', new Error('the connection broke')],
])('%s is not silence', async (_, error) => {
  current.answerWith(error)
  for (let time = 0; time < 8; time++) await expect(find()).rejects.toBe(error)
  expect(current.provider.state).toBe('closed')
})

test('one that refuses our key is said to, once, and goes on being asked', async () => {
  const error = new ProviderRejected('not_allowed', 'our key is not valid')
  current.answerWith(error)
  for (let time = 0; time < 8; time++) await expect(find()).rejects.toBe(error)
  expect(current.provider.state).toBe('refused')
  expect(current.asked()).toBe(8)
  expect(current.states).toEqual(['refused'])
  expect(current.provider.hasAnswered).toBe(false)
})

test('a key that is refused for some calls alone is refused a minute longer, and let in by the next answer then', async () => {
  current.answerWith(new ProviderRejected('not_allowed', 'our key is not valid'))
  await expect(find()).rejects.toThrow()
  current.answerWith(null)
  await find()
  expect(current.provider).toMatchObject({ state: 'refused', hasAnswered: true })
  jest.useFakeTimers({ now: Date.now() + 61_000, doNotFake: ['setTimeout', 'setInterval', 'nextTick', 'setImmediate'] })
  try {
    expect(current.provider.state).toBe('refused')
    await find()
    expect(current.provider.state).toBe('closed')
  } finally {
    jest.useRealTimers()
  }
  expect(current.states).toEqual(['refused', 'closed'])
})

test('after a while one call is let through; when it is answered, all are', async () => {
  await silence()
  while (current.provider.state !== 'half_open') await delay(5)
  current.answerWith(null)
  expect(await find()).toBeNull()
  expect(await find()).toBeNull()
  expect(current.states).toEqual(['open', 'half_open', 'closed'])
})

test('when it is not, the provider is left alone again', async () => {
  await silence()
  while (current.provider.state !== 'half_open') await delay(5)
  await Promise.all([findUnavailable(), findUnavailable(), findUnavailable()])
  expect(current.asked()).toBe(5)
  expect(current.provider.state).toBe('open')
})

test('it is the provider in all else', () => {
  expect(current.provider).toMatchObject({
    name: 'inner',
    keyLifetimeMs: 5,
    renews: true,
    offer: { publishableKey: 'pk_1' },
  })
})
