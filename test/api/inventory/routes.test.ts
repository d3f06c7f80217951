import { randomUUID } from 'node:crypto'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'

let api: TestApi
let key: string
let main: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key()
  main = await seedProducts(api.database.pool, [
    { sku: 'Tea', title: 'Tea', prices: { GBP: 250 }, stock: 10 },
    { sku: 'Cup', title: 'Cup', prices: { GBP: 400 }, stock: 0 },
    { sku: 'A/B', title: 'With a slash', prices: { GBP: 400 }, stock: 1 },
  ])
  await api.database.pool.query("update stock_level set reserved = 4 where sku = 'TEA'")
})
afterAll(() => api.close())

describe('inventory', () => {
  it('is read by warehouse and in sum, whatever the case of the SKU', async () => {
    const level = { warehouse_id: main, on_hand: 10, reserved: 4, available: 6 }
    expect(await api.call('get', '/v1/admin/inventory/tea', { key })).toMatchObject({
      status: 200,
      body: { sku: 'Tea', levels: [level], on_hand: 10, reserved: 4, available: 6 },
    })
    expect(await api.call('get', '/v1/admin/inventory/A%2FB', { key })).toMatchObject({
      status: 200,
      body: { on_hand: 1 },
    })
  })

  it.each(['nothing', '%20', '%F0%9F%98%80', 'x'.repeat(65)])('has no %s', async (sku) => {
    expect(await api.call('get', `/v1/admin/inventory/${sku}`, { key })).toMatchObject({ status: 404 })
    expect(await api.call('get', `/v1/admin/inventory/${sku}/movements`, { key })).toMatchObject({ status: 404 })
  })
})

describe('adjustments', () => {
  it('change the level and say so in a movement', async () => {
    const keyId = (await api.database.pool.query('select id from api_key')).rows[0].id
    expect(await adjust({ sku: 'cup', delta: 7 })).toMatchObject({
      status: 200,
      body: { sku: 'Cup', warehouse_id: main, on_hand: 7, reserved: 0, available: 7 },
    })
    expect(await adjust({ sku: 'CUP', set_on_hand: 3 })).toMatchObject({ status: 200, body: { on_hand: 3 } })
    const page = await api.call('get', '/v1/admin/inventory/CUP/movements?limit=1', { key })
    expect(page.body.data).toMatchObject([
      { sku: 'Cup', delta: -4, on_hand: 3, cause: 'adjustment', reason: 'counted', reference: null, actor: keyId },
    ])
    const rest = await api.call('get', `/v1/admin/inventory/CUP/movements?cursor=${page.body.next_cursor}`, { key })
    expect(rest.body).toMatchObject({ data: [{ delta: 7 }], has_more: false, next_cursor: null })
  })

  it('count once however often they are sent, and answer the level as it stands now', async () => {
    const idempotencyKey = randomUUID()
    const body = { sku: 'A/B', warehouse_id: main, delta: 5, reason: 'found' }
    const send = () => api.call('post', '/v1/admin/inventory/adjustments', { key, body, idempotencyKey })
    const answers = await Promise.all(Array.from({ length: 10 }, send))
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true)
    await adjust({ sku: 'A/B', delta: 1 })
    const again = await send()
    expect(again).toMatchObject({ status: 200, body: { on_hand: 7 } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const other = await api.call('post', '/v1/admin/inventory/adjustments', {
      key,
      body: { ...body, delta: 6 },
      idempotencyKey,
    })
    expect(other).toMatchObject({ status: 422 })
  })

  it('never take what is promised, and keep the key free when they are refused', async () => {
    const idempotencyKey = randomUUID()
    const send = () =>
      api.call('post', '/v1/admin/inventory/adjustments', {
        key,
        body: { sku: 'TEA', warehouse_id: main, delta: -7, reason: 'broken' },
        idempotencyKey,
      })
    expect(await send()).toMatchObject({ status: 409, body: { code: 'below_reserved', on_hand: 10, reserved: 4 } })
    await adjust({ sku: 'TEA', delta: 1 })
    expect(await send()).toMatchObject({ status: 200, body: { on_hand: 4 } })
  })

  it.each([
    [{ sku: 'nothing', delta: 1 }, 404, 'sku_not_found'],
    [{ sku: ' ', delta: 1 }, 404, 'sku_not_found'],
    [{ sku: 'TEA', delta: 1, warehouse_id: 'wh_01h455vb4pex5vsknk084sn02q' }, 404, 'not_found'],
    [{ sku: 'TEA', delta: 1, warehouse_id: 'Main' }, 400, 'validation_failed'],
    [{ sku: 'TEA' }, 400, 'validation_failed'],
    [{ sku: 'TEA', delta: 1, set_on_hand: 1 }, 400, 'validation_failed'],
    [{ sku: 'TEA', delta: 0.5 }, 400, 'validation_failed'],
    [{ sku: 'TEA', set_on_hand: -1 }, 400, 'validation_failed'],
    [{ sku: 'TEA', delta: 1_000_000_000 }, 400, 'validation_failed'],
    [{ sku: 'TEA', delta: 1, reason: '' }, 400, 'validation_failed'],
  ])('refuse %j', async (body, status, code) => {
    expect(await adjust(body)).toMatchObject({ status, body: { code } })
  })

  it('need a key, and a key that may', async () => {
    const body = { sku: 'TEA', warehouse_id: main, delta: 1, reason: 'x' }
    const path = '/v1/admin/inventory/adjustments'
    expect(await api.call('post', path, { key, body })).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    })
    const support = await api.key('support')
    expect(await api.call('post', path, { key: support, body, idempotencyKey: 'x' })).toMatchObject({ status: 403 })
  })
})

