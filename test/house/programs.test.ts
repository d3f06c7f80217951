import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../config'
import { filesOf, importsOf, sourcesOf } from './imports'

/** Whoever names a program by its path names one that is there. */
describe('each program that is named exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }

  const commands = Object.entries(scripts).flatMap(([name, line]) =>
    line.split(/;|&&/).map((one) => [name, one.trim()]),
  )
  test.each(commands)('npm run %s: %s', (_name, command = '') => {
    const [tool = '', script, program] = command.split(' ')
    if (tool !== 'node') return expect(existsSync(join(ROOT, 'node_modules', '.bin', tool))).toBe(true)
    expect(script).toBe('scripts/run.cjs')
    if (program !== undefined) expect(sourceOf(program)).not.toBeNull()
  })

  test.each([
    'Dockerfile',
    'docker-compose.yml',
    'docs/operations.md',
    'README.md',
    'CONTRIBUTING.md',
    'scripts/dev/check.ts',
  ])('in %s', (file) => {
    const programs = readFileSync(join(ROOT, file), 'utf8').match(/\bdist\/[\w/-]+\.js\b/g) ?? []
    expect(programs.filter((program) => sourceOf(program.replace(/^dist\//, '')) === null)).toEqual([])
  })

  test('in programs that start another one by its path', () => {
    const named = [...sourcesOf(ROOT, filesOf(ROOT))].flatMap(([file, source]) =>
      [...source.matchAll(/'dist', ('[^)]*', '[^)]*\.js')/g)].map(([, parts = '']) => ({ file, path: partsOf(parts) })),
    )
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter(({ path }) => sourceOf(path) === null)).toEqual([])
  })

  test('in knip.json', () => {
    const { entry } = JSON.parse(readFileSync(join(ROOT, 'knip.json'), 'utf8')) as { entry: string[] }
    const files = filesOf(ROOT)
    expect(entry.flatMap(alternatives).filter((one) => !files.some((file) => patternOf(one).test(file)))).toEqual([])
  })
})

test('how Temporal is reached is said in temporal.ts alone', () => {
  const sources = sourcesOf(ROOT, filesOf(ROOT))
  const users = new Set(
    importsOf(sources)
      .filter(({ to }) => to === 'temporal.ts')
      .map(({ from }) => from),
  )
  const connecting = [...sources].filter(([, source]) => /onnection\.(connect|lazy)\(/.test(source))
  expect(connecting.length).toBeGreaterThan(3)
  expect(connecting.map(([file]) => file).filter((file) => file !== 'temporal.ts' && !users.has(file))).toEqual([])
})

/** Null where there is none. Programs are named with their ending, without it, or as what is made of them. */
function sourceOf(program: string): string | null {
  const candidates = [program, `${program}.ts`, program.replace(/\.js$/, '.ts')]
  return candidates.find((file) => existsSync(join(ROOT, file))) ?? null
}

/** `'bench', 'page', 'express.js'` as a path. */
function partsOf(parts: string): string {
  return [...parts.matchAll(/'([^']+)'/g)].map(([, part]) => part).join('/')
}

/** `{a,b}.ts` as two. */
function alternatives(glob: string): string[] {
  const [whole, inner] = /\{([^}]+)\}/.exec(glob) ?? []
  if (whole === undefined || inner === undefined) return [glob]
  return inner.split(',').flatMap((one) => alternatives(glob.replace(whole, one)))
}

function patternOf(glob: string): RegExp {
  return new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`)
}
