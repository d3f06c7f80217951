import { z } from 'zod'
import type { Address } from '../../db/cart/cart'
import { changeAddress } from '../../db/order/address'
import { type Order, readOwnOrder } from '../../db/order/read'
import { storeSettings } from '../../db/platform/settings'
import { withTransaction } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import { skuKey } from '../../domain/ids'
import { type AddressFixedBy, addressFixedBy, costsTheSame } from '../../domain/order'
import type { TaxRates } from '../../domain/pricing/price'
import { notServed } from '../cart/served'
import type { ApiDeps } from '../deps'
import { etagOf, ifMatchIfGiven } from '../http/etag'
import { invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { address, EXAMPLE_ADDRESS, pathId } from '../http/schemas'
import { requireOrder } from '../payment/amount'
import { orderBody, presentOrder, presentStaffOrder, staffOrderBody } from './answer'

/** Where an order goes may change until a label is made for it, and while it costs the same there. */

const BODY = z.strictObject({ shipping_address: address })
const DESCRIPTION =
  'Until a label is made for it. Refused where it would cost something else: another price of shipping, or another tax. The address that it has already changes nothing.'
const REFUSALS = {
  404: ['not_found'],
  409: ['address_changes_price', 'already_labelled', 'checkout_in_progress', 'invalid_state'],
} as const
const EXAMPLE = { answer: 200, body: { shipping_address: EXAMPLE_ADDRESS } }

const patchOwnOrder = defineRoute({
  method: 'patch',
  path: '/v1/store/orders/{id}',
  tag: 'Orders',
  summary: 'Change where an order goes',
  description: DESCRIPTION,
  caller: 'cart',
  params: pathId('order'),
  body: BODY,
  answers: { 200: orderBody, ...REFUSALS },
  example: EXAMPLE,
}).handle(async ({ params, body, caller }, deps) => {
  const read = async (): Promise<Order> => {
    const order = await readOwnOrder(deps.pool, params.id, caller.tokenHash)
    if (!order) throw new DomainError('not_found', 'There is no such order.')
    return order
  }
  return { status: 200, body: presentOrder(await change(read, body.shipping_address, deps)) }
})

const patchOrder = defineRoute({
  method: 'patch',
  path: '/v1/admin/orders/{id}',
  tag: 'Orders',
  summary: 'Change where an order goes',
  description: `${DESCRIPTION} With an ETag of the order in \`If-Match\`: only if nothing has happened to it since.`,
  caller: { admin: 'orders', access: 'write' },
  params: pathId('order'),
  body: BODY,
  answers: { 200: staffOrderBody, ...REFUSALS, 412: ['precondition_failed'] },
  example: EXAMPLE,
}).handle(async ({ params, body, headers }, deps) => {
  const mayChange = ifMatchIfGiven(headers)
  const read = (): Promise<Order> => requireOrder(params.id, deps)
  const order = await change(read, body.shipping_address, deps, mayChange)
  return { status: 200, body: presentStaffOrder(order, deps.settings), headers: { ETag: etagOf(order.eventSeq) } }
})

/** An address that others change meanwhile is compared again this often. */
const TRIES_MAX = 5

/** Changes the address of the order that `read` reads, and answers it as it stands then. */
async function change(
  read: () => Promise<Order>,
  to: Address,
  deps: ApiDeps,
  mayChange: (seq: number) => boolean = () => true,
): Promise<Order> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const order = await read()
    await requireServed(to.country, deps)
    // Of an order that is fixed anyway, or has the address, nobody asks what it would cost.
    const isFree = addressFixedBy(order) === null
    const isDearer = isFree && !(await costsTheSameAt(order, to, deps))
    if (isDearer)
      throw new DomainError(
        'address_changes_price',
        'Shipping or tax would be another there. Cancel the order, and order again.',
      )
    const outcome = await withTransaction(deps.pool, (tx) =>
      changeAddress(tx, { orderId: order.id, address: to, version: isFree ? order.addressVersion : null, mayChange }),
    )
    if (outcome === 'changed' || outcome === 'same') return read()
    if (outcome === 'outdated')
      throw new DomainError('precondition_failed', 'The order has changed since you read it. Read it again.')
    if (outcome !== 'stale') throw new DomainError(outcome, WORDS[outcome])
  }
  throw new DomainError('unavailable', 'The order changes too fast. Try again.', { dependency: 'postgres' })
}

const WORDS: Readonly<Record<AddressFixedBy, string>> = {
  checkout_in_progress: 'The order is not paid yet: cancel the checkout, and begin another.',
  already_labelled: 'A label bears its address, or all of it has left.',
  invalid_state: 'The order was cancelled.',
}

async function requireServed(country: string, { pool }: ApiDeps): Promise<void> {
  const errors = notServed(country, (await storeSettings(pool)).countries)
  if (errors.length > 0) throw invalid(errors)
}

/** Asked before the transaction: a source of tax rates may call out. */
async function costsTheSameAt(order: Order, to: Address, { pool, tax }: ApiDeps): Promise<boolean> {
  const lines = order.lines.map(({ sku, quantity, unitPrice }) => ({ sku: skuKey(sku), quantity, unitPrice }))
  const skus = lines.map(({ sku }) => sku)
  const ratesAt = ({ country, postal_code: postalCode }: Address): Promise<TaxRates> =>
    tax.rates({ address: { country, postalCode }, skus })
  const [{ taxInclusive }, before, after] = await Promise.all([
    storeSettings(pool),
    ratesAt(order.shippingAddress),
    ratesAt(to),
  ])
  const { currency, shippingMethod } = order
  return costsTheSame({ currency, shippingMethod, lines, taxInclusive }, before, after)
}

export const addressRoutes: readonly Route[] = [patchOwnOrder, patchOrder]
