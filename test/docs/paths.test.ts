import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from '../../config'

const FOLDERS = 'activities|api|bench|data|db|docs|domain|providers|sandbox|scripts|test|web|workers|workflows'
/** `db/order/place.ts` or `db/order/` in code spans; not `api.…`, not a path with a gap such as `test/…`. */
const PATH = new RegExp(String.raw`^(?:${FOLDERS})/[\w./-]*$`)
const LINK = /\]\((?!https?:)([^)#]+)/g

const documents = execFileSync('git', ['ls-files', '--', '*.md'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '')

it.each(documents)('every path in %s exists', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span as string).filter((span) => PATH.test(span))
  const links = [...text.matchAll(LINK)].map(([, link]) => join(dirname(file), link as string))
  expect([...spans, ...links].filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})
