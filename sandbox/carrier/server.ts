import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestFaults } from '../faults'
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
} from '../http'
import { labelPdf } from './document'
import type { Odds } from './journey'
import { type LabelRecord, publicLabel, publicTracking } from './label'
import { type LabelStore, type Refusal, type Result, unavailable } from './label-store'
import { type CarrierFaultSettings, emptyBody, faultsBody, labelBody, labelQuery, rateBody, voidBody } from './requests'
import { ratesFor } from './services'
import { parcelView, unknownParcelView } from './view'
import { behaviourOf } from './words'

export interface CarrierParts {
  readonly store: LabelStore
  readonly faults: RequestFaults<CarrierFaultSettings>
  /** Resolves when everything that happened so far is on disk. */
  readonly durable: () => Promise<void>
  /** Where a browser reaches the carrier, without a slash at the end. */
  readonly publicUrl: string
}

/** The carrier over HTTP. No answer leaves before what it tells of is on disk. */
export function createHandler(parts: CarrierParts): RequestListener {
  return listener('carrier', (request, response) => handle(parts, request, response))
}

/** What becomes of parcels, and how fast, as long as nobody wants anything else. */
const USUAL: Odds = { seed: 1, lost_rate: 0, return_rate: 0, late_rate: 0, speed: 1 }

interface Call extends CarrierParts {
  readonly method: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The label's id or tracking number in the path, or the empty string. */
  readonly id: string
}

/** A thousand boxes and more. */
const BODY_LIMIT = 1024 * 1024

async function handle(parts: CarrierParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { path, query } = splitTarget(request.url ?? '/')
  const body = await readBody(request, BODY_LIMIT)
  if (body === null) return write(response, bodyTooLarge(BODY_LIMIT))
  const fault = /^\/v1\/(rates|labels|tracking)/.test(path) ? parts.faults.next() : null
  if (fault && fault.delayMs > 0) await sleep(fault.delayMs)
  if (fault?.fails) return write(response, refusal(parts, unavailable()))

  const method = request.method ?? 'GET'
  const answer = await route(path, { ...parts, method, query, headers: request.headers, body, id: '' })
  await parts.durable()
  const early = (answer.notBefore ?? 0) - Date.now()
  if (early > 0) await sleep(early)
  if (answer.dropped || fault?.dropsAnswer) request.socket.destroy()
  else write(response, answer)
}

type Handler = (call: Call) => Answer | Promise<Answer>

const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  '/livez': { GET: () => ({ status: 200, body: { status: 'ok' } }) },
  '/v1/rates': { POST: rates },
  '/v1/labels': { POST: buy, GET: listLabels },
  '/v1/labels/void': { POST: voidByKey },
  '/v1/labels/:id': { GET: readLabel },
  '/v1/labels/:id/void': { POST: voidLabel },
  '/v1/labels/:id/handover': { POST: handOver },
  '/v1/labels/:id/label.pdf': { GET: readDocument },
  '/v1/tracking/:number': { GET: track },
  '/v1/faults': { PUT: setFaults },
  '/track/:number': { GET: showParcel },
}

function route(path: string, call: Call): Answer | Promise<Answer> {
  const [, where = '', id = ''] = /^\/(v1\/labels|v1\/tracking|track)\/(lb_[0-9a-f]+|\d+)(?=\/|$)/.exec(path) ?? []
  const name = where === 'v1/labels' ? ':id' : ':number'
  const handlers = ROUTES[id === '' ? path : path.replace(`/${id}`, `/${name}`)]
  if (!handlers) return problem(404, 'not_found', `There is no ${path}.`)
  const handler = handlers[call.method]
  if (handler) return handler({ ...call, id })
  const allow = Object.keys(handlers).join(', ')
  return { ...problem(405, 'method_not_allowed', `Use ${allow}.`), headers: { allow } }
}

function rates(call: Call): Answer {
  return parsed(call.body, rateBody, (request) => listAnswer(ratesFor(request), null))
}

