import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { storeSettings } from '../../db/platform/settings'
import { SLUG_LENGTH_MAX } from '../../domain/catalog/product'
import type { Currency } from '../../domain/money'
import { currencyQuery } from '../catalog/answer'
import { matchesEtag } from '../http/etag'
import { buildCategoryPage, categoryPage } from './category'
import { addRecommended, buildHomePage, homePage } from './home'
import { buildProductPage, productPage } from './product'
import type { BuiltPage, Page } from './cache'
import { headersOf } from './serve'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { EXAMPLE_CATEGORY, EXAMPLE_PRODUCT, sessionId } from '../http/schemas'

const TAG = 'Pages'
const DESCRIPTION =
  'One call for a whole page. Finished pages are kept and served with an ETag; what a merchant changes is seen within a ' +
  'second. Sections that were left out because the shop has too much to do are named in `left_out`.'

const slug = z.string().min(1).max(SLUG_LENGTH_MAX)
const productPath = z.object({ slug: slug.meta({ example: EXAMPLE_PRODUCT }) })
const categoryPath = z.object({ slug: slug.meta({ example: EXAMPLE_CATEGORY }) })
const pageQuery = z.strictObject({ currency: currencyQuery })

const HOME_PATH = '/v1/store/pages/home'

const getHome = defineRoute({
  method: 'get',
  path: HOME_PATH,
  tag: TAG,
  summary: 'Read the home page in one call',
  description: 'With the `session` of the interactions that the storefront reports, what may please it comes first.',
  caller: 'anyone',
  query: z.strictObject({ currency: currencyQuery, session: sessionId.optional() }),
  answers: { 200: homePage, 304: null },
  example: { answer: 200 },
}).handle(async ({ query, url, headers }, deps) => {
  const { session } = query
  const asked = { kind: 'home', slug: '', build: buildHomePage } as const
  if (session === undefined) return answerPage(deps, { ...asked, url, headers, currency: query.currency })
  const currency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  // Under the address of what is kept: the session's own is never answered from there.
  const page = await readPage(deps, { ...asked, url: `${HOME_PATH}?currency=${currency}`, currency })
  return { status: 200, body: await addRecommended(deps, page, { currency, session }) }
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
  readonly build: (deps: ApiDeps, of: { slug: string; currency: Currency }) => Promise<BuiltPage>
}

/** The page's bytes are JSON that its builder made: the document describes them, and the tests compare them. */
async function answerPage(
  deps: ApiDeps,
  { headers, ...asked }: AskedPage & { readonly headers: IncomingHttpHeaders },
): Promise<PageAnswer> {
  const page = await readPage(deps, asked)
  const about = headersOf(page)
  return matchesEtag(headers['if-none-match'], page.etag)
    ? { status: 304, headers: about }
    : { status: 200, json: page.bytes.toString(), headers: about }
}

async function readPage(deps: ApiDeps, { kind, slug, url, build, ...asked }: AskedPage): Promise<Page> {
  const currency = asked.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  const source = { key: `${kind} ${currency} ${slug}`, build: () => build(deps, { slug, currency }) }
  const page = await deps.pages.get(url, source)
  deps.metrics.pages.inc({ state: 'asked for' })
  return page
}

type PageAnswer =
  | { readonly status: 304; readonly headers: Record<string, string> }
  | { readonly status: 200; readonly json: string; readonly headers: Record<string, string> }
