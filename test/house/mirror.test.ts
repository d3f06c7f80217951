import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import secondsOfSlowFiles from '../support/jest/seconds.json'

const LAYERS = ['domain', 'db', 'providers', 'activities', 'workers', 'api']

/** Tests of more than one file of their layer, and why. */
const OF_NO_SINGLE_FILE: Readonly<Record<string, string>> = {
  'activities/payment/undo': 'Each undo before, after and twice around its do, over payment and checkout.',
  'api/every-route/attacks': 'What attackers send, whichever route takes it.',
  'api/every-route/bad-input': 'Bad input, made from the document of every route.',
  'api/every-route/refusals': 'Bad ids, parameters and keys, of every route.',
}

const testsBelow = (folder: string): string[] =>
  readdirSync(join(ROOT, 'test', folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join(folder, path.replace('.test.ts', '')))

const tests = LAYERS.flatMap(testsBelow)

it('every test has the name of the file or folder that it tests', () => {
  const isThere = (name: string): boolean => existsSync(join(ROOT, `${name}.ts`)) || existsSync(join(ROOT, name))
  expect(tests.filter((name) => !isThere(name) && !(name in OF_NO_SINGLE_FILE))).toEqual([])
})

it('the exceptions are there', () => {
  expect(Object.keys(OF_NO_SINGLE_FILE).filter((name) => !tests.includes(name))).toEqual([])
})

it('so are the files that are known to be slow', () => {
  const all = testsBelow('')
  expect(Object.keys(secondsOfSlowFiles).filter((name) => !all.includes(name))).toEqual([])
})
