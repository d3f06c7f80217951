import { cancelUnits } from '../../../domain/fulfillment/cancelling'
import { addCommand } from '../../../domain/fulfillment/commands'
import { answerVoid, claimLabel, decideLabel, takeLabel, type VoidAnswer } from '../../../domain/fulfillment/labels'
import { workOf } from '../../../domain/fulfillment/work'
import type { LabelId } from '../../../domain/ids'
import { FIRST, type GoodsWorld, worldAt } from '../../support/goods-world'

const LABEL = 'lbl_1' as LabelId
const WHY = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const
const BOUGHT = {
  ...{ reference: 'ref', trackingNumber: 'T1', trackingUrl: null, documentUrl: null },
  ...{ cost: 350, currency: 'GBP', expectedAt: null },
}

const first = ({ goods }: GoodsWorld) => goods.label(LABEL)
const itemsOf = ({ goods }: GoodsWorld) => workOf(goods).items
const answered = (world: GoodsWorld, answer: VoidAnswer) => world.do((goods) => answerVoid(goods, LABEL, answer))

/** Somebody asked for it; its carrier was asked, and has not answered. */
function unanswered(): GoodsWorld {
  const world = worldAt('packed')
  world.do((goods) => {
    claimLabel(goods, FIRST, { carrier: null, service: null })
    addCommand(goods, 'label', { shipmentId: FIRST, detail: null, actor: 'key_1' })
  })
  world.askCarrier(first(world), 'lost')
  return world
}

/** Of an order that was cancelled, and whose carrier is to take it back. */
function voiding(): GoodsWorld {
  const world = worldAt('labelled')
  world.do((goods, books) => cancelUnits(goods, null, WHY, books))
  expect(first(world)).toMatchObject({ status: 'voiding', atWork: true })
  return world
}

describe('a label whose carrier does not answer', () => {
  it('is taken back when a person gives it up, for it may have been bought; whoever asked for it hears that', () => {
    const world = unanswered()
    world.do((goods) => {
      decideLabel(goods, LABEL, 'leave')
      expect(goods.commands).toMatchObject([{ kind: 'label', state: 'refused', code: 'given_up' }])
    })
    expect(first(world)).toMatchObject({ status: 'voiding', atWork: true, failureCode: null })
    // A late answer is kept, so that it can be taken back; another one may be bought meanwhile.
    world.do((goods) => takeLabel(goods, LABEL, BOUGHT))
    expect(first(world)).toMatchObject({ status: 'voiding', reference: 'ref' })
    expect(world.do((goods) => claimLabel(goods, FIRST, { carrier: null, service: null }))).toBe('done')
  })

  it('is simply over when it was never asked for', () => {
    const world = worldAt('packed')
    world.do((goods) => claimLabel(goods, FIRST, { carrier: null, service: null }))
    world.do((goods) => decideLabel(goods, LABEL, 'leave'))
    expect(first(world)).toMatchObject({ status: 'voided', atWork: false })
  })

  it('and that is to be taken back is over when a person says so', () => {
    const world = voiding()
    world.decideLabel(first(world), 'leave')
    expect(first(world)).toMatchObject({ status: 'voided', atWork: false })
    expect(itemsOf(world)).toEqual([])
  })

  it('is asked on when a person wants that', () => {
    for (const world of [unanswered(), voiding()]) {
      const before = first(world)
      world.do((goods) => decideLabel(goods, LABEL, 'retry'))
      expect(first(world)).toEqual(before)
    }
  })
})

describe('a label that its carrier has to think about before it takes it back', () => {
  it('is asked about rarely, by itself, although its order is over', () => {
    const world = voiding()
    const asked: number[] = []
    for (let hour = 0; hour < 24 * 30 * 10; hour++) {
      if (itemsOf(world).length > 0) {
        expect(itemsOf(world)).toMatchObject([{ kind: 'void', object: LABEL }])
        answered(world, { outcome: 'pending' })
        asked.push(hour)
      }
      const { lookAt, isOver, waitsFor } = workOf(world.goods)
      expect([isOver, lookAt !== null && lookAt > world.now]).toEqual([true, true])
      expect(waitsFor).toContain('to say what became of that')
      world.pass(0.1)
    }
    expect(asked.length).toBeGreaterThan(100)
    expect(asked.length).toBeLessThan(200)
    world.bought.clear()
    answered(world, { outcome: 'voided' })
    expect(first(world)).toMatchObject({ status: 'voided', atWork: false, checkAt: null })
    expect(workOf(world.goods)).toMatchObject({ items: [], lookAt: null })
  })

  it('is a case when it refuses in the end; who tries again asks it anew', () => {
    const world = voiding()
    answered(world, { outcome: 'pending' })
    expect(itemsOf(world)).toEqual([])
    answered(world, { outcome: 'refused', code: 'refund_rejected' })
    expect(itemsOf(world)).toMatchObject([{ kind: 'label', object: LABEL, status: 'voiding', code: 'refund_rejected' }])
    expect(workOf(world.goods).lookAt).toBeNull()
    world.decideLabel(first(world), 'retry')
    expect(first(world)).toMatchObject({ failureCode: null, voidSentAt: null, checkAt: null })
    expect(itemsOf(world)).toMatchObject([{ kind: 'void', object: LABEL }])
  })

  it('is a case when it has not said so in weeks', () => {
    const world = voiding()
    answered(world, { outcome: 'pending' })
    world.pass(45 * 24)
    answered(world, { outcome: 'pending' })
    expect(itemsOf(world)).toMatchObject([{ kind: 'label', object: LABEL, code: 'not_decided' }])
    world.decideLabel(first(world), 'leave')
    expect(workOf(world.goods)).toMatchObject({ items: [], lookAt: null })
  })
})
