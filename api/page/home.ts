import { z } from 'zod'
import { HOME } from '../../db/page'
import { recentProducts, sessionKey } from '../../db/recommendation/session-interest'
import { listBestsellers, listCategoryCollections, listForInterest, listNewest } from '../../db/catalog/collection'
import type { Currency } from '../../domain/money'
import type { ApiDeps } from '../deps'
import { listedProduct, presentListed } from '../catalog/answer'
import { idOf } from '../http/schemas'
import { isShed } from '../http/load-shedding'
import type { BuiltPage, Page } from './cache'

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
type HomePage = z.input<typeof homePage>

const PER_SECTION = 8
const PER_CATEGORY = 4
const CATEGORIES = 6

/** The sections in the order in which they are shown. A new section is one more function here. */
const SECTIONS: readonly ((deps: ApiDeps, currency: Currency) => Promise<Section[]>)[] = [
  bestsellers,
  newest,
  categories,
]

/** The home page of whoever the shop knows nothing of, to be kept. Empty sections are left out. */
export async function buildHomePage(deps: ApiDeps, { currency }: { currency: Currency }): Promise<BuiltPage> {
  const built = await Promise.all(SECTIONS.map((build) => build(deps, currency)))
  const sections = built.flat().filter(({ products }) => products.length > 0)
  const shown = sections.flatMap(({ category, products }) => [
    ...(category ? [category.id] : []),
    ...products.map(({ id }) => id),
  ])
  const body: HomePage = { sections }
  return { body, tags: [HOME, ...new Set(shown)], expiresAt: null, degraded: false }
}

/** Before what everybody is shown, what may please this session. */
export async function addRecommended(
  deps: ApiDeps,
  page: Page,
  { currency, session }: { currency: Currency; session: string },
): Promise<HomePage> {
  const { sections } = JSON.parse(page.bytes.toString()) as HomePage
  return { sections: [...(await recommended(deps, { currency, session })), ...sections] }
}

/**
 * What goes with what this session looked at. Load shedding leaves it out first, and when it fails the page
 * goes without it.
 */
async function recommended(
  { pool, redis, settings, log, load }: ApiDeps,
  { currency, session }: { currency: Currency; session: string },
): Promise<Section[]> {
  if (isShed('recommendations', load.level())) return []
  try {
    const seen = await recentProducts(redis, sessionKey(settings.TOKEN_SECRET, session, new Date()))
    if (seen.length === 0) return []
    const products = await listForInterest(pool, { currency, limit: PER_SECTION, seen })
    return products.length === 0 ? [] : [sectionOf('recommended', 'For you', products, currency)]
  } catch (error) {
    log.warn({ err: error }, 'the home page goes without recommendations')
    return []
  }
}

async function bestsellers({ pool }: ApiDeps, currency: Currency): Promise<Section[]> {
  const products = await listBestsellers(pool, { currency, limit: PER_SECTION })
  return [sectionOf('bestsellers', 'Bestsellers', products, currency)]
}

async function newest({ pool }: ApiDeps, currency: Currency): Promise<Section[]> {
  return [sectionOf('newest', 'New', await listNewest(pool, { currency, limit: PER_SECTION }), currency)]
}

async function categories({ pool }: ApiDeps, currency: Currency): Promise<Section[]> {
  const collections = await listCategoryCollections(pool, { currency, limit: PER_CATEGORY, categories: CATEGORIES })
  return collections.map(({ category, products }) => ({
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
