import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { z } from 'zod'
import type { ChargeStore } from './charge-store'
import type { ChargeRecord, RefundRecord } from './charge'
import type { ChargePage } from './charge-index'
import type { Faults } from './faults'
import {
  type Answer,
  bodyTooLarge,
  idempotencyKey,
  invalid,
  listAnswer,
  listener,
  parsed,
  problem,
  readBody,
  splitTarget,
  write,
} from './http'
import { behaviourOf } from './methods'
import { publicCharge, publicRefund } from './public-charge'
import { decisionView, resultView, returnAddress, unknownView } from './view'
import { unavailable, type Refusal, type Result } from './refusal'
import {
  cancelBody,
  captureBody,
  chargeBody,
  chargeQuery,
  closeBody,
  disputeBody,
  emptyBody,
  faultsBody,
  movementQuery,
  refundBody,
  settleBody,
} from './requests'

export interface SandboxParts {
  readonly store: ChargeStore
  readonly faults: Faults
  /** Resolves when everything that happened so far is on disk. */
  readonly durable: () => Promise<void>
  /** Where a customer's browser reaches the sandbox, without a slash at the end. */
  readonly publicUrl: string
}

/** The sandbox over HTTP. No answer leaves before what it tells of is on disk. */
export function createHandler(parts: SandboxParts): RequestListener {
  return listener('sandbox', (request, response) => handle(parts, request, response))
}

interface Call extends SandboxParts {
  readonly method: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The charge's id in the path, or the empty string. */
  readonly id: string
  /** The id of its refund or dispute in the path, or the empty string. */
  readonly partId: string
}

const BODY_LIMIT = 64 * 1024

async function handle(parts: SandboxParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { path, query } = splitTarget(request.url ?? '/')
  const body = await readBody(request, BODY_LIMIT)
  if (body === null) return write(response, bodyTooLarge(BODY_LIMIT))
  const fault = /^\/v1\/(charges|movements)/.test(path) ? parts.faults.next() : null
  if (fault && fault.delayMs > 0) await sleep(fault.delayMs)
  if (fault?.fails) return write(response, refusal(parts, unavailable()))

  const method = request.method ?? 'GET'
  const answer = route(path, { ...parts, method, query, headers: request.headers, body, id: '', partId: '' })
  await parts.durable()
  const early = (answer.notBefore ?? 0) - Date.now()
  if (early > 0) await sleep(early)
  if (answer.dropped || fault?.dropsAnswer) request.socket.destroy()
  else write(response, answer)
}

type Handler = (call: Call) => Answer

const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  '/livez': { GET: () => ({ status: 200, body: { status: 'ok' } }) },
  '/v1/charges': { POST: createCharge, GET: listCharges },
  '/v1/charges/cancel': { POST: cancelByKey },
  '/v1/charges/:id': { GET: readCharge },
  '/v1/charges/:id/capture': { POST: capture },
  '/v1/charges/:id/void': { POST: voidCharge },
  '/v1/charges/:id/refunds': { POST: refund },
  '/v1/charges/:id/refunds/:part/settle': { POST: settleRefund },
  '/v1/charges/:id/dispute': { POST: dispute },
  '/v1/charges/:id/disputes/:part/close': { POST: closeDispute },
  '/v1/movements': { GET: listMovements },
  '/v1/faults': { PUT: setFaults },
  '/3ds/:id': { GET: showDecision },
  '/3ds/:id/approve': { POST: (call) => decide(call, true) },
  '/3ds/:id/refuse': { POST: (call) => decide(call, false) },
}

function route(path: string, call: Call): Answer {
  const id = CHARGE_ID.exec(path)?.[1] ?? ''
  const partId = PART_ID.exec(path)?.[1] ?? ''
  const handlers =
    ROUTES[
      path
        .split('/')
        .map((step) => namedStep(step, id, partId))
        .join('/')
    ]
  if (!handlers) return problem(404, 'not_found', `There is no ${path}.`)
  const handler = handlers[call.method]
  if (handler) return handler({ ...call, id, partId })
  const allow = Object.keys(handlers).join(', ')
  return { ...problem(405, 'method_not_allowed', `Use ${allow}.`), headers: { allow } }
}

const CHARGE_ID = /\/(ch_[0-9a-z]+)(?=\/|$)/
const PART_ID = /\/((?:re|dp)_[0-9a-z]+)(?=\/|$)/

function namedStep(step: string, id: string, partId: string): string {
  if (step === '') return step
  if (step === id) return ':id'
  return step === partId ? ':part' : step
}

function createCharge(call: Call): Answer {
  const key = idempotencyKey(call.headers)
  if (typeof key !== 'string') return key
  return withBody(call, chargeBody, (request) =>
    settle(call, call.store.create(key, request, call.faults.authorizationMs), createdAnswer),
  )
}

function listCharges(call: Call): Answer {
  const asked = chargeQuery.safeParse(Object.fromEntries(call.query))
  if (!asked.success) return invalid(asked.error)
  const { key, reference, updated_since: since, limit, cursor } = asked.data
  const { index } = call.store
  const isShown = (charge: ChargeRecord): boolean => isFound(call, charge)
  if (key === undefined && reference === undefined) {
    return since === undefined
      ? list(call, index.listCreated(cursor, limit, isShown))
      : list(call, index.listChanged(since, cursor, limit, isShown))
  }
  const byKey = key === undefined ? undefined : index.byKey(key)
  const found = key === undefined ? index.byReference(reference ?? '') : byKey ? [byKey] : []
  const matching = found.filter((charge) => reference === undefined || charge.reference === reference)
  return list(call, { charges: matching.filter(isShown), next: null })
}

