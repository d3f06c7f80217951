import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const namesIn = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name as string).sort()
const document = read('docs/sandbox.md')

test('the document names every method', () => {
  const methods = namesIn(read('sandbox/methods.ts'), /^ {2}(pm_\w+): \{/gm)
  expect(methods.length).toBeGreaterThan(10)
  expect(namesIn(document, /`(pm_\w+)`/g)).toEqual(methods)
})

test('the document names every word of an address', () => {
  const words = namesIn(read('sandbox/carrier/words.ts'), /^ {2}'(sandbox:\w+)': \{/gm)
  expect(words.length).toBeGreaterThan(10)
  expect(namesIn(document, /`(sandbox:\w+)`/g)).toEqual(words)
})

test('the document names every route', () => {
  const servers = read('sandbox/server.ts') + read('sandbox/carrier/server.ts')
  const found = [...servers.matchAll(/^ {2}'(\/[^']+)': \{(.*)\},$/gm)].flatMap(([, path, handlers]) =>
    namesIn(handlers as string, /\b(GET|POST|PUT): /g).map((method) => `${method} ${path}`),
  )
  const routes = [...new Set(found)]
  expect(routes.length).toBeGreaterThan(10)
  expect([...new Set(namesIn(document, /`((?:GET|POST|PUT) \/[^`]+)`/g))]).toEqual(routes.sort())
})
