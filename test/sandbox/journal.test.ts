import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PublicCharge } from '../../sandbox/charge'
import { ChargeClient, newKey, SandboxClient, until } from './client'
import { failToStart, startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from './process'
import { WebhookReceiver } from './receiver'

const running: SandboxProcess[] = []
const receivers: WebhookReceiver[] = []

async function start(
  journal?: string,
  webhookUrl?: string,
): Promise<{ sandbox: SandboxProcess; client: SandboxClient }> {
  const sandbox = await startSandboxProcess({ journal, webhookUrl })
  running.push(sandbox)
  return { sandbox, client: new SandboxClient(sandbox.url) }
}

async function receive(): Promise<WebhookReceiver> {
  const receiver = await new WebhookReceiver().start()
  receivers.push(receiver)
  return receiver
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((sandbox) => sandbox.kill()))
  await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()))
})

/** As it stands in the journal: the address of its page moves with the port. */
const settled = (charge: PublicCharge) => ({ ...charge, action_url: null })

test('a SIGKILL among many charges forgets none that was answered, and half-does none', async () => {
  const receiver = await receive()
  let journal: string | undefined
  const answered = new Map<string, PublicCharge>()
  const asked = new Set<string>()
  for (let round = 0; round < 3; round++) {
    const { sandbox, client } = await start(journal, receiver.url)
    journal = sandbox.journal
    const before = answered.size
    const buyers = Array.from({ length: 16 }, async () => {
      for (;;) {
        const key = newKey()
        asked.add(key)
        const charge = await client.made(key).catch(() => null)
        if (charge === null) return
        answered.set(key, charge)
        const cancelled = await client.call('POST', '/v1/charges/cancel', { key }).catch(() => null)
        if (cancelled === null) {
          answered.delete(key)
          return
        }
        answered.set(key, cancelled.body.charge as PublicCharge)
      }
    })
    await until('some were answered', () => answered.size >= before + 100)
    await sandbox.kill()
    await Promise.all(buyers)
  }

  const { client } = await start(journal, receiver.url)
  const found = new Map((await client.all()).map((charge) => [charge.key, charge]))
  for (const [key, charge] of answered) expect(found.get(key)).toEqual(charge)
  for (const [key, charge] of found) {
    expect(asked.has(key)).toBe(true)
    expect(['authorized', 'voided']).toContain(charge.status)
  }
  await until('every charge was told of', () => [...found.keys()].every((key) => receiver.about(key).length > 0))
}, 60_000)

test('everything is as before after a restart', async () => {
  const { sandbox, client } = await start()
  const action = await client.made(newKey(), {
    method: 'pm_card_authenticationRequired',
    return_url: 'https://shop.example/',
  })
  const declined = await client.made(newKey(), { method: 'pm_card_chargeDeclined' })
  const captured = await client.made(newKey(), { capture: true })
  const refundKey = { 'idempotency-key': newKey() }
  const refund = await client.call('POST', `/v1/charges/${captured.id}/refunds`, { amount: 5 }, refundKey)
  const authorized = await client.made(newKey())
  const captureKey = { 'idempotency-key': newKey() }
  await client.call('POST', `/v1/charges/${authorized.id}/capture`, { amount: 5 }, captureKey)
  const refused = newKey()
  await client.call('POST', '/v1/charges/cancel', { key: refused })
  const before = await client.all()
  await sandbox.kill()

  const again = (await start(sandbox.journal)).client
  expect((await again.all()).map(settled)).toEqual(before.map(settled))
  expect((await again.charge(declined.key, { method: 'pm_card_chargeDeclined' })).status).toBe(402)
  expect(await again.charge(refused)).toMatchObject({ status: 409, body: { code: 'key_refused' } })
  expect((await again.call('POST', `/v1/charges/${captured.id}/refunds`, { amount: 5 }, refundKey)).body).toEqual(
    refund.body,
  )
  const recaptured = await again.call('POST', `/v1/charges/${authorized.id}/capture`, { amount: 5 }, captureKey)
  expect(recaptured.body.captured).toBe(5)
  const approved = await fetch(`${(await again.byKey(action.key))[0]?.action_url}/approve`, {
    method: 'POST',
    redirect: 'manual',
  })
  expect(approved.status).toBe(303)
})

test('clocks go on: what fell due while it was down is paid at once, and told', async () => {
  const receiver = await receive()
  const { sandbox, client } = await start(undefined, receiver.url)
  const expires_at = new Date(Date.now() - 4_000).toISOString()
  const [soon, late] = [newKey(), newKey()]
  await client.made(soon, { method: 'pm_sandbox_async' })
  await client.made(late, { method: 'pm_sandbox_late', expires_at })
  await sandbox.kill()

  const again = (await start(sandbox.journal, receiver.url)).client
  for (const key of [soon, late]) {
    await until('it is paid', async () => (await again.byKey(key))[0]?.status === 'authorized')
    await until('it is told', () => receiver.about(key).some(({ event }) => event.charge.status === 'authorized'))
  }
})

