import type { Route } from '../route'
import { apiKeyRoutes } from './api-key'
import { brandRoutes } from './brand'
import { cartRoutes } from './cart'
import { catalogRoutes } from './catalog'
import { categoryRoutes } from './category'
import { checkoutRoutes } from './checkout'
import { checkoutEventRoutes } from './checkout-events'
import { imageRoutes } from './image'
import { importRoutes } from './import'
import { invariantRoutes } from './invariant'
import { inventoryRoutes } from './inventory'
import { orderRoutes } from './order'
import { pageRoutes } from './page'
import { productRoutes } from './product'
import { searchAdminRoutes } from './search-admin'
import { searchRoutes } from './search'
import { recommendationRoutes } from './recommendation'
import { reviewRoutes } from './review'
import { settingsRoutes } from './settings'
import { storeEventRoutes } from './store-event'
import { supportRoutes } from './support'
import { systemRoutes } from './system'
import { warehouseRoutes } from './warehouse'
import { webhookRoutes } from './webhook'

/** Every route of the API. Those that shoppers call most stand first: the router looks in this order. */
export const routes: readonly Route[] = [
  ...pageRoutes,
  ...catalogRoutes,
  ...categoryRoutes,
  ...brandRoutes,
  ...searchRoutes,
  ...recommendationRoutes,
  ...reviewRoutes,
  ...storeEventRoutes,
  ...imageRoutes,
  ...cartRoutes,
  ...checkoutRoutes,
  ...checkoutEventRoutes,
  ...webhookRoutes,
  ...orderRoutes,
  ...supportRoutes,
  ...invariantRoutes,
  ...productRoutes,
  ...inventoryRoutes,
  ...warehouseRoutes,
  ...importRoutes,
  ...searchAdminRoutes,
  ...settingsRoutes,
  ...apiKeyRoutes,
  ...systemRoutes(() => routes),
]
