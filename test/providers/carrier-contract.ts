import { setTimeout as delay } from 'node:timers/promises'
import { TRACKING_TYPES } from '../../domain/fulfillment/shipment'
import {
  type BoughtLabel,
  type CarrierProvider,
  CarrierUnavailable,
  InvalidSignature,
  type LabelOutcome,
  type LabelRequest,
  type PostalAddress,
  type TrackingEvent,
  type VoidOutcome,
  type WebhookHeaders,
} from '../../providers/carrier/carrier'
import { newLabelKey } from '../sandbox/carrier/client'
import { until } from '../sandbox/client'

/** What a test can make one carrier do, asked for just before it is done. */
export interface CarrierRig {
  carrier(): CarrierProvider
  /** The same account with another deadline. */
  withTimeout(timeoutMs: number): CarrierProvider
  readonly service: string
  /** Where a parcel is sent to whose purchase is to go like this. */
  to(how: 'usual' | 'refused' | 'nowhere' | 'lost answer' | 'slow answer' | 'late void' | 'late refusal'): PostalAddress
  /** What the carrier thinks about voiding it decides now, as it was bought. */
  decideVoid(label: BoughtLabel, how: 'voided' | 'refused'): Promise<void>
  /** From now on this label cannot be voided, and its carrier says so. */
  makeUsed(label: BoughtLabel): Promise<void>
  /** The parcel is taken along, and delivered in the end. */
  deliver(label: BoughtLabel): Promise<void>
  /** Labels that the carrier has sold and not taken back, whatever we know of them. */
  live(key: string): Promise<number>
  /** Makes every call answer 5xx from now on, or no more. */
  fail(on: boolean): Promise<void>
  /** Webhooks received so far, as they came. */
  webhooks(): readonly { readonly body: Buffer; readonly headers: WebhookHeaders }[]
  /** Headers as the carrier would send them with this body. */
  sign(body: Buffer): WebhookHeaders
  /** The body of an event that is of no parcel. */
  readonly eventOfNoParcel: string
}

/** Stands for the row of a label: what the carrier's id is, and whether the label is still wanted. */
class Row {
  reference: string | null = null
  isWanted = true
  sentAt: string | null = null

  keep = async (reference: string): Promise<void> => {
    if (!this.isWanted) throw new NotWanted('the label is not wanted any more')
    if (this.reference !== null && this.reference !== reference) throw new NotWanted('another id stands there')
    this.reference = reference
  }
}

class NotWanted extends Error {}

