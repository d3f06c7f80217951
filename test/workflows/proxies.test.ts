import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { ORDER_ACTIVITIES } from '../../workflows/contract'
import * as proxies from '../../workflows/proxies'

/**
 * Every step of an order that must succeed can be seen by a person: it is an object that only `Intervention` runs. These can
 * be called, and why.
 */
const CALLABLE: Readonly<Record<string, string>> = {
  charge: 'What it does not learn is unknown: then `retryCharge` finds out.',
  lookUpCharge: 'The same.',
  openCase: 'It writes the case: one about it could not be written either.',
  closeCase: 'The same.',
  recordRepair: 'The same.',
}

it('lets nobody call a step of an order, but for these', () => {
  const exported = Object.entries<unknown>({ ...proxies }).filter(([name]) =>
    (ORDER_ACTIVITIES as readonly string[]).includes(name),
  )
  expect(exported.map(([name]) => name).sort()).toEqual([...ORDER_ACTIVITIES].sort())
  const callable = exported.filter(([, step]) => typeof step === 'function').map(([name]) => name)
  expect(callable.sort()).toEqual(Object.keys(CALLABLE).sort())
})

it('lets only the intervention run a step', () => {
  const folder = join(ROOT, 'workflows')
  const running = readdirSync(folder).filter((file) =>
    /\.(quick|patient)\(/.test(readFileSync(join(folder, file), 'utf8')),
  )
  expect(running).toEqual(['intervention.ts'])
})

it('lets only the money be moved by one try: what that does not do goes on as a step', () => {
  const folder = join(ROOT, 'workflows')
  const using = readdirSync(folder).filter((file) => /\bmoveOnce\./.test(readFileSync(join(folder, file), 'utf8')))
  expect(using).toEqual(['payment.ts'])
})

it('lets only the goods ask a carrier once: what that does not do goes on as a step', () => {
  const folder = join(ROOT, 'workflows')
  const using = readdirSync(folder).filter((file) => /\boutsideOnce\./.test(readFileSync(join(folder, file), 'utf8')))
  expect(using).toEqual(['fulfillment.ts'])
})

it('lets no two local activities of a workflow run at a time', () => {
  const folder = join(ROOT, 'workflows')
  const texts = readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')] as const)
  const made = texts.filter(([, text]) => /\bproxyLocalActivities</.test(text))
  expect(made.map(([file]) => file)).toEqual(['proxies.ts'])
  for (const [, text] of made)
    expect(text.match(/\bproxyLocalActivities</g)).toEqual(text.match(/(?<=\binTurn\()proxyLocalActivities</g))
})

/** A checkout's strands wait for one another, never for a local activity of another strand. */
it('lets what goes on beside a local activity wait by `untilSo` alone', () => {
  const folder = join(ROOT, 'workflows')
  const waiting = readdirSync(folder).filter((file) =>
    /\bcondition\((?!allHandlersFinished\))/.test(readFileSync(join(folder, file), 'utf8')),
  )
  expect(waiting).toEqual(['checkout-state.ts', 'proxies.ts'])
})
