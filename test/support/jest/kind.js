// Which tests need processes or services. Plain JavaScript: jest reads it before it can read TypeScript.
'use strict'

const fs = require('node:fs')
const { dirname, join, resolve } = require('node:path')

const ROOT = resolve(__dirname, '..', '..', '..')
const SERVICES = join(ROOT, 'test', 'support', 'services.ts')
const PROCESSES = 'node:child_process'

/**
 * The test files that start a process or use Postgres, Redis or Temporal: those that import `test/support/services.ts` or
 * `node:child_process`, by themselves or through other files. All others are unit tests, and `unit-environment.ts` sees
 * to it that they are.
 */
function integrationTests() {
  const known = new Map()
  return testFiles().filter((file) => needsServices(file, known))
}

function testFiles() {
  return fs
    .readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(ROOT, 'test', name))
    .sort()
}

/** @param {Map<string, boolean>} known what has been found out about files so far */
function needsServices(path, known) {
  if (!known.has(path)) known.set(path, path === SERVICES || path === PROCESSES || importsNeedy(path, known))
  return known.get(path)
}

function importsNeedy(path, known) {
  return path.endsWith('.ts') && importsOf(path).some((imported) => needsServices(imported, known))
}

/** What a file imports, types left out: files by their paths, packages by their names. */
function importsOf(file) {
  const text = fs.readFileSync(file, 'utf8')
  const found = text.matchAll(/^(?:import|export) (?!type )(?:[^'";]*? from )?'([^']+)'/gm)
  return Array.from(found, ([, name]) => (name.startsWith('.') ? fileOf(resolve(dirname(file), name)) : name))
}

function fileOf(path) {
  return [`${path}.ts`, join(path, 'index.ts'), path].find((candidate) => fs.existsSync(candidate)) ?? path
}

module.exports = { integrationTests }
