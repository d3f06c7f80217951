import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { ROOT } from '../../config'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { burst, cpuSeconds, interleave, median, ratio } from '../measure'
import { Shop } from '../shop'

const CALLERS = 32
const PAIRS = 5
const SECONDS = 4

/** A warm product page, and a 304 of it, against Express as it comes: requests per CPU second of the server. */
export async function benchPage(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const hello = await startHello()
  const agent = new Agent({ connections: CALLERS, pipelining: 1 })
  try {
    const [sku = ''] = await shop.stock(`PAGE-${randomUUID().slice(0, 8).toUpperCase()}`, 1)
    const listed = JSON.parse((await shop.call('GET', '/v1/store/products?sort=newest&limit=1', undefined)).body)
    const path = `/v1/store/pages/product/${listed.data[0].slug}`
    const page = await shop.call('GET', path, undefined)
    if (!page.body.includes(sku)) throw new Error(`the newest product is not ${sku}: ${page.body}`)
    const api = pidOf(stack, 'api')
    const read = (url: string, pid: number, headers: Record<string, string>, status: number) => () =>
      perCpuSecond(pid, async () => {
        const answer = await request(url, { dispatcher: agent, headers })
        await answer.body.dump()
        if (answer.statusCode !== status) throw new Error(`${url}: ${answer.statusCode}`)
      })
    const { headers } = await request(stack.file.api + path)
    const etag = String(headers['etag'])
    const control = read(hello.url, hello.process.pid as number, {}, 200)
    const warm = await interleave(PAIRS, read(stack.file.api + path, api, {}, 200), control)
    const known = await interleave(PAIRS, read(stack.file.api + path, api, { 'if-none-match': etag }, 304), control)
    return [
      figureOf(`warm product page (${page.body.length} bytes) ÷ stock Express hello, requests per CPU second`, 4, warm),
      figureOf('the same as 304', 4.5, known),
    ]
  } finally {
    await agent.close()
    hello.process.kill()
    await shop.close()
  }
}

function figureOf(what: string, bar: number, pairs: readonly { subject: number; control: number }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one)
  const page = median(pairs.map(({ subject }) => subject)).toFixed(0)
  const hello = median(pairs.map(({ control }) => control)).toFixed(0)
  return {
    what,
    bar: `≥ ${bar}`,
    value: middle,
    good: middle >= bar,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${page} ÷ ${hello}`,
  }
}

async function perCpuSecond(pid: number, call: () => Promise<void>): Promise<number> {
  const before = cpuSeconds(pid)
  const { calls } = await burst(CALLERS, SECONDS, call)
  return calls / (cpuSeconds(pid) - before)
}

function pidOf(stack: Stack, prefix: string): number {
  const found = stack.file.processes.find(({ name }) => name.startsWith(prefix))
  if (!found) throw new Error(`no process ${prefix}`)
  return found.pid
}

async function startHello(): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'bench', 'page', 'express.js')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const [port] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
  return { process: child, url: `http://127.0.0.1:${port.toString().trim()}/` }
}
