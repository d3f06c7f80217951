import type { BreakerState } from '../../../providers/breaker'
import { BreakingCarrier } from '../../../providers/carrier/breaker'
import {
  type CarrierProvider,
  CarrierRejected,
  CarrierUnavailable,
  CarrierUndecided,
} from '../../../providers/carrier/carrier'

let error: Error | null
let asked: number
let states: BreakerState[]
let carrier: BreakingCarrier
beforeEach(() => {
  ;[error, asked, states] = [null, 0, []]
  const answer = () => {
    asked++
    return error ? Promise.reject(error) : Promise.resolve(null)
  }
  const inner = { name: 'inner', track: answer, handOver: answer, close: () => Promise.resolve() }
  carrier = new BreakingCarrier(inner as unknown as CarrierProvider, (state) => states.push(state), {
    volumeThreshold: 4,
    resetTimeoutMs: 60_000,
  })
})
afterEach(() => carrier.close())

const track = (times: number) => Promise.allSettled(Array.from({ length: times }, () => carrier.track('1')))

test('a carrier that does not answer is left alone, and the caller told at once', async () => {
  error = new CarrierUnavailable('nobody is there')
  await track(4)
  expect(carrier.state).toBe('open')
  await expect(carrier.track('1')).rejects.toThrow(CarrierUnavailable)
  await expect(carrier.handOver?.('lb_1')).rejects.toThrow(CarrierUnavailable)
  expect(asked).toBe(4)
  expect(states).toEqual(['open'])
})

test.each([
  ['what is not decided yet', () => new CarrierUndecided('a purchase may still be under way')],
  ['a fault of ours', () => new CarrierRejected('resource_missing', 'no such label')],
  ['a fault of the database', () => new Error('the connection broke')],
])('%s is not silence', async (_, make) => {
  error = make()
  await track(8)
  expect([carrier.state, asked]).toEqual(['closed', 8])
})

test('one that refuses our key is said to, once, and goes on being asked', async () => {
  error = new CarrierRejected('not_allowed', 'our key is not valid')
  await track(8)
  expect([carrier.state, asked, states]).toEqual(['refused', 8, ['refused']])
})
