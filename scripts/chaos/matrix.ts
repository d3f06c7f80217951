/** What is broken where: every step of a purchase, of its money and its goods, and of what staff change in the shop, against every fault. */

const CHECKOUT_STEPS = [
  'accept',
  'place',
  'charge',
  'confirm',
  'undo_place',
  'undo_charge',
  'next_attempt',
  'webhook',
  'expiry',
  'sweep',
  'settlement',
  'relay',
] as const

/** What fulfillment does with the money of a confirmed order, `void` being the release of what is not captured. */
const MONEY_STEPS = ['capture', 'refund', 'void', 'dispute', 'reauthorize', 'cancel'] as const

/**
 * What fulfillment and the people of warehouses do with its goods. `parcel_capture`: a parcel takes its money before it leaves;
 * `cancel_parcel`: the order, or units of it, is cancelled while a parcel has its label.
 */
const GOODS_STEPS = ['route', 'pick', 'pack', 'label', 'parcel_capture', 'ship', 'track', 'cancel_parcel'] as const
export type PurchaseStep = (typeof CHECKOUT_STEPS)[number] | (typeof MONEY_STEPS)[number] | (typeof GOODS_STEPS)[number]

/** A change of a product becomes findable, it drops the pages that show it, a picture is stored and named. */
const STAFF_STEPS = ['index', 'cache', 'image'] as const
export type StaffStep = (typeof STAFF_STEPS)[number]

export const STEPS = [...CHECKOUT_STEPS, ...MONEY_STEPS, ...GOODS_STEPS, ...STAFF_STEPS]
export type Step = (typeof STEPS)[number]

const COMMON_FAULTS = [
  'kill_before',
  'kill_after',
  'provider_times_out',
  'provider_answers_twice',
  'provider_answers_late',
  'provider_drops_answers',
  'api_killed',
  'redis_flushed',
  'redis_killed',
  'postgres_restarted',
  'temporal_restarted',
  'workflow_terminated',
] as const
/** Only goods meet them. */
const CARRIER_FAULTS = [
  'carrier_times_out',
  'carrier_answers_twice',
  'carrier_answers_late',
  'carrier_drops_answers',
] as const
export const FAULTS = [...COMMON_FAULTS, ...CARRIER_FAULTS] as const
export type Fault = (typeof FAULTS)[number]

/** What happens to an order that is paid: by staff, and by its buyer. */
export type MoneyScript =
  | 'capture_in_parts'
  | 'capture_and_refund'
  | 'cancel_authorized'
  | 'cancel_captured'
  | 'cancel_lines'
  | 'dispute'
  | 'renew'
  | 'race'

/** What happens to the goods of an order that is paid: by the people of its warehouse, by staff, and by its buyer. */
export type GoodsScript =
  | 'send'
  | 'send_short'
  | 'send_anew'
  | 'send_held'
  | 'cancel_sending'
  | 'cancel_labelled'
  | 'race_sending'

/** How a buyer behaves; each brings its order to some of the steps. */
export type Script =
  | MoneyScript
  | GoodsScript
  | 'buy'
  | 'buy_twice'
  | 'pay_again'
  | 'cancel_declined'
  | 'leave_declined'
  | 'approve'
  | 'cancel_challenged'
  | 'leave_challenged'
  | 'switch_card'
  | 'hold_and_leave'
  | 'hold_and_buy'

/** What somebody of the staff does. */
export type StaffScript = 'edit' | 'upload'

interface KillPoints {
  /** Before the step's effect, and after it when nobody has written it down yet. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

interface StepPlan extends KillPoints {
  /** Which buyers come to this step. */
  readonly scripts: readonly Script[]
  /** Which payment methods bring them there; empty: whatever the script uses. */
  readonly methods: readonly string[]
}

interface StaffStepPlan extends KillPoints {
  readonly script: StaffScript
}

