import type { OrderId } from '../../../domain/ids'
import { startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key('support')
})
afterAll(() => api.close())

const list = (query: Record<string, string>) =>
  api.call('get', `/v1/admin/orders?${new URLSearchParams(query)}`, { key })
const idsOf = async (query: Record<string, string>): Promise<string[]> => {
  const { status, body } = await list(query)
  expect(status).toBe(200)
  return body.data.map(({ id }: { id: string }) => id)
}

it('finds an order by its number and its e-mail address, however they are typed', async () => {
  const [id, other] = (await pastOrders(api.database.pool, [
    { skus: [], email: 'Jane@example.com' },
    { skus: [], email: 'other@example.com' },
  ])) as [OrderId, OrderId]
  const { number } = (await api.call('get', `/v1/admin/orders/${id}`, { key })).body
  const digits = number.slice('HF-'.length)
  for (const typed of [
    number,
    ` ${number.toLowerCase()} `,
    `#${digits}`,
    ` #${number.toLowerCase()}`,
    digits,
    `# ${digits}`,
  ])
    expect([typed, await idsOf({ number: typed })]).toEqual([typed, [id]])
  expect(await idsOf({ number: `${digits}1` })).toEqual([])
  expect(await idsOf({ number: '#' })).toEqual([other, id])
  expect(await idsOf({ number: ' ', email: ' jane@EXAMPLE.com ' })).toEqual([id])
})
