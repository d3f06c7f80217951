import { randomUUID } from 'node:crypto'
import { hashToken } from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import type { OrderId } from '../../../domain/ids'
import type { TaxProvider } from '../../../providers/tax'
import { seedProducts } from '../../support/catalog'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'
import { ADDRESS } from '../../support/shop'

let api: TestApi
let key: string
let warehouse: string
/** What the source of tax rates was asked for. */
const asked: unknown[] = []
/** 20 % in Great Britain and Ireland, 19 % elsewhere, nothing in one place. */
const tax: TaxProvider = {
  async rates({ address, skus }) {
    asked.push(address)
    const rate =
      address.postalCode === 'ZE1 0AA'
        ? 0
        : ['GB', 'IE', 'HK', 'AE', 'SG'].includes(address.country ?? '')
          ? 2_000
          : 1_900
    return { lines: Object.fromEntries(skus.map((sku) => [sku, rate])), shipping: rate }
  },
}
beforeAll(async () => {
  api = await startApi()
  key = await api.key('support')
  warehouse = await seedProducts(api.database.pool, [{ sku: 'Cup', title: 'Cup', prices: { GBP: 100 }, stock: 10 }])
  Object.assign(api.deps, { tax })
  const served = ['GB', 'IE', 'DE', 'HK', 'AE', 'SG']
  await api.database.pool.query('update store_settings set countries = $1', [served])
})
afterAll(() => api.close())

interface Own {
  readonly id: OrderId
  readonly token: string
}

async function order(): Promise<Own> {
  const [id] = (await pastOrders(api.database.pool, [{ skus: ['CUP'] }])) as [OrderId]
  const token = randomUUID()
  await api.database.pool.query('update orders set token_hash = $2 where id = $1', [id, hashToken(token)])
  return { id, token }
}

const asCustomer = ({ id, token }: Own, shipping_address: unknown): Promise<Answer> =>
  api.call('patch', `/v1/store/orders/${id}`, { token, body: { shipping_address } })
const asStaff = ({ id }: Own, shipping_address: unknown): Promise<Answer> =>
  api.call('patch', `/v1/admin/orders/${id}`, { key, body: { shipping_address } })
const CALLERS = [
  ['a customer', asCustomer],
  ['staff', asStaff],
] as const

const OTHER = { ...ADDRESS, name: 'Other Buyer', line1: '2 Low St', city: 'York', postal_code: 'YO1 7HH' }
const read = async ({ id }: Own) => (await api.call('get', `/v1/admin/orders/${id}`, { key })).body
const label = async ({ id }: Own, status: string): Promise<void> => {
  const [shipment, labelId] = [newId('shipment'), newId('label')]
  await api.database.pool.query('insert into shipment (id, order_id, number, warehouse_id) values ($1, $2, 1, $3)', [
    shipment,
    id,
    warehouse,
  ])
  await api.database.pool.query(
    `insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status)
     values ($1, $2, $3, 1, $4, 'sandbox', 'standard', 1, $5)`,
    [labelId, shipment, id, labelId, status],
  )
}

