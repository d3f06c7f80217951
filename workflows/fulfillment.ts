import {
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { GoodsToDo, ParcelDecision } from '../activities/fulfillment/goods'
import { type FulfillmentItem, unitsInWords } from '../domain/fulfillment/work'
import type { LabelId } from '../domain/ids'
import { type FulfillmentInput, paymentWorkSignal } from './contract'
import type { DecidedEnd, Intervention as Supervisor } from './intervention'
import { Intervention } from './intervention'
import { MoneyWorker } from './payment'
import {
  advanceGoods,
  buyLabel,
  decideLabel,
  decideParcel,
  decideShort,
  type OrderStep,
  outsideOnce,
  skipMessage,
  tellWarehouse,
  untilSo,
  voidLabel,
} from './proxies'
import { type AtWork, SideWork } from './side-work'

/**
 * A confirmed order: its goods and its money belong to this workflow alone. It leads both from rows: what staff, customers,
 * warehouses, carriers and providers want or tell is written there, and a signal says so; in between it waits at no cost. It ends
 * with the order, once all of its money is where it belongs, and no label is left that nobody uses.
 */
export async function fulfillment({ orderId }: FulfillmentInput): Promise<void> {
  const intervention = new Intervention(orderId)
  const money = new MoneyWorker(intervention, { orderId, paymentId: null })
  const goods = new GoodsWorker(intervention, { orderId }, () => money.readAgain())
  setHandler(
    paymentWorkSignal,
    () => {
      money.readAgain()
      goods.readAgain()
    },
    { description: 'Something is to be done with the goods or the money of the order: read the rows.' },
  )
  for (;;) {
    await lead(money, goods)
    if (money.isIdle && goods.isIdle && money.isOver && goods.isOver && goods.lookAt === null) break
    // What waits for a person, a provider or a carrier is taken up again from the rows: its case stays the same.
    if (workflowInfo().continueAsNewSuggested && money.isAtRest && goods.isAtRest) {
      await condition(allHandlersFinished)
      await continueAsNew<typeof fulfillment>({ orderId })
    }
    intervention.showWaiting(goods.waitsFor, 'The order is paid and confirmed.')
    await nextWork(money, goods)
  }
  intervention.show('The order is over, and all of its goods and its money are where they belong.')
  await condition(allHandlersFinished)
}

/** Money first, for a parcel may wait for it; and again whenever the goods claim some. */
async function lead(money: MoneyWorker, goods: GoodsWorker): Promise<void> {
  while (money.mustWork || goods.mustWork) {
    await money.work()
    goods.follow(money.moves)
    await goods.work()
    if (goods.isOver !== money.isOver && goods.isIdle) money.readAgain()
  }
}

/** Ends when there is something to do: somebody says so, an authorization is about to end, or something is due. */
async function nextWork(money: MoneyWorker, goods: GoodsWorker): Promise<void> {
  const mustWork = (): boolean => money.mustWork || goods.mustWork
  const times = [money.renewAt, goods.lookAt].filter((at) => at !== null)
  if (times.length === 0) return void (await untilSo(mustWork))
  const first = Math.min(...times)
  const summary =
    first === money.renewAt ? 'An authorization is about to end' : 'Something of the goods is due, or late'
  if (await untilSo(mustWork, Math.max(1_000, first - Date.now()), summary)) return
  money.readAgain()
  goods.readAgain()
}

/** Carries out what the rows of an order's goods ask for, and asks carriers and people beside. */
class GoodsWorker {
  /** Nothing is sent any more. */
  isOver = false
  /** When something is due, in milliseconds since the epoch; null: when told. */
  lookAt: number | null = null
  waitsFor = 'what there is to do to be read.'
  private readonly intervention: Supervisor
  private readonly input: FulfillmentInput
  private readonly beside: SideWork<FulfillmentItem>
  private readonly onMoney: () => void
  private mustRead = true
  /** How often the order's money had moved when it was looked at last. */
  private moves = 0

  /** @param onMoney hears when the order's money has something to do */
  constructor(intervention: Supervisor, input: FulfillmentInput, onMoney: () => void) {
    this.intervention = intervention
    this.input = input
    this.onMoney = onMoney
    this.beside = new SideWork<FulfillmentItem>(isSame, () => this.readAgain())
  }

  get mustWork(): boolean {
    return this.mustRead || this.beside.hasFailed
  }

  get isIdle(): boolean {
    return this.beside.isEmpty && !this.mustWork
  }

  get isAtRest(): boolean {
    return this.beside.isAtRest
  }

  readAgain(): void {
    this.mustRead = true
  }

  /** Looks again when money has moved since the last time, beside the rest perhaps: a parcel may wait for it. */
  follow(moves: number): void {
    if (moves !== this.moves) this.mustRead = true
    this.moves = moves
  }

  /** Works until nothing is left that can be done now. */
  async work(): Promise<void> {
    while (this.mustWork) {
      this.beside.throwFailure()
      this.mustRead = false
      await this.carryOut(await this.intervention.run(advanceGoods, this.input, { object: null }))
    }
  }

  private async carryOut({ isOver, lookAt, waitsFor, hasClaimedMoney, items }: GoodsToDo): Promise<void> {
    this.isOver = isOver
    this.lookAt = lookAt
    this.waitsFor = waitsFor
    if (hasClaimedMoney) this.onMoney()
    this.beside.keepOnly(items)
    for (const item of items) {
      const left = this.beside.find(item) ? null : await this.takeUp(item)
      if (left) return this.carryOut(left)
    }
  }

  /** Answers all that is left to do, where the step says it; else the rows are to be read. */
  private async takeUp(item: FulfillmentItem): Promise<GoodsToDo | null> {
    if (!isOutside(item)) this.beside.put(item, (atWork) => this.askPerson(item, atWork))
    else
      try {
        const left = await tryOnce(item)
        this.mustRead ||= !left
        return left ?? null
      } catch (error) {
        if (isCancellation(error)) throw error
        this.beside.put(item, (atWork) => this.askOutside(item, atWork))
      }
    return null
  }

  /** A carrier, or a warehouse's own system: tried without end; a person is asked when that takes long. */
  private async askOutside(item: OfOutside, atWork: AtWork<FulfillmentItem>): Promise<void> {
    const about = {
      code: 'fulfillment_stalled',
      object: item.object,
      waitsFor: waitsFor(item),
      patienceMs: this.intervention.patienceMs,
      isOver: this.isOver,
      isBeside: true,
      task: atWork,
    } as const
    if (item.kind === 'tell') {
      const input = { messageId: item.object }
      const end = await this.intervention.ask(tellWarehouse, input, about, () => atWork.isGone)
      if (end.by === 'resolved')
        await this.intervention.run(skipMessage, input, { object: item.object, isBeside: true })
      return
    }
    const step: OrderStep<{ labelId: LabelId }, unknown> = item.kind === 'buy' ? buyLabel : voidLabel
    const end = await this.intervention.ask(step, { labelId: item.object }, about, () => atWork.isGone)
    if (end.by === 'resolved') await this.decideLabel(item.object, 'leave')
  }

  private async askPerson(item: OfPerson, atWork: AtWork<FulfillmentItem>): Promise<void> {
    const end = await this.intervention.askPerson(
      {
        step: stepOf(item),
        code: 'fulfillment_stalled',
        object: item.object,
        waitsFor: `somebody to decide: ${inWords(item)}`,
        ...(item.kind === 'label' && { detail: `The carrier says \`${item.code}\`.` }),
        ...(item.kind === 'parcel' && item.trouble !== null && { detail: `It was told: \`${item.trouble}\`.` }),
        ...(item.kind === 'parcel' && { plight: item.plight }),
        ...(item.kind === 'short' && { detail: `No warehouse has ${unitsInWords(item.units)}.` }),
        isOver: this.isOver,
        isBeside: true,
        task: atWork,
      },
      () => atWork.isGone,
    )
    if (end.by === 'interrupted' || end.by === 'forced') return
    if (item.kind === 'label') return this.decideLabel(item.object, end.by === 'retry' ? 'retry' : 'leave')
    const about = { object: item.object, isBeside: true } as const
    const decision = decisionOf(end)
    if (item.kind === 'parcel')
      await this.intervention.run(decideParcel, { ...this.input, shipmentId: item.object, decision }, about)
    else if (decision !== 'reroute') await this.intervention.run(decideShort, { ...this.input, decision }, about)
    // What was authorized for cancelled units is let go.
    if (decision === 'cancel') this.onMoney()
  }

  private decideLabel(labelId: LabelId, decision: 'retry' | 'leave'): Promise<void> {
    return this.intervention.run(decideLabel, { labelId, decision }, { object: labelId, isBeside: true })
  }
}

type OfOutside = Extract<FulfillmentItem, { kind: 'buy' | 'void' | 'tell' }>
type OfPerson = Exclude<FulfillmentItem, OfOutside>

function isOutside(item: FulfillmentItem): item is OfOutside {
  return item.kind === 'buy' || item.kind === 'void' || item.kind === 'tell'
}

function stepOf(item: OfPerson): 'decideParcel' | 'decideShort' | 'buyLabel' | 'voidLabel' {
  if (item.kind === 'parcel') return 'decideParcel'
  if (item.kind === 'short') return 'decideShort'
  return item.status === 'refused' ? 'buyLabel' : 'voidLabel'
}

/** True when both are about the same thing in the same state. */
function isSame(one: FulfillmentItem, other: FulfillmentItem): boolean {
  return one.kind === other.kind && one.object === other.object && stateOf(one) === stateOf(other)
}

function stateOf(item: FulfillmentItem): string {
  if (isOutside(item)) return ''
  if (item.kind === 'short') return unitsInWords(item.units)
  // What its warehouse did stays what a person has to look at, wherever the parcel is meanwhile.
  return item.kind === 'parcel' ? `${item.trouble ?? item.status} ${item.plight}` : item.status
}

function inWords(item: OfPerson): string {
  if (item.kind === 'label')
    return item.status === 'refused'
      ? `the carrier refuses to sell label \`${item.object}\` of shipment \`${item.shipmentId}\``
      : `the carrier refuses to take label \`${item.object}\` back, which nobody uses`
  if (item.kind === 'short') return `${unitsInWords(item.units)} were not found, and no warehouse has others`
  const parcel = `shipment \`${item.object}\``
  if (item.trouble === 'left') return `${parcel} has left its warehouse, and nobody had let it leave`
  if (item.trouble === 'refused') return `the warehouse refuses to do what it was told about ${parcel}`
  if (item.status === 'lost') return `the carrier has lost ${parcel}`
  if (item.status === 'returned') return `${parcel} came back`
  return item.status === 'shipped'
    ? `${parcel} has not arrived, and its carrier says nothing`
    : `the warehouse has not moved ${parcel} on for days`
}

function decisionOf(end: { readonly by: 'retry' } | DecidedEnd): ParcelDecision {
  if (end.by === 'rerouted') return 'reroute'
  if (end.by === 'parcelCancelled') return 'cancel'
  return end.by === 'retry' ? 'wait' : 'settled'
}

function waitsFor(item: OfOutside): string {
  switch (item.kind) {
    case 'buy':
      return `the carrier to sell label \`${item.object}\` of shipment \`${item.shipmentId}\``
    case 'void':
      return `the carrier to take label \`${item.object}\` back, which nobody uses`
    case 'tell':
      return `the warehouse's own system to take its message \`${item.message}\` about shipment \`${item.shipmentId}\``
  }
}

/** All that is left to do, where the step says it. A run that is older than that answer has `undefined` in its history. */
async function tryOnce(item: OfOutside): Promise<GoodsToDo | null | undefined> {
  if (item.kind === 'buy') return outsideOnce.buyLabel({ labelId: item.object })
  if (item.kind === 'tell') await outsideOnce.tellWarehouse({ messageId: item.object })
  else await outsideOnce.voidLabel({ labelId: item.object })
  return null
}
