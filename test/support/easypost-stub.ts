import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { signatureOf } from '../../providers/carrier/easypost/tracking'
import type {
  RefundStatus,
  WireRate,
  WireShipment,
  WireTracker,
  WireTrackingDetail,
} from '../../providers/carrier/easypost/wire'

/** Answers as EasyPost's documentation says (https://docs.easypost.com), and keeps what it sold. */
export interface EasyPostStub {
  readonly url: string
  /** Shipments in order of creation. */
  readonly shipments: ReadonlyMap<string, WireShipment>
  /** What was asked, as it came: `POST /v2/shipments` and the body. */
  readonly requests: readonly { readonly name: string; readonly body: any }[]
  /** The next request of this name has its effect, and its answer comes so much later. */
  delayNext(name: RegExp, ms: number): void
  /** The next request of this name has its effect so much later, and so does its answer. */
  holdNext(name: RegExp, ms: number): void
  /** The next request of this name has its effect, and is never answered. */
  loseNext(name: RegExp): void
  /** The next request of this name is refused. */
  refuseNext(name: RegExp, status: number, code: string): void
  /** What the carriers say to refunds from now on. */
  refundStatus: RefundStatus | null
  /** A carrier has made up its mind about a refund. */
  decideRefund(shipmentId: string, status: RefundStatus): void
  /** Every request answers 503. */
  isDown: boolean
  /** How much each rate of new shipments costs, for tests of odd figures. */
  rate: { rate: string; currency: string } | null
  /** The parcel goes on, and that is told by an event. */
  progress(trackingCode: string, detail: Partial<WireTrackingDetail> & { status: string }): void
  /** What was told of parcels so far. */
  readonly deliveries: readonly { readonly body: Buffer; readonly headers: Record<string, string> }[]
  stop(): Promise<void>
}

export const EASYPOST_KEY = 'EZTK_of_the_stub'
export const EASYPOST_SECRET = 'a ſecret ﬁt for NFKD ½'

/** An address of this postal code is not taken. */
export const REFUSED_ZIP = '00000'
/** To this country nobody goes. */
export const NOWHERE = 'AQ'

const SERVICES = [
  { carrier: 'USPS', service: 'GroundAdvantage', rate: '4.07', delivery_days: 4 },
  { carrier: 'USPS', service: 'Priority', rate: '6.10', delivery_days: 2 },
  { carrier: 'UPSDAP', service: 'NextDayAir', rate: '33.5', delivery_days: 1 },
]

interface Fault {
  readonly name: RegExp
  readonly holdMs?: number
  readonly delayMs?: number
  readonly isLost?: boolean
  readonly refusal?: Answer
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Mutable, unlike what the adapter sees of it. */
type Shipment = { -readonly [Field in keyof WireShipment]: WireShipment[Field] }
type Tracker = { -readonly [Field in keyof WireTracker]: WireTracker[Field] } & {
  tracking_details: WireTrackingDetail[]
}

export async function startEasyPostStub(): Promise<EasyPostStub> {
  const shipments = new Map<string, Shipment>()
  const trackers: Tracker[] = []
  const requests: { name: string; body: any }[] = []
  const faults: Fault[] = []
  const deliveries: { body: Buffer; headers: Record<string, string> }[] = []

  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const name = `${request.method} ${request.url}`
    if (name.startsWith('GET /files/')) return file(name, response)
    const body = text === '' ? null : JSON.parse(text)
    requests.push({ name, body })
    const at = faults.findIndex((fault) => fault.name.test(name))
    const [fault] = at < 0 ? [] : faults.splice(at, 1)
    if (fault?.holdMs) await delay(fault.holdMs)
    const answer = fault?.refusal ?? answerTo(request, name, body)
    if (fault?.delayMs) await delay(fault.delayMs)
    if (fault?.isLost) return void request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  }

  function answerTo(request: IncomingMessage, name: string, body: any): Answer {
    if (stub.isDown) return { status: 503, body: { error: { code: 'SERVICE.UNAVAILABLE' } } }
    const expected = `Basic ${Buffer.from(`${EASYPOST_KEY}:`).toString('base64')}`
    if (request.headers.authorization !== expected) return refusal(401, 'APIKEY.INACTIVE')
    const [, id = '', action = ''] = /^(?:GET|POST) \/v2\/shipments\/(shp_\w+)(?:\/(\w+))?$/.exec(name) ?? []
    if (name === 'POST /v2/shipments') return create(body?.shipment)
    if (name.startsWith('GET /v2/trackers?')) return listTrackers(new URL(name.slice(4), url).searchParams)
    const shipment = shipments.get(id)
    if (id === '' || !shipment) return refusal(404, 'NOT_FOUND')
    if (name.startsWith('GET ') && action === '') return { status: 200, body: shipment }
    if (name.startsWith('POST ') && action === 'buy') return buy(shipment, body?.rate?.id)
    if (name.startsWith('POST ') && action === 'refund') return refund(shipment)
    return refusal(404, 'NOT_FOUND')
  }

