import type { Route } from './http/route'
import { addressRoutes } from './order/address-routes'
import { apiKeyRoutes } from './platform/api-key-routes'
import { brandRoutes } from './catalog/brand-routes'
import { cartRoutes } from './cart/routes'
import { catalogRoutes } from './catalog/store-routes'
import { categoryRoutes } from './catalog/category-routes'
import { checkoutRoutes } from './checkout/routes'
import { checkoutEventRoutes } from './checkout/events'
import { holdRoutes } from './order/hold-routes'
import { imageRoutes } from './catalog/image-routes'
import { importRoutes } from './import/routes'
import { invariantRoutes } from './support/invariant-routes'
import { inventoryRoutes } from './inventory/routes'
import { documentRoutes } from './order/document-routes'
import { orderRoutes } from './order/routes'
import { pageRoutes } from './page/routes'
import { productRoutes } from './catalog/product-routes'
import { searchAdminRoutes } from './search/admin-routes'
import { searchRoutes } from './search/routes'
import { receiptRoutes } from './fulfillment/receipt-routes'
import { reconciliationRoutes } from './payment/reconciliation-routes'
import { recommendationRoutes } from './recommendation/routes'
import { reviewRoutes } from './review/routes'
import { settingsRoutes } from './platform/settings-routes'
import { interactionRoutes } from './recommendation/interaction-routes'
import { supportRoutes } from './support/routes'
import { systemRoutes } from './platform/system-routes'
import { pickListRoutes } from './fulfillment/pick-list-routes'
import { shipmentRoutes } from './fulfillment/shipment-routes'
import { warehouseRoutes } from './inventory/warehouse-routes'
import { captureRoutes } from './payment/capture-routes'
import { paymentMethodRoutes } from './payment/method-routes'
import { refundRoutes } from './payment/refund-routes'
import { webhookRoutes } from './payment/routes'
import { carrierWebhookRoutes } from './fulfillment/webhook-routes'
import { warehouseWebhookRoutes } from './fulfillment/warehouse-webhook-routes'
import { cancelRoutes } from './checkout/cancel-routes'

/** Every route of the API. Those that shoppers call most stand first: the router looks in this order. */
export const routes: readonly Route[] = [
  ...pageRoutes,
  ...catalogRoutes,
  ...categoryRoutes,
  ...brandRoutes,
  ...searchRoutes,
  ...recommendationRoutes,
  ...reviewRoutes,
  ...interactionRoutes,
  ...imageRoutes,
  ...cartRoutes,
  ...checkoutRoutes,
  ...checkoutEventRoutes,
  ...paymentMethodRoutes,
  ...webhookRoutes,
  ...carrierWebhookRoutes,
  ...warehouseWebhookRoutes,
  ...orderRoutes,
  ...addressRoutes,
  ...holdRoutes,
  ...documentRoutes,
  ...cancelRoutes,
  ...captureRoutes,
  ...refundRoutes,
  ...shipmentRoutes,
  ...pickListRoutes,
  ...supportRoutes,
  ...invariantRoutes,
  ...reconciliationRoutes,
  ...productRoutes,
  ...receiptRoutes,
  ...inventoryRoutes,
  ...warehouseRoutes,
  ...importRoutes,
  ...searchAdminRoutes,
  ...settingsRoutes,
  ...apiKeyRoutes,
  ...systemRoutes(() => routes),
]
