import { join } from 'node:path'
import express, { type Response, Router } from 'express'
import { ROOT } from '../../config'

const FOLDER = join(ROOT, 'web')
const VIEWS = ['home', 'category', 'product', 'search', 'cart', 'checkout', 'order'] as const

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  // Asked for again at each visit, and answered 304: a new version is seen at once.
  'Cache-Control': 'no-cache',
}

/** The demo storefront: static views that call the public API and nothing else. */
export function webRouter(): Router {
  const router = Router()
  for (const view of VIEWS) {
    const path = view === 'home' ? '/' : view === 'category' || view === 'product' ? `/${view}/:slug` : `/${view}`
    router.get(path, ({ params }, response) => {
      setHeaders(response)
      response
        .set(preloading(view, params['slug'] as string | undefined))
        .sendFile(join(FOLDER, `${view}.html`), { cacheControl: false })
    })
  }
  router.use('/assets', express.static(FOLDER, { index: false, cacheControl: false, setHeaders }))
  return router
}

/** The browser loads the page's data beside the scripts of the view, not after them. */
function preloading(view: string, slug: string | undefined): Record<string, string> {
  if (slug === undefined) return {}
  return { Link: `</v1/store/pages/${view}/${encodeURIComponent(slug)}>; rel=preload; as=fetch; crossorigin` }
}

function setHeaders(response: Response): void {
  response.set({ ...HEADERS, 'X-Request-Id': response.req.requestId })
}
