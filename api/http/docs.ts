import { dirname, join } from 'node:path'
import express, { type Response, Router } from 'express'
import { ROOT } from '../../config'

/** The files of Swagger UI that its page needs; the package has more. */
const FILES = new Set(['/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png'])
const FOLDER = dirname(require.resolve('swagger-ui-dist/package.json'))

const HEADERS = {
  // Swagger UI styles its elements in place; nothing is fetched from anywhere else.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
}

/** The API's document to read and try, without anything from outside. */
export function docsRouter(): Router {
  const router = Router()
  router.get('/docs', (_request, response) => {
    setHeaders(response)
    response.sendFile(join(ROOT, 'web', 'docs.html'), { cacheControl: false })
  })
  const files = express.static(FOLDER, { index: false, cacheControl: false, setHeaders })
  router.use('/docs/ui', (request, response, next) => {
    if (FILES.has(request.path)) files(request, response, next)
    else next()
  })
  return router
}

function setHeaders(response: Response): void {
  response.set({ ...HEADERS, 'X-Request-Id': response.req.requestId })
}
