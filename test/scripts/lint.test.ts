import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../config'

/** Each line breaks the rule named beside it, or keeps all rules where none is named. */
const SEEDED: [file: string, source: string, rule: string | null][] = [
  ['domain/a.ts', "import { x } from '../db/x'\nexport const a = x", 'no-restricted-imports'],
  ['domain/b.ts', "import { x } from '../config'\nexport const b = x", 'no-restricted-imports'],
  ['domain/c.ts', "import { readFileSync } from 'node:fs'\nexport const c = readFileSync", 'no-nodejs-modules'],
  ['domain/d.ts', 'export const d = (): number => Date.now()', 'no-restricted-properties'],
  ['domain/order/e.ts', "import { x } from '../x'\nexport const e = x", null],
  ['db/a.ts', "import { x } from '../domain/x'\nimport { y } from '../config'\nexport const a = [x, y]", null],
  ['db/b.ts', "import { x } from '../providers/x'\nexport const b = x", 'no-restricted-imports'],
  ['db/order/c.ts', "import { x } from '../../workflows/x'\nexport const c = x", 'no-restricted-imports'],
  ['providers/payment/a.ts', "import { x } from '../../db/x'\nexport const a = x", 'no-restricted-imports'],
  ['providers/search/a.ts', "import { x } from '../../db/x'\nexport const a = x", null],
  ['activities/a.ts', "import { x } from '../workflows/x'\nexport const a = x", 'no-restricted-imports'],
  ['activities/b.ts', "import { x } from '../db/x'\nimport { y } from '../providers/x'\nexport const b = [x, y]", null],
  ['workflows/a.ts', "import { x } from '../activities/x'\nexport const a = x", 'no-restricted-imports'],
  ['workflows/b.ts', "import type { X } from '../activities/x'\nexport type B = X", null],
  ['workflows/c.ts', "import { x } from '../db/x'\nexport const c = x", 'no-restricted-imports'],
  ['workflows/d.ts', "import { randomUUID } from 'crypto'\nexport const d = randomUUID", 'no-nodejs-modules'],
  ['workflows/e.ts', "import { x } from '../config'\nexport const e = x", 'no-restricted-imports'],
  ['workers/a.ts', "import { x } from '../api/x'\nexport const a = x", 'no-restricted-imports'],
  ['workers/b.ts', "import { x } from '../activities/x'\nexport const b = x", null],
  ['api/order/a.ts', "import { x } from '../../activities/x'\nexport const a = x", 'no-restricted-imports'],
  ['api/order/b.ts', "import { x } from '../../workflows/x'\nexport const b = x", 'no-restricted-imports'],
  ['api/order/c.ts', "import { x } from '../../workflows/contract'\nexport const c = x", null],
  ['api/order/d.ts', "import type { X } from '../../workflows/x'\nexport type D = X", null],
  ['api/order/e.ts', "import { x } from '../../providers/mail/x'\nexport const e = x", 'no-restricted-imports'],
  ['api/page/a.ts', "import { x } from '../order/routes'\nexport const a = x", 'no-restricted-imports'],
  ['sandbox/a.ts', "import { x } from '../domain/x'\nexport const a = x", 'no-restricted-imports'],
  ['sandbox/b.ts', "import type { X } from '../domain/x'\nexport type B = X", null],
  ['sandbox/c.ts', "import { x } from '../config'\nexport const c = x", 'no-restricted-imports'],
  [
    'db/f.ts',
    'const f = async (): Promise<void> => {}\nexport const g = (): void => {\n  f()\n}',
    'no-floating-promises',
  ],
  ['db/g.ts', "export const g = process.env['X']", 'no-process-env'],
  ['config.ts', "export const x = process.env['X']\nexport const y = x", null],
  ['db/h.ts', "import { i } from './i'\nexport const h = (): unknown => i", 'no-cycle'],
  ['db/i.ts', "import { h } from './h'\nexport const i = (): unknown => h", 'no-cycle'],
]

test('each rule of the house is kept by the linter', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-lint-'))
  try {
    for (const name of ['.oxlintrc.json', 'tsconfig.json']) cpSync(join(ROOT, name), join(folder, name))
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const targets = ['domain', 'db', 'providers', 'activities', 'workflows', 'api'].map((name) => `${name}/x.ts`)
    for (const file of [...targets, 'workflows/contract.ts', 'providers/mail/x.ts']) {
      write(folder, file, 'export const x = 1\nexport const y = 2\nexport type X = number')
    }
    for (const [file, source] of SEEDED) write(folder, file, source)
    const found = await lint(folder)
    expect(found).toEqual(SEEDED.flatMap(([file, , rule]) => (rule === null ? [] : [`${file} ${rule}`])).sort())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

function write(folder: string, file: string, source: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true })
  writeFileSync(join(folder, file), `${source}\n`)
}

async function lint(folder: string): Promise<string[]> {
  const oxlint = join(ROOT, 'node_modules', '.bin', 'oxlint')
  const run = promisify(execFile)(oxlint, ['--type-aware', '--format=json'], { cwd: folder, maxBuffer: 10_000_000 })
  // It ends with a failure as there are findings.
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] }
  const findings = diagnostics.map(({ filename, code }) => `${filename} ${/\((.+)\)/.exec(code)?.[1]}`)
  return [...new Set(findings)].sort()
}
