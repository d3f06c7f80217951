import { AsyncResource } from 'node:async_hooks'
import { type Client, Connection } from '@temporalio/client'
import { closeTemporalClient, createTemporalClient, isTemporalUnavailable } from '../../../api/http/temporal'

/** Nothing listens there: calls are tried again until their deadline. */
const NOWHERE = { TEMPORAL_ADDRESS: '127.0.0.1:1', TEMPORAL_NAMESPACE: 'default' }

let client: Client
beforeAll(() => {
  client = createTemporalClient(NOWHERE)
})
afterAll(() => closeTemporalClient(client))

const ask = () => client.workflowService.getSystemInfo({})

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => null,
    (error: unknown) => error,
  )

it('ends a call at its deadline, whoever has ended before', async () => {
  const begun = Date.now()
  const short = failure(client.withDeadline(begun + 200, ask))
  const long = failure(
    client.withDeadline(begun + 1_000, async () => {
      await short
      return ask()
    }),
  )
  expect(isTemporalUnavailable(await short)).toBe(true)
  expect(Date.now() - begun).toBeLessThan(900)
  expect(isTemporalUnavailable(await long)).toBe(true)
  expect(Date.now() - begun).toBeLessThan(4_000)
})

it('puts the contexts of calls away when none is in hand', async () => {
  const { connection } = client
  if (!(connection instanceof Connection)) throw new Error('another kind of connection')
  const deadline = Date.now() + 1_000
  const seen: unknown[] = []
  let lookAgain = (): void => undefined
  await client.withDeadline(deadline, async () => {
    lookAgain = AsyncResource.bind(() => void seen.push(connection.callContextStorage.getStore()))
    lookAgain()
  })
  lookAgain()
  expect(seen).toEqual([{ deadline }, undefined])
})
