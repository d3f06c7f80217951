import { z } from 'zod'
import { HOME } from '../../db/page-tags'
import { recentProducts, sessionKey } from '../../db/session-interest'
import { listBestsellers, listCategoryShelves, listForInterest, listNewest } from '../../db/shelf'
import type { Currency } from '../../domain/money'
import type { ApiDeps } from '../route'
import { listedProduct, presentListed } from '../catalog'
import { idOf } from '../schemas'
import type { BuiltPage } from './cache'

/** A row of products with a stable name. A storefront knows the names it wants and passes over the others. */
const section = z
  .strictObject({
    name: z
      .string()
      .meta({ description: '`recommended`, `bestsellers`, `newest`, or `category`', example: 'bestsellers' }),
    title: z.string(),
    category: z.strictObject({ id: idOf('category'), slug: z.string(), title: z.string() }).nullable(),
    products: z.array(listedProduct),
  })
  .meta({ id: 'HomeSection' })

export const homePage = z.strictObject({ sections: z.array(section) }).meta({ id: 'HomePage' })

type Section = z.input<typeof section>
type HomeDeps = Pick<ApiDeps, 'pool' | 'redis' | 'settings' | 'log'>

export interface HomeRequest {
  readonly currency: Currency
  /** As the storefront sent it; null without one. Only `recommended` depends on it. */
  readonly session: string | null
}

const PER_SECTION = 8
const PER_CATEGORY = 4
const CATEGORIES = 6

/** The sections in the order in which they are shown. A new section is one more function here. */
const SECTIONS: readonly ((deps: HomeDeps, request: HomeRequest) => Promise<Section[]>)[] = [
  recommended,
  bestsellers,
  newest,
  categories,
]

/** The data of the home page. Empty sections are left out. */
export async function buildHomePage(deps: HomeDeps, request: HomeRequest): Promise<z.input<typeof homePage>> {
  const sections = await Promise.all(SECTIONS.map((build) => build(deps, request)))
  return { sections: sections.flat().filter(({ products }) => products.length > 0) }
}

/** What goes with what this session looked at. A shop without it is a shop: no failure of it fails the page. */
async function recommended({ pool, redis, settings, log }: HomeDeps, request: HomeRequest): Promise<Section[]> {
  if (request.session === null) return []
  const { currency } = request
  try {
    const seen = await recentProducts(redis, sessionKey(settings.TOKEN_SECRET, request.session, new Date()))
    if (seen.length === 0) return []
    const products = await listForInterest(pool, { currency, limit: PER_SECTION, seen })
    return [sectionOf('recommended', 'For you', products, currency)]
  } catch (error) {
    log.warn({ err: error }, 'the home page goes without recommendations')
    return []
  }
}

async function bestsellers({ pool }: HomeDeps, { currency }: HomeRequest): Promise<Section[]> {
  const products = await listBestsellers(pool, { currency, limit: PER_SECTION })
  return [sectionOf('bestsellers', 'Bestsellers', products, currency)]
}

async function newest({ pool }: HomeDeps, { currency }: HomeRequest): Promise<Section[]> {
  return [sectionOf('newest', 'New', await listNewest(pool, { currency, limit: PER_SECTION }), currency)]
}

async function categories({ pool }: HomeDeps, { currency }: HomeRequest): Promise<Section[]> {
  const shelves = await listCategoryShelves(pool, { currency, limit: PER_CATEGORY, categories: CATEGORIES })
  return shelves.map(({ category, products }) => ({
    ...sectionOf('category', category.title, products, currency),
    category,
  }))
}

function sectionOf(
  name: string,
  title: string,
  products: readonly Parameters<typeof presentListed>[0][],
  currency: Currency,
): Section {
  return { name, title, category: null, products: products.map((product) => presentListed(product, currency)) }
}

/** The home page of whoever the shop knows nothing of, to be kept. */
export async function buildSharedHomePage(deps: ApiDeps, { currency }: { currency: Currency }): Promise<BuiltPage> {
  const body = await buildHomePage(deps, { currency, session: null })
  const shown = body.sections.flatMap(({ category, products }) => [
    ...(category ? [category.id] : []),
    ...products.map(({ id }) => id),
  ])
  return { body, tags: [HOME, ...new Set(shown)], expiresAt: null, degraded: false }
}
