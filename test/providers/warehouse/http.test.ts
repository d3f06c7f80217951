import { HttpWarehouses } from '../../../providers/warehouse/http'
import { newWarehouseSecret } from '../../../providers/warehouse/verify'
import { type WarehouseMessage, WarehouseUnavailable } from '../../../providers/warehouse/warehouse'
import { WarehouseStub } from '../../support/warehouse-stub'

let stub: WarehouseStub
let system: HttpWarehouses
beforeEach(async () => {
  stub = await WarehouseStub.start()
  stub.secret = newWarehouseSecret()
  system = new HttpWarehouses({ allowPrivate: true, timeoutMs: 2_000 })
})
afterEach(async () => {
  await system.close()
  await stub.stop()
})

const MESSAGE: WarehouseMessage = {
  id: 'whm_1',
  key: 'order_1/warehouse/1',
  type: 'shipment.pack',
  shipment_id: 'shp_1',
  revision: 1,
  wave: '2026-03-01',
  shipping_method: 'standard',
  lines: [{ sku: 'Cup', title: 'Cup', quantity: 2 }],
  label: null,
  at: '2026-03-01T10:00:00.000Z',
}
const tell = (signal?: AbortSignal) => system.tell(MESSAGE, { endpoint: stub.url, secret: stub.secret }, signal)

it('signs what it sends, under the key and the id of the message', async () => {
  expect(await tell()).toEqual({ outcome: 'taken' })
  const { key, ...body } = MESSAGE
  expect(stub.heard).toMatchObject([
    { isSigned: true, body, headers: { 'idempotency-key': key, 'webhook-id': MESSAGE.id } },
  ])
})

it.each([409, 410, 422])('is refused by %d', async (status) => {
  stub.status = status
  expect(await tell()).toEqual({ outcome: 'refused', code: 'no_such_goods' })
  stub.code = 'Sample Buyer, 1 High St'
  expect(await tell()).toEqual({ outcome: 'refused', code: `status_${status}` })
})

it.each([301, 400, 401, 404, 429, 500, 503, null])('has not heard by %s', async (status) => {
  stub.status = status
  await expect(tell()).rejects.toThrow(WarehouseUnavailable)
})

it('gives up when nobody waits any more', async () => {
  stub.status = null
  await expect(tell(AbortSignal.timeout(20))).rejects.toThrow(WarehouseUnavailable)
})

it('leaves one alone that is silent', async () => {
  stub.status = 503
  for (let time = 0; time < 20; time++) await expect(tell()).rejects.toThrow(WarehouseUnavailable)
  expect(stub.heard.length).toBeLessThan(20)
})

it('calls no private address, whatever the row says', async () => {
  const strict = new HttpWarehouses({ allowPrivate: false, timeoutMs: 300 })
  for (const endpoint of [stub.url, stub.url.replace('http:', 'https:'), 'https://localhost.:1/'])
    await expect(strict.tell(MESSAGE, { endpoint, secret: stub.secret })).rejects.toThrow(/may not be called/)
  await strict.close()
  expect(stub.heard).toEqual([])
})
