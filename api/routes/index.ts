import type { Route } from '../route'
import { cartRoutes } from './cart'
import { systemRoutes } from './system'

/** Every route of the API. Those that shoppers call most stand first: the router looks in this order. */
export const routes: readonly Route[] = [...cartRoutes, ...systemRoutes]
