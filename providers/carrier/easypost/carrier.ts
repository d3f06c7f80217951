import {
  type BoughtLabel,
  type CarrierProvider,
  CarrierRejected,
  CarrierUnavailable,
  CarrierUndecided,
  type KeepReference,
  type LabelOutcome,
  type LabelRequest,
  type PostalAddress,
  type Rate,
  type RateRequest,
  type TrackingEvent,
  type VoidOutcome,
  type VoidRequest,
  type WebhookHeaders,
} from '../carrier'
import { EasyPostApi, type EasyPostApiOptions, Refusal, type Requests } from './api'
import { eventsOf, readWebhook, timeIn } from './tracking'
import { parcelOf, priceOf } from './units'
import type { WireRate, WireShipment, WireTracker } from './wire'

export interface EasyPostOptions extends EasyPostApiOptions {
  readonly webhookSecret: string
  /** How long after it was sent a purchase may still arrive there, in milliseconds. */
  readonly inFlightMs?: number
}

/** EasyPost gives a carrier a minute to answer; the rest is for the way. */
const IN_FLIGHT_MS = 90_000

/**
 * EasyPost (https://docs.easypost.com). A shipment there is made first and costs nothing; its id is kept, then one of its
 * rates is bought, which can happen once. So a purchase is repeated by asking the shipment. A shipment holds one parcel:
 * what needs several boxes gets no rates here.
 */
export class EasyPostCarrier implements CarrierProvider {
  readonly name = 'easypost'
  readonly #api: EasyPostApi
  readonly #webhookSecret: string
  readonly #inFlightMs: number

  constructor({ webhookSecret, inFlightMs = IN_FLIGHT_MS, ...api }: EasyPostOptions) {
    this.#api = new EasyPostApi(api)
    this.#webhookSecret = webhookSecret
    this.#inFlightMs = inFlightMs
  }

  async rates(request: RateRequest, signal?: AbortSignal): Promise<Rate[]> {
    if (request.boxes.length !== 1) return []
    try {
      const { rates } = await this.#api.within('rates', signal, (requests) => create(requests, request, null))
      return rates.flatMap((rate) => {
        const price = priceOf(rate)
        return price ? [{ carrier: this.name, service: serviceOf(rate), price, days: rate.delivery_days }] : []
      })
    } catch (error) {
      if (isAboutRequest(error)) return []
      throw error
    }
  }

  async buyLabel(request: LabelRequest, keep: KeepReference, signal?: AbortSignal): Promise<LabelOutcome> {
    if (request.boxes.length !== 1) return { outcome: 'refused', code: 'several_boxes' }
    try {
      return await this.#api.within('buy', signal, (requests) => buy(requests, request, keep))
    } catch (error) {
      if (isAboutRequest(error)) return { outcome: 'refused', code: error.code }
      throw error
    }
  }

  /**
   * A shipment whose id we never kept was never bought, and whoever is about to keep it will find that it is not wanted. One
   * that is not bought cannot be closed at EasyPost: until nothing can be under way any more it is unknown what becomes of it.
   */
  async voidLabel({ reference, sentAt, acceptedAt }: VoidRequest, signal?: AbortSignal): Promise<VoidOutcome> {
    if (reference === null) return { outcome: 'voided' }
    return this.#api.within('void', signal, async (requests) => {
      const shipment = await requests.get<WireShipment>(pathOf(reference))
      if (!isBought(shipment)) {
        const sent = Math.max(Date.parse(shipment.created_at), Date.parse(sentAt ?? '') || 0)
        if (Date.now() < sent + this.#inFlightMs)
          throw new CarrierUndecided('easypost: void: a purchase may still be under way')
        return { outcome: 'voided' }
      }
      return voidOutcome(await refund(requests, shipment, acceptedAt != null))
    })
  }

  async track(trackingNumber: string, signal?: AbortSignal): Promise<TrackingEvent[] | null> {
    const { trackers } = await this.#api.within('track', signal, (requests) =>
      requests.get<{ trackers: readonly WireTracker[] }>(
        `/trackers?tracking_code=${encodeURIComponent(trackingNumber)}&page_size=20`,
      ),
    )
    // Carriers use a number again after years: the list has the newest first.
    const tracker = trackers.find(({ tracking_code }) => tracking_code === trackingNumber)
    return tracker ? eventsOf(tracker) : null
  }

  async document(reference: string, signal?: AbortSignal): Promise<Buffer | null> {
    return this.#api.within('label', signal, async (requests) => {
      const { postage_label: label } = await requests.get<WireShipment>(pathOf(reference)).catch(unknown)
      return label ? requests.file(label.label_pdf_url ?? label.label_url) : null
    })
  }

  verifyWebhook(body: Buffer, headers: WebhookHeaders): TrackingEvent[] {
    return readWebhook(body, headers, this.#webhookSecret)
  }

  close(): Promise<void> {
    return this.#api.close()
  }
}

