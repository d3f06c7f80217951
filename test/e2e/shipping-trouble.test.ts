import { auditHolds, Parcels, WITHIN_MS } from '../support/parcels'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { together } from '../support/together'
import { until } from '../support/wait'

/** Parcels that are lost, come back or do not move, and labels that are refused: each is a case, and ends by its repairs. */

let stack: TestStack
let shop: Shop
let parcels: Parcels
let manual: string
let automatic: string
beforeAll(async () => {
  stack = await testStack()
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  parcels = new Parcels(shop, stack.stack.file.carrier)
  await parcels.settings({ return_window_days: 0 })
  manual = await parcels.warehouse('manual')
  automatic = await parcels.warehouse('automatic')
}, 180_000)
afterAll(() => stack?.stop(), 60_000)

interface Sent {
  readonly id: string
  readonly sku: string
  readonly total: number
  readonly shipment: string
}

/** An order whose parcel has left, to an address that makes something go wrong. */
async function sent(word: string, stock = 1): Promise<Sent> {
  const sku = await parcels.product({ [automatic]: stock })
  const { id, total } = await parcels.paid({ lines: { [sku]: 1 }, word })
  const shipment = await parcels.shipmentOf(id)
  await parcels.hasLeft(shipment)
  return { id, sku, total, shipment }
}

/** A parcel of a warehouse that people run. */
async function packed(word?: string): Promise<Sent> {
  const sku = await parcels.product({ [manual]: 1 })
  const { id, total } = await parcels.paid({ lines: { [sku]: 1 }, ...(word !== undefined && { word }) })
  const shipment = await parcels.shipmentOf(id)
  await parcels.step(shipment, 'pick')
  await parcels.step(shipment, 'pack')
  return { id, sku, total, shipment }
}

const stalled = (id: string) => parcels.caseOf(id, 'fulfillment_stalled')
const reroute = (id: string) => parcels.repair(id, { action: 'reroute' })

