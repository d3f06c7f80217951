import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openApiDocument } from '../../api/http/openapi'
import { routes } from '../../api/routes'
import { VERSION } from '../../config'
import { ROOT } from '../../config'

const FILE = join(ROOT, 'docs', 'openapi.json')

/** Writes docs/openapi.json from the routes; with `--check` says whether it is as the routes are. */
function main(): void {
  const written = `${JSON.stringify(openApiDocument(routes, VERSION), null, 2)}\n`
  if (!process.argv.includes('--check')) {
    writeFileSync(FILE, written)
    return
  }
  if (readFileSync(FILE, 'utf8') === written) return
  console.error('docs/openapi.json is not what the routes say. Write it anew: npm run openapi')
  process.exitCode = 1
}

main()
