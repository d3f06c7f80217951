import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import {
  claimPage,
  findPage,
  PAGE_FRESH_MS,
  PAGE_LIFE_MS,
  releasePage,
  storePage,
  type StoredPage,
  readDropMark,
} from '../../db/page'
import type { Redis } from '../../db/redis'
import { DomainError } from '../../domain/errors'

/** What a builder makes: the body, what is on it, and until when it is true. */
export interface BuiltPage {
  readonly body: unknown
  /** Ids of everything whose change makes the page old. */
  readonly tags: readonly string[]
  /** When something on it ends, such as a price; null: nothing known ends. */
  readonly expiresAt: Date | null
  /** Parts were left out, because the process had too much to do or they failed. */
  readonly degraded: boolean
}

/** A page as it is sent. */
export interface Page {
  readonly bytes: Buffer
  readonly etag: string
  readonly surrogateKeys: string
  readonly builtAt: number
  /** From then on it is made anew while it is still served. */
  readonly renewAt: number
  readonly expiresAt: number
  readonly tags: readonly string[]
  readonly degraded: boolean
}

/** How long an old page is served while a new one is made. */
const STALE_MS = 60_000
/** A page is renewed at a random moment after this share of its fresh time, so that pages are not renewed all at once. */
const RENEW_FROM = 0.8
/** How long a process goes without the parts that it could not afford before it tries again. */
const DEGRADED_MS = 1_000
/** The oldest page that is served while this process does not hear of changes. */
const UNSUBSCRIBED_AGE_MS_MAX = 500

/** How long a process waits for another one that builds the same page, and how often it looks. */
const WAIT_FOR_OTHERS_MS = 1_000
const POLL_MS = 20

/** What a page costs in memory beside its bytes. */
const OVERHEAD_BYTES = 1_000

/** A page that is being built. */
interface PendingBuild {
  readonly page: Promise<Page>
  /** Tags that were dropped since the build began. */
  readonly dropped: Set<string>
}

/** Stands in the place of a tag: changes were missed, so any tag may have been dropped. */
const ANYTHING = '*'

/**
 * Finished pages of this process, before those in Redis, before Postgres. A page that many ask for at once is made once;
 * one that is a little old is served while it is made anew; while it cannot be made, an older one is better than none.
 */
export class PageCache {
  private readonly redis: Redis
  private readonly pages: LRUCache<string, Page>
  private readonly keysOf = new Map<string, Set<string>>()
  private readonly pending = new Map<string, PendingBuild>()
  private isSubscribed = false

  constructor({ redis, maxBytes }: { redis: Redis; maxBytes: number }) {
    this.redis = redis
    this.pages = new LRUCache({
      maxSize: maxBytes,
      // Once as they are, once more as they are sent.
      sizeCalculation: ({ bytes }) => 2 * bytes.length + OVERHEAD_BYTES,
      dispose: (page, key) => this.untag(key, page),
    })
  }

  /** Says whether {@link drop} is told of every change. After a time when it was not, all pages are forgotten. */
  setSubscribed(isSubscribed: boolean): void {
    if (isSubscribed && !this.isSubscribed) {
      this.pages.clear()
      for (const { dropped } of this.pending.values()) dropped.add(ANYTHING)
    }
    this.isSubscribed = isSubscribed
  }

  /** Forgets every page with one of these tags, those that are being made as well. */
  drop(tags: readonly string[]): void {
    for (const tag of tags) {
      for (const key of this.keysOf.get(tag) ?? []) this.pages.delete(key)
      for (const { dropped } of this.pending.values()) dropped.add(tag)
    }
  }

  /** The page at once, if it is here and good enough to be sent. */
  ready(key: string, build: () => Promise<BuiltPage>): Page | undefined {
    const page = this.pages.get(key)
    if (!page || !this.isGood(page)) return undefined
    if (Date.now() >= this.renewAt(page)) this.make(key, build).catch(ignore)
    return page
  }

