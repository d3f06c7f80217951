import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parseSync } from '@swc/core'

/** One import, in whatever form: `import`, `export … from`, `import()`, `require()` or the type `import('…').X`. */
export interface Import {
  readonly from: string
  /** A file of the repository, or else what stands in the quotes. */
  readonly to: string
  /** Nothing of it is left when the program runs. */
  readonly isType: boolean
}

const NOT_SOURCES = new Set(['node_modules', 'dist', 'coverage', 'data'])

/** Paths of all files of the repository, from its root. Hidden ones and what is made are left out. */
export function filesOf(root: string, folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || NOT_SOURCES.has(entry.name)) return []
    const path = posix.join(folder, entry.name)
    return entry.isDirectory() ? filesOf(root, path) : [path]
  })
}

/** The programs among the files, with their text. */
export function sourcesOf(root: string, files: readonly string[]): Map<string, string> {
  const programs = files.filter((file) => /\.(ts|mts|cts|js|mjs|cjs)$/.test(file))
  return new Map(programs.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
}

/** Every import of every program, types included. Each is read by a parser: comments and strings are none. */
export function importsOf(sources: ReadonlyMap<string, string>): Import[] {
  return [...sources].flatMap(([from, source]) => {
    const syntax = /ts$/.test(from) ? ('typescript' as const) : ('ecmascript' as const)
    const found = specifiersOf(parseSync(source, { syntax, target: 'es2022' }) as unknown as Node)
    return found.map(({ specifier, isType }) => ({ from, to: resolve(from, specifier, sources), isType }))
  })
}

/** What swc's tree is made of; of its many kinds of nodes these fields are read. */
interface Node {
  readonly type?: string
  readonly typeOnly?: boolean
  readonly isTypeOnly?: boolean
  readonly source?: { readonly value: string } | null
  readonly specifiers?: readonly Node[]
  readonly argument?: { readonly value: string }
  readonly moduleRef?: { readonly expression?: { readonly value: string } }
  readonly callee?: { readonly type: string; readonly value?: string }
  readonly arguments?: readonly { readonly expression: { readonly type: string; readonly value: string } }[]
}

interface Specifier {
  readonly specifier: string
  readonly isType: boolean
}

function specifiersOf(node: Node): Specifier[] {
  const below = Object.values(node).flatMap((child: unknown) =>
    (Array.isArray(child) ? child : [child]).flatMap((one: unknown) =>
      typeof one === 'object' && one !== null ? specifiersOf(one) : [],
    ),
  )
  const own = specifierOf(node)
  return own === null ? below : [own, ...below]
}

function specifierOf(node: Node): Specifier | null {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return node.source ? { specifier: node.source.value, isType: isTypeOnly(node) } : null
    case 'TsImportType':
      return node.argument ? { specifier: node.argument.value, isType: true } : null
    case 'TsImportEqualsDeclaration': {
      const specifier = node.moduleRef?.expression?.value
      return specifier === undefined ? null : { specifier, isType: isTypeOnly(node) }
    }
    case 'CallExpression':
      return calledSpecifier(node)
    default:
      return null
  }
}

function isTypeOnly({ typeOnly, isTypeOnly, specifiers = [] }: Node): boolean {
  if (typeOnly === true || isTypeOnly === true) return true
  return specifiers.length > 0 && specifiers.every((one) => one.isTypeOnly === true)
}

function calledSpecifier({ callee, arguments: [first] = [] }: Node): Specifier | null {
  const isImport = callee?.type === 'Import' || (callee?.type === 'Identifier' && callee.value === 'require')
  if (!isImport || first?.expression.type !== 'StringLiteral') return null
  return { specifier: first.expression.value, isType: false }
}

/** As TypeScript finds it; a path that begins at the root is one of the storefront's pages. */
function resolve(from: string, specifier: string, sources: ReadonlyMap<string, string>): string {
  if (!/^\.{0,2}\//.test(specifier) && specifier !== '.' && specifier !== '..') return specifier
  const path = specifier.startsWith('/') ? `web${specifier}` : posix.join(posix.dirname(from), specifier)
  const bare = path.replace(/\/$/, '')
  const candidates = [bare, `${bare}.ts`, bare.replace(/\.(m|c)?js$/, '.$1ts'), posix.join(bare, 'index.ts')]
  return candidates.find((candidate) => sources.has(candidate)) ?? bare
}
