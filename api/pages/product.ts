import { findCatalogProduct } from '../../db/catalog'
import { findCategory } from '../../db/category'
import type { Pool } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { Currency } from '../../domain/money'
import { presentDetail } from '../routes/catalog'
import type { ApiDeps } from '../route'
import type { BuiltPage } from './cache'
import { readForPage } from './read'
import { buildSections, type Section } from './section'

interface Context {
  readonly db: Pool
  readonly slug: string
  readonly currency: Currency
}

/** The sections of a product's page that may be missing. A new one is a function here. */
export const PRODUCT_SECTIONS = {} satisfies Record<string, Section<Context, unknown>>

/** Everything a storefront shows of a product, in one answer. Throws `not_found`. */
export async function buildProductPage(
  deps: ApiDeps,
  { slug, currency }: { slug: string; currency: Currency },
): Promise<BuiltPage> {
  return readForPage(deps, async (db) => {
    const product = await findCatalogProduct(db, slug, currency)
    if (!product) throw new DomainError('not_found', `There is no such product on sale in ${currency}.`)
    const [first] = product.categories
    const breadcrumbs = first ? ((await findCategory(db, first.id))?.breadcrumbs ?? []) : []
    const sections = await buildSections(
      PRODUCT_SECTIONS,
      { db, slug, currency },
      { load: deps.load.load(), log: deps.log },
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
