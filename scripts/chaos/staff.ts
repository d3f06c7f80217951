import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import sharp from 'sharp'
import { type Answer, Client } from './client'
import type { StaffStep } from './matrix'
import type { StaffPlan } from './schedule'

/** What somebody of the staff did and was told, for the oracle. */
export interface StaffHistory {
  readonly plan: StaffPlan
  readonly client: Client
  readonly edited: Edited | null
  readonly uploaded: Uploaded | null
}

/** A product, as it was made and as it has been changed since. */
export interface Edited {
  readonly slug: string
  readonly was: Shown
  readonly is: Shown
}

export interface Shown {
  /** Stands in its title and in no other's. */
  readonly word: string
  readonly price: number
}

/** One picture, given to several products at once. */
export interface Uploaded {
  readonly products: readonly string[]
  /** The first answers, and those to its repetitions. */
  readonly answers: readonly Answer[]
}

export interface StaffContext {
  readonly apis: readonly string[]
  readonly adminKey: string
  /** Tells that a step is about to happen. */
  reached(plan: StaffPlan, ...steps: StaffStep[]): Promise<void>
}

/** Not a ratio that two sizes round alike. */
export const PICTURE = { width: 900, height: 600 }

const READS = 8
const READ_AGAIN_MS = 100

/** Plays one of the staff to the end. Throws when something is not answered. */
export async function runStaff(plan: StaffPlan, number: number, context: StaffContext): Promise<StaffHistory> {
  await delay(plan.startMs)
  const client = new Client(context.apis, number)
  const nothing = { plan, client, edited: null, uploaded: null }
  return plan.script === 'edit'
    ? { ...nothing, edited: await edit(plan, client, context) }
    : { ...nothing, uploaded: await upload(plan, client, context) }
}

/** A product is seen everywhere, changed, and read again and again while the word of its change goes round. */
async function edit(plan: StaffPlan, client: Client, context: StaffContext): Promise<Edited> {
  const was = { word: newWord(), price: 1_250 }
  const is = { word: newWord(), price: 1_990 }
  const { id, slug } = await makeProduct(client, was, context)
  await browse(client, slug, was)
  await context.reached(plan, 'index', 'cache')
  await change(client, id, is, context)
  for (let read = 0; read < READS; read++) {
    await browse(client, slug, is)
    await delay(READ_AGAIN_MS)
  }
  return { slug, was, is }
}

/** Until it is there: an answer that was lost is found out by reading. */
async function change(client: Client, id: string, to: Shown, { adminKey }: StaffContext): Promise<void> {
  for (;;) {
    const { body } = await client.send({ method: 'GET', path: `/v1/admin/products/${id}`, adminKey })
    if (body['title'] === titleOf(to)) return
    const [{ sku }] = body['variants'] as [{ sku: string }]
    await client.send({
      method: 'PATCH',
      path: `/v1/admin/products/${id}`,
      adminKey,
      ifMatch: `"${String(body['version'])}"`,
      body: { title: titleOf(to), variants: [variantOf(sku, to)] },
    })
  }
}

/** The page and a search, of every API process. */
async function browse(client: Client, slug: string, { word }: Shown): Promise<void> {
  for (const path of [`/v1/store/pages/product/${slug}`, `/v1/store/search?q=${word}`]) {
    await Promise.all(client.apis.map(() => client.send({ method: 'GET', path })))
  }
}

/** The same picture for two products at once; then again under the same keys, and under new ones. */
async function upload(plan: StaffPlan, client: Client, context: StaffContext): Promise<Uploaded> {
  const shown = { word: newWord(), price: 1_250 }
  const made = [await makeProduct(client, shown, context), await makeProduct(client, shown, context)]
  const file = { type: 'image/png', bytes: await newPicture() }
  const send = (id: string, key: string): Promise<Answer> =>
    client.send({ method: 'POST', path: `/v1/admin/products/${id}/images`, adminKey: context.adminKey, key, file })
  await context.reached(plan, 'image')
  const keyed = made.map(({ id }) => ({ id, key: randomUUID() }))
  const first = await Promise.all(keyed.map(({ id, key }) => send(id, key)))
  const repeated = await Promise.all(keyed.map(({ id, key }) => send(id, key)))
  const renewed = await Promise.all(keyed.map(({ id }) => send(id, randomUUID())))
  return { products: made.map(({ id }) => id), answers: [...first, ...repeated, ...renewed] }
}

async function makeProduct(
  client: Client,
  shown: Shown,
  { adminKey }: StaffContext,
): Promise<{ id: string; slug: string }> {
  const sku = `lamp-${randomUUID().slice(0, 8)}`
  const { body } = await client.send({
    method: 'POST',
    path: '/v1/admin/products',
    adminKey,
    body: { title: titleOf(shown), variants: [variantOf(sku, shown)] },
  })
  return { id: body['id'] as string, slug: body['slug'] as string }
}

function variantOf(sku: string, { price }: Shown) {
  return { sku, prices: [{ amount: price, currency: 'GBP' }] }
}

export function titleOf({ word }: Shown): string {
  return `Lamp ${word}`
}

/** Letters alone, and so many that no other word is a misspelling of it. */
function newWord(): string {
  return Array.from(randomBytes(16), (byte) => String.fromCharCode(97 + (byte % 26))).join('')
}

async function newPicture(): Promise<Uint8Array<ArrayBuffer>> {
  const raw = { width: 9, height: 6, channels: 3 } as const
  const picture = sharp(randomBytes(raw.width * raw.height * raw.channels), { raw })
  return new Uint8Array(await picture.resize(PICTURE.width, PICTURE.height, { kernel: 'nearest' }).png().toBuffer())
}
