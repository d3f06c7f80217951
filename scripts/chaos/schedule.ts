import {
  type Cell,
  type Fault,
  faultsAt,
  type GoodsScript,
  isOfFulfillment,
  isOfGoods,
  isOfStaff,
  type MoneyScript,
  PLANS,
  type PurchaseStep,
  type Script,
  STAFF_PLANS,
  type StaffScript,
  type StaffStep,
  type Step,
  STEPS,
} from './matrix'
import { Random } from './random'

/** Everything that a seed decides. Running it again repeats it, but for the order in which the system itself does things. */
export interface Schedule {
  readonly seed: number
  /** How long stock is held for an unpaid order, and for a cart. */
  readonly holdSeconds: number
  readonly cartHoldSeconds: number
  readonly buyers: readonly BuyerPlan[]
  readonly staff: readonly StaffPlan[]
}

/** Somebody of the staff, with products of its own. */
export interface StaffPlan {
  readonly startMs: number
  readonly script: StaffScript
  /** What happens when it comes to a step. */
  readonly fault: FaultPlan | null
}

/**
 * Everybody wants the scarce product but those whose step is to be reached. An automatic warehouse sends the third one; who buys
 * `both` has two parcels, one of which people send.
 */
export type Product = 'plenty' | 'scarce' | 'automatic' | 'both'

export interface BuyerPlan {
  readonly startMs: number
  /** Of what the script leaves to chance. */
  readonly seed: number
  readonly script: Script
  readonly method: string
  readonly product: Product
  readonly quantity: number
  /** What the second line of the address makes the carrier do; empty: nothing. */
  readonly words: string
  /** What happens when this buyer comes to a step. */
  readonly fault: FaultPlan | null
}

export interface FaultPlan extends Cell {
  /** From the moment the step is reached. */
  readonly afterMs: number
  /** Where a process kills itself, of a kill fault. */
  readonly point: string | null
}

const SEED_MAX = 1_000_000
const CELLS_PER_SEED = 4
const SHORT_BYSTANDERS = 4
const BYSTANDERS = 8

const METHODS = [
  'pm_card_visa',
  'pm_card_visa',
  'pm_card_mastercard',
  'pm_card_chargeDeclinedInsufficientFunds',
  'pm_sandbox_timeout_after_charge',
  'pm_sandbox_flaky',
  'pm_sandbox_async',
  'pm_sandbox_duplicate_webhooks',
  'pm_sandbox_slow',
] as const
const MONEY_METHODS = [
  'pm_card_visa',
  'pm_card_mastercard',
  'pm_sandbox_duplicate_webhooks',
  'pm_sandbox_single_capture',
  'pm_sandbox_captured_at_once',
  'pm_sandbox_capture_refused',
  'pm_sandbox_refund_pending',
  'pm_sandbox_refund_fails_later',
  'pm_sandbox_refund_refused_once',
] as const
const SCRIPTS: readonly Script[] = [
  'buy',
  'buy',
  'buy_twice',
  'pay_again',
  'cancel_declined',
  'approve',
  'cancel_challenged',
  'leave_challenged',
  'switch_card',
  'hold_and_buy',
]

const MONEY_SCRIPTS: readonly MoneyScript[] = [
  'capture_in_parts',
  'capture_and_refund',
  'cancel_authorized',
  'cancel_captured',
  'cancel_lines',
  'dispute',
  'renew',
  'race',
  'race',
]
/** Of so many bystanders one goes on to the money of a paid order, and one to its goods. */
const PAID_EVERY = 3

const GOODS_SCRIPTS: readonly GoodsScript[] = [
  'send',
  'send_short',
  'send_anew',
  'send_held',
  'cancel_sending',
  'cancel_labelled',
  'race_sending',
]
const GOODS_METHODS = [
  'pm_card_visa',
  'pm_card_mastercard',
  'pm_sandbox_duplicate_webhooks',
  'pm_sandbox_single_capture',
  'pm_sandbox_captured_at_once',
  'pm_sandbox_capture_refused',
] as const
/** Most people live where nothing goes wrong. */
const WORDS = [
  '',
  '',
  '',
  'sandbox:dropped',
  'sandbox:flaky',
  'sandbox:slow',
  'sandbox:shuffled',
  'sandbox:silent',
  'sandbox:held',
  'sandbox:lost',
  'sandbox:found',
  'sandbox:returned',
] as const
/** Nobody but the people of a warehouse gives such an order up. */
const WORDS_FOR_PEOPLE = [...WORDS, 'sandbox:refused', 'sandbox:keeps'] as const

const STAFF_SCRIPTS: readonly StaffScript[] = ['edit', 'upload']

