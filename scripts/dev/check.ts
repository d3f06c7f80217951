import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { seconds } from '../stack/say'

/** Everything that CI runs besides the tests, by the name a person would use for it. */
const CHECKS: readonly (readonly [name: string, script: string, ...args: string[]])[] = [
  ['types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit'],
  ['format', 'node_modules/@biomejs/biome/bin/biome', 'format'],
  ['lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
  ['unused code', 'node_modules/knip/bin/knip.js', '--no-progress'],
  ['schema.sql', 'dist/scripts/dev/schema.js', '--check'],
  ['openapi.json', 'dist/scripts/dev/openapi.js', '--check'],
  ['settings', 'dist/scripts/dev/settings-doc.js', '--check'],
]

/** Runs all checks, shows what the failing ones said, and ends with a line that counts them. */
async function main(): Promise<void> {
  let failed = 0
  for (const [name, script, ...args] of CHECKS) {
    const begun = Date.now()
    const { code, output } = await run(join(ROOT, script), args)
    console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name} (${seconds(begun)})`)
    if (code === 0) continue
    failed++
    console.log(output.trimEnd())
  }
  console.log(`${CHECKS.length - failed} checks passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
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
