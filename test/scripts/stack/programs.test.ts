import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isAlive } from '../../../scripts/stack/identity'
import { endLeftovers, ProcessKeeper, type Program } from '../../../scripts/stack/programs'

let folder: string
let said: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-programs-'))
  said = []
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('what ends by itself is started again; what is stopped stays down', async () => {
  const sleeper = keep(program({ args: ['-c', 'exec sleep 60'] }))
  await sleeper.start()
  const first = sleeper.record
  await sleeper.kill()
  await until(() => sleeper.record !== undefined)
  expect(sleeper.record?.pid).not.toBe(first?.pid)
  expect(said).toEqual([expect.stringContaining('test-1 ended (SIGKILL), starting it again.')])
  await sleeper.stop()
  expect(sleeper.record).toBeUndefined()
  expect(first && isAlive(first)).toBe(false)
})

test('a program that cannot start is given up with the end of its log', async () => {
  const broken = keep(program({ args: ['-c', 'echo the reason; exit 3'], isReady: () => Promise.resolve(false) }))
  await expect(broken.start()).rejects.toThrow(/test-1 ended while it started.*test-1\.log:\n.*the reason/s)
  await broken.stop()
})

test('what does not end when asked is killed, with what it started itself', async () => {
  const stubborn = keep(
    program({ args: ['-c', `trap '' TERM; sleep 60 & echo $! > ${folder}/child; wait; sleep 60`], stopMs: 100 }),
  )
  await stubborn.start()
  await until(() => read(join(folder, 'child')) !== '')
  await stubborn.stop()
  const child = Number(read(join(folder, 'child')))
  await until(() => !runs(child))
  expect(said).toEqual(['test-1 did not end in 0.1 s and is killed.'])
})

test('leftovers are ended, and no process that merely has the same pid', async () => {
  const left = keep(program({ args: ['-c', 'exec sleep 60'] }))
  await left.start()
  const record = left.record
  if (record === undefined) throw new Error('It is not running.')
  await endLeftovers([{ ...record, started: 'another time' }], (line) => said.push(line))
  expect(isAlive(record)).toBe(true)
  void left.stop('SIGCONT')
  await endLeftovers([record], (line) => said.push(line))
  expect(isAlive(record)).toBe(false)
  expect(said).toEqual([`Ending what an earlier run left behind: test-1 (${record.pid})`])
})

function keep(kept: Program): ProcessKeeper {
  return new ProcessKeeper(kept, {
    logFile: join(folder, `${kept.name}.log`),
    say: (line) => said.push(line),
    changed: () => undefined,
  })
}

function program(differs: Partial<Program>): Program {
  return {
    name: 'test-1',
    command: '/bin/sh',
    args: [],
    isReady: () => Promise.resolve(true),
    stopSignal: 'SIGTERM',
    stopMs: 5_000,
    ...differs,
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