describe('settings', () => {
  it('are read and replaced', async () => {
    const before = await api.call('get', '/v1/admin/settings', { key })
    expect(before.body).toMatchObject({
      default_currency: 'GBP',
      tax_inclusive: true,
      checkout_hold_seconds: null,
      effective_hold_seconds: { checkout: 900, cart: 900 },
    })
    expect(before.body).toMatchObject({ short_pick: 'back_order', return_window_days: 30 })
    const settings = {
      default_currency: 'EUR',
      countries: ['IE'],
      tax_inclusive: false,
      cart_hold_seconds: 30,
      short_pick: 'cancel',
      return_window_days: 0,
    }
    const changed = await api.call('put', '/v1/admin/settings', { key, body: settings })
    expect(changed).toMatchObject({
      status: 200,
      body: { ...settings, checkout_hold_seconds: null, effective_hold_seconds: { checkout: 900, cart: 30 } },
    })
    expect((await api.call('post', '/v1/store/carts')).body.currency).toBe('EUR')
    // What was read can be sent back.
    expect(await api.call('put', '/v1/admin/settings', { key, body: changed.body })).toMatchObject({
      status: 200,
      body: settings,
    })
  })

  it.each([
    [{ default_currency: 'XXX', countries: ['GB'], tax_inclusive: true }, '/default_currency'],
    [{ default_currency: 'GBP', countries: [], tax_inclusive: true }, '/countries'],
    [{ default_currency: 'GBP', countries: ['GB', 'GB'], tax_inclusive: true }, '/countries'],
    [{ default_currency: 'GBP', countries: ['GB'] }, '/tax_inclusive'],
    [{ default_currency: 'GBP', countries: ['GB'], tax_inclusive: true, cart_hold_seconds: 0 }, '/cart_hold_seconds'],
    [{ default_currency: 'GBP', countries: ['GB'], tax_inclusive: true, short_pick: 'shrug' }, '/short_pick'],
    [
      { default_currency: 'GBP', countries: ['GB'], tax_inclusive: true, return_window_days: -1 },
      '/return_window_days',
    ],
    [
      { default_currency: 'GBP', countries: ['GB'], tax_inclusive: true, return_window_days: 3_651 },
      '/return_window_days',
    ],
  ])('refuse %j', async (body, pointer) => {
    expect(await api.call('put', '/v1/admin/settings', { key, body })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer }] },
    })
  })
})

it('has been seen to answer all that is listed', () => {
  expect([...api.unseen('Inventory'), ...api.unseen('Settings')]).toEqual([])
})

function adjust(body: Record<string, unknown>) {
  return api.call('post', '/v1/admin/inventory/adjustments', {
    key,
    body: { warehouse_id: main, reason: 'counted', ...body },
    idempotencyKey: randomUUID(),
  })
}
