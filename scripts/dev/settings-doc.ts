import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, settingsSchema } from '../../config'

/** Writes the table of settings into docs/operations.md; `--check` only says whether it is up to date. */
const FILE = join(ROOT, 'docs', 'operations.md')
const BLOCK = /<!-- settings -->\n[\s\S]*<!-- \/settings -->/

function main(): void {
  const text = readFileSync(FILE, 'utf8')
  const written = text.replace(BLOCK, () => `<!-- settings -->\n${rows().join('\n')}\n<!-- /settings -->`)
  if (!process.argv.includes('--check')) writeFileSync(FILE, written)
  else if (written !== text) {
    console.error('docs/operations.md does not list the settings of config.ts: run `npm run settings`.')
    process.exitCode = 1
  }
}

function rows(): string[] {
  const defaults = settingsSchema.parse({}) as Record<string, unknown>
  return Object.entries(settingsSchema.shape).map(([name, schema]) => {
    return `| \`${name}\` | ${shown(name, defaults[name])} | ${schema.description ?? ''} |`
  })
}

/** A default as one would write it. */
function shown(name: string, fallback: unknown): string {
  if (fallback === '' || fallback === undefined || (Array.isArray(fallback) && fallback.length === 0)) return ''
  if (/SECRET|DATABASE_URL/.test(name)) return 'for development only'
  return `\`${typeof fallback === 'boolean' ? Number(fallback) : fallback}\``
}

main()
