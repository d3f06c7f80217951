import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from '../../config'
import { repositoryFiles } from '../support/files'

const FOLDERS = 'activities|api|bench|data|db|docs|domain|providers|sandbox|scripts|test|web|workers|workflows'
/** `db/order/place.ts` or `db/order/` in code spans; not `api.…`, not a path with a gap such as `test/…`. */
const PATH = new RegExp(String.raw`^(?:${FOLDERS})/[\w./-]*$`)
const LINK = /\]\((?!https?:)([^)#]+)/g

const documents = repositoryFiles('.md')

it.each(documents)('every path in %s exists', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span as string).filter((span) => PATH.test(span))
  const links = [...text.matchAll(LINK)].map(([, link]) => join(dirname(file), link as string))
  expect([...spans, ...links].filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})
