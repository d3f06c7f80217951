import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { storeSettings } from '../../db/settings'
import { SLUG_LENGTH_MAX } from '../../domain/catalog'
import type { Currency } from '../../domain/money'
import { currencyQuery } from '../catalog'
import { buildCategoryPage, categoryPage } from '../pages/category'
import { buildHomePage, buildSharedHomePage, homePage } from '../pages/home'
import { buildProductPage, productPage } from '../pages/product'
import type { BuiltPage } from '../pages/cache'
import { headersOf, knows } from '../pages/serve'
import { type ApiDeps, defineRoute, type Route } from '../route'
import { EXAMPLE_CATEGORY, EXAMPLE_PRODUCT, sessionId } from '../schemas'

const TAG = 'Pages'
const DESCRIPTION =
  'One call for a whole page. Finished pages are kept and served with an ETag; what a merchant changes is seen within a ' +
  'second. Sections that were left out because the shop has too much to do are named in `left_out`.'

const slug = z.string().min(1).max(SLUG_LENGTH_MAX)
const productPath = z.object({ slug: slug.meta({ example: EXAMPLE_PRODUCT }) })
const categoryPath = z.object({ slug: slug.meta({ example: EXAMPLE_CATEGORY }) })
const pageQuery = z.strictObject({ currency: currencyQuery })

const getHome = defineRoute({
  method: 'get',
  path: '/v1/store/pages/home',
  tag: TAG,
  summary: 'Read the home page in one call',
  description: 'With the `session` of the events that the storefront reports, what may please it comes first.',
  caller: 'anyone',
  query: z.strictObject({ currency: currencyQuery, session: sessionId.optional() }),
  answers: { 200: homePage, 304: null },
  example: { answer: 200 },
}).handle(async ({ query, url, headers }, deps) => {
  if (query.session === undefined) {
    return answerPage(deps, { kind: 'home', slug: '', url, headers, build: buildSharedHomePage, ...query })
  }
  const currency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  return { status: 200, body: await buildHomePage(deps, { currency, session: query.session }) }
})

const getProductPage = defineRoute({
  method: 'get',
  path: '/v1/store/pages/product/{slug}',
  tag: TAG,
  summary: 'Everything that a product page shows',
  description: DESCRIPTION,
  caller: 'anyone',
  params: productPath,
  query: pageQuery,
  answers: { 200: productPage, 304: null },
  example: { answer: 200 },
}).handle(async ({ params, query, url, headers }, deps) =>
  answerPage(deps, { kind: 'product', slug: params.slug, url, headers, build: buildProductPage, ...query }),
)

const getCategoryPage = defineRoute({
  method: 'get',
  path: '/v1/store/pages/category/{slug}',
  tag: TAG,
  summary: 'Everything that a category page shows',
  description: DESCRIPTION,
  caller: 'anyone',
  params: categoryPath,
  query: pageQuery,
  answers: { 200: categoryPage, 304: null },
  example: { answer: 200 },
}).handle(async ({ params, query, url, headers }, deps) =>
  answerPage(deps, { kind: 'category', slug: params.slug, url, headers, build: buildCategoryPage, ...query }),
)

export const pageRoutes: readonly Route[] = [getHome, getProductPage, getCategoryPage]

interface AskedPage {
  readonly kind: 'home' | 'product' | 'category'
  readonly slug: string
  readonly currency?: Currency | undefined
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly build: (deps: ApiDeps, of: { slug: string; currency: Currency }) => Promise<BuiltPage>
}

/** The page's bytes are JSON that its builder made: the document describes them, and the tests compare them. */
async function answerPage(
  deps: ApiDeps,
  { kind, slug, url, headers, build, ...asked }: AskedPage,
): Promise<PageAnswer> {
  const inCurrency = asked.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  const source = { key: `${kind} ${inCurrency} ${slug}`, build: () => build(deps, { slug, currency: inCurrency }) }
  const page = await deps.pages.get(url, source)
  deps.metrics.pages.inc({ state: 'asked for' })
  const about = headersOf(page)
  return knows(headers['if-none-match'], page.etag)
    ? { status: 304, headers: about }
    : { status: 200, json: page.bytes.toString(), headers: about }
}

type PageAnswer =
  | { readonly status: 304; readonly headers: Record<string, string> }
  | { readonly status: 200; readonly json: string; readonly headers: Record<string, string> }
