import { z } from 'zod'
import { findCategory, listChildren } from '../../db/catalog/category'
import type { Pool } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { Currency } from '../../domain/money'
import { listedProduct, listPageOfProducts } from '../catalog/answer'
import { facets, searchFacets } from '../search/facets'
import { readCatalog } from '../catalog/read'
import type { ApiDeps } from '../deps'
import { categoryRef, listPageOf } from '../http/schemas'
import type { BuiltPage } from './cache'
import { buildSections, type Section, shapeOf } from './section'

const CHILDREN_MAX = 100
const PRODUCTS = 24

interface Context {
  readonly deps: ApiDeps
  readonly db: Pool
  readonly slug: string
  readonly currency: Currency
}

/** The sections of a category's page that may be missing. A new one is an entry here. */
const CATEGORY_SECTIONS = {
  facets: {
    shedAs: 'facets',
    schema: facets,
    build: async ({ deps, slug, currency }) => ({ value: await searchFacets(deps, { category: slug, currency }) }),
  },
} satisfies Record<string, Section<Context, unknown>>

export const categoryPage = z
  .strictObject({
    category: categoryRef.extend({ description: z.string() }),
    breadcrumbs: z.array(categoryRef),
    children: z.array(categoryRef),
    products: listPageOf(listedProduct),
    ...shapeOf(CATEGORY_SECTIONS),
    left_out: z.array(z.string()),
  })
  .meta({ id: 'CategoryPage' })

/** A category with what lies below it and the newest products of its branch, in one answer. Throws `not_found`. */
export async function buildCategoryPage(
  deps: ApiDeps,
  { slug, currency }: { slug: string; currency: Currency },
): Promise<BuiltPage> {
  return readCatalog(deps, async (db) => {
    const category = await findCategory(db, slug)
    if (!category) throw new DomainError('not_found', 'There is no such category.')
    const [children, products, sections] = await Promise.all([
      listChildren(db, category.id, CHILDREN_MAX),
      listPageOfProducts(db, { currency, category: category.slug, sort: 'newest', limit: PRODUCTS }),
      buildSections(
        CATEGORY_SECTIONS,
        { deps, db, slug: category.slug, currency },
        { level: deps.load.level(), log: deps.log },
      ),
    ])
    const { id, title, description, breadcrumbs } = category
    return {
      body: {
        category: { id, slug: category.slug, title, description },
        breadcrumbs,
        children,
        products,
        ...sections.values,
        left_out: sections.leftOut,
      },
      tags: [
        id,
        ...breadcrumbs.map((crumb) => crumb.id),
        ...products.data.map((product) => product.id),
        ...sections.tags,
      ],
      expiresAt: null,
      degraded: sections.leftOut.length > 0,
    }
  })
}
