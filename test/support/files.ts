import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'

/** The repository's files with one of these endings, without what `.gitignore` names. Found without Git: no process starts. */
export function repositoryFiles(...endings: readonly string[]): string[] {
  return filesIn('').filter((file) => endings.some((ending) => file.endsWith(ending)))
}

const ignored = new Set(['.git', ...readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n').map(nameIn)])

/** `/dist/` → `dist` */
function nameIn(line: string): string {
  return line.replace(/^\/|\/$/g, '')
}

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => !ignored.has(name))
    .flatMap((entry) => (entry.isDirectory() ? filesIn(join(folder, entry.name)) : [join(folder, entry.name)]))
}
