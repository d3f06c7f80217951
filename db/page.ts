import type { ProductId, Sku } from '../domain/ids'
import { CATALOG_EPOCH_KEY } from './catalog/epoch'
import type { Db } from './pool'
import { type Redis, runScript, script, withFallback } from './redis'
import type { Lsn } from './replica'

/**
 * Finished pages in Redis, shared by all API processes, and the word that reaches every process when something on them has
 * changed. A page carries tags (ids of what is on it) and the epoch that it was begun in. Dropping a tag moves the epoch
 * on and notes it at the tag: a page is good while none of its tags was dropped after it was begun. So a page that was
 * computed from what was there before a change is never taken for new, however late it is stored.
 */

/** Nobody serves a page older than this, and so no drop has to be remembered longer. */
export const PAGE_LIFE_MS = 600_000

/** What customers buy shows on a page after this; what merchants change drops it at once. */
export const PAGE_FRESH_MS = 10_000

export const DROPS_CHANNEL = 'pages:drops'

export interface StoredPage {
  /** The answer's body, as JSON. */
  readonly json: string
  readonly tags: readonly string[]
  /** ms since the epoch. */
  readonly builtAt: number
  /** From then on something on it is untrue (a price that ends at noon); null: as long as nothing is dropped. */
  readonly expiresAt: number | null
}

/** The epoch to begin a page in; null while Redis is away, and then nothing is stored. */
export async function readDropMark(redis: Redis): Promise<number | null> {
  return withFallback(redis, async (redis) => Number((await redis.get(CATALOG_EPOCH_KEY)) ?? 0), null)
}

/** A stored page none of whose tags was dropped since it was begun. */
export async function findPage(redis: Redis, key: string): Promise<StoredPage | null> {
  return withFallback(
    redis,
    async (redis) => {
      const text = await redis.get(pageKey(key))
      if (text === null) return null
      const { mark, page } = JSON.parse(text) as { mark: number; page: StoredPage }
      const drops = await Promise.all(page.tags.map((tag) => redis.get(dropKey(tag))))
      return drops.some((drop) => Number(drop ?? 0) > mark) ? null : page
    },
    null,
  )
}

export async function storePage(redis: Redis, key: string, page: StoredPage, mark: number): Promise<void> {
  const life = Math.min(PAGE_LIFE_MS, (page.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now())
  if (life <= 0) return
  const text = JSON.stringify({ mark, page })
  await withFallback(redis, (redis) => redis.set(pageKey(key), text, 'PX', Math.ceil(life)), null)
}

/** Longer than a page takes to be made; the process that claimed it may have died. */
const CLAIM_MS = 2_000

/** True for the one process that is to make the page now; true for all while Redis is away. */
export async function claimPage(redis: Redis, key: string, claim: string): Promise<boolean> {
  return withFallback(
    redis,
    async (redis) => (await redis.set(claimKey(key), claim, 'PX', CLAIM_MS, 'NX')) === 'OK',
    true,
  )
}

/** Gives the claim back. Another process's stays, should ours have run out. */
export async function releasePage(redis: Redis, key: string, claim: string): Promise<void> {
  await withFallback(redis, (redis) => runScript(redis, DELETE_OWN, [claimKey(key)], [claim]), 0)
}

const DELETE_OWN = script(`
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
`)

/**
 * Makes every page with one of these tags old, in Redis and in every process that listens. Throws when Redis is away.
 *
 * @param lsn where the log was when the change was committed, or later: no page is made from a replica that is not there yet
 */
export async function dropPages(redis: Redis, tags: readonly string[], lsn: Lsn | null = null): Promise<void> {
  if (tags.length === 0) return
  if (lsn !== null) await runScript(redis, KEEP_LATER, [LSN_KEY], [formatLsn(lsn)])
  const epoch = await redis.incr(CATALOG_EPOCH_KEY)
  await Promise.all(tags.map((tag) => redis.set(dropKey(tag), epoch, 'PX', PAGE_LIFE_MS)))
  await redis.publish(DROPS_CHANNEL, JSON.stringify(tags))
}

/** The LSN of the latest drop; null while Redis is away. */
export async function readCatalogLsn(redis: Redis): Promise<Lsn | null> {
  return withFallback(redis, async (redis) => BigInt(`0x${(await redis.get(LSN_KEY)) ?? '0'}`), null)
}

const LSN_KEY = 'pages:lsn'

/** Of the same length, so that they compare as text. */
const formatLsn = (lsn: Lsn): string => lsn.toString(16).padStart(16, '0')

const KEEP_LATER = script(`
if (redis.call('get', KEYS[1]) or '') < ARGV[1] then redis.call('set', KEYS[1], ARGV[1]) end
return 1
`)

function pageKey(key: string): string {
  return `pages:{${key}}`
}

function claimKey(key: string): string {
  return `pages:claim:{${key}}`
}

function dropKey(tag: string): string {
  return `pages:drop:{${tag}}`
}

/** The tag of the home page, which shows what is new whatever it showed before. */
export const HOME = 'home'

/**
 * The tags of pages that show these products or SKUs: the products, and all categories above them. A changed product may be
 * one that the home page has not shown yet; its stock moves none there.
 */
export async function tagsOf(
  db: Db,
  { products, skus }: { products: readonly string[]; skus: readonly Sku[] },
): Promise<string[]> {
  const { rows } = await db.query<{ tag: string }>({
    name: 'page.tags',
    text: `
      with changed as (
        select id from unnest($1::text[]) as p (id)
        union
        select product_id from variant where sku = any ($2::text[])
      )
      select id as tag from changed
      union
      select unnest(c.path)
      from changed
      join product_category pc on pc.product_id = changed.id
      join category c on c.id = pc.category_id`,
    values: [products, skus],
  })
  return [...rows.map(({ tag }) => tag), ...(products.length > 0 ? [HOME] : [])]
}

/** The tags of pages that show a category which these categories' pages show. */
export function tagsOfCategories(shownOn: readonly string[]): string[] {
  return [...shownOn, HOME]
}

/**
 * The tags of pages that count these products among others: the categories above those that were changed so short a time
 * ago that such a page may have been made since, and not be old yet.
 */
export async function tagsOfCounts(db: Db, products: readonly ProductId[]): Promise<string[]> {
  const { rows } = await db.query<{ tag: string }>({
    name: 'page.tagsOfCounts',
    text: `
      select distinct unnest(c.path) as tag
      from product p
      join product_category pc on pc.product_id = p.id
      join category c on c.id = pc.category_id
      where p.id = any ($1::text[]) and p.updated_at > now() - $2 * interval '1 ms'`,
    values: [products, PAGE_FRESH_MS],
  })
  return rows.map(({ tag }) => tag)
}
