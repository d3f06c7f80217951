import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../config'

test('packages are never installed through a link into somebody else’s folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-run-'))
  try {
    for (const file of ['scripts/run.cjs', 'package.json', 'package-lock.json']) {
      cpSync(join(ROOT, file), join(folder, 'clone', file))
    }
    mkdirSync(join(folder, 'other'))
    writeFileSync(join(folder, 'other', 'theirs'), '')
    symlinkSync(join(folder, 'other'), join(folder, 'clone', 'node_modules'))
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'clone', 'scripts', 'run.cjs')], {
      encoding: 'utf8',
    })
    expect(stderr).toContain('node_modules is a link to packages that package-lock.json does not list.')
    expect(status).toBe(1)
    expect(existsSync(join(folder, 'other', 'theirs'))).toBe(true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