/** What every carrier has to do. */
export function carrierContract(name: string, rig: CarrierRig): void {
  describe(`the carrier ${name}`, () => {
    const from: PostalAddress = {
      ...{ name: 'Holdfast', line1: '417 Montgomery St', city: 'San Francisco' },
      ...{ region: 'CA', postal_code: '94104', country: 'US', phone: '4151234567' },
    }
    const box = { weight_grams: 700, length_mm: 300, width_mm: 200, height_mm: 100 }
    const requestTo = (how: Parameters<CarrierRig['to']>[0] = 'usual'): LabelRequest => ({
      ...{ key: newLabelKey(), service: rig.service, reference: null, from, to: rig.to(how) },
      ...{ boxes: [box], value: { amount: 510, currency: 'GBP' } },
    })
    const rows = new Map<string, Row>()
    const rowOf = ({ key }: LabelRequest): Row => {
      const row = rows.get(key) ?? new Row()
      rows.set(key, row)
      return row
    }
    /** As it is asked for with what the row knows. */
    const buy = (asked: LabelRequest, carrier = rig.carrier(), signal?: AbortSignal): Promise<LabelOutcome> => {
      const row = rowOf(asked)
      row.sentAt = new Date().toISOString()
      return carrier.buyLabel({ ...asked, reference: row.reference }, row.keep, signal)
    }
    const bought = async (asked = requestTo()): Promise<{ asked: LabelRequest; label: BoughtLabel }> => {
      const outcome = await buy(asked)
      if (outcome.outcome !== 'bought') throw new Error(`It was refused: ${outcome.code}`)
      return { asked, label: outcome.label }
    }
    /** Until it is known, as the workflow does. */
    const voided = async (asked: LabelRequest): Promise<VoidOutcome> => {
      const row = rowOf(asked)
      row.isWanted = false
      return until('it is known', async () => {
        try {
          const { reference, sentAt } = row
          return await rig.carrier().voidLabel({ ...asked, reference, sentAt })
        } catch (error) {
          if (error instanceof CarrierUnavailable) return null
          throw error
        }
      })
    }

    test('says what it is', () => expect(rig.carrier().name).toBe(name))

    test('states what each service costs, in minor units, and how long it takes', async () => {
      const rates = await rig.carrier().rates(requestTo())
      expect(rates.length).toBeGreaterThan(1)
      for (const { carrier, price, days } of rates) {
        expect(carrier).toBe(name)
        expect(Number.isSafeInteger(price.amount) && price.amount > 0).toBe(true)
        expect(price.currency).toMatch(/^[A-Z]{3}$/)
        expect(days === null || days > 0).toBe(true)
      }
      expect(rates.map(({ service }) => service)).toContain(rig.service)
      expect(await rig.carrier().rates(requestTo('nowhere'))).toEqual([])
    })

    describe('a label', () => {
      test('is bought at the price that was stated, and can be printed', async () => {
        const asked = requestTo()
        const rates = await rig.carrier().rates(asked)
        const { label } = await bought(asked)
        expect(label).toEqual({
          reference: expect.any(String),
          trackingNumber: expect.stringMatching(/^\w{6,}$/),
          trackingUrl: expect.stringMatching(/^https?:/),
          price: rates.find(({ service }) => service === rig.service)?.price,
          expectedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        })
        const pdf = await rig.carrier().document(label.reference)
        expect(pdf?.subarray(0, 5).toString()).toBe('%PDF-')
        expect(await rig.carrier().document(label.reference.replace(/.{8}$/, '00000000'))).toBeNull()
      })

      test('is bought once per key, however often and however many at once', async () => {
        const asked = requestTo()
        const tries = await Promise.allSettled(Array.from({ length: 8 }, () => buy(asked)))
        for (const each of tries)
          if (each.status === 'rejected') {
            const { reason } = each
            expect(reason instanceof CarrierUnavailable || reason instanceof NotWanted).toBe(true)
          }
        const { label } = await bought(asked)
        for (const each of tries)
          if (each.status === 'fulfilled') expect(each.value).toEqual({ outcome: 'bought', label })
        expect((await bought(asked)).label).toEqual(label)
        expect(await rig.live(asked.key)).toBe(1)
      })

      test.each(['refused', 'nowhere'] as const)('to where it is %s is refused, again and again', async (how) => {
        const asked = requestTo(how)
        const refused = await buy(asked)
        expect(refused).toEqual({ outcome: 'refused', code: expect.stringMatching(/^[\w.]+$/) })
        expect(await buy(asked)).toEqual(refused)
        expect(await rig.live(asked.key)).toBe(0)
      })

      test('of a service that there is not is refused', async () => {
        expect(await buy({ ...requestTo(), service: 'by balloon' })).toMatchObject({ outcome: 'refused' })
      })

      test('whose answer was lost is found by the same call', async () => {
        const asked = requestTo('lost answer')
        await expect(buy(asked)).rejects.toThrow(CarrierUnavailable)
        const { label } = await bought(asked)
        expect((await bought(asked)).label).toEqual(label)
        expect(await rig.live(asked.key)).toBe(1)
      })

      test('whose answer does not come in time is unknown, and bought once', async () => {
        const carrier = rig.withTimeout(300)
        try {
          const asked = requestTo('slow answer')
          const start = Date.now()
          await expect(buy(asked, carrier)).rejects.toThrow(CarrierUnavailable)
          expect(Date.now() - start).toBeLessThan(2_000)
          await until('it is bought', async () => (await rig.live(asked.key)) === 1)
          await bought(asked)
          expect(await rig.live(asked.key)).toBe(1)
        } finally {
          await carrier.close()
        }
      })

      test('is waited for no longer than the caller wants', async () => {
        const controller = new AbortController()
        const attempt = buy(requestTo('slow answer'), rig.carrier(), controller.signal)
        controller.abort()
        await expect(attempt).rejects.toThrow(CarrierUnavailable)
      })
    })

    describe('voiding', () => {
      test('takes a label back, again and again; its key buys nothing any more', async () => {
        const { asked } = await bought()
        for (let time = 0; time < 2; time++) expect(await voided(asked)).toEqual({ outcome: 'voided' })
        expect(await buy(asked)).toMatchObject({ outcome: 'refused' })
        expect(await rig.live(asked.key)).toBe(0)
      })

      test.each([
        ['late void', 'voided'],
        ['late refusal', 'refused'],
      ] as const)('may take its time: %s', async (to, how) => {
        const { asked, label } = await bought(requestTo(to))
        expect(await voided(asked)).toEqual({ outcome: 'pending' })
        const { reference, sentAt } = rowOf(asked)
        const request = { ...asked, reference, sentAt, acceptedAt: new Date().toISOString() }
        await rig.decideVoid(label, how)
        const decided = await until('it is decided', async () => {
          const outcome = await rig.carrier().voidLabel(request)
          return outcome.outcome === 'pending' ? null : outcome
        })
        expect(decided.outcome).toBe(how)
        expect(await rig.carrier().voidLabel(request)).toEqual(decided)
      })

      test('what was never bought leaves nothing that could be bought', async () => {
        const asked = requestTo()
        expect(await voided(asked)).toEqual({ outcome: 'voided' })
        const late = await buy(asked).catch((error: unknown) => error)
        expect(late instanceof NotWanted || (late as LabelOutcome).outcome === 'refused').toBe(true)
        expect(await rig.live(asked.key)).toBe(0)
      })

      test('takes back a label of which nobody heard', async () => {
        const asked = requestTo('lost answer')
        await expect(buy(asked)).rejects.toThrow(CarrierUnavailable)
        expect(await voided(asked)).toEqual({ outcome: 'voided' })
        expect(await rig.live(asked.key)).toBe(0)
      })

      test('meets purchases on their way: no label is live in the end', async () => {
        const asked = Array.from({ length: 10 }, () => requestTo())
        await Promise.all(
          asked.map(async (each, index) => {
            const purchase = buy(each).catch((error: unknown) => error)
            await delay(index * 3)
            expect(await voided(each)).toEqual({ outcome: 'voided' })
            await purchase
          }),
        )
        for (const { key } of asked) expect(await rig.live(key)).toBe(0)
      })

      test('a label that was used is refused, and says why', async () => {
        const { asked, label } = await bought()
        await rig.makeUsed(label)
        expect(await voided(asked)).toEqual({ outcome: 'refused', code: expect.stringMatching(/^[\w.]+$/) })
      })
    })

    describe('tracking', () => {
      test('of a number that it does not know is null, of a parcel that has not left it is empty', async () => {
        expect(await rig.carrier().track('1234567890123')).toBeNull()
        const { label } = await bought()
        expect(await rig.carrier().track(label.trackingNumber)).toEqual([])
      })

      test('tells how a parcel was delivered, the same by asking and by webhook', async () => {
        const { label } = await bought()
        await rig.deliver(label)
        const events = await until('it is delivered', async () => {
          const seen = (await rig.carrier().track(label.trackingNumber)) ?? []
          return seen.some(({ type }) => type === 'delivered') && seen
        })
        expect(events[0]?.type).toBe('accepted')
        expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length)
        expect(events.map(({ happenedAt }) => happenedAt)).toEqual(
          events.map(({ happenedAt }) => happenedAt).toSorted(),
        )
        for (const { trackingNumber, type, detail, expectedAt } of events) {
          expect(trackingNumber).toBe(label.trackingNumber)
          expect(TRACKING_TYPES).toContain(type)
          expect(detail === null || /^[a-z_]+$/.test(detail)).toBe(true)
          expect(expectedAt === null || Number.isFinite(Date.parse(expectedAt))).toBe(true)
        }
        await until('all of it is told', () => {
          const told = new Map(heard(label).map((event) => [event.eventId, event]))
          return events.every(({ eventId }) => told.has(eventId))
        })
        for (const event of heard(label))
          expect(events.find(({ eventId }) => eventId === event.eventId)).toMatchObject({ type: event.type })
      })

      const heard = ({ trackingNumber }: BoughtLabel): TrackingEvent[] =>
        rig
          .webhooks()
          .flatMap(({ body, headers }) => rig.carrier().verifyWebhook(body, headers))
          .filter((event) => event.trackingNumber === trackingNumber)
    })

    describe('a webhook', () => {
      const body = (text: string) => Buffer.from(text)

      test('of no parcel tells nothing', () => {
        const event = body(rig.eventOfNoParcel)
        expect(rig.carrier().verifyWebhook(event, rig.sign(event))).toEqual([])
      })

      test.each([
        ['not at all', () => ({ body: body(rig.eventOfNoParcel), headers: {} })],
        [
          'for another body',
          () => ({ body: body(`${rig.eventOfNoParcel} `), headers: rig.sign(body(rig.eventOfNoParcel)) }),
        ],
        [
          'by somebody else',
          () => {
            const event = body(rig.eventOfNoParcel)
            const headers = Object.entries(rig.sign(event)).map(([name, value]) => [
              name,
              String(value).replace(/.{6}$/, (end) => (end === 'aaaaaa' ? 'bbbbbb' : 'aaaaaa')),
            ])
            return { body: event, headers: Object.fromEntries(headers) }
          },
        ],
        [
          'twice',
          () => {
            const event = body(rig.eventOfNoParcel)
            const headers = Object.entries(rig.sign(event)).map(([name, value]) => [
              name,
              [String(value), String(value)],
            ])
            return { body: event, headers: Object.fromEntries(headers) }
          },
        ],
      ])('that was signed %s is refused', (_, deliver) => {
        const { body: event, headers } = deliver()
        expect(() => rig.carrier().verifyWebhook(event, headers)).toThrow(InvalidSignature)
      })

      test.each([
        '',
        'no JSON',
        'null',
        '[]',
        '"text"',
        '{}',
        '{"id": 5}',
        '{"id": "evt_1", "type": 1, "description": 1}',
      ])('that is signed and makes no sense is refused: %p', (text) => {
        const event = body(text)
        expect(() => rig.carrier().verifyWebhook(event, rig.sign(event))).toThrow(InvalidSignature)
      })
    })

    test('while it fails, nothing is known; afterwards all is as before', async () => {
      const { asked, label } = await bought()
      await rig.fail(true)
      try {
        const calls = [
          rig.carrier().rates(asked),
          buy(asked),
          buy(requestTo()),
          rig.carrier().voidLabel({ ...asked, reference: label.reference }),
          rig.carrier().track(label.trackingNumber),
          rig.carrier().document(label.reference),
        ]
        for (const call of await Promise.allSettled(calls)) {
          if (call.status === 'fulfilled') throw new Error('It answered')
          expect(call.reason).toBeInstanceOf(CarrierUnavailable)
          expect(`${call.reason} ${JSON.stringify(call.reason)}`).not.toMatch(/Sample Buyer|Montgomery|94104/)
        }
      } finally {
        await rig.fail(false)
      }
      await until(
        'it is asked again',
        async () => (await bought(asked).catch(() => null))?.label.reference === label.reference,
      )
    })
  })
}
