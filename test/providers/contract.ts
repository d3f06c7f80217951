import { randomUUID } from 'node:crypto'
import { typeid } from 'typeid-js'
import type { OrderId } from '../../domain/ids'
import {
  AttemptOver,
  InvalidSignature,
  ProviderRejected,
  ProviderUnavailable,
  type Charge,
  type ChargeRequest,
  type Movement,
  type PaymentProvider,
  type SeenDispute,
  type WebhookHeaders,
} from '../../providers/payment/provider'
import { until } from '../sandbox/client'

/**
 * What a test can make one provider do. It is made before the provider runs, so all of it is asked for as late as
 * possible. What is null the provider cannot be made to do: the tests that need it are shown as skipped.
 */
export interface ProviderRig {
  provider(): PaymentProvider
  /** The same account with another deadline. */
  withTimeout(timeoutMs: number): PaymentProvider
  readonly methods: ProviderMethods
  /** What the customer does on the page of a charge that is in `requires_action`. */
  readonly decide: ((charge: Charge, approves: boolean) => Promise<void>) | null
  /** A method whose refunds stay pending until `settle` is called. */
  readonly pendingRefunds: {
    readonly method: string
    settle(charge: Charge, refundReference: string, status: 'succeeded' | 'failed'): Promise<void>
  } | null
  readonly disputes: {
    open(charge: Charge, amount: number): Promise<void>
    close(charge: Charge, disputeReference: string, status: 'won' | 'lost'): Promise<void>
  } | null
  /** Makes the provider forget all keys, as it does after `keyLifetimeMs`. */
  readonly expireKeys: (() => Promise<void>) | null
  /** Whether `authorize` gives the provider's id to `keep` before money moves. */
  readonly keepsReference: boolean
  /** So long after it was made a charge is found without its reference; 0: at once. */
  readonly findLagMs: number
  /** Makes every call answer 5xx from now on, or no more. */
  fail(on: boolean): Promise<void>
  /** Webhooks received so far, as they came. */
  webhooks(): readonly ReceivedWebhook[]
  /** Headers as the provider would send them with this body at this time. */
  sign(rawBody: Buffer, at: Date): WebhookHeaders
  /** The body of an event that is of no charge. */
  readonly eventOfNoCharge: string
}

interface ProviderMethods {
  readonly works: string
  readonly declined: { readonly method: string; readonly code: string }
  readonly needsAction: string
  /** Can be captured in parts. */
  readonly inParts: string | null
  /** Allows one capture. */
  readonly singleCapture: string | null
  readonly capturedAtOnce: string | null
  /** Stays pending, and cannot be cancelled. */
  readonly pendingForGood: string | null
  /** Refuses the first key of a capture, and takes later ones. */
  readonly captureRefused: string | null
  readonly refundsRefused: string | null
  /** Refuses the first key of a refund, and takes later ones. */
  readonly refundRefusedOnce: string | null
  /** Refunds succeed, and fail some seconds later. */
  readonly refundsFailLater: string | null
  /** Charges, but its answer takes longer than 300 ms. */
  readonly slow: string | null
  /** Charges, then the connection breaks. */
  readonly loses: string | null
}

interface ReceivedWebhook {
  readonly rawBody: Buffer
  readonly headers: WebhookHeaders
}

/** A charge that was made, with its reference. */
interface Made {
  readonly asked: ChargeRequest & { readonly reference: string }
  readonly charge: Charge
}

