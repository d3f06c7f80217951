import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../config'

const IMPORTS = 'no-restricted-imports'

/** What the lines below import: files without a fault. */
const TARGETS = [
  ...['domain', 'db', 'providers', 'activities', 'workflows', 'workers', 'api', 'sandbox'].map(
    (name) => `${name}/x.ts`,
  ),
  ...['api/index.ts', 'activities/index.ts', 'workflows/index.ts', 'workflows/contract.ts', 'providers/mail/x.ts'],
]

/** Each line breaks the rule named beside it, or keeps all rules where none is named. */
const SEEDED: [file: string, source: string, rule: string | null][] = [
  ['domain/a.ts', "import { x } from '../db/x'\nexport const a = x", IMPORTS],
  ['domain/b.ts', "import { x } from '../config'\nexport const b = x", IMPORTS],
  ['domain/c.ts', "import { readFileSync } from 'node:fs'\nexport const c = readFileSync", 'no-nodejs-modules'],
  ['domain/d.ts', 'export const d = (): number => Date.now()', 'no-restricted-properties'],
  ['domain/e.ts', "import { x } from './../db/x'\nexport const e = x", IMPORTS],
  ['domain/f.ts', "import { x } from '../temporal'\nexport const f = x", IMPORTS],
  ['domain/g.ts', "import type { X } from '../db/x'\nexport type G = X", IMPORTS],
  ['domain/h.ts', "export const h = import('../db/x')", IMPORTS],
  ['domain/order/e.ts', "import { x } from '../x'\nexport const e = x", null],
  ['domain/order/f.ts', "import { x } from '.././../db/x'\nexport const f = x", IMPORTS],
  ['domain/order/g.ts', "import { x } from '../../domain/../db/x'\nexport const g = x", IMPORTS],
  ['domain/order/h.ts', "export { x } from '../../api'", IMPORTS],
  ['db/a.ts', "import { x } from '../domain/x'\nimport { y } from '../config'\nexport const a = [x, y]", null],
  ['db/b.ts', "import { x } from '../providers/x'\nexport const b = x", IMPORTS],
  ['db/catalog/image/x.ts', "import { x } from '../../../api/x'\nexport const y = x", IMPORTS],
  ['db/catalog/image/z.ts', "import { x } from '../../../domain/x'\nexport const z = x", null],
  ['db/order/c.ts', "import { x } from '../../workflows/x'\nexport const c = x", IMPORTS],
  ['providers/payment/a.ts', "import { x } from '../../db/x'\nexport const a = x", IMPORTS],
  ['providers/payment/b.ts', "import { x } from '../../domain/x'\nexport const b = x", null],
  ['providers/search/a.ts', "import { x } from '../../db/x'\nexport const a = x", IMPORTS],
  ['providers/search/b.ts', "import { x } from '../../api/x'\nexport const b = x", IMPORTS],
  ['providers/search/index.ts', "import type { X } from '../../db/x'\nexport type A = X", null],
  ['providers/search/postgres/a.ts', "import { x } from '../../../db/x'\nexport const a = x", null],
  ['providers/search/postgres/b.ts', "import { x } from '../../../workers/x'\nexport const b = x", IMPORTS],
  ['providers/search/typesense/a.ts', "import { x } from '../../../db/x'\nexport const a = x", IMPORTS],
  ['activities/a.ts', "import { x } from '../workflows/x'\nexport const a = x", IMPORTS],
  ['activities/b.ts', "import { x } from '../db/x'\nimport { y } from '../providers/x'\nexport const b = [x, y]", null],
  ['activities/payment/c.ts', "import type { X } from '../../workflows/x'\nexport type C = X", IMPORTS],
  ['workflows/a.ts', "import { x } from '../activities/x'\nexport const a = x", IMPORTS],
  ['workflows/b.ts', "import type { X } from '../activities/x'\nexport type B = X", null],
  ['workflows/c.ts', "import { x } from '../db/x'\nexport const c = x", IMPORTS],
  ['workflows/d.ts', "import { randomUUID } from 'crypto'\nexport const d = randomUUID", 'no-nodejs-modules'],
  ['workflows/e.ts', "import { x } from '../config'\nexport const e = x", IMPORTS],
  ['workflows/f.ts', "import { x, type X } from '../activities/x'\nexport const f: X = x", IMPORTS],
  ['workflows/g.ts', "export { x } from './../activities'", IMPORTS],
  ['workflows/h.ts', "import { x } from '../log'\nexport const h = x", IMPORTS],
  ['workflows/i.ts', "import type { X } from '../db/x'\nexport type I = X", IMPORTS],
  ['workers/a.ts', "import { x } from '../api/x'\nexport const a = x", IMPORTS],
  ['workers/b.ts', "import { x } from '../activities/x'\nexport const b = x", null],
  ['workers/loops/x.ts', "import { x } from '../../api/x'\nexport const y = x", IMPORTS],
  ['workers/loops/z.ts', "import { x } from '../../sandbox/x'\nexport const z = x", IMPORTS],
  ['api/http/x.ts', "import { x } from '../../activities/x'\nexport const y = x", IMPORTS],
  ['api/http/z.ts', "import { x } from './x'\nimport { y } from '../../temporal'\nexport const z = [x, y]", null],
  ['api/order/a.ts', "import { x } from '../../activities/x'\nexport const a = x", IMPORTS],
  ['api/order/b.ts', "import { x } from '../../workflows/x'\nexport const b = x", IMPORTS],
  ['api/order/c.ts', "import { x } from '../../workflows/contract'\nexport const c = x", null],
  ['api/order/d.ts', "import type { X } from '../../workflows/x'\nexport type D = X", null],
  ['api/order/e.ts', "import { x } from '../../providers/mail/x'\nexport const e = x", IMPORTS],
  ['api/order/f.ts', "import { x } from '../../workflows'\nexport const f = x", IMPORTS],
  ['api/order/g.ts', "import { x } from '../../providers/x'\nexport const g = x", null],
  ['api/order/routes.ts', 'export const x = 1', null],
  ['api/catalog/brand-routes.ts', 'export const x = 1', null],
  ['api/catalog/a.ts', "import { x } from './brand-routes'\nexport const a = x", IMPORTS],
  ['api/http/a.ts', "import { x } from '../routes'\nexport const a = x", IMPORTS],
  ['api/order/h.ts', "import { x } from './routes'\nexport const h = x", IMPORTS],
  ['api/page/a.ts', "import { x } from '../order/routes'\nexport const a = x", IMPORTS],
  ['api/page/b.ts', "import { x } from '../../api/order/routes'\nexport const b = x", IMPORTS],
  ['api/page/routes.ts', "import { x } from '../catalog/brand-routes'\nexport const y = x", IMPORTS],
  ['api/routes.ts', "import { x } from './order/routes'\nexport const routes = x", null],
  [
    'api/app.ts',
    "import { routes } from './routes'\nimport { x } from '../workers/x'\nexport const y = [routes, x]",
    IMPORTS,
  ],
  ['sandbox/a.ts', "import { x } from '../domain/x'\nexport const a = x", IMPORTS],
  ['sandbox/b.ts', "import type { X } from '../domain/x'\nexport type B = X", null],
  ['sandbox/c.ts', "import { x } from '../config'\nexport const c = x", IMPORTS],
  ['sandbox/d.ts', "import { x } from '../fault-point'\nexport const d = x", IMPORTS],
  ['config.ts', "export const x = process.env['X']\nexport const y = x", null],
  ['log.ts', "import { x } from './db/x'\nexport const y = x", IMPORTS],
  ['temporal.ts', "import { x } from './config'\nexport const y = x", null],
  ['fault-point.ts', "import type { X } from './domain/../api/x'\nexport type Y = X", IMPORTS],
  [
    'test/domain/a.ts',
    "import { x } from '../../db/x'\nimport { y } from '../../api/x'\nexport const a = [x, y]",
    null,
  ],
  ['scripts/dev/a.ts', "import { x } from '../../workers/x'\nexport const a = x", null],
  [
    'db/f.ts',
    'const f = async (): Promise<void> => {}\nexport const g = (): void => {\n  f()\n}',
    'no-floating-promises',
  ],
  ['db/g.ts', "export const g = process.env['X']", 'no-process-env'],
  ['db/platform/config.ts', "export const g = process.env['X']", 'no-process-env'],
  ['db/h.ts', "import { i } from './i'\nexport const h = (): unknown => i", 'no-cycle'],
  ['db/i.ts', "import { h } from './h'\nexport const i = (): unknown => h", 'no-cycle'],
]

test('each rule of the house is kept by the linter', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-lint-'))
  try {
    for (const name of ['.oxlintrc.json', 'tsconfig.json']) cpSync(join(ROOT, name), join(folder, name))
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    for (const file of TARGETS) write(folder, file, 'export const x = 1\nexport const y = 2\nexport type X = number')
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
