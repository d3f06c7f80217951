import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { claim, holderOf, release } from '../../../scripts/stack/claim'
import { identityOf, isAlive } from '../../../scripts/stack/identity'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'holdfast-claim-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('one living process holds a claim; it is free again once released', () => {
  const path = join(folder, 'lock')
  expect(claim(path, '/here')).toBeUndefined()
  expect(claim(path, '/there')).toMatchObject({ pid: process.pid, folder: '/here' })
  expect(holderOf(path)?.pid).toBe(process.pid)
  release(path)
  expect(holderOf(path)).toBeUndefined()
  expect(readdirSync(folder)).toEqual([])
})

test('a claim of a dead process is taken over, even when its pid lives on as another process', () => {
  const path = join(folder, 'lock')
  writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'long ago', folder: '/gone' }))
  expect(claim(path, '/here')).toBeUndefined()
  expect(holderOf(path)?.folder).toBe('/here')
})

test('a claim that was only half written is taken over', () => {
  const path = join(folder, 'lock')
  writeFileSync(path, '{"pid"')
  expect(claim(path, '/here')).toBeUndefined()
})

test('a process is told from a later one with its pid, and from its own corpse', async () => {
  const child = spawn('sleep', ['60'])
  const identity = identityOf(child.pid as number)
  expect(identity && isAlive(identity)).toBe(true)
  expect(isAlive({ pid: child.pid as number, started: 'another time' })).toBe(false)
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  expect(identity && isAlive(identity)).toBe(false)
})
