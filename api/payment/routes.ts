import { z } from 'zod'
import { receiveEvent } from '../../db/payment/inbox'
import { DomainError } from '../../domain/errors'
import {
  InvalidSignature,
  type PaymentProvider,
  type WebhookEvent,
  type WebhookHeaders,
} from '../../providers/payment/provider'
import { defineRoute, type Route } from '../http/route'

const postPaymentWebhook = defineRoute({
  method: 'post',
  path: '/webhooks/payments/{provider}',
  tag: 'Webhooks',
  summary: 'Hear from a payment provider',
  description: 'Signed by the provider. Answered once it is kept; a repeated event is kept once.',
  caller: 'anyone',
  idempotency: 'none',
  params: z.object({ provider: z.string().min(1).max(50) }),
  body: { raw: 'whole', mediaType: 'application/json' },
  answers: { 204: null, 401: ['unauthenticated'] },
}).handle(async ({ params, body, headers }, deps) => {
  const provider = deps.providers.get(params.provider)
  if (!provider) throw new DomainError('not_found', 'There is no such payment provider.')
  const event = verify(provider, body, headers)
  if (event) await receiveEvent(deps.pool, { provider: provider.name, ...event })
  return { status: 204 }
})

/** Null: it is of no charge, and nothing has to be kept. */
function verify(provider: PaymentProvider, body: Buffer, headers: WebhookHeaders): WebhookEvent | null {
  try {
    return provider.verifyWebhook(body, headers)
  } catch (error) {
    if (error instanceof InvalidSignature)
      throw new DomainError('unauthenticated', 'The webhook is not signed by this provider.')
    throw error
  }
}

export const webhookRoutes: Route[] = [postPaymentWebhook]
