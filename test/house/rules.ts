import { posix } from 'node:path'
import type { Import } from './imports'

/** The rules of the house as data. */
export interface House {
  /** In the order in which they may import each other: a subject imports those before it. */
  readonly subjects: readonly string[]
  /** The layers that are grouped by subject. */
  readonly grouped: Readonly<Record<string, Grouped>>
  /** What a file may import besides its own layer; the longest path that a file stands below holds for it. */
  readonly mayImport: Readonly<Record<string, Allowed>>
}

interface Grouped {
  /** Files and folders directly in the layer that belong to no subject, and import none. */
  readonly shared: readonly string[]
  /** Shared files that put the subjects together, so that they import them. */
  readonly assembling: readonly string[]
  /** Subjects of files that are named after a process. Where there are any, parts of `checkout` are `checkout-….ts`. */
  readonly processes?: Readonly<Record<string, string>>
}

interface Allowed {
  /** Folders and files; `.` is any file at the root. */
  readonly values: readonly string[]
  /** Those that only types are imported from. */
  readonly types?: readonly string[]
}

/** Files and folders directly in a layer that are neither a subject nor shared, or a subject twice. */
export function misplaced(files: readonly string[], house: House): string[] {
  return Object.entries(house.grouped).flatMap(([layer, { shared, assembling }]) => {
    const entries = new Set(files.filter((file) => isBelow(file, layer)).map((file) => file.split('/')[1] as string))
    const known = new Set([...shared, ...assembling])
    return [...entries].flatMap((entry) => {
      const name = nameOf(entry)
      if (name !== entry && entries.has(name)) return [`${layer}/${entry} stands beside ${layer}/${name}/`]
      if (known.has(name) || subjectOf(`${layer}/${entry}`, house) !== null) return []
      return [`${layer}/${entry} is no subject, and not shared by all of ${layer}/`]
    })
  })
}

/** Imports of a subject that stands later in the list, in the same layer. */
export function againstOrder(imports: readonly Import[], house: House): string[] {
  return imports.flatMap(({ from, to }) => {
    if (layerOf(from) !== layerOf(to)) return []
    const [importer, imported] = [subjectOf(from, house), subjectOf(to, house)]
    if (importer === null || imported === null) return []
    if (house.subjects.indexOf(imported) <= house.subjects.indexOf(importer)) return []
    return [`${from} (${importer}) imports ${to} (${imported}), a later subject`]
  })
}

/** Imports of a subject by what its whole layer shares. */
export function sharedOnSubjects(imports: readonly Import[], house: House): string[] {
  return imports.flatMap(({ from, to }) => {
    const layer = layerOf(from)
    const isShared = house.grouped[layer]?.shared.includes(nameOf(from.split('/')[1] ?? '')) ?? false
    if (!isShared || layerOf(to) !== layer || subjectOf(to, house) === null) return []
    return [`${from} is shared by all of ${layer}/ and imports ${to}`]
  })
}

/** Imports between layers that the table does not allow. */
export function againstLayers(imports: readonly Import[], house: House): string[] {
  return imports.flatMap(({ from, to, isType }) => {
    const place = Object.keys(house.mayImport)
      .filter((each) => isBelow(from, each))
      .sort((a, b) => b.length - a.length)[0]
    const { values, types = [] } = house.mayImport[place ?? ''] ?? { values: [] }
    const isOwn = isBelow(to, layerOf(from)) || (layerOf(from) === '.' && layerOf(to) === '.')
    if (isOwn || isPackage(from, to)) return []
    if ([...values, ...(isType ? types : [])].some((each) => isBelow(to, each))) return []
    return [`${from} may not import ${isType ? 'types of ' : ''}${to}`]
  })
}

/** Files that import each other in a circle, of types too. Each circle once, its files in order of their names. */
export function circles(imports: readonly Import[]): string[] {
  const targets = new Map<string, Set<string>>()
  for (const { from, to } of imports) targets.set(from, (targets.get(from) ?? new Set()).add(to))
  return connected(targets).map((files) => files.sort().join(' ⇄ '))
}

/** A layer's root that holds more files than somebody sees at once. */
export function crowded(files: readonly string[], layers: readonly string[], filesMax: number): string[] {
  return layers.flatMap((layer) => {
    const count = files.filter((file) => posix.dirname(file) === layer).length
    return count > filesMax ? [`${layer}/ holds ${count} files, more than ${filesMax}`] : []
  })
}

function subjectOf(file: string, { subjects, grouped }: House): string | null {
  const [layer = '', entry = ''] = file.split('/')
  const name = nameOf(entry)
  const processes = grouped[layer]?.processes
  const isNamedBy = (subject: string): boolean =>
    name === subject || (processes !== undefined && name.startsWith(`${subject}-`))
  return layer in grouped ? (processes?.[name] ?? subjects.find(isNamedBy) ?? null) : null
}

/** The first folder; `.` for a file at the root. */
function layerOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] as string) : '.'
}

/** `domain/` is pure: a package is none of its own, unless the table says so. */
function isPackage(from: string, to: string): boolean {
  return layerOf(from) !== 'domain' && !/\.(ts|mts|cts|js|mjs|cjs)$/.test(to)
}

function isBelow(file: string, place: string): boolean {
  return place === '.' ? layerOf(file) === '.' : file === place || file.startsWith(`${place}/`)
}

function nameOf(entry: string): string {
  return entry.replace(/\.ts$/, '')
}

/** Tarjan's strongly connected components of more than one node. */
function connected(targets: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const found: string[][] = []
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const path: string[] = []
  const visit = (node: string): number => {
    order.set(node, order.size)
    lowest.set(node, order.get(node) as number)
    path.push(node)
    for (const target of targets.get(node) ?? []) {
      if (!order.has(target)) lowest.set(node, Math.min(lowest.get(node) as number, visit(target)))
      else if (path.includes(target))
        lowest.set(node, Math.min(lowest.get(node) as number, order.get(target) as number))
    }
    if (lowest.get(node) === order.get(node)) {
      const component = path.splice(path.indexOf(node))
      if (component.length > 1 || targets.get(node)?.has(node)) found.push(component)
    }
    return lowest.get(node) as number
  }
  for (const node of targets.keys()) if (!order.has(node)) visit(node)
  return found
}
