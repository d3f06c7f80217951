import { z } from 'zod'
import { type CatalogProduct, findCatalogProduct } from '../../db/catalog/listing'
import { findCategory } from '../../db/catalog/category'
import type { Pool } from '../../db/pool'
import { listRecommended } from '../../db/recommendation/lists'
import { DomainError } from '../../domain/errors'
import type { Currency } from '../../domain/money'
import type { RecommendationKind } from '../../domain/recommendation/similarity'
import { catalogProduct, listedProduct, presentDetail, presentListed } from '../catalog/answer'
import { listPageOfReviews, reviewListPage } from '../review/answer'
import { readCatalog } from '../catalog/read'
import type { ApiDeps } from '../deps'
import { categoryRef } from '../http/schemas'
import type { BuiltPage } from './cache'
import { buildSections, type Section, shapeOf } from './section'

const REVIEWS = 5
const PER_KIND = 8

interface Context {
  readonly db: Pool
  readonly product: CatalogProduct
  readonly currency: Currency
}

/** The sections of a product's page that may be missing. A new one is an entry here. */
const PRODUCT_SECTIONS = {
  reviews: {
    shedAs: 'reviews',
    schema: reviewListPage,
    build: async ({ db, product }) => ({
      value: await listPageOfReviews(db, product.id, { sort: 'newest', after: null, limit: REVIEWS }),
    }),
  },
  bought_together: recommended('bought_together'),
  also_bought: recommended('also_bought'),
  similar: recommended('similar'),
} satisfies Record<string, Section<Context, unknown>>

function recommended(kind: RecommendationKind): Section<Context, readonly ListedProduct[]> {
  return {
    shedAs: 'recommendations',
    schema: z.array(listedProduct),
    build: async ({ db, product, currency }) => {
      const products = (await listRecommended(db, { product: product.id, kind, currency, limit: PER_KIND })) ?? []
      return { value: products.map((one) => presentListed(one, currency)), tags: products.map(({ id }) => id) }
    },
  }
}

type ListedProduct = z.input<typeof listedProduct>

export const productPage = z
  .strictObject({
    product: catalogProduct,
    breadcrumbs: z.array(categoryRef),
    ...shapeOf(PRODUCT_SECTIONS),
    left_out: z.array(z.string()),
  })
  .meta({ id: 'ProductPage' })

/** Everything a storefront shows of a product, in one answer. Throws `not_found`. */
export async function buildProductPage(
  deps: ApiDeps,
  { slug, currency }: { slug: string; currency: Currency },
): Promise<BuiltPage> {
  return readCatalog(deps, async (db) => {
    const product = await findCatalogProduct(db, slug, currency)
    if (!product) throw new DomainError('not_found', `There is no such product on sale in ${currency}.`)
    const [first] = product.categories
    const breadcrumbs = first ? ((await findCategory(db, first.id))?.breadcrumbs ?? []) : []
    const sections = await buildSections(
      PRODUCT_SECTIONS,
      { db, product, currency },
      { level: deps.load.level(), log: deps.log },
    )
    return {
      body: { product: presentDetail(product, currency), breadcrumbs, ...sections.values, left_out: sections.leftOut },
      tags: [
        product.id,
        ...product.categories.map(({ id }) => id),
        ...breadcrumbs.map(({ id }) => id),
        ...sections.tags,
      ],
      expiresAt: null,
      degraded: sections.leftOut.length > 0,
    }
  })
}
