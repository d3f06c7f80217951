import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { seconds } from '../stack/say'

type Check = readonly [name: string, script: string, ...args: string[]]

/** Everything that CI runs besides the tests, by the name a person would use for it. The slowest stand first. */
const CHECKS: readonly Check[] = [
  ['lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
  ['types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit'],
  ['schema.sql', 'dist/scripts/dev/schema.js', '--check'],
  ['unused code', 'node_modules/knip/bin/knip.js', '--no-progress'],
  ['openapi.json', 'dist/scripts/dev/openapi.js', '--check'],
  ['format', 'node_modules/@biomejs/biome/bin/biome', 'format'],
  ['settings', 'dist/scripts/dev/settings-doc.js', '--check'],
]

/** Lint and types use several cores each: more checks at once would only take each other's time. */
const AT_ONCE = 3

/** Runs all checks, a few at a time, shows what the failing ones said, and ends with a line that counts them. */
async function main(): Promise<void> {
  const waiting = [...CHECKS]
  let failed = 0
  const lane = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      if (!(await passes(check))) failed++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  console.log(`${CHECKS.length - failed} checks passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

async function passes([name, script, ...args]: Check): Promise<boolean> {
  const begun = Date.now()
  const { code, output } = await run(join(ROOT, script), args)
  const ok = code === 0
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name} (${seconds(begun)})${ok ? '' : `\n${output.trimEnd()}`}`)
  return ok
}

function run(script: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

void main()
