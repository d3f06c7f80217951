import type { IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Redis } from '../../db/redis'
import { matchesEtag } from '../http/etag'
import type { Metrics } from '../platform/metrics'
import { requestIdOf } from '../http/request-id'
import { SECURITY_HEADERS } from '../http/respond'
import { type BuiltPage, type Page, PageCache } from './cache'
import { subscribeToDrops } from './subscribe'

/** Browsers ask again, and are told 304. So does a CDN after a second, unless it is told to purge by the surrogate keys. */
const CACHE_CONTROL = 'public, max-age=0, s-maxage=1, must-revalidate'
const ADDRESSES_MAX = 50_000
/** Then its route says again what an address stands for: the shop's currency may be another by now. */
const ADDRESS_FRESH_MS = 1_000

/** A page that can be made: what names it, and how. */
export interface PageSource {
  readonly key: string
  readonly build: () => Promise<BuiltPage>
}

export interface PageServerOptions {
  readonly redis: Redis
  /** Of finished pages in this process. */
  readonly maxBytes: number
  readonly metrics: Metrics
  /** Who else may call from a browser, besides the shop's own origin. */
  readonly origins: readonly string[]
}

/** Finished pages by their addresses. An address is known here once its route has answered it. */
export class PageServer {
  private readonly pages: PageCache
  private readonly sources = new LRUCache<string, PageSource>({
    max: ADDRESSES_MAX,
    ttl: ADDRESS_FRESH_MS,
    ttlResolution: 100,
  })
  private readonly unsubscribe: () => void
  private readonly hits: { inc(): void }
  private readonly ready = new WeakMap<Page, PreparedPage>()
  /** Express answers callers of other origins, by other headers. */
  private readonly vary: Readonly<Record<string, string>>

  constructor({ redis, maxBytes, metrics, origins }: PageServerOptions) {
    this.vary = origins.length > 0 ? { Vary: 'Origin' } : {}
    this.hits = metrics.pages.labels('ready')
    this.pages = new PageCache({ redis, maxBytes })
    this.unsubscribe = subscribeToDrops(redis, this.pages)
  }

  close(): void {
    this.unsubscribe()
  }

  /** The route's own way: made if need be, and known from now on. */
  async get(address: string, source: PageSource): Promise<Page> {
    const page = await this.pages.get(source.key, source.build)
    this.sources.set(address, source)
    return page
  }

  /**
   * Sends a finished page, in front of Express: what Express does for each request costs more than the page. False when
   * there is none, or more than sending is asked for; then the request goes on as any other.
   */
  sendIfReady(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || request.headers.origin !== undefined) return false
    const source = this.sources.get(request.url as string)
    const page = source && this.pages.ready(source.key, source.build)
    if (!page) return false
    this.hits.inc()
    const id = requestIdOf(request.headers)
    if (matchesEtag(request.headers['if-none-match'], page.etag)) {
      response.writeHead(304, [...this.prepare(page).withoutBody, id]).end()
    } else {
      const { withBody, bodyText } = this.prepare(page)
      response.writeHead(200, [...withBody, id]).end(bodyText, 'latin1')
    }
    return true
  }

  /**
   * Made once per page: making and checking headers is most of what sending it costs. Each list ends where the request's id
   * goes. The bytes are a character each, since Node sends a head and a string in one piece, a head and a buffer in two.
   */
  private prepare(page: Page): PreparedPage {
    const kept = this.ready.get(page)
    if (kept) return kept
    const withoutBody = { ...SECURITY_HEADERS, ...this.vary, ...headersOf(page) }
    const withBody = {
      ...withoutBody,
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': String(page.bytes.length),
    }
    const ready = {
      withoutBody: [...Object.entries(withoutBody).flat(), 'X-Request-Id'],
      withBody: [...Object.entries(withBody).flat(), 'X-Request-Id'],
      bodyText: page.bytes.toString('latin1'),
    }
    this.ready.set(page, ready)
    return ready
  }
}

interface PreparedPage {
  readonly withoutBody: readonly string[]
  readonly withBody: readonly string[]
  readonly bodyText: string
}

export function headersOf({ etag, surrogateKeys, degraded }: Page): Record<string, string> {
  return { ETag: etag, 'Cache-Control': degraded ? 'no-store' : CACHE_CONTROL, 'Surrogate-Key': surrogateKeys }
}
