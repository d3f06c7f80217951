import { z } from 'zod'
import { receiveTracking } from '../../db/fulfillment/tracking'
import { DomainError } from '../../domain/errors'
import {
  type CarrierProvider,
  InvalidSignature,
  type TrackingEvent,
  type WebhookHeaders,
} from '../../providers/carrier/carrier'
import { defineRoute, type Route } from '../http/route'

const postCarrierWebhook = defineRoute({
  method: 'post',
  path: '/webhooks/carriers/{carrier}',
  tag: 'Webhooks',
  summary: 'Hear from a carrier',
  description: 'Signed by the carrier. Answered once it is kept; a repeated event is kept once.',
  caller: 'anyone',
  idempotency: 'none',
  params: z.object({ carrier: z.string().min(1).max(50) }),
  body: { raw: 'whole', mediaType: 'application/json' },
  answers: { 204: null, 401: ['unauthenticated'] },
}).handle(async ({ params, body, headers }, deps) => {
  const carrier = deps.carriers.get(params.carrier)
  if (!carrier) throw new DomainError('not_found', 'There is no such carrier.')
  await receiveTracking(deps.pool, carrier.name, verify(carrier, body, headers))
  return { status: 204 }
})

function verify(carrier: CarrierProvider, body: Buffer, headers: WebhookHeaders): TrackingEvent[] {
  try {
    return carrier.verifyWebhook(body, headers)
  } catch (error) {
    if (error instanceof InvalidSignature)
      throw new DomainError('unauthenticated', 'The webhook is not signed by this carrier.')
    throw error
  }
}

export const carrierWebhookRoutes: Route[] = [postCarrierWebhook]