test('movements, refused keys and disputes are as before, and what runs out goes on', async () => {
  const { sandbox, client } = await start()
  const charge = new ChargeClient(client, (await client.made(newKey())).id)
  const refusedKey = newKey()
  await charge.refund({ amount: 1 }, refusedKey)
  await charge.capture({ amount: 200 })
  const { body } = await charge.dispute({ amount: 50 })
  const failing = await client.made(newKey(), { method: 'pm_sandbox_refund_fails_later', capture: true })
  await new ChargeClient(client, failing.id).refund()
  await client.call('PUT', '/v1/faults', { authorization_seconds: 1 })
  const short = await client.made(newKey())
  const before = await client.movements()
  const changed = await client.call('GET', '/v1/charges?updated_since=2000-01-01T00:00:00Z&limit=2')
  await sandbox.kill()

  const again = (await start(sandbox.journal)).client
  expect((await again.movements()).slice(0, before.length)).toEqual(before)
  const same = new ChargeClient(again, body.id)
  expect((await same.now()).disputes).toEqual(body.disputes)
  expect(await same.refund({ amount: 1 }, refusedKey)).toMatchObject({ status: 409 })
  await same.close(body.disputes[0]?.id ?? '', 'won')
  await until('the refund fails', async () => (await again.movements()).some(({ type }) => type === 'refund_failed'))
  await until('it has run out', async () => (await again.byKey(short.key))[0]?.status === 'voided')
  const movements = await again.movements()
  expect(movements.map(({ number }) => number)).toEqual(movements.map((_, index) => index + 1))
  const cursor = changed.body.next_cursor as string
  const later = await again.call('GET', `/v1/charges?updated_since=2000-01-01T00:00:00Z&cursor=${cursor}`)
  expect(later.body.data.map(({ id }) => id)).toEqual(expect.arrayContaining([body.id, failing.id, short.id]))
})

test('webhooks that were not delivered are delivered after a restart, others are not sent again', async () => {
  const receiver = await receive()
  const { sandbox, client } = await start(undefined, receiver.url)
  const delivered = newKey()
  await client.made(delivered)
  await until('the first is delivered', () => receiver.about(delivered).length > 0)
  await until('that is in the journal', async () => (await readFile(sandbox.journal, 'utf8')).includes('"delivered"'))
  await receiver.stop()
  const undelivered = await client.made(newKey())
  await sandbox.kill()

  await receiver.start()
  await start(sandbox.journal, receiver.url)
  await until('the second is delivered', () => receiver.about(undelivered.key).length > 0)
  expect(receiver.about(undelivered.key)[0]?.event.charge).toEqual(undelivered)
  expect(receiver.about(delivered)).toHaveLength(1)
})

test('a torn last line is cut off, and what is written next is whole', async () => {
  const { sandbox, client } = await start()
  const first = await client.made(newKey())
  await sandbox.kill()
  await appendFile(sandbox.journal, '{"charge":{"id":"ch_torn","key":"to')

  const { sandbox: second, client: again } = await start(sandbox.journal)
  const next = await again.made(newKey())
  await second.kill()

  const { client: last } = await start(sandbox.journal)
  expect(await last.all()).toEqual([first, next])
})

test('a journal damaged in the middle is refused and left as it is', async () => {
  const { sandbox, client } = await start()
  for (let time = 0; time < 3; time++) await client.made(newKey())
  expect(await sandbox.stop()).toBe(0)
  const text = await readFile(sandbox.journal, 'utf8')
  const damaged = text.replace('{', '!')
  await writeFile(sandbox.journal, damaged)
  const args = [
    '--port',
    '0',
    '--journal',
    sandbox.journal,
    '--webhook-url',
    'http://127.0.0.1:9/',
    '--secret',
    WEBHOOK_SECRET,
  ]
  const { code, output } = await failToStart(args)
  expect(code).toBe(1)
  expect(output).toContain('the line at byte 0 is damaged')
  expect(await readFile(sandbox.journal, 'utf8')).toBe(damaged)
})

test('a journal of another version is refused in words and left as it is', async () => {
  const journal = join(await mkdtemp(join(tmpdir(), 'holdfast-sandbox-')), 'journal.jsonl')
  const old = '{"charge":{"id":"ch_1","key":"a","captures":[],"refunds":[]},"events":[]}\n'
  await writeFile(journal, old)
  const webhook = ['--webhook-url', 'http://127.0.0.1:9/', '--secret', WEBHOOK_SECRET]
  const { code, output } = await failToStart(['--port', '0', '--journal', journal, ...webhook])
  expect(code).toBe(1)
  expect(output).toContain('another version of the sandbox wrote it')
  expect(await readFile(journal, 'utf8')).toBe(old)
})

test('bad options and a taken port are said in words', async () => {
  const { sandbox } = await start()
  const bad = await failToStart(['--port', 'x', '--secret', 'whsec_!!'])
  expect(bad.code).toBe(1)
  for (const option of ['--port', '--journal', '--webhook-url', '--secret'])
    expect(bad.output).toContain(`  ${option}: `)
  const taken = await failToStart([
    '--port',
    new URL(sandbox.url).port,
    '--journal',
    sandbox.journal,
    '--webhook-url',
    'http://127.0.0.1:9/',
    '--secret',
    WEBHOOK_SECRET,
  ])
  expect(taken.code).toBe(1)
  expect(taken.output).toContain('EADDRINUSE')
})