export const PLANS: Readonly<Record<PurchaseStep, StepPlan>> = {
  accept: {
    scripts: ['buy', 'buy_twice'],
    methods: ['pm_card_visa'],
    before: ['order.accept.before'],
    after: ['order.accept.after'],
  },
  place: {
    scripts: ['buy', 'hold_and_buy'],
    methods: ['pm_card_visa'],
    before: ['place.before', 'order.place.before'],
    after: ['order.place.after', 'place.after'],
  },
  charge: {
    scripts: ['buy'],
    methods: ['pm_card_visa', 'pm_card_mastercard'],
    before: ['charge.before', 'provider.authorize.before'],
    after: ['provider.authorize.after', 'charge.after'],
  },
  confirm: {
    scripts: ['buy', 'buy_twice'],
    methods: ['pm_card_visa'],
    before: ['confirm.before', 'order.confirm.before'],
    after: ['order.confirm.after', 'confirm.after'],
  },
  undo_place: {
    scripts: ['cancel_declined', 'leave_declined'],
    methods: [],
    before: ['cancelOrder.before', 'order.cancel.before'],
    after: ['order.cancel.after', 'cancelOrder.after'],
  },
  undo_charge: {
    scripts: ['cancel_challenged', 'leave_challenged'],
    methods: [],
    before: ['cancelCharge.before', 'provider.cancel.before'],
    after: ['provider.cancel.after', 'cancelCharge.after'],
  },
  next_attempt: {
    scripts: ['pay_again', 'switch_card'],
    methods: [],
    before: ['payment.request.before', 'startNextAttempt.before', 'payment.start.before'],
    after: ['payment.request.after', 'payment.start.after', 'startNextAttempt.after'],
  },
  webhook: {
    // What is charged later tells so, and the bank tells of an approval.
    scripts: ['buy', 'approve'],
    methods: ['pm_sandbox_async'],
    before: ['inbox.receive.before', 'inbox.due.before'],
    after: ['inbox.receive.after', 'inbox.due.after'],
  },
  expiry: {
    scripts: ['hold_and_leave'],
    methods: [],
    before: ['sweep.before', 'inventory.expireDueHolds.before'],
    after: ['inventory.expireDueHolds.after', 'sweep.after'],
  },
  sweep: {
    // An order whose provider has nothing more to say: only the sweep brings it back.
    scripts: ['leave_declined'],
    methods: [],
    before: ['order.countRestart.before'],
    after: ['order.countRestart.after', 'sweep.after'],
  },
  settlement: {
    scripts: ['buy'],
    methods: ['pm_sandbox_late'],
    before: ['resolveCharge.before', 'readPaymentWork.before', 'provider.release.before'],
    after: ['resolveCharge.after', 'provider.release.after', 'releasePayment.after'],
  },
  relay: {
    scripts: ['buy'],
    methods: ['pm_card_visa'],
    before: ['stream.consume.before'],
    after: ['stream.consume.after'],
  },
  capture: {
    scripts: ['capture_in_parts', 'race'],
    methods: ['pm_card_visa', 'pm_card_mastercard', 'pm_sandbox_single_capture', 'pm_sandbox_capture_refused'],
    before: ['books.saveCaptures.before', 'capturePayment.before', 'provider.capture.before'],
    after: ['books.saveCaptures.after', 'provider.capture.after', 'capturePayment.after'],
  },
  refund: {
    scripts: ['capture_and_refund', 'cancel_captured'],
    methods: [
      'pm_card_visa',
      'pm_sandbox_captured_at_once',
      'pm_sandbox_refund_pending',
      'pm_sandbox_refund_fails_later',
      'pm_sandbox_refund_refused_once',
    ],
    before: ['books.saveRefunds.before', 'refundPayment.before', 'provider.refund.before'],
    after: ['books.saveRefunds.after', 'provider.refund.after', 'refundPayment.after'],
  },
  void: {
    scripts: ['cancel_authorized', 'cancel_captured'],
    methods: ['pm_card_visa', 'pm_card_mastercard'],
    before: ['releasePayment.before', 'provider.release.before'],
    after: ['provider.release.after', 'releasePayment.after'],
  },
  dispute: {
    scripts: ['dispute'],
    methods: ['pm_card_visa'],
    before: ['inbox.due.before', 'refreshPayment.before', 'books.saveDisputes.before', 'order.hold.before'],
    after: ['books.saveDisputes.after', 'order.hold.after', 'refreshPayment.after'],
  },
  reauthorize: {
    scripts: ['renew'],
    methods: ['pm_card_visa', 'pm_card_mastercard'],
    before: ['renewPayment.before', 'payment.claimRenewal.before', 'provider.authorize.before'],
    after: ['payment.claimRenewal.after', 'provider.authorize.after', 'renewPayment.after'],
  },
  cancel: {
    scripts: ['cancel_authorized', 'cancel_captured', 'cancel_lines', 'race'],
    methods: ['pm_card_visa', 'pm_sandbox_single_capture'],
    before: ['goods.read.before', 'inventory.moveOrderStock.before', 'goods.saveOrder.before'],
    after: ['inventory.moveOrderStock.after', 'goods.saveLines.after', 'books.savePayments.after', 'books.tell.after'],
  },
  route: {
    scripts: ['send', 'send_short', 'send_anew'],
    methods: ['pm_card_visa'],
    before: ['fulfillment.consume.before', 'fulfillment.plan.before', 'goods.read.before'],
    after: ['fulfillment.plan.after', 'fulfillment.consume.after', 'goods.read.after'],
  },
  pick: {
    scripts: ['send', 'send_short'],
    methods: ['pm_card_visa'],
    before: ['goods.read.before', 'goods.saveShipments.before', 'inventory.moveOrderStock.before'],
    after: ['goods.saveShipments.after', 'goods.saveOrder.after', 'inventory.serveWaiting.after'],
  },
  pack: {
    scripts: ['send', 'send_held'],
    methods: ['pm_card_visa'],
    before: ['goods.read.before', 'goods.saveShipments.before', 'goods.saveOrder.before'],
    after: ['goods.saveShipments.after', 'goods.saveOrder.after'],
  },
  label: {
    scripts: ['send', 'send_anew', 'race_sending'],
    methods: ['pm_card_visa'],
    before: ['goods.saveLabels.before', 'buyLabel.before', 'label.keepRequest.before', 'carrier.buyLabel.before'],
    after: ['label.keepRequest.after', 'carrier.buyLabel.after', 'goods.saveLabels.after', 'buyLabel.after'],
  },
  parcel_capture: {
    scripts: ['send', 'send_held', 'race_sending'],
    methods: ['pm_card_visa', 'pm_card_mastercard', 'pm_sandbox_single_capture', 'pm_sandbox_capture_refused'],
    before: ['advanceGoods.before', 'books.saveCaptures.before', 'capturePayment.before', 'provider.capture.before'],
    after: ['books.saveCaptures.after', 'advanceGoods.after', 'provider.capture.after', 'capturePayment.after'],
  },
  ship: {
    scripts: ['send', 'race_sending'],
    methods: ['pm_card_visa', 'pm_sandbox_captured_at_once'],
    before: ['advanceGoods.before', 'inventory.moveOrderStock.before', 'goods.saveShipments.before'],
    after: ['inventory.moveOrderStock.after', 'goods.saveLines.after', 'goods.saveOrder.after', 'advanceGoods.after'],
  },
  track: {
    scripts: ['send'],
    methods: ['pm_card_visa'],
    before: [
      'tracking.silent.before',
      'carrier.handOver.before',
      'tracking.receive.before',
      'tracking.due.before',
      'tracking.endProgress.before',
      'tracking.end.before',
    ],
    after: [
      'tracking.silent.after',
      'carrier.handOver.after',
      'tracking.receive.after',
      'tracking.due.after',
      'tracking.endProgress.after',
      'tracking.end.after',
    ],
  },
  cancel_parcel: {
    scripts: ['cancel_labelled'],
    methods: ['pm_card_visa', 'pm_sandbox_single_capture', 'pm_sandbox_captured_at_once'],
    before: ['goods.saveLabels.before', 'voidLabel.before', 'carrier.voidLabel.before', 'goods.saveOrder.before'],
    after: ['goods.saveLabels.after', 'carrier.voidLabel.after', 'voidLabel.after', 'books.savePayments.after'],
  },
}