  /**
   * The page, made if need be. Throws what `build` throws when there is no older one that is still true; a refusal
   * (`DomainError`) says that there is none.
   */
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
    const running = this.pending.get(key)
    // Who comes after a change must not be given what was begun before it.
    if (running && running.dropped.size === 0) return running.page
    const dropped = new Set<string>()
    const pending: PendingBuild = {
      dropped,
      page: this.makeNow(key, build, dropped).finally(() => {
        if (this.pending.get(key) === pending) this.pending.delete(key)
      }),
    }
    this.pending.set(key, pending)
    return pending.page
  }

  private async makeNow(key: string, build: () => Promise<BuiltPage>, dropped: ReadonlySet<string>): Promise<Page> {
    const claim = randomUUID()
    const stored = await this.findOrClaim(key, claim)
    if (stored) return this.keep(key, toPage(stored), dropped)
    try {
      return await this.build(key, build, dropped)
    } catch (error) {
      if (error instanceof DomainError) this.pages.delete(key)
      throw error
    } finally {
      await releasePage(this.redis, key, claim)
    }
  }

  /** The page as another process has made it, or makes it now; null when it is for this one to make. */
  private async findOrClaim(key: string, claim: string): Promise<StoredPage | null> {
    const until = Date.now() + WAIT_FOR_OTHERS_MS
    for (;;) {
      const stored = await findPage(this.redis, key)
      if (stored && Date.now() - stored.builtAt < PAGE_FRESH_MS) return stored
      if ((await claimPage(this.redis, key, claim)) || Date.now() > until) return null
      await pause(POLL_MS)
    }
  }

  private async build(key: string, build: () => Promise<BuiltPage>, dropped: ReadonlySet<string>): Promise<Page> {
    const mark = await readDropMark(this.redis)
    const builtAt = Date.now()
    const { body, tags, expiresAt, degraded } = await build()
    const made = { json: JSON.stringify(body), tags, builtAt, expiresAt: expiresAt?.getTime() ?? null }
    if (degraded) return this.keepDegraded(key, toPage(made), dropped)
    if (mark !== null) await storePage(this.redis, key, made, mark)
    return this.keep(key, toPage(made), dropped)
  }

  /** For a moment, so that it is not made for everybody, and in this process alone. A whole one that is good is better. */
  private keepDegraded(key: string, page: Page, dropped: ReadonlySet<string>): Page {
    const old = this.pages.get(key)
    const better = old && !old.degraded && this.isGood(old) ? old : { ...page, degraded: true }
    return this.keep(key, { ...better, renewAt: Date.now() + DEGRADED_MS }, dropped)
  }

  private keep(key: string, page: Page, dropped: ReadonlySet<string>): Page {
    if (dropped.has(ANYTHING) || page.tags.some((tag) => dropped.has(tag))) return page
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

  private isGood({ builtAt, expiresAt }: Page): boolean {
    const now = Date.now()
    return now < expiresAt && now - builtAt <= (this.isSubscribed ? STALE_MS : UNSUBSCRIBED_AGE_MS_MAX)
  }

  private renewAt({ builtAt, renewAt }: Page): number {
    return this.isSubscribed ? renewAt : Math.min(renewAt, builtAt + UNSUBSCRIBED_AGE_MS_MAX * RENEW_FROM)
  }
}

function toPage({ json, tags, builtAt, expiresAt }: StoredPage): Page {
  const bytes = Buffer.from(json)
  return {
    bytes,
    etag: `"${createHash('sha1').update(bytes).digest('base64url')}"`,
    surrogateKeys: tags.join(' '),
    builtAt,
    renewAt: builtAt + PAGE_FRESH_MS * (RENEW_FROM + (1 - RENEW_FROM) * Math.random()),
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    tags,
    degraded: false,
  }
}

function ignore(): void {
  // A renewal that fails leaves the page as it is; whoever needs it made is told.
}