/** A look-up may lag behind what was made. */
function isFound({ faults }: Call, charge: ChargeRecord): boolean {
  return faults.findLagMs === 0 || Date.parse(charge.created_at) + faults.findLagMs <= Date.now()
}

function readCharge(call: Call): Answer {
  return withCharge(call, (charge) => chargeAnswer(charge, call))
}

function capture(call: Call): Answer {
  const key = idempotencyKey(call.headers)
  if (typeof key !== 'string') return key
  return withMoney(call, captureBody, (charge, { amount, final }) =>
    settle(call, call.store.capture(charge, { key, amount, final }), chargeAnswer),
  )
}

function refund(call: Call): Answer {
  const key = idempotencyKey(call.headers)
  if (typeof key !== 'string') return key
  return withMoney(call, refundBody, (charge, { amount }) =>
    settle(call, call.store.refund(charge, { key, amount }), refundAnswer),
  )
}

function settleRefund(call: Call): Answer {
  return withBody(call, settleBody, ({ status }) =>
    withCharge(call, (charge) => {
      const made = charge.refunds.find(({ id }) => id === call.partId)
      if (!made) return problem(404, 'not_found', `The charge has no refund ${call.partId}.`)
      return settle(call, call.store.settleRefund(charge, made, status), chargeAnswer)
    }),
  )
}

function dispute(call: Call): Answer {
  return withBody(call, disputeBody, ({ amount }) =>
    withCharge(call, (charge) =>
      settle(call, call.store.dispute(charge, amount), (disputed) => ({
        ...chargeAnswer(disputed, call),
        status: 201,
      })),
    ),
  )
}

function closeDispute(call: Call): Answer {
  return withBody(call, closeBody, ({ status }) =>
    withCharge(call, (charge) => {
      const open = charge.disputes.find(({ id }) => id === call.partId)
      if (!open) return problem(404, 'not_found', `The charge has no dispute ${call.partId}.`)
      return settle(call, call.store.closeDispute(charge, open, status), chargeAnswer)
    }),
  )
}

function voidCharge(call: Call): Answer {
  return withBody(call, emptyBody, () =>
    withCharge(call, (charge) => settle(call, call.store.void(charge), chargeAnswer)),
  )
}

function cancelByKey(call: Call): Answer {
  return withBody(call, cancelBody, ({ key }) =>
    settle(call, call.store.cancel(key), (charge) => ({
      status: 200,
      body: { key, charge: charge && publicCharge(charge, call.publicUrl) },
    })),
  )
}

function listMovements(call: Call): Answer {
  const asked = movementQuery.safeParse(Object.fromEntries(call.query))
  if (!asked.success) return invalid(asked.error)
  const { after, since, limit } = asked.data
  const { movements, next } = call.store.index.movements.listPage(after, since, limit)
  return listAnswer(movements, next)
}

function setFaults(call: Call): Answer {
  return withBody(call, faultsBody, (settings) => {
    call.faults.set(settings)
    return { status: 200, body: settings ?? {} }
  })
}

function showDecision(call: Call): Answer {
  const charge = call.store.index.get(call.id)
  if (!charge) return { status: 404, body: null, html: unknownView() }
  const open = charge.status === 'requires_action'
  return { status: 200, body: null, html: open ? decisionView(charge) : resultView(charge) }
}

function decide(call: Call, approved: boolean): Answer {
  const charge = call.store.index.get(call.id)
  if (!charge) return { status: 404, body: null, html: unknownView() }
  const decided = call.store.decide(charge, approved)
  const location = returnAddress(decided)
  const html = resultView(decided)
  return location === null
    ? { status: 200, body: null, html }
    : { status: 303, body: null, html, headers: { location } }
}

function createdAnswer({ charge, created }: { charge: ChargeRecord; created: boolean }, call: Call): Answer {
  const behaviour = behaviourOf(charge.method)
  return {
    status: behaviour.decline ? 402 : 201,
    body: publicCharge(charge, call.publicUrl),
    notBefore: Date.parse(charge.created_at) + (behaviour.answerAfterMs ?? 0),
    dropped: created && behaviour.dropFirstAnswer === true,
  }
}

function chargeAnswer(charge: ChargeRecord, call: Call): Answer {
  return { status: 200, body: publicCharge(charge, call.publicUrl) }
}

function refundAnswer(made: RefundRecord): Answer {
  return { status: made.status === 'failed' ? 402 : 201, body: publicRefund(made) }
}

function list(call: Call, { charges, next }: ChargePage): Answer {
  return listAnswer(
    charges.map((charge) => publicCharge(charge, call.publicUrl)),
    next,
  )
}

function withCharge(call: Call, act: (charge: ChargeRecord) => Answer): Answer {
  const charge = call.store.index.get(call.id)
  return charge ? act(charge) : problem(404, 'not_found', `There is no charge ${call.id}.`)
}

function withBody<T>(call: Call, schema: z.ZodType<T>, act: (body: T) => Answer): Answer {
  return parsed(call.body, schema, act)
}

function withMoney<T extends { readonly currency?: string | undefined }>(
  call: Call,
  schema: z.ZodType<T>,
  act: (charge: ChargeRecord, body: T) => Answer,
): Answer {
  return withBody(call, schema, (body) =>
    withCharge(call, (charge) =>
      body.currency !== undefined && body.currency !== charge.currency
        ? problem(422, 'currency_mismatch', `The charge is in ${charge.currency}.`)
        : act(charge, body),
    ),
  )
}

function settle<T>(call: Call, result: Result<T>, answer: (done: T, call: Call) => Answer): Answer {
  return result.refused ? refusal(call, result.refused) : answer(result.done, call)
}

function refusal({ publicUrl }: SandboxParts, { status, charge, ...rest }: Refusal): Answer {
  return { status, body: { ...rest, ...(charge ? { charge: publicCharge(charge, publicUrl) } : {}) } }
}