async function buy(requests: Requests, request: LabelRequest, keep: KeepReference): Promise<LabelOutcome> {
  const shipment = request.reference
    ? await requests.get<WireShipment>(pathOf(request.reference))
    : await create(requests, request, request.key)
  if (isBought(shipment)) return bought(shipment)
  if (request.reference === null) await keep(shipment.id)
  const rate = shipment.rates.find((each) => serviceOf(each) === request.service)
  if (!rate) return { outcome: 'refused', code: 'unknown_service' }
  try {
    return bought(await requests.post<WireShipment>(`${pathOf(shipment.id)}/buy`, { rate: { id: rate.id } }))
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'SHIPMENT.POSTAGE.EXISTS') throw error
    return bought(await requests.get<WireShipment>(pathOf(shipment.id)))
  }
}

/** What was asked for back is not sold again under its key. */
function bought(shipment: WireShipment): LabelOutcome {
  if (!isBought(shipment)) throw new CarrierUnavailable('easypost: buy: the shipment does not tell of its label')
  const { refund_status: status } = shipment
  if (status !== null && status !== 'rejected') return { outcome: 'refused', code: 'label_voided' }
  return { outcome: 'bought', label: toLabel(shipment) }
}

function create(requests: Requests, { from, to, boxes }: RateRequest, key: string | null): Promise<WireShipment> {
  const [box] = boxes
  if (!box) throw new CarrierRejected('no_box', 'easypost: there is nothing to send')
  return requests.post<WireShipment>('/shipments', {
    shipment: {
      from_address: addressOf(from),
      to_address: addressOf(to),
      parcel: parcelOf(box),
      ...(key === null ? {} : { reference: key }),
      options: { label_format: 'PDF' },
    },
  })
}

/**
 * Asks for the money back, and answers what became of that: a status of EasyPost, or why it refused. What was rejected long
 * ago may be asked for once more: soon after the purchase carriers reject what they do not know yet.
 */
async function refund(requests: Requests, shipment: WireShipment, wasAsked: boolean): Promise<string> {
  const { refund_status: status } = shipment
  if (status !== null && (wasAsked || status !== 'rejected')) return status
  try {
    const asked = await requests.post<WireShipment>(`${pathOf(shipment.id)}/refund`, {})
    return asked.refund_status ?? 'submitted'
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

/**
 * What is submitted its carrier decides in days or weeks. `not_applicable`: the carrier takes its money at the first scan, so
 * nothing was paid.
 */
function voidOutcome(status: string): VoidOutcome {
  if (status === 'submitted') return { outcome: 'pending' }
  if (status === 'refunded' || status === 'not_applicable') return { outcome: 'voided' }
  return { outcome: 'refused', code: status === 'rejected' ? 'refund_rejected' : status }
}

/** EasyPost does not take this address, or this parcel: that is no fault of ours, and no other try changes it. */
function isAboutRequest(error: unknown): error is Refusal {
  return error instanceof Refusal && (error.status === 422 || error.status === 400)
}

function unknown(error: unknown): Pick<WireShipment, 'postage_label'> {
  if (error instanceof Refusal && error.status === 404) return { postage_label: null }
  throw error
}

/** Which carrier and which of its services: a rate's own id is another one each time. */
function serviceOf({ carrier, service }: WireRate): string {
  return `${carrier}.${service}`
}

type BoughtShipment = WireShipment & { readonly selected_rate: WireRate; readonly tracking_code: string }

function isBought({ selected_rate, tracking_code }: WireShipment): boolean {
  return selected_rate !== null && tracking_code !== null
}

function toLabel(shipment: WireShipment): BoughtLabel {
  const { id, selected_rate, tracking_code, tracker } = shipment as BoughtShipment
  const price = priceOf(selected_rate)
  if (!price) throw new CarrierRejected('amount_not_exact', `easypost: the price of ${id} is no exact amount`)
  return {
    reference: id,
    trackingNumber: tracking_code,
    trackingUrl: tracker?.public_url ?? null,
    price,
    expectedAt: timeIn(tracker?.est_delivery_date ?? null),
  }
}

function pathOf(reference: string): string {
  return `/shipments/${encodeURIComponent(reference)}`
}

function addressOf(address: PostalAddress): Record<string, string> {
  const { name, company, line1, line2, city, region, postal_code, country, phone } = address
  const fields = {
    name,
    company,
    street1: line1,
    street2: line2,
    city,
    state: region,
    zip: postal_code,
    country,
    phone,
  }
  return Object.fromEntries(
    Object.entries(fields).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '',
    ),
  )
}
