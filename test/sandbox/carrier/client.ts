import { randomUUID } from 'node:crypto'
import type { PublicLabel, PublicTracking } from '../../../sandbox/carrier/label'

export interface CarrierAnswer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  /** Of a JSON answer: a label, a list, a parcel's way, or a refusal. */
  readonly body: PublicLabel & {
    data: any[]
    next_cursor: string | null
    label: PublicLabel | null
    events: PublicTracking[]
    code: string
  }
}

/** An address of each kind that a test needs. `line2` holds the words that the carrier listens to. */
export const addressIn = (country: string, line2: string | null = null) => ({
  name: 'Sample Buyer',
  company: null,
  line1: '1 High St',
  line2,
  city: 'Leeds',
  region: null,
  postal_code: 'LS1 4DY',
  country,
  phone: null,
})

export const BOX = { weight_grams: 700, length_mm: 300, width_mm: 200, height_mm: 100 }

export const parcelTo = (country: string, line2: string | null = null) => ({
  from: addressIn('GB'),
  to: addressIn(country, line2),
  boxes: [BOX],
  value: { amount: 510, currency: 'GBP' },
})

/** Speaks to a sandbox carrier as any program would. A dropped connection throws. */
export class CarrierClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<CarrierAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: text }),
    })
    const bytes = Buffer.from(await response.arrayBuffer())
    const json = response.headers.get('content-type') === 'application/json'
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      body: json ? JSON.parse(bytes.toString()) : {},
    }
  }

  buy(key: string, change: { line2?: string; [field: string]: unknown } = {}): Promise<CarrierAnswer> {
    const { line2 = null, ...rest } = change
    const body = { ...parcelTo('GB', line2), service: 'standard', ...rest }
    return this.call('POST', '/v1/labels', body, { 'idempotency-key': key })
  }

  /** A label that is there: the test fails where it is not. */
  async bought(key: string, change: { line2?: string; [field: string]: unknown } = {}): Promise<PublicLabel> {
    const { status, body } = await this.buy(key, change)
    if (status !== 201) throw new Error(`No label was bought: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async byKey(key: string): Promise<PublicLabel[]> {
    return (await this.call('GET', `/v1/labels?key=${encodeURIComponent(key)}`)).body.data
  }

  /** Every label there is, through all pages. */
  async all(limit = 1_000): Promise<PublicLabel[]> {
    const labels: PublicLabel[] = []
    for (let cursor: string | null = '0'; cursor !== null; ) {
      const { body } = await this.call('GET', `/v1/labels?limit=${limit}&cursor=${cursor}`)
      labels.push(...body.data)
      cursor = body.next_cursor
    }
    return labels
  }

  voidKey(key: string): Promise<CarrierAnswer> {
    return this.call('POST', '/v1/labels/void', { key })
  }

  handOver({ id }: PublicLabel): Promise<CarrierAnswer> {
    return this.call('POST', `/v1/labels/${id}/handover`)
  }

  async events({ tracking_number }: PublicLabel): Promise<PublicTracking[]> {
    return (await this.call('GET', `/v1/tracking/${tracking_number}`)).body.events
  }

  faults(faults: object): Promise<CarrierAnswer> {
    return this.call('PUT', '/v1/faults', faults)
  }
}

export function newLabelKey(): string {
  return `${randomUUID()}/label/1`
}
