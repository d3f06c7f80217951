import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'

const ROW = /^\| ([^|]+) \| `(test\/[\w/.-]+)`: ([^|]+) \|$/gm
/** A title is the first argument, of `it` or `describe` or of what their `each` answers. */
const TITLED = /^\s*(?:(?:it|describe)\(|\]?\)\(|)(['"`]).*\1,/

it.each(
  [...readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').matchAll(ROW)].map(([, attack, file, name]) => [
    attack as string,
    file as string,
    name as string,
  ]),
)('SECURITY.md names a test against: %s', (_attack, file, name) => {
  const lines = readFileSync(join(ROOT, file), 'utf8').split('\n')
  expect(lines.some((line) => TITLED.test(line) && line.includes(name))).toBe(true)
})
