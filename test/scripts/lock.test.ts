import { join } from 'node:path'
import { ROOT } from '../../config'
import { readJson } from '../../scripts/stack/files'

interface Lock {
  readonly packages: Record<string, { optionalDependencies?: Record<string, string> }>
}

// A registry that lacks the packages for other platforms makes npm leave them out without a word, and `npm ci` then
// refuses the list on every computer.
test('package-lock.json lists the packages of every platform', () => {
  const { packages } = readJson<Lock>(join(ROOT, 'package-lock.json')) as Lock
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
    ),
  )
  expect(missing).toEqual([])
})