export const STAFF_PLANS: Readonly<Record<StaffStep, StaffStepPlan>> = {
  index: {
    script: 'edit',
    before: ['search.consume.before', 'search.mark.before', 'search.index.before'],
    after: ['search.mark.after', 'search.consume.after', 'search.index.after', 'search.end.after'],
  },
  cache: {
    script: 'edit',
    before: ['catalog.epoch.before', 'page.consume.before', 'page.tags.before'],
    after: ['catalog.epoch.after', 'pages.drop.after', 'page.consume.after'],
  },
  image: {
    script: 'upload',
    before: ['images.put.before'],
    after: ['images.put.after', 'image.find.before', 'image.find.after'],
  },
}

export interface Cell<S extends Step = Step> {
  readonly step: S
  readonly fault: Fault
}

export function isOfStaff(cell: Cell): cell is Cell<StaffStep> {
  return (STAFF_STEPS as readonly Step[]).includes(cell.step)
}

export function isOfGoods({ step }: Cell): boolean {
  return (GOODS_STEPS as readonly Step[]).includes(step)
}

/** Its order is confirmed: fulfillment does it. */
export function isOfFulfillment(cell: Cell): boolean {
  return (MONEY_STEPS as readonly Step[]).includes(cell.step) || isOfGoods(cell)
}

/** What a step meets. */
export function faultsAt(step: Step): readonly Fault[] {
  return (GOODS_STEPS as readonly Step[]).includes(step) ? FAULTS : COMMON_FAULTS
}

export const CELLS: readonly Cell[] = STEPS.flatMap((step) => faultsAt(step).map((fault) => ({ step, fault })))
