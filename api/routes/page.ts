import { z } from 'zod'
import { storeSettings } from '../../db/settings'
import { buildHomePage, homePage } from '../pages/home'
import { defineRoute, type Route } from '../route'
import { sessionId } from '../schemas'
import { currencyQuery } from './catalog'

const getHome = defineRoute({
  method: 'get',
  path: '/v1/store/pages/home',
  tag: 'Pages',
  summary: 'Read the home page in one call',
  description: 'With the `session` of the events that the storefront reports, what may please it comes first.',
  caller: 'anyone',
  query: z.strictObject({ currency: currencyQuery, session: sessionId.optional() }),
  answers: { 200: homePage },
}).handle(async ({ query }, deps) => {
  const currency = query.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  return { status: 200, body: await buildHomePage(deps, { currency, session: query.session ?? null }) }
})

export const pageRoutes: readonly Route[] = [getHome]
