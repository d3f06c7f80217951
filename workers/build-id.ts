import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, type Settings, VERSION } from '../config'

/** Written beside the bundle when it is made. */
export const BUILD_ID_PATH = join(ROOT, 'dist', 'build-id')

/** The same code has the same id wherever it was compiled; its source map names the folder. */
export function buildIdOf(bundle: string): string {
  const [code = ''] = bundle.split('\n//# sourceMappingURL=')
  return `${VERSION}-${createHash('sha256').update(code).digest('hex').slice(0, 12)}`
}

/** Of which build this installation's workers are. */
export function readBuildId({ BUILD_ID }: Pick<Settings, 'BUILD_ID'>): string {
  return BUILD_ID || readFileSync(BUILD_ID_PATH, 'utf8').trim()
}
