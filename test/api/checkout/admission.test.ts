import { AdmissionGate, type CheckoutDemand } from '../../../api/checkout/admission'

const PATIENCE_MS = 60_000

interface Inside {
  readonly leave: (sold: number) => void
  readonly looks: number
}

function leaveAll(visits: readonly (Inside | false | undefined)[], sold: number): void {
  for (const inside of visits) if (inside) inside.leave(sold)
}

/** A stock that is only looked at, and buyers who come to it as the checkout's route does. */
class Shop {
  readonly gate = new AdmissionGate()
  private available: number
  constructor(available: number) {
    this.available = available
  }

  demand(quantity = 1): CheckoutDemand[] {
    return [{ sku: 'LAST', quantity, available: this.available }]
  }

  /** Resolves with how to leave (`sold` units later), or false when nothing is left; counts the looks. */
  async come(quantity = 1, ms = PATIENCE_MS): Promise<Inside | false> {
    const patientUntil = Date.now() + ms
    for (let looks = 1; ; looks++) {
      const demand = this.demand(quantity)
      if (this.available < quantity) {
        this.gate.callNext(demand)
        return false
      }
      const patience = patientUntil - Date.now()
      const leave = patience > 0 ? this.gate.tryAdmit(demand) : this.gate.admit(demand)
      if (!leave) {
        await this.gate.waitInLine(demand, patience)
        continue
      }
      return {
        looks,
        leave: (sold) => {
          this.available -= sold
          leave()
        },
      }
    }
  }
}

describe('the gate before the last units', () => {
  it('lets in as many as there are units for, and refuses the rest once those are sold', async () => {
    const shop = new Shop(20)
    const first = await Promise.all(Array.from({ length: 20 }, () => shop.come()))
    const late = Array.from({ length: 500 }, () => shop.come())
    expect(shop.gate.tryAdmit(shop.demand())).toBeNull()
    leaveAll(first, 1)
    expect(await Promise.all(late)).toEqual(Array(500).fill(false))
  })

  it('lets the next in line in when one leaves without buying, and more than one when there is room', async () => {
    const shop = new Shop(3)
    const big = await shop.come(3)
    const waiting = [shop.come(), shop.come(), shop.come(), shop.come()]
    leaveAll([big], 0)
    const [one, two, three] = await Promise.all(waiting.slice(0, 3))
    expect([one, two, three]).toEqual(Array(3).fill(expect.objectContaining({ looks: 2 })))
    leaveAll([one, two, three], 1)
    expect(await waiting[3]).toBe(false)
  })

  it('makes nobody wait where there is enough, nor for another SKU', () => {
    const gate = new AdmissionGate()
    expect(gate.tryAdmit([{ sku: 'A', quantity: 1, available: 2 }])).not.toBeNull()
    expect(gate.tryAdmit([{ sku: 'A', quantity: 1, available: 2 }])).not.toBeNull()
    expect(gate.tryAdmit([{ sku: 'A', quantity: 1, available: 2 }])).toBeNull()
    expect(gate.tryAdmit([{ sku: 'B', quantity: 1, available: 1 }])).not.toBeNull()
  })

  it('lets in whoever is alone, whatever was read', () => {
    expect(new AdmissionGate().tryAdmit([{ sku: 'A', quantity: 5, available: 1 }])).not.toBeNull()
  })

  it('lets one in all the same who has waited as long as it may', async () => {
    const shop = new Shop(1)
    expect(await shop.come()).toMatchObject({ looks: 1 })
    const late = await shop.come(1, 50)
    expect(late && late.looks).toBeGreaterThanOrEqual(2)
  })
})
