import { z } from 'zod'
import { listRecommended } from '../../db/recommendation/lists'
import { storeSettings } from '../../db/platform/settings'
import { DomainError } from '../../domain/errors'
import { LIMITS, RECOMMENDATION_KINDS } from '../../domain/recommendation/similarity'
import { currencyQuery, listedProduct, presentListed } from '../catalog/answer'
import { readCatalog } from '../catalog/read'
import { defineRoute, type Route } from '../http/route'
import { wholeList } from '../http/pagination'
import { EXAMPLE_PRODUCT, listPageOf } from '../http/schemas'

const getRecommendations = defineRoute({
  method: 'get',
  path: '/v1/store/products/{id}/recommendations',
  tag: 'Recommendations',
  summary: 'List products that go with this one',
  description:
    '`bought_together`: in one order with it. `also_bought`: by the same buyers, at any time. `similar`: like it. Computed every ' +
    'night; where there are too few, what sells best in its categories follows. Never a second page.',
  caller: 'anyone',
  params: z.object({ id: z.string().min(1).max(100).meta({ description: 'id or slug', example: EXAMPLE_PRODUCT }) }),
  query: z.strictObject({
    kind: z.enum(RECOMMENDATION_KINDS).default('bought_together'),
    limit: z.coerce.number().int().min(1).max(LIMITS.perProduct).default(8),
    currency: currencyQuery,
  }),
  answers: { 200: listPageOf(listedProduct) },
  example: { answer: 200 },
}).handle(async ({ params, query: { kind, limit, ...query } }, deps) => {
  const currency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  const wanted = { product: params.id, kind, currency, limit }
  const products = await readCatalog(deps, (db) => listRecommended(db, wanted))
  if (!products) throw new DomainError('not_found', 'There is no such product on sale.')
  const data = products.map((product) => presentListed(product, currency))
  return { status: 200, body: wholeList(data) }
})

export const recommendationRoutes: readonly Route[] = [getRecommendations]