together(
  {
    'a lost parcel is sent once more, from new stock and for no money': async () => {
      const { id, sku, total, shipment } = await sent('sandbox:lost', 2)
      expect(await stalled(id)).toMatchObject({ step: 'decideParcel', object: shipment })
      expect(await parcels.order(id)).toMatchObject({ status: 'shipped', shipments: [{ status: 'lost' }] })
      await reroute(id)
      const [, replacement] = await parcels.shipments(id, 2)
      expect(replacement).toMatchObject({ replaces: shipment, lines: [{ sku, quantity: 1 }] })
      // Its address loses it again, and then nobody sends it once more.
      await parcels.hasLeft(replacement.id)
      await until(
        'the replacement is lost too',
        async () => (await shop.cases(id)).map(({ object }) => object),
        (objects) => objects.join() === replacement.id,
        WITHIN_MS,
      )
      await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
      await parcels.orderBecomes(id, 'completed')
      expect(await parcels.captures(id)).toEqual([[total, 'succeeded']])
      expect(await shop.stock(sku)).toEqual({ on_hand: 0, reserved: 0, available: 0 })
    },

    'a lost parcel cannot be sent once more without stock: its case stays, until the customer has their money':
      async () => {
        const { id, total } = await sent('sandbox:lost')
        await stalled(id)
        await reroute(id)
        await until(
          'its case is open again',
          () => shop.cases(id),
          (open) => open.length === 1,
          WITHIN_MS,
        )
        expect((await parcels.order(id)).shipments).toHaveLength(1)
        const refund = { all: true, reason_code: 'parcel_lost' }
        expect((await shop.admin('post', `/v1/admin/orders/${id}/refunds`, refund)).status).toBeLessThan(300)
        await parcels.hasNoCase(id)
        await parcels.orderBecomes(id, 'completed')
        expect(await parcels.moneyTaken(id)).toEqual({ captured: total, refunded: total })
      },

    'a lost parcel that turns up closes its case': async () => {
      const { id } = await sent('sandbox:found')
      expect(await parcels.orderBecomes(id, 'completed')).toMatchObject({ shipments: [{ status: 'delivered' }] })
      await parcels.hasNoCase(id)
      const types = (await parcels.order(id)).events.map(({ type }: { type: string }) => type)
      expect(types).toEqual(expect.arrayContaining(['shipment.lost', 'shipment.delivered']))
    },

    'the refund of the units of a lost parcel settles it': async () => {
      const { id, sku } = await sent('sandbox:lost')
      await stalled(id)
      await parcels.repaired(id, { action: 'retryStep' })
      expect(await parcels.order(id)).toMatchObject({ status: 'shipped' })
      const refund = { lines: [{ sku, quantity: 1 }], reason_code: 'parcel_lost' }
      expect((await shop.admin('post', `/v1/admin/orders/${id}/refunds`, refund)).status).toBeLessThan(300)
      await parcels.orderBecomes(id, 'completed')
    },

    'what is sent in the place of a lost parcel, and is not there, leaves the lost one to be decided': async () => {
      const sku = await parcels.product({ [automatic]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 }, word: 'sandbox:lost' })
      const shipment = await parcels.shipmentOf(id)
      await parcels.hasLeft(shipment)
      await stalled(id)
      await shop.admin('post', '/v1/admin/inventory/adjustments', {
        ...{ sku, warehouse_id: manual, set_on_hand: 1, reason: 'stocktake' },
      })
      await parcels.repaired(id, { action: 'reroute' })
      const [, replacement] = await parcels.shipments(id, 2)
      expect(await parcels.step(replacement.id, 'pick', { lines: [{ sku, quantity: 0 }] })).toMatchObject({
        body: { status: 'cancelled' },
      })
      expect(await stalled(id)).toMatchObject({ step: 'decideParcel', object: shipment })
      expect(await parcels.order(id)).toMatchObject({ status: 'shipped' })
      await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
      await parcels.orderBecomes(id, 'completed')
    },

    'units that are not on their shelves are a case, until a receipt brings them': async () => {
      const sku = await parcels.product({ [manual]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 } })
      const shipment = await parcels.shipmentOf(id)
      await parcels.step(shipment, 'pick', { lines: [{ sku, quantity: 0 }] })
      expect(await stalled(id)).toMatchObject({ step: 'decideShort', object: id })
      const receipt = { warehouse_id: manual, reference: `R-${id}`, lines: [{ sku, quantity: 1 }] }
      expect((await shop.admin('post', '/v1/admin/inventory/receipts', receipt)).status).toBe(201)
      await parcels.hasNoCase(id)
      expect(await parcels.shipments(id)).toMatchObject([{ status: 'allocated', lines: [{ sku, quantity: 1 }] }])
    },

    'units that are not on their shelves are cancelled by whoever does not want them waited for': async () => {
      const sku = await parcels.product({ [manual]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 } })
      await parcels.step(await parcels.shipmentOf(id), 'pick', { lines: [{ sku, quantity: 0 }] })
      await stalled(id)
      await parcels.repaired(id, { action: 'cancelShipment' })
      await parcels.orderBecomes(id, 'cancelled')
    },

    'a parcel that comes back waits for a person': async () => {
      const { id, shipment } = await sent('sandbox:returned')
      expect(await stalled(id)).toMatchObject({ object: shipment })
      expect(await parcels.order(id)).toMatchObject({
        fulfillment_status: 'returned',
        shipments: [{ status: 'returned' }],
      })
      await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
      await parcels.orderBecomes(id, 'completed')
    },

    'a carrier that sends no webhook is asked': async () => {
      const { id } = await sent('sandbox:silent')
      await parcels.orderBecomes(id, 'completed')
    },

    'what a carrier tells three times and out of order is told once': async () => {
      const { id } = await sent('sandbox:shuffled')
      const { events } = await parcels.orderBecomes(id, 'completed')
      const types = events.map(({ type }: { type: string }) => type)
      expect(types.filter((type: string) => type === 'shipment.delivered')).toHaveLength(1)
    },

    'a parcel of which nobody hears is a case: it is waited for once more, then settled': async () => {
      const { id, shipment } = await sent('sandbox:vanished')
      expect(await shop.cases(id)).toEqual([])
      await parcels.hoursPass(id, 24 * 30)
      expect(await stalled(id)).toMatchObject({ step: 'decideParcel', object: shipment })
      await parcels.repaired(id, { action: 'retryStep' })
      await parcels.hoursPass(id, 24 * 30)
      await stalled(id)
      await parcels.repaired(id, { action: 'resolveStep', outcome: 'done' })
      expect(await parcels.read(shipment)).toMatchObject({ status: 'lost' })
      await parcels.orderBecomes(id, 'completed')
    },

    'a warehouse that does nothing is a case, which closes when it goes on': async () => {
      const sku = await parcels.product({ [manual]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 } })
      const shipment = await parcels.shipmentOf(id)
      await parcels.hoursPass(id, 24 * 4)
      expect(await stalled(id)).toMatchObject({ step: 'decideParcel', object: shipment })
      expect(await parcels.step(shipment, 'pick')).toMatchObject({ status: 200 })
      await parcels.hasNoCase(id)
    },

    'a warehouse that does nothing is left for another one': async () => {
      const sku = await parcels.product({ [manual]: 1, [automatic]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 } })
      const [first] = await parcels.shipments(id)
      if (first.warehouse_id === manual) {
        await parcels.hoursPass(id, 24 * 4)
        await stalled(id)
        await parcels.repaired(id, { action: 'reroute' })
        const [second] = await parcels.shipments(id)
        expect(second.warehouse_id).toBe(automatic)
      }
      await parcels.orderBecomes(id, 'completed')
      expect(await shop.stock(sku)).toMatchObject({ on_hand: 1, reserved: 0 })
    },

    'a warehouse that does nothing loses the parcel, and its units are cancelled': async () => {
      const sku = await parcels.product({ [manual]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 } })
      await parcels.hoursPass(id, 24 * 4)
      await stalled(id)
      await parcels.repaired(id, { action: 'cancelShipment' })
      await parcels.orderBecomes(id, 'cancelled')
      await until(
        'its money is let go',
        () => shop.chargeStates(id),
        (states) => states.join() === 'voided',
        WITHIN_MS,
      )
      expect(await shop.stock(sku)).toEqual({ on_hand: 1, reserved: 0, available: 1 })
    },

    'a label that is refused is said to whoever asked for it, and is no case': async () => {
      const { id, shipment } = await packed('sandbox:refused')
      expect(await parcels.step(shipment, 'label')).toMatchObject({
        status: 409,
        body: { code: 'label_refused', carrier_code: 'address_refused' },
      })
      expect(await parcels.read(shipment)).toMatchObject({ status: 'packed', label_url: null })
      expect(await shop.cases(id)).toEqual([])
      await parcels.cancel(id)
      await parcels.orderBecomes(id, 'cancelled')
    },

    'where no carrier goes no label is sold': async () => {
      const { id, shipment } = await packed('sandbox:nowhere')
      expect(await parcels.step(shipment, 'label')).toMatchObject({ status: 409, body: { code: 'label_refused' } })
      await parcels.cancel(id)
    },

    'a label that is refused to a warehouse that works by itself is a case; tried again, and left': async () => {
      const sku = await parcels.product({ [automatic]: 1 })
      const { id } = await parcels.paid({ lines: { [sku]: 1 }, word: 'sandbox:refused' })
      const { object } = await stalled(id)
      expect(await stalled(id)).toMatchObject({ step: 'buyLabel' })
      await parcels.repair(id, { action: 'retryStep' })
      await until(
        'another label is refused',
        () => shop.cases(id),
        ([open]) => open !== undefined && open.object !== object,
        WITHIN_MS,
      )
      await parcels.repaired(id, { action: 'resolveStep', outcome: 'not_done' })
      expect((await parcels.order(id)).shipments).toMatchObject([{ status: 'packed' }])
      await parcels.cancel(id)
      await parcels.orderBecomes(id, 'cancelled')
    },

    'a carrier that drops its answer, is slow, or fails twice sells one label': async () => {
      for (const word of ['sandbox:dropped', 'sandbox:slow', 'sandbox:flaky']) {
        const { id, shipment } = await packed(word)
        expect([200, 202]).toContain((await parcels.step(shipment, 'label')).status)
        await parcels.becomes(shipment, 'labelled')
        expect(await parcels.labels(id)).toHaveLength(1)
        await parcels.shipped(shipment)
        await parcels.orderBecomes(id, 'completed')
      }
    },
  },
  180_000,
)

it('afterwards every invariant holds', () => auditHolds(shop), 90_000)
