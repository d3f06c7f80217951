import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings, SettingsError } from '../../../config'
import { type Carriers, createCarriers } from '../../../providers/carrier'

const EASYPOST = { EASYPOST_API_KEY: 'EZTK_a', EASYPOST_WEBHOOK_SECRET: 'a secret' }
const PRODUCTION = { NODE_ENV: 'production', TOKEN_SECRET: 'a secret of its own, long enough' }

let carriers: Carriers | undefined
afterEach(async () => {
  await carriers?.close()
  carriers = undefined
})

function create(environment: Record<string, string>): Carriers {
  carriers = createCarriers(readSettings(environment))
  return carriers
}

test('there is a sandbox to begin with', () => {
  expect(create({}).names).toEqual(['sandbox'])
  expect(carriers?.get('sandbox')?.name).toBe('sandbox')
  expect(carriers?.get('easypost')).toBeUndefined()
})

test('a key adds EasyPost', () => {
  expect(create(EASYPOST).names).toEqual(['easypost', 'sandbox'])
  expect(carriers?.all().map(({ name }) => name)).toEqual(['easypost', 'sandbox'])
  expect(Object.fromEntries(carriers?.states() ?? [])).toEqual({ easypost: 'closed', sandbox: 'closed' })
})

test('only a carrier that does not scan its parcels is told that it has them', () => {
  create(EASYPOST)
  expect(carriers?.get('sandbox')?.handOver).toBeInstanceOf(Function)
  expect(carriers?.get('easypost')?.handOver).toBeUndefined()
})

test.each(['buyLabel', 'voidLabel', 'handOver'] as const)('a process may be killed around %s', async (call) => {
  const folder = mkdtempSync(join(tmpdir(), 'points-'))
  const kill = jest.spyOn(process, 'kill').mockImplementation(() => {
    throw new Error('killed')
  })
  try {
    const point = join(folder, `carrier.${call}.before`)
    writeFileSync(point, '')
    const effect = create({ FAULT_DIR: folder }).get('sandbox')?.[call] as () => Promise<unknown>
    await expect(effect()).rejects.toThrow('killed')
    expect(existsSync(point)).toBe(false)
  } finally {
    kill.mockRestore()
    rmSync(folder, { recursive: true })
  }
})

test('in production there is no sandbox', () => {
  expect(create({ ...PRODUCTION, ...EASYPOST }).names).toEqual(['easypost'])
})

test('a real shop that could send nothing does not start, and says so in one line', () => {
  const settings = readSettings(PRODUCTION)
  expect(() => createCarriers(settings)).toThrow(SettingsError)
  expect(() => createCarriers(settings)).toThrow(/^NODE_ENV=production has no carrier: [^\n]*$/)
})

test('a key whose webhooks nobody could believe is refused', () => {
  expect(() => readSettings({ EASYPOST_API_KEY: 'EZTK_a' })).toThrow(
    'EASYPOST_API_KEY is set: EASYPOST_WEBHOOK_SECRET is missing.',
  )
})