describe.each(CALLERS)('%s', (_who, patch) => {
  it('changes where an order goes, twice without harm', async () => {
    const own = await order()
    expect((await read(own)).actions).toContain('change_address')
    const changed = await patch(own, OTHER)
    expect(changed).toMatchObject({ status: 200, body: { id: own.id, shipping_address: OTHER } })
    expect(await patch(own, OTHER)).toMatchObject({ status: 200, body: { shipping_address: OTHER } })
    const { events, shipping_address } = await read(own)
    expect(shipping_address).toEqual(OTHER)
    expect(events.map(({ type }: { type: string }) => type)).toEqual(['order.address_changed'])
    expect(JSON.stringify(events)).not.toContain('York')
  })

  it('may send it abroad where the tax is the same, and not where it is another', async () => {
    const own = await order()
    const abroad = { ...OTHER, city: 'Dublin', postal_code: 'D12 H6K8', country: 'IE' }
    expect(await patch(own, abroad)).toMatchObject({ status: 200, body: { shipping_address: { country: 'IE' } } })
    const dearer = { ...OTHER, city: 'Berlin', postal_code: '10115', country: 'DE' }
    expect(await patch(own, dearer)).toMatchObject({ status: 409, body: { code: 'address_changes_price' } })
    const free = { ...OTHER, postal_code: 'ZE1 0AA' }
    expect(await patch(own, free)).toMatchObject({ status: 409, body: { code: 'address_changes_price' } })
    expect((await read(own)).shipping_address).toEqual(abroad)
    expect(asked.slice(-2)).toEqual(
      expect.arrayContaining([
        { country: 'IE', postalCode: 'D12 H6K8' },
        { country: 'GB', postalCode: 'ZE1 0AA' },
      ]),
    )
  })

  it.each(['claimed', 'live'])('may not once a label is %s', async (status) => {
    const own = await order()
    await label(own, status)
    expect(await patch(own, OTHER)).toMatchObject({ status: 409, body: { code: 'already_labelled' } })
    expect(await patch(own, ADDRESS)).toMatchObject({ status: 200, body: { actions: ['cancel'] } })
  })

  it.each(['voiding', 'voided'])('may again once the label is %s', async (status) => {
    const own = await order()
    await label(own, status)
    expect((await read(own)).actions).toContain('change_address')
    expect(await patch(own, OTHER)).toMatchObject({ status: 200, body: { shipping_address: OTHER } })
  })

  it.each([
    ['pending', 'checkout_in_progress'],
    ['payment_pending', 'checkout_in_progress'],
    ['shipped', 'already_labelled'],
    ['delivered', 'already_labelled'],
    ['completed', 'already_labelled'],
    ['cancelled', 'invalid_state'],
  ])('may not while it is %s', async (status, code) => {
    const own = await order()
    await api.database.pool.query(
      `update orders set status = $2, cancel_reason = case when $2 = 'cancelled' then 'merchant' end where id = $1`,
      [own.id, status],
    )
    if (code === 'already_labelled')
      await api.database.pool.query('update order_line set shipped = quantity where order_id = $1', [own.id])
    expect(await patch(own, OTHER)).toMatchObject({ status: 409, body: { code } })
    expect((await read(own)).shipping_address).toEqual(ADDRESS)
  })

  it.each([
    [{ ...OTHER, country: 'JP' }, ['/shipping_address/country']],
    [
      { ...OTHER, name: ' ', line1: '', country: 'gb' },
      ['/shipping_address/name', '/shipping_address/line1', '/shipping_address/country'],
    ],
    [
      { ...OTHER, line1: ' ', city: ' ', postal_code: null },
      ['/shipping_address/line1', '/shipping_address/city', '/shipping_address/postal_code'],
    ],
    [{ ...OTHER, planet: 'Earth' }, ['/shipping_address/planet']],
    [null, ['/shipping_address']],
    ['2 Low St', ['/shipping_address']],
  ])('is told every field that is wrong in %j', async (address, pointers) => {
    const own = await order()
    const answer = await patch(own, address)
    expect(answer.status).toBe(400)
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers)
    expect((await read(own)).shipping_address).toEqual(ADDRESS)
  })

  it.each([
    ['IE', { city: 'Dublin' }, { city: 'Dublin', postal_code: null }],
    ['HK', { city: ' ', postal_code: null, region: 'Kowloon' }, { city: null, postal_code: null, region: 'Kowloon' }],
    ['AE', { city: 'Dubai', postal_code: '' }, { city: 'Dubai', postal_code: null }],
    ['SG', { postal_code: ' 018956 ' }, { city: null, postal_code: '018956' }],
  ])('is taken by the rules of %s', async (country, given, kept) => {
    const own = await order()
    const sent = { name: ' A ', company: ' Acme ', line1: '1 Main St', country, phone: '+353 1 234', ...given }
    const changed = await patch(own, sent)
    const address = {
      name: 'A',
      company: 'Acme',
      line1: '1 Main St',
      line2: null,
      region: null,
      country,
      phone: '+353 1 234',
      ...kept,
    }
    expect([changed.status, changed.body.shipping_address]).toEqual([200, address])
    expect((await read(own)).shipping_address).toEqual(address)
  })

  it('gets the last of twenty changes at once, each counted', async () => {
    const own = await order()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => patch(own, { ...OTHER, line1: `${n + 3} Low St` })),
    )
    const won = answers.filter(({ status }) => status === 200)
    expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
    expect(won.length).toBeGreaterThan(0)
    const { events } = await read(own)
    expect(events.map(({ data }: { data: unknown }) => data)).toEqual(won.map((_, n) => ({ address_version: n + 2 })))
  })
})

it('is changed by staff only as they have seen the order, if they say so', async () => {
  const own = await order()
  const path = `/v1/admin/orders/${own.id}`
  const etag = (await api.call('get', path, { key })).headers.get('etag') ?? ''
  expect(etag).toMatch(/^"\d+"$/)
  const patch = (to: object, ifMatch: string) =>
    api.call('patch', path, { key, body: { shipping_address: to }, headers: { 'if-match': ifMatch } })
  const changed = await patch(OTHER, etag)
  expect(changed).toMatchObject({ status: 200, body: { shipping_address: OTHER } })
  expect(changed.headers.get('etag')).not.toBe(etag)
  expect(await patch(ADDRESS, etag)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
  expect((await read(own)).shipping_address).toEqual(OTHER)
  expect(await patch(ADDRESS, changed.headers.get('etag') ?? '')).toMatchObject({ status: 200 })
  expect(await patch(OTHER, '*')).toMatchObject({ status: 200 })
})

it('is nobody else’s to change, and nothing else can be', async () => {
  const [own, other] = [await order(), await order()]
  expect(await asCustomer({ id: own.id, token: other.token }, OTHER)).toMatchObject({ status: 404 })
  expect(await asCustomer({ id: newId('order'), token: own.token }, OTHER)).toMatchObject({ status: 404 })
  expect(await asStaff({ ...own, id: newId('order') }, OTHER)).toMatchObject({ status: 404 })
  const call = (body: object) => api.call('patch', `/v1/admin/orders/${own.id}`, { key, body })
  expect(await call({ status: 'shipped', shipping_address: OTHER })).toMatchObject({ status: 400 })
  expect(await call({})).toMatchObject({ status: 400, body: { errors: [{ pointer: '/shipping_address' }] } })
  expect((await read(own)).shipping_address).toEqual(ADDRESS)
})
