import { Random } from '../chaos/random'

/** What the outside world is like while the orders are played (docs/sandbox.md). */
export interface World {
  readonly provider: ProviderFaults
  readonly carrier: CarrierFaults
  readonly warehouse: WarehouseFaults
}

interface ProviderFaults {
  readonly seed: number
  readonly delay_ms: number
  readonly error_rate: number
  readonly drop_answer_rate: number
}

interface CarrierFaults extends ProviderFaults {
  /** Shares of all parcels. */
  readonly lost_rate: number
  readonly return_rate: number
  readonly late_rate: number
  readonly speed: number
}

/** Shares of all orders: a warehouse takes a week more, or does not find a unit that it ought to have. */
export interface WarehouseFaults {
  readonly late_rate: number
  readonly short_rate: number
}

/** Months pass in minutes: so much faster than in the demo, where a day lasts a second. */
const SPEED = 4

/** Even on good days some parcels go astray, and some shelves are empty. */
const GOOD: Pick<World, 'warehouse'> & { readonly parcels: Omit<CarrierFaults, keyof ProviderFaults> } = {
  parcels: { lost_rate: 0.01, return_rate: 0.02, late_rate: 0.05, speed: SPEED },
  warehouse: { late_rate: 0.02, short_rate: 0.01 },
}

/** Nobody fails; `seed` says which parcels go astray. */
export function goodWorld(seed: number): World {
  const nothing = { seed, delay_ms: 0, error_rate: 0, drop_answer_rate: 0 }
  return { provider: nothing, carrier: { ...nothing, ...GOOD.parcels }, warehouse: GOOD.warehouse }
}

/**
 * Each seed is other bad days: up to every tenth request to the provider and to the carrier fails, and as many answers are lost;
 * more parcels than usual go astray, and warehouses are late and miss units more often.
 */
export function badWorld(seed: number): World {
  const random = new Random(seed)
  const failures = (): ProviderFaults => ({
    seed,
    delay_ms: random.whole(0, 60),
    error_rate: random.whole(1, 10) / 100,
    drop_answer_rate: random.whole(1, 10) / 100,
  })
  const rate = (low: number, high: number): number => random.whole(low, high) / 100
  return {
    provider: failures(),
    carrier: {
      ...failures(),
      lost_rate: rate(1, 4),
      return_rate: rate(2, 5),
      late_rate: rate(5, 15),
      speed: SPEED,
    },
    warehouse: { late_rate: rate(5, 15), short_rate: rate(2, 6) },
  }
}

/** Where provider and carrier are. */
export interface Outside {
  readonly sandbox: string
  readonly carrier: string
}

/** Makes the provider and the carrier behave like that; null: all is well again. */
export async function tellOutside({ sandbox, carrier }: Outside, world: World | null): Promise<void> {
  await put(`${sandbox}/v1/faults`, world?.provider)
  await put(`${carrier}/v1/faults`, world?.carrier)
}

async function put(url: string, body: object = {}): Promise<void> {
  const answer = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${url} takes no faults: ${answer.status} ${await answer.text()}`)
}
