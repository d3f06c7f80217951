// Runs a program of this project: `node scripts/run.cjs scripts/dev/start --detach`. Installs and compiles first what is
// missing or out of date, so that a fresh clone needs nothing else. Plain JavaScript: nothing is installed yet.
'use strict'

const { spawn } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const { join, relative, resolve } = require('node:path')

const ROOT = resolve(__dirname, '..')
const DIST = join(ROOT, 'dist')
const BUNDLER = join(DIST, 'workers', 'bundle.js')
const OLDEST_NODE = [20, 20]
const NOT_SOURCES = new Set(['node_modules', 'dist', 'web', 'test', 'coverage'])

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})

async function main() {
  const [program, ...args] = process.argv.slice(2)
  process.chdir(ROOT)
  requireNode()
  const built = await alone(async () => {
    await install()
    return build()
  })
  if (program === undefined) process.exit(built ? 0 : 1)
  if (!built) console.error('It goes on with what was compiled; `npm run check` names these errors again.')
  const file = [join(DIST, `${program}.js`), join(ROOT, program)].find((path) => fs.existsSync(path))
  if (file === undefined) throw new Error(`There is no program ${program}.`)
  process.setSourceMapsEnabled(true)
  process.argv = [process.argv[0], file, ...args]
  require(file)
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return
  throw new Error(`Holdfast needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`)
}

/** Two commands at once in one clone must not install or compile into each other. */
async function alone(work) {
  fs.mkdirSync(join(ROOT, '.holdfast'), { recursive: true, mode: 0o700 })
  const lock = join(ROOT, '.holdfast', 'build.lock')
  const reminder = setInterval(() => console.error(`Waiting for another command that compiles (${lock}) …`), 10_000)
  while (!taken(lock)) await new Promise((done) => setTimeout(done, 100))
  clearInterval(reminder)
  try {
    return await work()
  } finally {
    fs.rmSync(lock, { force: true })
  }
}

function taken(lock) {
  try {
    fs.writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  try {
    process.kill(Number(fs.readFileSync(lock, 'utf8')) || process.pid, 0)
  } catch (error) {
    if (error.code === 'ESRCH') fs.rmSync(lock, { force: true })
  }
  return false
}

async function install() {
  const folder = join(ROOT, 'node_modules')
  if (isInstalled(folder)) return
  if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(`${folder} is a link to packages that package-lock.json does not list. Install them there.`)
  }
  await step('Installing packages', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
}

/** npm notes last, in a file of its own, what it has installed. Packages for other platforms are optional. */
function isInstalled(folder) {
  const note = join(folder, '.package-lock.json')
  if (!fs.existsSync(note)) return false
  const installed = JSON.parse(fs.readFileSync(note, 'utf8')).packages
  const wanted = JSON.parse(fs.readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' || optional || devOptional || installed[path]?.version === version,
  )
}

function modified(path) {
  return fs.existsSync(path) ? fs.statSync(path).mtimeMs : 0
}

/** True when everything is compiled without an error. */
async function build() {
  const sources = sourcesBelow(ROOT)
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(ROOT, name))
  const stamp = join(DIST, '.stamp')
  const state = digest(
    [...sources, ...settings].map((path) => `${relative(ROOT, path)} ${modified(path)} ${fs.statSync(path).size}`),
  )
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === state) return true
  removeOrphans(sources)
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const compiled = await succeeds(step('Compiling', process.execPath, [tsc, '-p', 'tsconfig.build.json']))
  const bundled = await succeeds(bundle())
  if (compiled && bundled) fs.writeFileSync(stamp, state)
  return compiled && bundled
}

/** Workers load the workflows as one prebuilt file; made again when what goes into it has changed. */
async function bundle() {
  const parts = ['workflows', 'domain'].flatMap((folder) => filesBelow(join(DIST, folder), '.js'))
  const files = [...parts, BUNDLER, join(ROOT, 'package-lock.json')].filter((path) => fs.existsSync(path))
  const stamp = join(DIST, '.bundle-stamp')
  const state = digest(files.flatMap((path) => [relative(ROOT, path), fs.readFileSync(path)]))
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === state) return
  const script = `require(${JSON.stringify(BUNDLER)}).buildWorkflowBundle().catch((error) => { console.error(error); process.exit(1) })`
  await step('Bundling the workflows', process.execPath, ['-e', script])
  fs.writeFileSync(stamp, state)
}

function sourcesBelow(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || (folder === ROOT && NOT_SOURCES.has(entry.name))) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sourcesBelow(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })
}

/** What was compiled from a file that is gone must not be run any more. */
function removeOrphans(sources) {
  const known = new Set(sources.map((path) => relative(ROOT, path).replace(/\.ts$/, '')))
  for (const path of [...filesBelow(DIST, '.js'), ...filesBelow(DIST, '.js.map')]) {
    const name = relative(DIST, path).replace(/\.js(\.map)?$/, '')
    if (!known.has(name) && name !== 'workflow-bundle') fs.rmSync(path)
  }
}

function filesBelow(folder, ending) {
  if (!fs.existsSync(folder)) return []
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path, ending) : entry.name.endsWith(ending) ? [path] : []
  })
}

function digest(parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\n')
  return hash.digest('hex')
}

async function succeeds(work) {
  try {
    await work
    return true
  } catch (error) {
    console.error(error.message)
    return false
  }
}

/** Runs one command, saying what it is and every few seconds how long it has taken. */
function step(what, command, args) {
  const begun = Date.now()
  const seconds = () => `${((Date.now() - begun) / 1000).toFixed(1)} s`
  console.error(`${what} …`)
  const reminder = setInterval(() => console.error(`${what} … ${seconds()}`), 5_000)
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    child.once('error', failed)
    child.once('close', (code) => {
      clearInterval(reminder)
      if (code === 0) return done()
      failed(new Error(`${what} failed after ${seconds()}:\n${output.trim()}`))
    })
  })
}
