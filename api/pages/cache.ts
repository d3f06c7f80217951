import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import {
  claimPage,
  findPage,
  PAGE_LIFE_MS,
  releasePage,
  storePage,
  type StoredPage,
  takePageMark,
} from '../../db/page-cache'
import type { Redis } from '../../db/redis'

/** What a builder makes: the body, what is on it, and until when it is true. */
export interface BuiltPage {
  readonly body: unknown
  /** Ids of everything whose change makes the page old. */
  readonly tags: readonly string[]
  /** When something on it ends, such as a price; null: nothing that is known of. */
  readonly expiresAt: Date | null
  /** Parts were left out, because the process had too much to do: not worth keeping. */
  readonly degraded: boolean
}

/** A page as it is sent. */
export interface Page {
  readonly bytes: Buffer
  readonly etag: string
  readonly surrogateKeys: string
  readonly builtAt: number
  readonly expiresAt: number
  readonly tags: readonly string[]
}

/** What customers buy shows on a page after this; what merchants change drops it at once. */
const FRESH_MS = 10_000
/** For so long an old page is served while a new one is made. */
const STALE_MS = 60_000
/** From this part of its fresh time on a page is renewed, by chance, before it is old: not everybody's at the same moment. */
const EARLY = 0.8
/** While the word of changes does not reach this process, it believes no page for longer. */
const DEAF_MS = 500

/** How long a process waits for another that makes the same page, and how often it looks. */
const OTHERS_MS = 1_000
const LOOK_AGAIN_MS = 20

/** What a page costs in memory beside its bytes. */
const OVERHEAD_BYTES = 1_000

interface Making {
  readonly page: Promise<Page>
  /** What was dropped since it was begun. */
  readonly dropped: Set<string>
}

/**
 * Finished pages of this process, before those in Redis, before Postgres. A page that many ask for at once is made once;
 * one that is a little old is served while it is made anew; while it cannot be made, an older one is better than none.
 */
export class PageCache {
  private readonly redis: Redis
  private readonly pages: LRUCache<string, Page>
  private readonly keysOf = new Map<string, Set<string>>()
  private readonly making = new Map<string, Making>()
  private hears = false

  constructor({ redis, maxBytes }: { redis: Redis; maxBytes: number }) {
    this.redis = redis
    this.pages = new LRUCache({
      maxSize: maxBytes,
      // Once as they are, once more as they are sent.
      sizeCalculation: ({ bytes }) => 2 * bytes.length + OVERHEAD_BYTES,
      dispose: (page, key) => this.untag(key, page),
    })
  }

  /** Whether {@link drop} is told of every change. What was missed while it was not makes all pages old. */
  listens(hears: boolean): void {
    if (hears && !this.hears) this.pages.clear()
    this.hears = hears
  }

  /** Forgets every page with one of these tags, those that are being made as well. */
  drop(tags: readonly string[]): void {
    for (const tag of tags) {
      for (const key of this.keysOf.get(tag) ?? []) this.pages.delete(key)
      for (const { dropped } of this.making.values()) dropped.add(tag)
    }
  }

  /** The page at once, if it is here and good enough to be sent. */
  ready(key: string, build: () => Promise<BuiltPage>): Page | undefined {
    const page = this.pages.get(key)
    if (!page) return undefined
    const now = Date.now()
    const age = now - page.builtAt
    if (now >= page.expiresAt || age > this.atMost(STALE_MS)) return undefined
    if (age > this.atMost(FRESH_MS) * (EARLY + (1 - EARLY) * Math.random())) this.make(key, build).catch(ignore)
    return page
  }

  /** The page, made if need be. Throws what `build` throws when there is no older one that is still true. */
  async get(key: string, build: () => Promise<BuiltPage>): Promise<Page> {
    const ready = this.ready(key, build)
    if (ready) return ready
    try {
      return await this.make(key, build)
    } catch (error) {
      const old = this.pages.get(key)
      if (old && Date.now() < Math.min(old.expiresAt, old.builtAt + PAGE_LIFE_MS)) return old
      throw error
    }
  }

  /** A page is made once, however many ask. */
  private make(key: string, build: () => Promise<BuiltPage>): Promise<Page> {
    const running = this.making.get(key)
    // Who comes after a change must not be given what was begun before it.
    if (running && running.dropped.size === 0) return running.page
    const dropped = new Set<string>()
    const making: Making = {
      dropped,
      page: this.makeNow(key, build, dropped).finally(() => {
        if (this.making.get(key) === making) this.making.delete(key)
      }),
    }
    this.making.set(key, making)
    return making.page
  }

  private async makeNow(key: string, build: () => Promise<BuiltPage>, dropped: ReadonlySet<string>): Promise<Page> {
    const stored = await this.findOrClaim(key)
    if (stored) return this.keep(key, toPage(stored), dropped)
    try {
      return await this.build(key, build, dropped)
    } finally {
      await releasePage(this.redis, key)
    }
  }

  /** The page as another process has made it, or makes it now; null when it is for this one to make. */
  private async findOrClaim(key: string): Promise<StoredPage | null> {
    const until = Date.now() + OTHERS_MS
    for (;;) {
      const stored = await findPage(this.redis, key)
      if (stored && Date.now() - stored.builtAt < FRESH_MS) return stored
      if ((await claimPage(this.redis, key)) || Date.now() > until) return null
      await pause(LOOK_AGAIN_MS)
    }
  }

  private async build(key: string, build: () => Promise<BuiltPage>, dropped: ReadonlySet<string>): Promise<Page> {
    const mark = await takePageMark(this.redis)
    const builtAt = Date.now()
    const { body, tags, expiresAt, degraded } = await build()
    const made = { json: JSON.stringify(body), tags, builtAt, expiresAt: expiresAt?.getTime() ?? null }
    const page = toPage(made)
    if (degraded) return page
    if (mark !== null) await storePage(this.redis, key, made, mark)
    return this.keep(key, page, dropped)
  }

  private keep(key: string, page: Page, dropped: ReadonlySet<string>): Page {
    if (page.tags.some((tag) => dropped.has(tag))) return page
    this.pages.set(key, page)
    for (const tag of page.tags) {
      const keys = this.keysOf.get(tag)
      if (keys) keys.add(key)
      else this.keysOf.set(tag, new Set([key]))
    }
    return page
  }

  private untag(key: string, { tags }: Page): void {
    for (const tag of tags) {
      const keys = this.keysOf.get(tag)
      keys?.delete(key)
      if (keys?.size === 0) this.keysOf.delete(tag)
    }
  }

  private atMost(ms: number): number {
    return this.hears ? ms : Math.min(ms, DEAF_MS)
  }
}

function toPage({ json, tags, builtAt, expiresAt }: StoredPage): Page {
  const bytes = Buffer.from(json)
  return {
    bytes,
    etag: `"${createHash('sha1').update(bytes).digest('base64url')}"`,
    surrogateKeys: tags.join(' '),
    builtAt,
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    tags,
  }
}

function ignore(): void {
  // A renewal that fails leaves the page as it is; whoever needs it made is told.
}