/** What every payment provider has to do. */
export function paymentProviderContract(name: string, rig: ProviderRig): void {
  describe(`the payment provider ${name}`, () => {
    const { methods } = rig
    const provider = () => rig.provider()

    const request = (change: Partial<ChargeRequest> = {}): ChargeRequest => {
      const orderId = `order_${typeid().getSuffix()}` as OrderId
      return {
        key: `${orderId}/charge/1`,
        orderId,
        amount: { amount: 510, currency: 'GBP' },
        method: methods.works,
        returnUrl: 'https://shop.example/return',
        expiresAt: new Date(Date.now() + 900_000).toISOString(),
        requestedAt: new Date().toISOString(),
        reference: null,
        ...change,
      }
    }
    const authorize = (asked: ChargeRequest) => provider().authorize(asked, keep)
    const made = async (change: Partial<ChargeRequest> = {}): Promise<Made> => {
      const asked = request(change)
      const charge = await authorize(asked)
      return { asked: { ...asked, reference: charge.reference }, charge }
    }
    const capture = ({ asked }: Made, n: number, amount: number, final = false) =>
      provider().capture({ key: `${asked.orderId}/capture/${n}`, charge: asked, amount, final })
    const refund = ({ asked }: Made, n: number, amount: number) =>
      provider().refund({ key: `${asked.orderId}/refund/${n}`, charge: asked, amount })
    /** Captured whole. */
    const paid = async (method: string = methods.works): Promise<Made> => {
      const charge = await made({ method })
      expect(await capture(charge, 1, 510, true)).toMatchObject({ outcome: 'captured' })
      return charge
    }
    const now = async ({ asked }: Made): Promise<Charge> => {
      const charge = await provider().find(asked)
      if (!charge) throw new Error(`${asked.reference} is not found`)
      return charge
    }
    const foundByKey = (asked: ChargeRequest): Promise<Charge> =>
      until('it is found by its key', () => provider().find({ ...asked, reference: null }))
    const movementsOf = async ({ asked }: Made): Promise<Movement[]> => {
      const found: Movement[] = []
      for (let cursor: string | null = null; ; ) {
        const { movements, nextCursor } = await provider().movements(asked.requestedAt, cursor)
        found.push(...movements.filter(({ chargeReference }) => chargeReference === asked.reference))
        if (nextCursor === null) return found
        cursor = nextCursor
      }
    }
    const listedSince = async (since: string): Promise<Charge[]> => {
      const found: Charge[] = []
      for (let cursor: string | null = null; ; ) {
        const { charges, nextCursor } = await provider().list(since, cursor)
        found.push(...charges)
        if (nextCursor === null) return found
        cursor = nextCursor
      }
    }

    test('says what it is and what it takes', () => {
      expect(provider().name).toBe(name)
      expect(provider().keyLifetimeMs ?? 1).toBeGreaterThan(0)
      for (const method of [methods.works, methods.declined.method, methods.needsAction])
        expect(provider().takes(method)).toBe(true)
      for (const method of ['', 'cash', 'gift_card']) expect(provider().takes(method)).toBe(false)
      expect(provider().amountStep('GBP')).toBe(1)
    })

    describe('authorize', () => {
      test('sets the money aside', async () => {
        const { asked, charge } = await made()
        expect(charge).toEqual({
          reference: expect.any(String),
          key: asked.key,
          orderId: asked.orderId,
          amount: asked.amount,
          state: 'authorized',
          declineCode: null,
          captured: 0,
          released: 0,
          refunded: 0,
          captures: [],
          refunds: [],
          disputes: [],
          capturesInParts: expect.any(Boolean),
          captureBefore: charge.captureBefore,
          actionUrl: null,
          createdAt: expect.any(String),
        })
        if (charge.captureBefore !== null) expect(Date.parse(charge.captureBefore)).toBeGreaterThan(Date.now())
        expect(await provider().find(asked)).toEqual(charge)
        expect(await foundByKey(asked)).toEqual(charge)
      })

      test('makes one charge per key, however often and however many at once', async () => {
        const asked = request()
        const tries = await Promise.allSettled(Array.from({ length: 10 }, () => authorize(asked)))
        for (const each of tries) {
          if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(ProviderUnavailable)
        }
        const charges = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
        charges.push(await authorize(asked))
        expect(new Set(charges.map(({ reference }) => reference)).size).toBe(1)
      })

      test('refuses a key that asks for something else', async () => {
        const charge = await made()
        const other = { ...charge.asked, reference: null, amount: { amount: 511, currency: 'GBP' } }
        await expect(authorize(other)).rejects.toThrow(ProviderRejected)
        expect((await now(charge)).amount).toEqual(charge.asked.amount)
      })

      test('answers a decline with its code, again and again', async () => {
        const { method, code } = methods.declined
        const asked = request({ method })
        const declined = { state: 'declined', declineCode: code, captured: 0 }
        for (let time = 0; time < 2; time++) expect(await authorize(asked)).toMatchObject(declined)
        expect(await foundByKey(asked)).toMatchObject(declined)
      })

      test.each(['GBP', 'JPY', 'KWD', 'ISK', 'UGX', 'MGA'])(
        'means the same amount of %s as we do',
        async (currency) => {
          const step = provider().amountStep(currency)
          const charge = await made({ amount: { amount: 500 * step, currency } })
          expect(charge.charge.amount).toEqual({ amount: 500 * step, currency })
          expect(await capture(charge, 1, 300 * step, true)).toMatchObject({ charge: { captured: 300 * step } })
          const [movement] = await until('the capture is told', async () => orNull(await movementsOf(charge)))
          expect(movement?.amount).toEqual({ amount: 300 * step, currency })
        },
      )

      testIf(methods.capturedAtOnce, 'may take the money at once', async (method) => {
        const charge = await made({ method })
        expect(charge.charge).toMatchObject({ state: 'captured', captured: 510, released: 0, captureBefore: null })
        expect(charge.charge.captures).toMatchObject([{ reference: expect.any(String), amount: 510 }])
        expect(await refund(charge, 1, 510)).toMatchObject({ outcome: 'succeeded' })
      })

      testIf(orNull(rig.keepsReference), 'gives its id away before money moves', async () => {
        const kept: string[] = []
        const charge = await provider().authorize(request(), async (reference) => kept.push(reference) > 0)
        expect(new Set(kept)).toEqual(new Set([charge.reference]))
      })

      testIf(orNull(rig.keepsReference), 'takes nothing when its id is not wanted any more', async () => {
        const asked = request()
        let reference = ''
        const attempt = provider().authorize(asked, async (given) => {
          reference = given
          return false
        })
        await expect(attempt).rejects.toThrow(AttemptOver)
        const charge = await provider().find({ ...asked, reference })
        expect(charge?.state ?? 'voided').not.toBe('authorized')
      })

      testIf(rig.expireKeys, 'makes no second charge when the key is forgotten', async (expireKeys) => {
        const since = new Date().toISOString()
        const first = await made()
        await expireKeys()
        const requestedAt = new Date(Date.now() - (provider().keyLifetimeMs ?? 0) - 1_000).toISOString()
        expect((await authorize({ ...first.asked, requestedAt })).reference).toBe(first.charge.reference)
        await authorize({ ...first.asked, requestedAt, reference: null }).catch((error: unknown) =>
          expect(error).toBeInstanceOf(ProviderUnavailable),
        )
        await until('it is listed', async () => orNull((await listedSince(since)).some(isOf(first))))
        const charges = (await listedSince(since)).filter(({ key }) => key === first.asked.key)
        expect(new Set(charges.map(({ reference }) => reference))).toEqual(new Set([first.charge.reference]))
      })
    })

    describe('a charge that waits for the customer', () => {
      const waiting = () => made({ method: methods.needsAction })

      test('sends the customer somewhere', async () => {
        const { charge } = await waiting()
        expect(charge).toMatchObject({
          ...{ state: 'requires_action', captured: 0, captureBefore: null },
          actionUrl: expect.stringMatching(/^https?:/),
        })
      })

      testIf(rig.decide, 'is authorized once the customer approves', async (decide) => {
        const charge = await waiting()
        await decide(charge.charge, true)
        await until('it is authorized', async () => (await now(charge)).state === 'authorized')
        expect(await authorize(charge.asked)).toMatchObject({ state: 'authorized', actionUrl: null })
      })

      testIf(rig.decide, 'takes nothing once the customer refuses', async (decide) => {
        const charge = await waiting()
        await decide(charge.charge, false)
        await until('it is declined', async () => (await now(charge)).state === 'declined')
        expect(await provider().cancel(charge.asked)).toMatchObject({ outcome: 'dead' })
      })

      testIf(rig.decide, 'stays cancelled when the customer approves too late', async (decide) => {
        const charge = await waiting()
        expect(await provider().cancel(charge.asked)).toMatchObject({ outcome: 'dead', charge: { state: 'voided' } })
        await decide(charge.charge, true)
        expect(await now(charge)).toMatchObject({ state: 'voided', captured: 0 })
      })
    })

    describe('when no answer comes', () => {
      testIf(methods.slow, 'the deadline is kept, and the key tells what happened', async (method) => {
        const impatient = rig.withTimeout(300)
        const asked = request({ method })
        const start = Date.now()
        await expect(impatient.authorize(asked, keep)).rejects.toThrow(ProviderUnavailable)
        expect(Date.now() - start).toBeLessThan(600)
        expect(await foundByKey(asked)).toMatchObject({ state: 'authorized' })
        await impatient.close()
      })

      testIf(methods.loses, 'a broken connection is no answer, and the same key finds the charge', async (method) => {
        const asked = request({ method })
        await expect(authorize(asked)).rejects.toThrow(ProviderUnavailable)
        const charge = await foundByKey(asked)
        expect(await authorize(asked)).toEqual(charge)
        expect(charge).toMatchObject({ state: 'authorized' })
      })

      test('a failing provider is unavailable', async () => {
        const unknown = request()
        const charge = await made()
        const { asked } = charge
        await rig.fail(true)
        const calls = [
          () => authorize(unknown),
          () => provider().find(unknown),
          () => provider().find(asked),
          () => provider().read(asked.reference),
          () => provider().cancel(asked),
          () => capture(charge, 1, 510),
          () => provider().release(asked),
          () => refund(charge, 1, 1),
          () => provider().list(asked.requestedAt, null),
          () => provider().movements(asked.requestedAt, null),
        ]
        try {
          for (const call of calls) await expect(call()).rejects.toThrow(ProviderUnavailable)
        } finally {
          await rig.fail(false)
        }
        expect(await provider().find(unknown)).toBeNull()
        expect(await now(charge)).toMatchObject({ state: 'authorized', captured: 0 })
      })

      testIf(methods.slow, 'a caller may give up', async (method) => {
        const gone = new AbortController()
        const call = provider().authorize(request({ method }), keep, gone.signal)
        gone.abort()
        await expect(call).rejects.toThrow(ProviderUnavailable)
        await expect(provider().authorize(request(), keep, gone.signal)).rejects.toThrow(ProviderUnavailable)
      })

      testIf(
        orNull(rig.findLagMs),
        'a charge is found by its key only after a while, by its reference at once',
        async (lag) => {
          const { asked, charge } = await made()
          const unfound = await provider().find({ ...asked, reference: null })
          if (Date.now() < Date.parse(charge.createdAt) + lag) expect(unfound).toBeNull()
          expect(await provider().find(asked)).toEqual(charge)
          expect(await authorize({ ...asked, reference: null })).toEqual(charge)
          const { asked: second } = await made()
          expect(await provider().cancel({ ...second, reference: null })).toMatchObject({ outcome: 'dead' })
          expect(await foundByKey(second)).toMatchObject({ state: 'voided' })
          expect(await foundByKey(asked)).toEqual(charge)
        },
      )
    })

    describe('read', () => {
      test('shows a charge by its reference alone, as it is now', async () => {
        const charge = await made()
        expect(await provider().read(charge.asked.reference)).toEqual(charge.charge)
        await capture(charge, 1, 200, true)
        const seen = await provider().read(charge.asked.reference)
        expect(seen).toMatchObject({ state: 'captured', captured: 200 })
        expect(seen).toEqual(await now(charge))
      })

      test('shows what was declined, and what was cancelled', async () => {
        const declined = await made({ method: methods.declined.method })
        const voided = await made()
        await provider().cancel(voided.asked)
        for (const charge of [declined, voided])
          expect(await provider().read(charge.asked.reference)).toEqual(await now(charge))
      })

      test('knows no charge of another account', async () => {
        expect(await provider().read('pi_of_another_account')).toBeNull()
      })
    })

    describe('cancel', () => {
      test('an unknown key is nothing, and once cancelled it stays dead', async () => {
        const asked = request()
        expect(await provider().find(asked)).toBeNull()
        for (let time = 0; time < 2; time++) {
          const cancelled = await provider().cancel(asked)
          expect([cancelled.outcome, cancelled.charge?.state ?? 'voided']).toEqual(['dead', 'voided'])
        }
        const { key, orderId, amount } = asked
        const never = { state: 'voided', key, orderId, amount, captured: 0, captures: [], captureBefore: null }
        expect(await authorize(asked)).toMatchObject(never)
        expect((await provider().find(asked))?.state ?? 'voided').toBe('voided')
      })

      test('what is authorized or waits for the customer ends', async () => {
        for (const method of [methods.works, methods.needsAction]) {
          const { asked } = await made({ method })
          for (let time = 0; time < 2; time++) {
            expect(await provider().cancel(asked)).toMatchObject({ outcome: 'dead', charge: { state: 'voided' } })
          }
          expect(await authorize(asked)).toMatchObject({ state: 'voided', captureBefore: null })
        }
      })

      test('a declined charge is dead already', async () => {
        const { asked } = await made({ method: methods.declined.method })
        const cancelled = await provider().cancel(asked)
        expect(cancelled.outcome).toBe('dead')
        expect(['declined', 'voided']).toContain(cancelled.charge?.state)
      })

      testIf(methods.pendingForGood, 'what cannot be stopped is refused and said to be pending', async (method) => {
        const { asked, charge } = await made({ method })
        expect(charge).toMatchObject({ state: 'pending', captureBefore: null })
        expect(await provider().cancel(asked)).toMatchObject({ outcome: 'refused', charge: { state: 'pending' } })
      })

      test('what was captured needs a refund', async () => {
        const { asked } = await paid()
        const captured = { state: 'captured', captured: 510 }
        expect(await provider().cancel(asked)).toMatchObject({ outcome: 'refused', charge: captured })
      })

      testIf(methods.inParts, 'what was captured in part needs a refund too, and stays authorized', async (method) => {
        const charge = await made({ method })
        await capture(charge, 1, 200)
        const partly = { state: 'authorized', captured: 200, released: 0 }
        expect(await provider().cancel(charge.asked)).toMatchObject({ outcome: 'refused', charge: partly })
        expect(await now(charge)).toMatchObject(partly)
      })

      test('of a charge and a cancel at once no live charge is left', async () => {
        for (let time = 0; time < 10; time++) {
          const asked = request()
          const [charge, cancelled] = await Promise.allSettled([authorize(asked), provider().cancel(asked)])
          for (const each of [charge, cancelled]) {
            if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(ProviderUnavailable)
          }
          if (cancelled.status === 'rejected') await provider().cancel(asked)
          else expect(cancelled.value.outcome).toBe('dead')
          expect(await authorize(asked)).toMatchObject({ state: 'voided' })
        }
      })
    })

    describe('capture', () => {
      test('takes the money, once per key', async () => {
        const charge = await made()
        const first = await capture(charge, 1, 510, true)
        const key = `${charge.asked.orderId}/capture/1`
        expect(first).toMatchObject({
          outcome: 'captured',
          charge: { state: 'captured', captured: 510, released: 0, captureBefore: null },
        })
        const { reference } = first as { reference: string }
        expect(await capture(charge, 1, 510, true)).toEqual(first)
        expect((await now(charge)).captures).toEqual([{ reference, key, amount: 510 }])
      })

      test('finds the charge by its key alone', async () => {
        const charge = await made()
        await foundByKey(charge.asked)
        const { asked } = charge
        const { outcome } = await provider().capture({
          ...{ key: `${asked.orderId}/capture/1`, amount: 510, final: true },
          charge: { ...asked, reference: null },
        })
        expect(outcome).toBe('captured')
        expect(await now(charge)).toMatchObject({ captured: 510 })
      })

      test('never takes more than was authorized, and a refused key stays refused', async () => {
        const charge = await made()
        for (let time = 0; time < 2; time++)
          expect(await capture(charge, 1, 511)).toEqual({ outcome: 'refused', reason: expect.any(String) })
        expect(await now(charge)).toMatchObject({ state: 'authorized', captured: 0 })
      })

      test('refuses a key that asks for another amount', async () => {
        const charge = await made()
        await capture(charge, 1, 200)
        await expect(capture(charge, 1, 201)).rejects.toThrow(ProviderRejected)
        expect(await now(charge)).toMatchObject({ captured: 200 })
      })

      test('of a charge that holds no money is refused', async () => {
        const [voided, declined] = [await made(), await made({ method: methods.declined.method })]
        await provider().cancel(voided.asked)
        for (const charge of [voided, declined])
          expect(await capture(charge, 1, 510)).toMatchObject({ outcome: 'refused' })
      })

      test('with a final one the rest is released', async () => {
        const charge = await made()
        const taken = { state: 'captured', captured: 200, released: 310, captureBefore: null }
        for (let time = 0; time < 2; time++)
          expect(await capture(charge, 1, 200, true)).toMatchObject({ outcome: 'captured', charge: taken })
        expect(await capture(charge, 2, 1)).toMatchObject({ outcome: 'refused' })
        expect(await now(charge)).toMatchObject(taken)
      })

      testIf(methods.inParts, 'in parts, up to what was authorized', async (method) => {
        const charge = await made({ method })
        expect(charge.charge.capturesInParts).toBe(true)
        const partly = { state: 'authorized', captured: 200, released: 0 }
        expect(await capture(charge, 1, 200)).toMatchObject({ outcome: 'captured', charge: partly })
        expect(await capture(charge, 2, 311)).toMatchObject({ outcome: 'refused' })
        expect(await capture(charge, 3, 310)).toMatchObject({ charge: { state: 'captured', captured: 510 } })
        expect(await capture(charge, 1, 200)).toMatchObject({ outcome: 'captured', charge: { captured: 510 } })
        const { captures } = await now(charge)
        expect(captures.map(({ key, amount }) => [key?.split('/').at(-1), amount])).toEqual([
          ['1', 200],
          ['3', 310],
        ])
      })

      testIf(methods.inParts, 'many at once take no more than there is', async (method) => {
        const charge = await made({ method })
        const tries = Array.from({ length: 12 }, (_, index) => capture(charge, index + 1, 100))
        const answers = await Promise.allSettled(tries)
        for (const each of answers) {
          if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(ProviderUnavailable)
        }
        const taken = answers.filter((each) => each.status === 'fulfilled' && each.value.outcome === 'captured')
        const { captured, captures } = await now(charge)
        expect(taken.length).toBeGreaterThan(0)
        expect([captured, captures.length]).toEqual([taken.length * 100, taken.length])
        expect(captured).toBeLessThanOrEqual(510)
      })

      testIf(methods.singleCapture, 'where one is allowed, it releases the rest', async (method) => {
        const charge = await made({ method })
        expect(charge.charge.capturesInParts).toBe(false)
        const taken = { state: 'captured', captured: 200, released: 310 }
        expect(await capture(charge, 1, 200)).toMatchObject({ outcome: 'captured', charge: taken })
        expect(await capture(charge, 2, 310)).toMatchObject({ outcome: 'refused' })
        expect(await now(charge)).toMatchObject(taken)
      })

      testIf(
        methods.captureRefused,
        'that is refused stays so under its key, and may work under another',
        async (method) => {
          const charge = await made({ method })
          for (let time = 0; time < 2; time++)
            expect(await capture(charge, 1, 510)).toEqual({ outcome: 'refused', reason: expect.any(String) })
          expect(await now(charge)).toMatchObject({ state: 'authorized', captured: 0, captures: [] })
          expect(await capture(charge, 2, 510)).toMatchObject({ outcome: 'captured' })
          expect(await capture(charge, 1, 510)).toMatchObject({ outcome: 'refused' })
        },
      )
    })

    describe('release', () => {
      test('of a charge of which nothing was captured voids it', async () => {
        const { asked } = await made()
        for (let time = 0; time < 2; time++)
          expect(await provider().release(asked)).toMatchObject({ state: 'voided', captured: 0, released: 510 })
      })

      testIf(methods.inParts, 'lets the rest of a partly captured charge go', async (method) => {
        const charge = await made({ method })
        await capture(charge, 1, 200)
        await foundByKey(charge.asked)
        const left = { state: 'captured', captured: 200, released: 310, captureBefore: null }
        expect(await provider().release({ ...charge.asked, reference: null })).toMatchObject(left)
        expect(await provider().release(charge.asked)).toMatchObject(left)
        expect(await capture(charge, 2, 1)).toMatchObject({ outcome: 'refused' })
      })

      test('changes nothing where nothing is left', async () => {
        const charge = await paid()
        expect(await provider().release(charge.asked)).toMatchObject({ state: 'captured', captured: 510, released: 0 })
        const declined = await made({ method: methods.declined.method })
        expect(['declined', 'voided']).toContain((await provider().release(declined.asked)).state)
      })
    })

    describe('refund', () => {
      test('gives parts back, at most what was captured, once per key', async () => {
        const charge = await paid()
        const first = await refund(charge, 1, 500)
        expect(first).toEqual({ outcome: 'succeeded', reference: expect.any(String) })
        expect(await refund(charge, 1, 500)).toEqual(first)
        for (let time = 0; time < 2; time++)
          expect(await refund(charge, 2, 11)).toMatchObject({ outcome: 'refused', reason: expect.any(String) })
        expect(await now(charge)).toMatchObject({ state: 'captured', refunded: 500 })
        expect(await refund(charge, 3, 10)).toMatchObject({ outcome: 'succeeded' })
        const { state, refunded, refunds } = await now(charge)
        expect([state, refunded]).toEqual(['refunded', 510])
        const { reference } = first as { reference: string }
        const key = `${charge.asked.orderId}/refund/1`
        expect(refunds).toContainEqual({ reference, key, amount: 500, status: 'succeeded', failureCode: null })
        expect(await provider().cancel(charge.asked)).toMatchObject({ outcome: 'dead', charge: { state: 'refunded' } })
      })

      test('refuses a key that asks for another amount', async () => {
        const charge = await paid()
        await refund(charge, 1, 200)
        await expect(refund(charge, 1, 201)).rejects.toThrow(ProviderRejected)
        expect(await now(charge)).toMatchObject({ refunded: 200 })
      })

      test('gives back nothing that was not captured', async () => {
        expect(await refund(await made(), 1, 1)).toMatchObject({ outcome: 'refused' })
      })

      test('many at once give back no more than there is', async () => {
        const charge = await paid()
        const answers = await Promise.allSettled(
          Array.from({ length: 12 }, (_, index) => refund(charge, index + 1, 100)),
        )
        for (const each of answers) {
          if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(ProviderUnavailable)
        }
        const given = answers.filter((each) => each.status === 'fulfilled' && each.value.outcome === 'succeeded')
        expect(given.length).toBeGreaterThan(0)
        expect(await now(charge)).toMatchObject({ refunded: given.length * 100 })
        expect(given.length).toBeLessThanOrEqual(5)
      })

      testIf(methods.inParts, 'of what was captured leaves the rest authorized', async (method) => {
        const charge = await made({ method })
        await capture(charge, 1, 200)
        expect(await refund(charge, 1, 200)).toMatchObject({ outcome: 'succeeded' })
        expect(await now(charge)).toMatchObject({ state: 'authorized', captured: 200, refunded: 200 })
        expect(await provider().release(charge.asked)).toMatchObject({ state: 'refunded', released: 310 })
      })

      testIf(methods.inParts, 'that was too much stays refused under its key when more is captured', async (method) => {
        const charge = await made({ method })
        await capture(charge, 1, 100)
        expect(await refund(charge, 1, 200)).toMatchObject({ outcome: 'refused' })
        await capture(charge, 2, 100)
        expect(await refund(charge, 1, 200)).toMatchObject({ outcome: 'refused' })
        expect(await refund(charge, 2, 200)).toMatchObject({ outcome: 'succeeded' })
      })

      testIf(methods.refundsRefused, 'that is refused is an outcome, and stays so under its key', async (method) => {
        const charge = await paid(method)
        const first = await refund(charge, 1, 510)
        expect(first).toMatchObject({ outcome: 'refused', reason: expect.any(String) })
        expect(await refund(charge, 1, 510)).toEqual(first)
        expect(await now(charge)).toMatchObject({ state: 'captured', refunded: 0 })
      })

      testIf(methods.refundRefusedOnce, 'that was refused may work under another key', async (method) => {
        const charge = await paid(method)
        expect(await refund(charge, 1, 510)).toMatchObject({ outcome: 'refused' })
        expect(await refund(charge, 2, 510)).toMatchObject({ outcome: 'succeeded' })
        expect(await refund(charge, 1, 510)).toMatchObject({ outcome: 'refused' })
        expect(await now(charge)).toMatchObject({ state: 'refunded', refunded: 510 })
      })

      for (const status of ['succeeded', 'failed'] as const) {
        testIf(
          rig.pendingRefunds,
          `that is pending counts, and is settled later: ${status}`,
          async ({ method, settle }) => {
            const charge = await paid(method)
            const first = await refund(charge, 1, 500)
            expect(first).toEqual({ outcome: 'pending', reference: expect.any(String) })
            const { reference } = first as { reference: string }
            expect(await refund(charge, 2, 11)).toMatchObject({ outcome: 'refused' })
            const seen = { reference, key: `${charge.asked.orderId}/refund/1`, amount: 500 }
            expect(await now(charge)).toMatchObject({ state: 'captured', refunded: 0 })
            expect((await now(charge)).refunds).toContainEqual({ ...seen, status: 'pending', failureCode: null })
            await settle(charge.charge, reference, status)
            const settled = await until('it is settled', async () => {
              const { refunds } = await now(charge)
              return refunds.find((each) => each.reference === reference && each.status === status)
            })
            expect(settled).toMatchObject({ ...seen, failureCode: status === 'failed' ? expect.any(String) : null })
            expect(await now(charge)).toMatchObject({ refunded: status === 'failed' ? 0 : 500 })
            const outcome = status === 'failed' ? 'refused' : 'succeeded'
            expect(await refund(charge, 1, 500)).toMatchObject({ outcome, reference })
          },
        )
      }

      testIf(methods.refundsFailLater, 'that has succeeded may fail later', async (method) => {
        const charge = await paid(method)
        const given = await refund(charge, 1, 510)
        expect(given.outcome).toBe('succeeded')
        await until('it has failed', async () => (await now(charge)).refunds[0]?.status === 'failed')
        expect(await now(charge)).toMatchObject({ state: 'captured', captured: 510, refunded: 0 })
        expect(await refund(charge, 1, 510)).toMatchObject({ outcome: 'refused' })
        const amounts = await until('both are told', async () => {
          const movements = await movementsOf(charge)
          return movements.length >= 3 && movements.map(({ type, amount }) => [type, amount.amount])
        })
        expect(amounts).toEqual([
          ['capture', 510],
          ['refund', -510],
          ['refund_failed', 510],
        ])
      })

      test('of a charge that nobody made is a fault of ours', async () => {
        const charge = { ...request(), reference: 'ch_0' }
        const nobodys = { key: `${randomUUID()}/refund/1`, charge, amount: 1 }
        await expect(provider().refund(nobodys)).rejects.toThrow(ProviderRejected)
        expect(await provider().find(charge)).toBeNull()
      })
    })

    describe('disputes', () => {
      const opened = (charge: Made): Promise<SeenDispute> =>
        until('the dispute is there', async () => (await now(charge)).disputes[0])
      const closed = (charge: Made, status: SeenDispute['status']) =>
        until(`it is ${status}`, async () => (await now(charge)).disputes[0]?.status === status)

      testIf(rig.disputes, 'are seen, take the money, and bring it back when they are won', async ({ open, close }) => {
        const charge = await paid()
        await open(charge.charge, 500)
        const dispute = await opened(charge)
        expect(dispute).toEqual({ reference: expect.any(String), amount: 500, status: 'open' })
        await close(charge.charge, dispute.reference, 'won')
        await closed(charge, 'won')
        const movements = await until('all is told', async () => {
          const told = await movementsOf(charge)
          return told.length >= 3 && told
        })
        expect(movements.map(({ type, amount }) => [type, amount.amount])).toEqual([
          ['capture', 510],
          ['dispute', -500],
          ['dispute_won', 500],
        ])
        expect(movements.slice(1)).toMatchObject([{ reference: dispute.reference }, { reference: dispute.reference }])
      })

      testIf(rig.disputes, 'that are lost keep what they took', async ({ open, close }) => {
        const charge = await paid()
        await open(charge.charge, 510)
        const { reference } = await opened(charge)
        await close(charge.charge, reference, 'lost')
        await closed(charge, 'lost')
        expect(balanceOf(await movementsOf(charge))).toBe(0)
        expect(await now(charge)).toMatchObject({ state: 'captured', captured: 510, refunded: 0 })
      })
    })

    describe('lists', () => {
      test('charges that changed since then, the longest unchanged first', async () => {
        const [first, second] = [await made(), await made()]
        await provider().release(first.asked)
        const listed = await until('both are listed', async () => {
          const charges = await listedSince(first.asked.requestedAt)
          return [first, second].every((charge) => charges.some(isOf(charge))) && charges
        })
        const last = listed.findLastIndex(isOf(first))
        expect(listed[last]).toEqual(await now(first))
        expect(listed.findLastIndex(isOf(second))).toBeLessThan(last)
      })

      test('a charge only as long as it has changed since', async () => {
        const { charge } = await made()
        // Some tell the time by the second.
        await until('some time has passed', () => Date.now() > Date.parse(charge.createdAt) + 2_100)
        const later = await made()
        const listed = await until('the later one is listed', async () => {
          const charges = await listedSince(later.asked.requestedAt)
          return charges.some(isOf(later)) && charges
        })
        expect(listed.filter(({ reference }) => reference === charge.reference)).toEqual([])
      })

      test('movements: together they are what was captured and has not gone back', async () => {
        const charge = await made()
        await capture(charge, 1, 400, true)
        const given = await refund(charge, 1, 150)
        await refund(charge, 2, 251)
        const movements = await until('both are told', async () => {
          const told = await movementsOf(charge)
          return told.length >= 2 && told
        })
        const { captured, refunded, captures } = await now(charge)
        expect(balanceOf(movements)).toBe(captured - refunded)
        const { asked } = charge
        const of = {
          id: expect.any(String),
          chargeReference: asked.reference,
          chargeKey: oneOf(asked.key, null),
          orderId: oneOf(asked.orderId, null),
          at: expect.any(String),
        }
        expect(movements).toEqual([
          {
            ...of,
            type: 'capture',
            reference: captures[0]?.reference,
            key: oneOf(`${asked.orderId}/capture/1`, null),
            amount: { amount: 400, currency: 'GBP' },
          },
          {
            ...of,
            type: 'refund',
            reference: given.reference,
            key: oneOf(`${asked.orderId}/refund/1`, null),
            amount: { amount: -150, currency: 'GBP' },
          },
        ])
        expect(new Set(movements.map(({ id }) => id)).size).toBe(2)
      })

      test('movements only since then', async () => {
        const charge = await paid()
        const [movement] = await until('it is told', async () => orNull(await movementsOf(charge)))
        const at = Date.parse((movement as Movement).at)
        await until('some time has passed', () => Date.now() > at + 1_100)
        const later = { asked: { ...charge.asked, requestedAt: new Date().toISOString() }, charge: charge.charge }
        expect(await movementsOf(later)).toEqual([])
      })

      test('nothing of what was only authorized moves money', async () => {
        const charge = await made()
        await provider().release(charge.asked)
        expect(await movementsOf(charge)).toEqual([])
      })
    })

    describe('webhooks', () => {
      const received = ({ asked }: Made) =>
        until('its webhook comes', () =>
          rig.webhooks().find(({ rawBody, headers }) => {
            if (!rawBody.includes(asked.reference)) return false
            return provider().verifyWebhook(rawBody, headers)?.chargeReference === asked.reference
          }),
        )

      test('name the event and its charge', async () => {
        const charge = await made()
        const { rawBody, headers } = await received(charge)
        const event = provider().verifyWebhook(rawBody, headers)
        expect(event).toEqual({
          eventId: expect.any(String),
          type: expect.any(String),
          chargeReference: charge.asked.reference,
          chargeKey: oneOf(charge.asked.key, null),
          orderId: oneOf(charge.asked.orderId, null),
          state: oneOf('authorized', null),
          ...(event?.sums && { sums: { captured: 0, released: 0, refunded: 0, refunding: 0, disputed: 0, lost: 0 } }),
        })
        expect(provider().verifyWebhook(rawBody, headers)).toEqual(event)
      })

      test('come with captures and refunds', async () => {
        const charge = await paid()
        const eventsOf = () => rig.webhooks().filter(({ rawBody }) => rawBody.includes(charge.asked.reference)).length
        await until('some come', () => eventsOf() >= 2)
        const before = eventsOf()
        await refund(charge, 1, 100)
        await until('one more comes', () => eventsOf() > before)
      })

      test('are refused when a byte, the id or the time was changed, or nobody signed', async () => {
        const { rawBody, headers } = await received(await made())
        const forged = Buffer.from(rawBody.toString().replace('510', '511'))
        expect(() => provider().verifyWebhook(forged, headers)).toThrow(InvalidSignature)
        expect(() => provider().verifyWebhook(rawBody, {})).toThrow(InvalidSignature)
        for (const [header, value] of Object.entries(headers)) {
          if (!/^webhook-|signature/.test(header)) continue
          const changed = { ...headers, [header]: String(value).replace(/.$/, (last) => (last === 'x' ? 'y' : 'x')) }
          expect(() => provider().verifyWebhook(rawBody, changed)).toThrow(InvalidSignature)
        }
      })

      test('are refused when they are old', async () => {
        const { rawBody } = await received(await made())
        const signed = (agoMs: number) => rig.sign(rawBody, new Date(Date.now() - agoMs))
        expect(provider().verifyWebhook(rawBody, signed(0))).not.toBeNull()
        expect(() => provider().verifyWebhook(rawBody, signed(10 * 60_000))).toThrow(InvalidSignature)
      })

      test.each(['', 'no JSON', 'null', '[]', '{}', '{"id": 1}'])(
        'are refused when they are signed and unreadable: %p',
        (text) => {
          const body = Buffer.from(text)
          expect(() => provider().verifyWebhook(body, rig.sign(body, new Date()))).toThrow(InvalidSignature)
        },
      )

      test('that are of no charge are no event', () => {
        const body = Buffer.from(rig.eventOfNoCharge)
        expect(provider().verifyWebhook(body, rig.sign(body, new Date()))).toBeNull()
      })
    })
  })
}

/** Skips, for all to see, what the provider cannot be made to do. */
function testIf<T>(ability: T | null, title: string, run: (ability: T) => Promise<void>): void {
  if (ability === null) test.skip(title, () => {})
  else test(title, () => run(ability))
}

/** For {@link testIf} and `until`: nothing, false, 0 and an empty list are null. */
function orNull<T>(value: T): Exclude<T, false | 0> | null {
  const isNothing = !value || (Array.isArray(value) && value.length === 0)
  return isNothing ? null : (value as Exclude<T, false | 0>)
}

async function keep(): Promise<boolean> {
  return true
}

function isOf({ asked }: Made): (charge: Charge) => boolean {
  return ({ reference }) => reference === asked.reference
}

function balanceOf(movements: readonly Movement[]): number {
  return movements.reduce((sum, { amount }) => sum + amount.amount, 0)
}

/** Matches any of these values in `toEqual`. */
function oneOf(...values: readonly (string | null)[]): unknown {
  return {
    asymmetricMatch: (value: unknown) => (values as readonly unknown[]).includes(value),
    toString: () => 'oneOf',
  }
}