function buy(call: Call): Answer {
  const key = idempotencyKey(call.headers)
  if (typeof key !== 'string') return key
  return parsed(call.body, labelBody, (request) =>
    settle(call, call.store.buy(key, request, oddsOf(call).speed), ({ label, bought }) => {
      const { answerAfterMs = 0, dropFirstAnswer } = behaviourOf(label.request.to)
      return {
        status: 201,
        body: publicLabel(label, call.publicUrl),
        notBefore: Date.parse(label.created_at) + answerAfterMs,
        dropped: bought && dropFirstAnswer === true,
      }
    }),
  )
}

function listLabels(call: Call): Answer {
  const asked = labelQuery.safeParse(Object.fromEntries(call.query))
  if (!asked.success) return invalid(asked.error)
  const { key, limit, cursor } = asked.data
  const byKey = key === undefined ? undefined : call.store.byKey(key)
  const { labels, next } =
    key === undefined ? call.store.list(cursor, limit) : { labels: byKey ? [byKey] : [], next: null }
  return listAnswer(
    labels.map((label) => publicLabel(label, call.publicUrl)),
    next,
  )
}

function readLabel(call: Call): Answer {
  return withLabel(call, (label) => labelAnswer(label, call))
}

function voidLabel(call: Call): Answer {
  return parsed(call.body, emptyBody, () =>
    withLabel(call, (label) =>
      settle(call, call.store.void(label), (done) => ({ ...labelAnswer(done, call), status: statusOfVoid(done) })),
    ),
  )
}

function voidByKey(call: Call): Answer {
  return parsed(call.body, voidBody, ({ key }) =>
    settle(call, call.store.voidKey(key), (label) => ({
      status: statusOfVoid(label),
      body: { key, label: label && publicLabel(label, call.publicUrl) },
    })),
  )
}

/** 202: it thinks about it. */
function statusOfVoid(label: LabelRecord | null): number {
  return label?.status === 'live' ? 202 : 200
}

function handOver(call: Call): Answer {
  return parsed(call.body, emptyBody, () =>
    withLabel(call, (label) => settle(call, call.store.handOver(label, oddsOf(call)), labelAnswer)),
  )
}

async function readDocument(call: Call): Promise<Answer> {
  const label = call.store.get(call.id)
  return label ? { status: 200, body: null, pdf: await labelPdf(label) } : unknownLabel(call)
}

function track(call: Call): Answer {
  const label = call.store.byNumber(call.id)
  if (!label) return problem(404, 'not_found', `There is no parcel ${call.id}.`)
  const { tracking_number, expected_at } = publicLabel(label, call.publicUrl)
  const events = label.events.map((event) => publicTracking(label, event))
  return { status: 200, body: { tracking_number, expected_at, events } }
}

function showParcel(call: Call): Answer {
  const label = call.store.byNumber(call.id)
  return label
    ? { status: 200, body: null, html: parcelView(label) }
    : { status: 404, body: null, html: unknownParcelView() }
}

function setFaults(call: Call): Answer {
  return parsed(call.body, faultsBody, (settings) => {
    call.faults.set(settings)
    return { status: 200, body: settings ?? {} }
  })
}

function oddsOf({ faults }: Call): Odds {
  return faults.settings ?? USUAL
}

function labelAnswer(label: LabelRecord, call: Call): Answer {
  return { status: 200, body: publicLabel(label, call.publicUrl) }
}

function withLabel(call: Call, act: (label: LabelRecord) => Answer): Answer {
  const label = call.store.get(call.id)
  return label ? act(label) : unknownLabel(call)
}

function unknownLabel({ id }: Call): Answer {
  return problem(404, 'not_found', `There is no label ${id}.`)
}

function settle<T>(call: Call, result: Result<T>, answer: (done: T, call: Call) => Answer): Answer {
  return result.refused ? refusal(call, result.refused) : answer(result.done, call)
}

function refusal({ publicUrl }: CarrierParts, { status, label, ...rest }: Refusal): Answer {
  return { status, body: { ...rest, ...(label ? { label: publicLabel(label, publicUrl) } : {}) } }
}
