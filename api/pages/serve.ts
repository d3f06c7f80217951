import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { LRUCache } from 'lru-cache'
import type { Redis } from '../../db/redis'
import { SECURITY_HEADERS } from '../respond'
import type { ApiDeps } from '../route'
import { type BuiltPage, type Page, PageCache } from './cache'
import { listenForDrops } from './listen'

/** Browsers ask again after a second, and are told 304; a CDN keeps it until it is told by the surrogate keys. */
const CACHE_CONTROL = 'public, max-age=1, s-maxage=60, stale-while-revalidate=60, stale-if-error=600'
const ADDRESSES_MAX = 50_000

/** A page that can be made: what names it, and how. */
export interface PageSource {
  readonly key: string
  readonly build: () => Promise<BuiltPage>
}

/**
 * Sends finished pages before anything else looks at the request: a page costs as little as its bytes. An address is
 * known here once its route has answered it; everything else about a request is for that route to judge.
 */
export class PageServer {
  private readonly pages: PageCache
  private readonly sources = new LRUCache<string, PageSource>({ max: ADDRESSES_MAX })
  private readonly stopListening: () => void

  constructor({ redis, maxBytes }: { redis: Redis; maxBytes: number }) {
    this.pages = new PageCache({ redis, maxBytes })
    this.stopListening = listenForDrops(redis, this.pages)
  }

  close(): void {
    this.stopListening()
  }

  /** The route's own way: made if need be, and known from now on. */
  async get(address: string, source: PageSource): Promise<Page> {
    const page = await this.pages.get(source.key, source.build)
    this.sources.set(address, source)
    return page
  }

  /** To be mounted first. */
  middleware({ metrics }: Pick<ApiDeps, 'metrics'>): RequestHandler {
    const hits = metrics.pages.labels('ready')
    return (request: Request, response: Response, next: NextFunction): void => {
      const source = request.method === 'GET' ? this.sources.get(request.url) : undefined
      const page = source && this.pages.ready(source.key, source.build)
      if (!page) {
        next()
        return
      }
      hits.inc()
      sendPage(request, response, page)
    }
  }
}

/** 304 to whoever has it already. */
function sendPage(request: Request, response: Response, page: Page): void {
  const headers = { ...SECURITY_HEADERS, ...headersOf(page), 'X-Request-Id': request.requestId }
  if (knows(request.headers['if-none-match'], page.etag)) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, {
    ...headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': page.bytes.length,
  })
  response.end(page.bytes)
}

export function headersOf({ etag, surrogateKeys }: Page): Record<string, string> {
  return { ETag: etag, 'Cache-Control': CACHE_CONTROL, 'Surrogate-Key': surrogateKeys }
}

/** Whether an If-None-Match names the tag. */
export function knows(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false
  return given === etag || given === '*' || given.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}
