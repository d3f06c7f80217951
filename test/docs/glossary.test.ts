import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { repositoryFiles } from '../support/files'

const GLOSSARY = 'docs/glossary.md'

interface RefusedWord {
  readonly word: string
  readonly where: 'everywhere' | 'name' | 'exact' | 'call'
  readonly instead: string
}

const glossary = readFileSync(join(ROOT, GLOSSARY), 'utf8')

const terms = [...glossary.matchAll(/^- \*\*([^*]+)\*\*: /gm)].map(([, term]) => term as string)

const refusedWords = [...glossary.matchAll(/^\| `([^`]+)` \| (everywhere|name|exact|call) \| (.+) \|$/gm)].map(
  ([, word, where, instead]) => ({ word, where, instead }) as RefusedWord,
)

/** The changelog says what old names have become. */
const NAME_REFUSED_WORDS = [GLOSSARY, 'CHANGELOG.md', 'test/docs/glossary.test.ts']

const files = repositoryFiles('.ts', '.mjs', '.sql', '.md')
  .filter((file) => !NAME_REFUSED_WORDS.includes(file))
  .map((file) => ({ file, text: readFileSync(join(ROOT, file), 'utf8') }))

it('lists each term once, in alphabetical order', () => {
  expect(terms).toEqual([...new Set(terms)].sort((a, b) => a.localeCompare(b, 'en')))
  expect(terms.length).toBeGreaterThan(50)
})

it.each([
  ['a part of a name', "const helpDesk = 'x'", ['Desk']],
  ['a part of an SQL name', 'select shelf_number from listing', ['shelf']],
  ['SQL in a template', 'pool.query(`select shelf from listing`)', ['shelf']],
  ['a value in a template', 'const id = `x ${helpDesk} y`', ['Desk']],
  ['an event type in a string', "type: 'order.placed'", ['order.placed']],
  ['an old name in a comment', '// Calls squareUp again.', ['squareUp']],
  ['a call', 'await crowd.turn(1)', ['turn']],
  ['no English in a comment', "// It's their turn: whoever is in a hurry sees the shelf.", []],
  ['no English in a string', "expect('the shelf is empty, in a hurry')", []],
  ['no name that merely contains the letters', 'const deskewed = foreseen + turned + isAlive() + alive', []],
])('finds %s', (_what, text, words) => {
  expect(hitsOf(text, 'x.ts').map(({ word }) => word)).toEqual(words)
})

it.each([
  ['code in a document', 'See `helpDesk` there.', ['Desk']],
  ['no English in a document', 'The shelf is empty; it is your turn.', []],
])('finds %s', (_what, text, words) => {
  expect(hitsOf(text, 'x.md').map(({ word }) => word)).toEqual(words)
})

it('no file uses a word that the glossary refuses', () => {
  const hits = files.flatMap(({ file, text }) =>
    hitsOf(text, file).map(({ word, instead }) => `${file}: ${word} → ${instead}`),
  )
  expect(hits).toEqual([])
})

function hitsOf(text: string, file: string): RefusedWord[] {
  const code = codeIn(text, file)
  const names = namesIn(code)
  const parts = new Set([...names].map(partsOf))
  return refusedWords.filter(({ word, where }) => {
    if (where === 'everywhere') return new RegExp(String.raw`(?<![\w.])${word.replaceAll('.', '[.]')}(?!\w)`).test(text)
    if (where === 'exact') return names.has(word)
    if (where === 'call') return new RegExp(String.raw`\b${word}[(<]`).test(code)
    return [...parts].some((part) => part.includes(partsOf(word)))
  })
}

/** What is left of a file without comments and quoted strings. Templates stay: SQL is written in them. */
function codeIn(text: string, file: string): string {
  if (file.endsWith('.md')) return [...text.matchAll(/```[^]*?```|`[^`\n]+`/g)].map(([code]) => code).join('\n')
  if (file.endsWith('.sql')) return text.replace(/--.*$|\/\*[^]*?\*\/|'[^']*'/gm, ' ')
  return text.replace(/\/\/.*$|\/\*[^]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/gm, ' ')
}

function namesIn(code: string): Set<string> {
  return new Set(code.match(/[A-Za-z_]\w*/g))
}

/** `helpDesk`, `HELP_DESK` → ` help desk `: the spaces keep `desk` out of `deskewed`. */
function partsOf(name: string): string {
  const words = name.replaceAll('_', ' ').replace(/([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$3 $2')
  return ` ${words.toLowerCase().trim()} `
}
