import { join } from 'node:path'
import express, { type Response, Router } from 'express'
import { ROOT } from '../../config'

const FOLDER = join(ROOT, 'web')
const VIEWS = ['home', 'category', 'product', 'search', 'cart', 'checkout', 'order'] as const

const CONTENT =
  "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
const OWN_SCRIPTS = `${CONTENT}; script-src 'self'; connect-src 'self'`
/** What Stripe's card field needs (https://docs.stripe.com/security/guide, Content Security Policy). */
const STRIPE_SCRIPTS = `${CONTENT}; script-src 'self' https://js.stripe.com https://*.js.stripe.com; connect-src 'self' https://api.stripe.com; frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com`

const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  // Asked for again at each visit, and answered 304: a new version is seen at once.
  'Cache-Control': 'no-cache',
}

/** The demo storefront: static views that call the public API, and Stripe's script where customers pay by it. */
export function webRouter({ paysByStripe }: { readonly paysByStripe: boolean }): Router {
  const router = Router()
  for (const view of VIEWS) {
    const path = view === 'home' ? '/' : view === 'category' || view === 'product' ? `/${view}/:slug` : `/${view}`
    router.get(path, ({ params }, response) => {
      setHeaders(response)
      if (view === 'checkout' && paysByStripe) response.set('Content-Security-Policy', STRIPE_SCRIPTS)
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
  response.set({ 'Content-Security-Policy': OWN_SCRIPTS, ...HEADERS, 'X-Request-Id': response.req.requestId })
}
