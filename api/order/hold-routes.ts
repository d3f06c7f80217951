import { z } from 'zod'
import { holdOrder, resumeOrder } from '../../db/order/hold'
import { readOrder } from '../../db/order/read'
import { withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import type { OrderId } from '../../domain/ids'
import type { HoldCause, OrderStatus } from '../../domain/order'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { pathId, reasonCode } from '../http/schemas'
import { requireOrder } from '../payment/amount'
import { tellOwner } from '../payment/owner'
import { presentStaffOrder, staffOrderBody } from './answer'

/** Orders that staff put on hold, and let go on. */

const ANSWERS = {
  200: staffOrderBody,
  404: ['not_found'],
  409: ['invalid_state', 'request_in_progress'],
  422: ['idempotency_key_reused'],
} as const

const postHold = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/hold',
  tag: 'Orders',
  summary: 'Put an order on hold',
  description:
    'Of a confirmed order nothing is labelled or captured then, until it is resumed; a capture that is under way goes on to its end. Repeated, it changes nothing.',
  caller: { admin: 'orders', access: 'write' },
  params: pathId('order'),
  body: z.strictObject({ reason_code: reasonCode }),
  answers: ANSWERS,
  example: { answer: 200, body: { reason_code: 'address_unclear' } },
}).handle(async ({ params, body, idempotency }, deps) => {
  const { id } = await requireOrder(params.id, deps)
  const { status, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const outcome = await holdOrder(tx, id, { cause: 'staff', reasonCode: body.reason_code })
      if (outcome === 'refused') throw notHoldable((await readOrder(tx, id))?.status)
      return { status: 200, resource: id }
    },
    async () => null,
  )
  return { status, body: await told(id, deps), headers }
})

/** Of a resumption that says no reason. */
const RESUMED = 'resumed'

/** A dispute ends by itself, or by a repair of its case. */
const ENDED_BY_STAFF = ['staff', 'fraud'] as const satisfies readonly HoldCause[]

const postResume = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/resume',
  tag: 'Orders',
  summary: 'Let an order on hold go on',
  description:
    'Ends what staff or the fraud check hold it for. It stays `on_hold` while a dispute holds it, as `held_for` says. Of an order that is not on hold it changes nothing.',
  caller: { admin: 'orders', access: 'write' },
  params: pathId('order'),
  body: z.strictObject({ reason_code: reasonCode.nullish() }),
  answers: ANSWERS,
  example: { answer: 200, body: {} },
}).handle(async ({ params, body, idempotency }, deps) => {
  const { id } = await requireOrder(params.id, deps)
  const { status, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      for (const cause of ENDED_BY_STAFF) {
        const outcome = await resumeOrder(tx, id, { cause, reasonCode: body.reason_code ?? RESUMED })
        if (outcome === 'refused') throw notHoldable((await readOrder(tx, id))?.status)
      }
      return { status: 200, resource: id }
    },
    async () => null,
  )
  return { status, body: await told(id, deps), headers }
})

/** Tells the order's workflow, which shows it or goes on. Said again it does no harm: whoever held or resumed it may have been killed before. */
async function told(orderId: OrderId, deps: ApiDeps): Promise<z.input<typeof staffOrderBody>> {
  const { status } = await requireOrder(orderId, deps)
  if (status === 'confirmed' || status === 'processing' || status === 'on_hold')
    await tellOwner({ orderId, isOver: false, paymentIds: [] }, deps)
  return presentStaffOrder(await requireOrder(orderId, deps), deps.settings)
}

function notHoldable(status: OrderStatus | undefined): DomainError {
  return new DomainError(
    'invalid_state',
    `Only a confirmed order that has not all left can be on hold; this one is ${status}.`,
    {
      order_status: status,
    },
  )
}

export const holdRoutes: readonly Route[] = [postHold, postResume]
