import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ROOT } from '../../../config'
import { readJson } from '../../../scripts/stack/files'
import { identityOf } from '../../../scripts/stack/identity'
import type { StackFile } from '../../../scripts/stack/state'

const NOT_COPIED = new Set(['.git', '.holdfast', 'node_modules', 'coverage'])

let clone: string

// A clone of its own, in a folder that only its owner may enter. Its files are as old as ours, to the nanosecond, so that
// it compiles nothing again.
beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'holdfast-clone-'))
  const copied = readdirSync(ROOT).filter((name) => !NOT_COPIED.has(name))
  execFileSync('cp', ['-a', ...copied.map((name) => join(ROOT, name)), clone])
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'))
})

afterAll(async () => {
  await command('scripts/dev/stop')
  await command('scripts/dev/reset')
  rmSync(clone, { recursive: true, force: true })
}, 60_000)

test('a start sells at once, survives kills, and a stop leaves nothing', async () => {
  const first = await command('scripts/dev/start', '--detach')
  expect(first).toMatch(/Ready in/)
  expect(await buy(first)).toMatch(/"number":"HF-\d+"[^]*\nHTTP 201\n$/)

  expect(statSync(join(clone, '.holdfast', 'stack.json')).mode & 0o777).toBe(0o600)
  const stack = stackFile()
  expect(stack).toMatchObject({
    api: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    admin_key: expect.stringMatching(/^hf_/),
    temporal: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    temporal_ui: expect.stringMatching(/^http:/),
    postgres: expect.stringMatching(/^postgres:/),
    redis: expect.stringMatching(/^redis:/),
    sandbox: expect.stringMatching(/^http:/),
  })
  const names = ['api-1', 'carrier', 'postgres', 'redis', 'sandbox', 'temporal', 'worker-1']
  expect(stack.processes.map(({ name }) => name).sort()).toEqual(names)

  await expect(command('scripts/dev/start')).rejects.toThrow(/already running in this folder/)

  process.kill(pidOf(stack, 'api-1') as number, 'SIGKILL')
  await until(
    () => existsSync(join(clone, '.holdfast', 'stack.json')) && pidOf(stackFile(), 'api-1') !== pidOf(stack, 'api-1'),
  )
  await until(() =>
    orders(stack, stack.admin_key).then(
      (count) => count === 1,
      () => false,
    ),
  )

  process.kill(readJson<{ pid: number }>(join(clone, '.holdfast', 'lock'))?.pid as number, 'SIGKILL')
  const second = await command('scripts/dev/start', '--detach')
  expect(second).toContain('Ending what an earlier run left behind')
  const again = stackFile()
  expect(again.api).toBe(stack.api)
  expect(await orders(again, again.admin_key)).toBe(1)
  await expect(orders(again, stack.admin_key)).rejects.toThrow('401')
  expect(await buy(second)).toContain('HTTP 201')

  expect(await command('scripts/dev/stop')).toContain('Holdfast is stopped.')
  expect(existsSync(join(clone, '.holdfast', 'stack.json'))).toBe(false)
  for (const { pid } of [...stack.processes, ...again.processes]) expect(identityOf(pid)).toBeUndefined()
}, 400_000)

async function command(program: string, ...args: string[]): Promise<string> {
  const run = await promisify(execFile)(process.execPath, [join(clone, 'scripts', 'run.cjs'), program, ...args], {
    cwd: clone,
  }).catch((error: { stdout: string; stderr: string }) => Promise.reject(new Error(error.stdout + error.stderr)))
  return run.stdout
}

/** Pastes the line that the start printed into a shell. */
async function buy(printed: string): Promise<string> {
  const line = printed.split('\n').find((text) => text.startsWith('('))
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', line ?? 'false'])
  return stdout
}

async function orders({ api }: StackFile, key: string): Promise<number> {
  const response = await fetch(`${api}/v1/admin/orders`, { headers: { authorization: `Bearer ${key}` } })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return ((await response.json()) as { data: unknown[] }).data.length
}

function stackFile(): StackFile {
  return JSON.parse(readFileSync(join(clone, '.holdfast', 'stack.json'), 'utf8')) as StackFile
}

function pidOf({ processes }: StackFile, name: string): number | undefined {
  return processes.find((process) => process.name === name)?.pid
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(50)
}
