import type { Route } from '../route'
import { cartRoutes } from './cart'
import { catalogRoutes } from './catalog'
import { checkoutRoutes } from './checkout'
import { importRoutes } from './import'
import { inventoryRoutes } from './inventory'
import { productRoutes } from './product'
import { settingsRoutes } from './settings'
import { systemRoutes } from './system'
import { warehouseRoutes } from './warehouse'

/** Every route of the API. Those that shoppers call most stand first: the router looks in this order. */
export const routes: readonly Route[] = [
  ...catalogRoutes,
  ...cartRoutes,
  ...checkoutRoutes,
  ...productRoutes,
  ...inventoryRoutes,
  ...warehouseRoutes,
  ...importRoutes,
  ...settingsRoutes,
  ...systemRoutes(() => routes),
]
