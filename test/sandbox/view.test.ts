import { newKey, SandboxClient } from './client'
import { startSandboxProcess, type SandboxProcess } from './process'

let sandbox: SandboxProcess
let client: SandboxClient

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  client = new SandboxClient(sandbox.url)
})
afterAll(() => sandbox.kill())

const RETURN = 'https://shop.example/return?basket=1'
const waiting = (change: object = {}) =>
  client.made(newKey(), { method: 'pm_card_authenticationRequired', return_url: RETURN, ...change })
const press = (url: string | null, button: 'approve' | 'refuse') =>
  fetch(`${url}/${button}`, { method: 'POST', redirect: 'manual' })
const stateOf = async (key: string) => (await client.byKey(key))[0]

test('shows the amount and the order, with a form for each answer', async () => {
  const charge = await waiting({ reference: 'order_<script>' })
  expect(charge).toMatchObject({ status: 'requires_action', action_url: `${sandbox.url}/3ds/${charge.id}` })
  const page = await fetch(charge.action_url as string)
  expect(page.status).toBe(200)
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
  const html = await page.text()
  expect(html).toContain('<html lang="en">')
  expect(html).toMatch(/<title>.+<\/title>/)
  expect(html).toContain('£5.10')
  expect(html).toContain('order_&#60;script&#62;')
  for (const answer of ['approve', 'refuse'])
    expect(html).toContain(`<form method="post" action="/3ds/${charge.id}/${answer}">`)
})

test.each([
  ['GBP', 510, '£5.10'],
  ['JPY', 510, '¥510'],
  ['KWD', 5100, '5.100'],
  ['IQD', 5100, '5.100'],
  ['LBP', 510, '5.10'],
  ['UGX', 510, 'UGX\u00a0510<'],
])('writes %s as its readers do', async (currency, amount, shown) => {
  const { action_url } = await waiting({ currency, amount })
  expect(await (await fetch(action_url as string)).text()).toContain(shown)
})

test.each([
  ['approve', 'approved', { status: 'authorized', decline_code: null }],
  ['refuse', 'refused', { status: 'declined', decline_code: 'authentication_failed' }],
] as const)('%s leads back to the shop, with hints', async (button, result, state) => {
  const { key, reference, action_url } = await waiting()
  const answer = await press(action_url, button)
  expect(answer.status).toBe(303)
  const back = new URL(answer.headers.get('location') as string)
  expect(back.origin + back.pathname).toBe('https://shop.example/return')
  expect(Object.fromEntries(back.searchParams)).toEqual({ basket: '1', order_id: reference, result })
  expect(await stateOf(key)).toMatchObject({ ...state, action_url: null })
})

test('the first answer counts', async () => {
  const { key, action_url } = await waiting({ capture: true })
  await press(action_url, 'approve')
  const second = await press(action_url, 'refuse')
  expect(second.headers.get('location')).toContain('result=approved')
  expect(await stateOf(key)).toMatchObject({ status: 'captured', captured: 510 })
  expect(await (await fetch(action_url as string)).text()).toContain('The payment is approved')
})

test('too late, it says so and takes nothing', async () => {
  const { key, action_url } = await waiting()
  await client.call('POST', '/v1/charges/cancel', { key })
  expect((await press(action_url, 'approve')).headers.get('location')).toContain('result=cancelled')
  expect(await stateOf(key)).toMatchObject({ status: 'voided' })
})

test('without an address to return to, it shows the result; an unknown payment is a page too', async () => {
  const { action_url } = await waiting({ return_url: null })
  const answer = await press(action_url, 'approve')
  expect(answer.status).toBe(200)
  expect(await answer.text()).toContain('The payment is approved')
  const unknown = await fetch(`${sandbox.url}/3ds/ch_0`)
  expect(unknown.status).toBe(404)
  expect(await unknown.text()).toContain('There is no such payment')
})
