import { randomUUID } from 'node:crypto'
import { typeid } from 'typeid-js'
import type { OrderId } from '../../domain/ids'
import {
  InvalidSignature,
  ProviderRejected,
  ProviderUnavailable,
  type AuthorizeRequest,
  type PaymentProvider,
  type WebhookHeaders,
} from '../../providers/payment/provider'
import { until } from '../sandbox/client'

/** What the suite needs of one provider: the provider itself, and tokens that make it behave. */
export interface ProviderRig {
  readonly provider: PaymentProvider
  /** The same account with another deadline. */
  withTimeout(timeoutMs: number): PaymentProvider
  readonly methods: {
    readonly works: string
    readonly declined: { readonly method: string; readonly code: string }
    readonly needsAction: string
    readonly pendingForGood: string
    readonly refundsFail: string
    /** Charges, but its answer takes longer than 300 ms. */
    readonly slow: string
    /** Charges, then the connection breaks. */
    readonly loses: string
  }
  /** Webhooks received so far, as they came. */
  webhooks(): { readonly rawBody: Buffer; readonly headers: WebhookHeaders }[]
  /** Makes every call answer 5xx from now on, or no more. */
  fail(on: boolean): Promise<void>
}

/** What every payment provider has to do. `rig` is asked for once the test's services run. */
export function paymentProviderContract(name: string, rig: () => ProviderRig): void {
  describe(`the payment provider ${name}`, () => {
    const provider = () => rig().provider
    const request = (change: Partial<AuthorizeRequest> = {}): AuthorizeRequest => {
      const orderId = `order_${typeid().getSuffix()}` as OrderId
      return {
        key: `${orderId}/charge/1`,
        orderId,
        amount: { amount: 510, currency: 'GBP' },
        method: rig().methods.works,
        returnUrl: 'https://shop.example/return',
        expiresAt: new Date(Date.now() + 900_000).toISOString(),
        ...change,
      }
    }
    const captured = async (change: Partial<AuthorizeRequest> = {}) => {
      const asked = request(change)
      const { reference } = await provider().authorize(asked)
      await provider().capture({ key: `${asked.orderId}/capture/1`, reference, amount: asked.amount })
      return { ...asked, reference }
    }
    const pence = (amount: number) => ({ amount, currency: 'GBP' })

    test('is known by its name', () => {
      expect(provider().name).toBe(name)
    })

    describe('authorize', () => {
      test('sets the money aside', async () => {
        const asked = request()
        const charge = await provider().authorize(asked)
        expect(charge).toEqual({
          reference: expect.any(String),
          key: asked.key,
          orderId: asked.orderId,
          amount: asked.amount,
          state: 'authorized',
          declineCode: null,
          captured: 0,
          refunded: 0,
          actionUrl: null,
          createdAt: expect.any(String),
        })
        expect(await provider().find(asked.key)).toEqual(charge)
      })

      test('makes one charge per key, however often and however many at once', async () => {
        const asked = request()
        const charges = await Promise.all(Array.from({ length: 10 }, () => provider().authorize(asked)))
        charges.push(await provider().authorize(asked))
        expect(new Set(charges.map(({ reference }) => reference)).size).toBe(1)
      })

      test('refuses a key that asks for something else', async () => {
        const asked = request()
        await provider().authorize(asked)
        await expect(provider().authorize({ ...asked, amount: pence(511) })).rejects.toThrow(ProviderRejected)
        expect((await provider().find(asked.key))?.amount).toEqual(asked.amount)
      })

      test('answers a decline with its code, again and again', async () => {
        const { method, code } = rig().methods.declined
        const asked = request({ method })
        for (let time = 0; time < 2; time++) {
          expect(await provider().authorize(asked)).toMatchObject({ state: 'declined', declineCode: code })
        }
        expect(await provider().find(asked.key)).toMatchObject({ state: 'declined', declineCode: code })
      })

      test('sends the customer somewhere', async () => {
        const charge = await provider().authorize(request({ method: rig().methods.needsAction }))
        expect(charge).toMatchObject({ state: 'requires_action', actionUrl: expect.stringMatching(/^https?:/) })
      })
    })

    describe('when no answer comes', () => {
      test('the deadline is kept, and the key tells what happened', async () => {
        const impatient = rig().withTimeout(300)
        const asked = request({ method: rig().methods.slow })
        const start = Date.now()
        await expect(impatient.authorize(asked)).rejects.toThrow(ProviderUnavailable)
        expect(Date.now() - start).toBeLessThan(600)
        expect(await provider().find(asked.key)).toMatchObject({ state: 'authorized' })
        await impatient.close()
      })

      test('a broken connection is no answer, and the same key finds the charge', async () => {
        const asked = request({ method: rig().methods.loses })
        await expect(provider().authorize(asked)).rejects.toThrow(ProviderUnavailable)
        const charge = await provider().find(asked.key)
        expect(await provider().authorize(asked)).toEqual(charge)
        expect(charge).toMatchObject({ state: 'authorized' })
      })

      test('a failing provider is unavailable', async () => {
        const asked = request()
        await rig().fail(true)
        await expect(provider().authorize(asked)).rejects.toThrow(ProviderUnavailable)
        await expect(provider().find(asked.key)).rejects.toThrow(ProviderUnavailable)
        await expect(provider().cancel(asked.key)).rejects.toThrow(ProviderUnavailable)
        await rig().fail(false)
        expect(await provider().find(asked.key)).toBeNull()
      })

      test('a caller may give up', async () => {
        const gone = new AbortController()
        const call = provider().authorize(request({ method: rig().methods.slow }), gone.signal)
        gone.abort()
        await expect(call).rejects.toThrow(ProviderUnavailable)
        await expect(provider().authorize(request(), gone.signal)).rejects.toThrow(ProviderUnavailable)
      })
    })

    describe('find and cancel', () => {
      test('an unknown key is nothing, and once cancelled it stays dead', async () => {
        const asked = request()
        expect(await provider().find(asked.key)).toBeNull()
        for (let time = 0; time < 2; time++)
          expect(await provider().cancel(asked.key)).toEqual({ outcome: 'dead', charge: null })
        expect(await provider().authorize(asked)).toMatchObject({
          state: 'voided',
          key: asked.key,
          amount: asked.amount,
        })
        expect(await provider().find(asked.key)).toBeNull()
      })

      test('what is authorized or waits for the customer ends', async () => {
        for (const method of [rig().methods.works, rig().methods.needsAction]) {
          const asked = request({ method })
          await provider().authorize(asked)
          for (let time = 0; time < 2; time++) {
            expect(await provider().cancel(asked.key)).toMatchObject({ outcome: 'dead', charge: { state: 'voided' } })
          }
          expect(await provider().authorize(asked)).toMatchObject({ state: 'voided' })
        }
      })

      test('a declined charge is dead already', async () => {
        const asked = request({ method: rig().methods.declined.method })
        await provider().authorize(asked)
        expect(await provider().cancel(asked.key)).toMatchObject({ outcome: 'dead', charge: { state: 'declined' } })
      })

      test('what cannot be stopped is refused and said to be pending', async () => {
        const asked = request({ method: rig().methods.pendingForGood })
        expect(await provider().authorize(asked)).toMatchObject({ state: 'pending' })
        expect(await provider().cancel(asked.key)).toMatchObject({ outcome: 'refused', charge: { state: 'pending' } })
      })

      test('what was captured needs a refund', async () => {
        const { key } = await captured()
        expect(await provider().cancel(key)).toMatchObject({
          outcome: 'refused',
          charge: { state: 'captured', captured: 510 },
        })
      })

      test('of a charge and a cancel at once no live charge is left', async () => {
        for (let time = 0; time < 10; time++) {
          const asked = request()
          const [charge, cancelled] = await Promise.all([provider().authorize(asked), provider().cancel(asked.key)])
          expect(cancelled.outcome).toBe('dead')
          expect(cancelled.outcome === 'dead' && cancelled.charge === null ? charge.state : 'voided').toBe('voided')
          expect((await provider().find(asked.key))?.state ?? 'voided').toBe('voided')
        }
      })
    })

    describe('capture and refund', () => {
      test('takes at most what was authorized, once per key', async () => {
        const asked = request()
        const { reference } = await provider().authorize(asked)
        const capture = { key: `${asked.orderId}/capture/1`, reference, amount: pence(500) }
        for (let time = 0; time < 2; time++) {
          expect(await provider().capture(capture)).toMatchObject({ outcome: 'captured', charge: { captured: 500 } })
        }
        const more = { ...capture, key: `${asked.orderId}/capture/2`, amount: pence(11) }
        expect(await provider().capture(more)).toMatchObject({ outcome: 'refused', reason: expect.any(String) })
      })

      test('gives back at most what was captured, once per key', async () => {
        const { key, orderId, reference } = await captured()
        const refund = { key: `${orderId}/refund/1`, reference, amount: pence(500) }
        const first = await provider().refund(refund)
        expect(first).toEqual({ outcome: 'succeeded', reference: expect.any(String) })
        expect(await provider().refund(refund)).toEqual(first)
        const more = { ...refund, key: `${orderId}/refund/2`, amount: pence(11) }
        expect(await provider().refund(more)).toMatchObject({ outcome: 'refused', reason: expect.any(String) })
        expect(await provider().find(key)).toMatchObject({ state: 'captured', refunded: 500 })
        await provider().refund({ ...more, key: `${orderId}/refund/3`, amount: pence(10) })
        expect(await provider().find(key)).toMatchObject({ state: 'refunded', refunded: 510 })
        expect(await provider().cancel(key)).toMatchObject({ outcome: 'dead', charge: { state: 'refunded' } })
      })

      test('a refused refund is an outcome', async () => {
        const { key, orderId, reference } = await captured({ method: rig().methods.refundsFail })
        const refund = { key: `${orderId}/refund/1`, reference, amount: pence(510) }
        expect(await provider().refund(refund)).toMatchObject({ outcome: 'refused', reason: expect.any(String) })
        expect(await provider().find(key)).toMatchObject({ state: 'captured', refunded: 0 })
      })

      test('a charge that nobody made is a fault of ours', async () => {
        const refund = { key: `${randomUUID()}/refund/1`, reference: 'ch_0', amount: pence(1) }
        await expect(provider().refund(refund)).rejects.toThrow(ProviderRejected)
      })
    })

    test('lists every charge once, oldest first', async () => {
      const asked = [request(), request()]
      for (const one of asked) await provider().authorize(one)
      const keys: string[] = []
      for (let cursor: string | null = null; ; ) {
        const page = await provider().list(cursor)
        keys.push(...page.charges.map(({ key }) => key))
        cursor = page.nextCursor
        if (cursor === null) break
      }
      expect(keys.slice(-2)).toEqual(asked.map(({ key }) => key))
      expect(new Set(keys).size).toBe(keys.length)
    })

    describe('webhooks', () => {
      const received = async (asked: AuthorizeRequest) => {
        await provider().authorize(asked)
        return until('its webhook comes', () =>
          rig()
            .webhooks()
            .find(({ rawBody }) => rawBody.includes(asked.key)),
        )
      }

      test('name the event, the key, the order and its state', async () => {
        const asked = request()
        const { rawBody, headers } = await received(asked)
        const event = provider().verifyWebhook(rawBody, headers)
        expect(event).toEqual({
          eventId: expect.any(String),
          type: expect.any(String),
          chargeKey: asked.key,
          orderId: asked.orderId,
          state: 'authorized',
        })
        expect(provider().verifyWebhook(rawBody, headers).eventId).toBe(event.eventId)
      })

      test('are refused when a byte, the id or the time was changed, or nobody signed', async () => {
        const { rawBody, headers } = await received(request())
        const forged = Buffer.from(rawBody.toString().replace('510', '511'))
        expect(() => provider().verifyWebhook(forged, headers)).toThrow(InvalidSignature)
        expect(() => provider().verifyWebhook(rawBody, {})).toThrow(InvalidSignature)
        for (const [header, value] of Object.entries(headers)) {
          if (!/^webhook-|signature/.test(header)) continue
          const changed = { ...headers, [header]: `${String(value).slice(0, -1)}x` }
          expect(() => provider().verifyWebhook(rawBody, changed)).toThrow(InvalidSignature)
        }
      })

      test('are refused when they are old', async () => {
        const { rawBody, headers } = await received(request())
        jest.useFakeTimers({
          now: Date.now() + 10 * 60_000,
          doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'clearTimeout'],
        })
        try {
          expect(() => provider().verifyWebhook(rawBody, headers)).toThrow(InvalidSignature)
        } finally {
          jest.useRealTimers()
        }
      })
    })
  })
}