export function scheduleOf(seed: number, { short }: { short: boolean }): Schedule {
  const random = new Random(seed)
  const cells = cellsOf(seed)
  const bystanders = short ? SHORT_BYSTANDERS : BYSTANDERS
  return {
    seed,
    // The sweep takes up an order five to ten seconds after it was left: now before the end of its hold, now after.
    holdSeconds: !short && seed % 2 === 0 ? 12 : 5,
    cartHoldSeconds: 3,
    buyers: [
      ...cells.filter(isOfPurchase).map((cell) => focusedBuyer(cell, random)),
      ...Array.from({ length: bystanders }, (_, index) =>
        index % PAID_EVERY === 0
          ? moneyBystander(random)
          : index % PAID_EVERY === 1
            ? goodsBystander(random)
            : bystander(random),
      ),
    ],
    staff: [
      ...cells.filter(isOfStaff).map((cell) => focusedStaff(cell, random)),
      ...(short ? [] : [{ startMs: random.whole(0, 2_500), script: random.pick(STAFF_SCRIPTS), fault: null }]),
    ],
  }
}

/** What a schedule breaks. */
export function faultsOf({ buyers, staff }: Schedule): FaultPlan[] {
  return [...buyers, ...staff].flatMap(({ fault }) => fault ?? [])
}

/**
 * Each seed takes some cells of the matrix: neighbours share neither step nor fault, and as many seeds as there are cells
 * divided by {@link CELLS_PER_SEED} take every cell once.
 */
function cellsOf(seed: number): Cell[] {
  return Array.from({ length: CELLS_PER_SEED }, (_, index) => {
    const turn = (seed - 1) * CELLS_PER_SEED + index
    const round = Math.floor(turn / STEPS.length)
    const place = turn % STEPS.length
    const step = STEPS[place] as Step
    const faults = faultsAt(step)
    return { step, fault: faults[(place * 5 + round) % faults.length] as Fault }
  })
}

function isOfPurchase(cell: Cell): cell is Cell<PurchaseStep> {
  return !isOfStaff(cell)
}

function focusedBuyer(cell: Cell<PurchaseStep>, random: Random): BuyerPlan {
  const { scripts, methods, before, after } = PLANS[cell.step]
  const script = random.pick(scripts)
  return {
    startMs: random.whole(0, 1_500),
    seed: random.whole(1, SEED_MAX),
    script,
    method:
      cell.fault === 'provider_answers_twice' && methods.includes('pm_card_visa')
        ? 'pm_sandbox_duplicate_webhooks'
        : random.pick(methods.length > 0 ? methods : ['pm_card_visa']),
    product: isOfGoods(cell) ? productFor(script, random) : 'plenty',
    quantity: isOfFulfillment(cell) ? random.whole(2, 4) : random.whole(1, 3),
    words: cell.fault === 'carrier_answers_twice' ? 'sandbox:shuffled' : '',
    fault: faultOf(cell, { before, after }, random),
  }
}

function focusedStaff(cell: Cell<StaffStep>, random: Random): StaffPlan {
  const { script, before, after } = STAFF_PLANS[cell.step]
  return { startMs: random.whole(0, 1_500), script, fault: faultOf(cell, { before, after }, random) }
}

function faultOf(
  cell: Cell,
  { before, after }: { before: readonly string[]; after: readonly string[] },
  random: Random,
): FaultPlan {
  const points = cell.fault === 'kill_before' ? before : cell.fault === 'kill_after' ? after : null
  return { ...cell, afterMs: random.whole(0, 120), point: points && random.pick(points) }
}

/** Captured, cancelled and refunded as it comes, whatever is broken meanwhile. */
function moneyBystander(random: Random): BuyerPlan {
  return {
    startMs: random.whole(0, 2_500),
    seed: random.whole(1, SEED_MAX),
    script: random.pick(MONEY_SCRIPTS),
    method: random.pick(MONEY_METHODS),
    product: 'plenty',
    quantity: random.whole(2, 4),
    words: '',
    fault: null,
  }
}

/** Its parcels are lost, late or come back, and what is bought is changed in the middle of it. */
function goodsBystander(random: Random): BuyerPlan {
  const script = random.pick(GOODS_SCRIPTS)
  const product = productFor(script, random)
  return {
    startMs: random.whole(0, 2_500),
    seed: random.whole(1, SEED_MAX),
    script,
    method: random.pick(GOODS_METHODS),
    product,
    quantity: random.whole(1, 4),
    words: random.pick<string>(product === 'plenty' ? WORDS_FOR_PEOPLE : WORDS),
    fault: null,
  }
}

/** What a warehouse does by itself nobody can do otherwise. */
function productFor(script: Script, random: Random): Product {
  return random.pick<Product>(script === 'send' ? ['plenty', 'automatic', 'both'] : ['plenty', 'both'])
}

function bystander(random: Random): BuyerPlan {
  return {
    startMs: random.whole(0, 2_500),
    seed: random.whole(1, SEED_MAX),
    script: random.pick(SCRIPTS),
    method: random.pick(METHODS),
    product: random.next() < 0.75 ? 'scarce' : 'plenty',
    quantity: random.whole(1, 2),
    words: '',
    fault: null,
  }
}