  function create(asked: any): Answer {
    const { to_address: to, from_address: from, parcel, reference = null } = asked ?? {}
    if (!to?.street1 || !from?.street1) return refusal(422, 'SHIPMENT.INVALID_PARAMS')
    if (!(parcel?.weight > 0)) return refusal(422, 'PARCEL.WEIGHT.INVALID')
    if (to.zip === REFUSED_ZIP) return refusal(422, 'ADDRESS.INVALID', `${to.name} does not live there`)
    const shipment: Shipment = {
      id: `shp_${randomUUID().replaceAll('-', '')}`,
      created_at: new Date().toISOString(),
      reference,
      rates: to.country === NOWHERE ? [] : SERVICES.map(rateOf),
      selected_rate: null,
      postage_label: null,
      tracking_code: null,
      tracker: null,
      refund_status: null,
    }
    shipments.set(shipment.id, shipment)
    return { status: 201, body: shipment }
  }

  function rateOf(service: (typeof SERVICES)[number]): WireRate {
    return { id: `rate_${randomUUID().replaceAll('-', '')}`, currency: 'USD', ...service, ...stub.rate }
  }

  function buy(shipment: Shipment, rateId: string): Answer {
    if (shipment.selected_rate) return refusal(422, 'SHIPMENT.POSTAGE.EXISTS')
    const rate = shipment.rates.find(({ id }) => id === rateId)
    if (!rate) return refusal(422, 'RATE.NOT_FOUND')
    const code = `9400${String(shipments.size).padStart(6, '0')}${String(Date.now()).slice(-8)}`
    const tracker: Tracker = {
      object: 'Tracker',
      tracking_code: code,
      public_url: `https://track.easypost.com/${code}`,
      est_delivery_date: new Date(Date.now() + 3 * 86_400_000).toISOString(),
      tracking_details: [detailOf({ status: 'pre_transit', status_detail: 'label_created' })],
    }
    trackers.unshift(tracker)
    const file = `${url}/files/${shipment.id}.pdf`
    Object.assign(shipment, {
      selected_rate: rate,
      postage_label: { label_url: file, label_pdf_url: null },
      tracking_code: code,
      tracker,
    })
    tell('tracker.created', tracker)
    return { status: 200, body: shipment }
  }

  function refund(shipment: Shipment): Answer {
    if (!shipment.selected_rate) return refusal(422, 'SHIPMENT.REFUND.UNAVAILABLE')
    shipment.refund_status = stub.refundStatus
    return { status: 200, body: shipment }
  }

  function listTrackers(query: URLSearchParams): Answer {
    const found = trackers.filter(({ tracking_code }) => tracking_code === query.get('tracking_code'))
    return { status: 200, body: { trackers: found.slice(0, Number(query.get('page_size') ?? 20)), has_more: false } }
  }

  function file(name: string, response: ServerResponse): void {
    const shipment = shipments.get(name.replace(/^GET \/files\/|\.pdf$/g, ''))
    if (shipment?.postage_label) response.writeHead(200, { 'content-type': 'application/pdf' }).end('%PDF-1.4 a label')
    else response.writeHead(404).end()
  }

  function tell(description: string, result: object): void {
    const event = { id: `evt_${randomUUID()}`, object: 'Event', description, mode: 'test', result }
    const body = Buffer.from(JSON.stringify(event))
    deliveries.push({ body, headers: { 'x-hmac-signature': signatureOf(body, EASYPOST_SECRET) } })
  }

  const stub: EasyPostStub = {
    url,
    shipments,
    requests,
    deliveries,
    refundStatus: 'submitted',
    isDown: false,
    rate: null,
    delayNext: (name, delayMs) => void faults.push({ name, delayMs }),
    holdNext: (name, holdMs) => void faults.push({ name, holdMs }),
    loseNext: (name) => void faults.push({ name, isLost: true }),
    refuseNext: (name, status, code) => void faults.push({ name, refusal: refusal(status, code) }),
    decideRefund(shipmentId, status) {
      const shipment = shipments.get(shipmentId)
      if (!shipment) throw new Error(`There is no shipment ${shipmentId}`)
      shipment.refund_status = status
    },
    progress(trackingCode, detail) {
      const tracker = trackers.find(({ tracking_code }) => tracking_code === trackingCode)
      if (!tracker) throw new Error(`There is no parcel ${trackingCode}`)
      tracker.tracking_details.push(detailOf(detail))
      tell('tracker.updated', tracker)
    },
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return stub
}

function detailOf(detail: Partial<WireTrackingDetail> & { status: string }): WireTrackingDetail {
  return {
    message: `${detail.status}, says the carrier`,
    status_detail: null,
    datetime: new Date().toISOString(),
    ...detail,
  }
}

function refusal(status: number, code: string, message = 'It is refused'): Answer {
  return { status, body: { error: { code, message, errors: [] } } }
}
