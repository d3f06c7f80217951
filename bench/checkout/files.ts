import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from '../../config'
import { deleteData } from '../data'
import type { Figure } from '../figure'
import { startStackOf } from '../programs'
import { Shop } from '../shop'
import { fillCarts, takeCart } from './carts'
import { type CallCounts, Coverage } from './coverage'

const LAYERS = ['domain', 'db', 'providers', 'activities', 'workflows', 'workers', 'api']
const PLUMBING = ['api/http', 'workers/loops']
/** One after another, each with time for what follows it: the relay, the indexes, the page cache. */
const CHECKOUTS = 10
const FOLLOW_UP_MS = 500
/** Turns with checkouts, each before one of the same length without: what runs in that one runs anyway. */
const TURNS = 3

/**
 * Files with a function that one happy checkout executes, from the completing call to the end of what follows it. Such a
 * function is called, in each turn, by most of the checkouts once more than without them. Prints the files, and returns
 * how many there are; plumbing is counted apart.
 *
 * @param programs the folder of the compiled programs, of this tree or of an older one
 */
export async function benchCheckoutFiles(programs: string): Promise<Figure[]> {
  const folder = join(ROOT, '.holdfast', 'bench-files')
  const coverageFolder = join(folder, 'coverage')
  deleteData(join(folder, 'stack'))
  rmSync(coverageFolder, { recursive: true, force: true })
  mkdirSync(coverageFolder, { recursive: true })
  const hook = join(ROOT, 'dist', 'bench', 'checkout', 'coverage-hook.js')
  const stack = await startStackOf(programs)({
    folder: join(folder, 'stack'),
    portOffset: 9_000,
    durable: false,
    env: { COVERAGE_DIR: coverageFolder, NODE_OPTIONS: `--require ${hook}` },
  })
  const shop = new Shop(stack)
  try {
    const pids = stack.file.processes.filter(({ name }) => /^(api|worker)/.test(name)).map(({ pid }) => pid)
    const files = await executedFiles(shop, new Coverage(coverageFolder, programs, pids))
    return figuresOf(files)
  } finally {
    await shop.close()
    await stack.stop()
  }
}

async function executedFiles(shop: Shop, coverage: Coverage): Promise<string[]> {
  const skus = await shop.stock(`FILES-${randomUUID().slice(0, 8)}`, 8)
  const carts = await fillCarts(shop, skus, (TURNS + 1) * CHECKOUTS)
  const buySome = async (): Promise<void> => {
    for (let n = 0; n < CHECKOUTS; n++) {
      await shop.buy(takeCart(carts))
      await pause(FOLLOW_UP_MS)
    }
  }
  // The first ones load files and fill caches.
  await buySome()
  await coverage.take()
  const busy: CallCounts[] = []
  const idle: CallCounts[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const begun = performance.now()
    await buySome()
    const tookMs = performance.now() - begun
    busy.push(await coverage.take())
    await pause(tookMs)
    idle.push(await coverage.take())
  }
  return filesCalledMore(busy, idle)
}

function filesCalledMore(busy: readonly CallCounts[], idle: readonly CallCounts[]): string[] {
  const callsIn = (key: string) => (counts: CallCounts) => counts.get(key) ?? 0
  const files = [...(busy[0]?.keys() ?? [])]
    .filter((key) => Math.min(...busy.map(callsIn(key))) - Math.max(...idle.map(callsIn(key))) > CHECKOUTS / 2)
    .map((key) => key.split('#')[0] as string)
    .filter((file) => LAYERS.includes(file.split('/')[0] as string) || !file.includes('/'))
  return [...new Set(files)].sort()
}

function figuresOf(files: readonly string[]): Figure[] {
  const plumbing = files.filter(isPlumbing)
  const others = files.filter((file) => !plumbing.includes(file))
  console.error(`${others.join('\n')}\n\nPlumbing:\n${plumbing.join('\n')}\n`)
  return [figureOf('files with a function that one checkout executes', others), figureOf('plumbing', plumbing)]
}

/** By its place; in a tree from before these places, by its name. */
function isPlumbing(file: string): boolean {
  if (!file.includes('/')) return true
  const place = PLUMBING.find((each) => dirname(each) === file.split('/')[0])
  if (place === undefined) return false
  if (file.startsWith(`${place}/`)) return true
  return dirname(file) === dirname(place) && readdirSync(join(ROOT, place)).includes(basename(file))
}

function figureOf(what: string, files: readonly string[]): Figure {
  return { what, bar: '', value: files.length, good: true, note: byLayer(files) }
}

function byLayer(files: readonly string[]): string {
  const layers = ['', ...LAYERS].map((layer) => {
    const count = files.filter((file) => (file.includes('/') ? file.split('/')[0] : '') === layer).length
    return count === 0 ? '' : `${layer || 'root'} ${count}`
  })
  return layers.filter(Boolean).join(', ')
}
