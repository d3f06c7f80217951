import { setTimeout as delay } from 'node:timers/promises'
import sharp from 'sharp'
import type { Harness } from './harness'
import { type Edited, PICTURE, type StaffHistory, titleOf, type Uploaded } from './staff'

/** A document that a killed worker had taken waits for its lease to end. */
const SEARCH_PATIENCE_MS = 20_000
/** What a merchant changes is seen within a second. */
const PAGE_PATIENCE_MS = 2_000
const POLL_MS = 200

/** At rest: compares what staff did with what the shop shows, in every API process. Returns what does not agree. */
export async function judgeStaff(
  { plan, client, edited, uploaded }: StaffHistory,
  harness: Harness,
): Promise<string[]> {
  const broken = client.received.filter(({ status }) => status === 500)
  const faults = broken.map(({ request }) => `${request.method} ${request.path} → 500`)
  if (edited) {
    faults.push(...(await lasting(SEARCH_PATIENCE_MS, () => wrongInSearch(edited, harness))))
    faults.push(...(await lasting(PAGE_PATIENCE_MS, () => wrongOnPages(edited, harness))))
  }
  if (uploaded) {
    faults.push(...wrongInAnswers(uploaded), ...(await wrongInRows(uploaded, harness)))
    faults.push(...(await wrongInStore(uploaded, harness)))
  }
  return faults.map((fault) => `${plan.script} by staff: ${fault}`)
}

/** What is still wrong after a while. */
async function lasting(patienceMs: number, look: () => Promise<string[]>): Promise<string[]> {
  for (const deadline = Date.now() + patienceMs; ; await delay(POLL_MS)) {
    const wrong = await look()
    if (wrong.length === 0 || Date.now() > deadline) return wrong
  }
}

async function wrongInSearch({ slug, was, is }: Edited, harness: Harness): Promise<string[]> {
  return eachApi(harness, async (api) => {
    const finds = async (word: string): Promise<boolean> => {
      const { data } = (await read(`${api}/v1/store/search?q=${word}`)) as { data: { slug: string }[] }
      return data.some((hit) => hit.slug === slug)
    }
    return [
      ...((await finds(is.word)) ? [] : ['the search does not find the new title']),
      ...((await finds(was.word)) ? ['the search finds the old title'] : []),
    ]
  })
}

async function wrongOnPages({ slug, is }: Edited, harness: Harness): Promise<string[]> {
  return eachApi(harness, async (api) => {
    const { product } = (await read(`${api}/v1/store/pages/product/${slug}`)) as {
      product: { title: string; variants: { price: { amount: number } }[] }
    }
    const price = product.variants[0]?.price.amount
    return product.title === titleOf(is) && price === is.price ? [] : [`the page shows ${product.title} at ${price}`]
  })
}

/** Whatever was lost on the way: one picture per product, of one name. */
function wrongInAnswers({ answers, products }: Uploaded): string[] {
  const refused = answers.filter(({ status }) => status !== 200 && status !== 201)
  const ids = new Set(answers.map(({ body }) => body['id']))
  return [
    ...refused.map(({ status, body }) => `an upload was answered ${status} ${String(body['code'])}`),
    ...(refused.length > 0 || ids.size === products.length
      ? []
      : [`${products.length} uploads are ${ids.size} pictures`]),
  ]
}

async function wrongInRows({ products }: Uploaded, { pool }: Harness): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    'select name from product_image where product_id = any ($1::text[])',
    [products],
  )
  const names = new Set(rows.map(({ name }) => name))
  if (rows.length === products.length && names.size === 1) return []
  return [`${products.length} products have ${rows.length} pictures of ${names.size} names`]
}

async function wrongInStore({ answers }: Uploaded, harness: Harness): Promise<string[]> {
  const urls = (answers[0]?.body['urls'] ?? {}) as Record<string, string>
  return eachApi(harness, async (api) => {
    const wrong = await Promise.all(Object.entries(urls).map(([side, path]) => wrongInFile(api + path, Number(side))))
    return wrong.flat()
  })
}

async function wrongInFile(url: string, side: number): Promise<string[]> {
  const response = await fetch(url)
  const bytes = Buffer.from(await response.arrayBuffer())
  if (response.status !== 200) return [`the picture of ${side} is answered ${response.status}`]
  // Unpacked: one that ends early has a whole header.
  const { info } = await sharp(bytes, { failOn: 'truncated' }).raw().toBuffer({ resolveWithObject: true })
  const scale = Math.min(1, side / PICTURE.width)
  const right = info.width === Math.round(PICTURE.width * scale) && info.height === Math.round(PICTURE.height * scale)
  return right ? [] : [`the picture of ${side} is ${info.width} × ${info.height}`]
}

async function eachApi({ stack }: Harness, look: (api: string) => Promise<string[]>): Promise<string[]> {
  const wrong = await Promise.all(
    stack.file.apis.map((api) => look(api).catch((error: unknown) => [`it cannot be read: ${String(error)}`])),
  )
  return wrong.flat()
}

async function read(url: string): Promise<unknown> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${new URL(url).pathname} is answered ${response.status}`)
  return response.json()
}
