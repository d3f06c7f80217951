import type { Settings } from '../../config'
import { withFaultPoints } from '../../fault-point'
import { guarded } from '../../transaction-guard'
import { HttpWarehouses } from './http'
import type { WarehouseSystem } from './warehouse'

/** The systems of warehouses that have one of their own. */
export interface WarehouseSystems {
  /** Undefined: no adapter speaks to such an address. */
  at(endpoint: string): WarehouseSystem | undefined
  /** Ends all their connections. */
  close(): Promise<void>
}

type System = (settings: Pick<Settings, 'WEBHOOK_ALLOW_PRIVATE'>) => WarehouseSystem

/** Who speaks to an address, by its scheme. A new one is a file, and a line here. */
const SYSTEMS: Readonly<Record<string, System>> = { 'https:': http, 'http:': http }

/** Builds the adapters. */
export function createWarehouseSystems(
  settings: Pick<Settings, 'WEBHOOK_ALLOW_PRIVATE' | 'FAULT_DIR'>,
): WarehouseSystems {
  const made = new Map([...new Set(Object.values(SYSTEMS))].map((make) => [make, make(settings)]))
  const systems = new Map(
    [...made].map(([make, system]) => [
      make,
      withFaultPoints<WarehouseSystem>(guarded(system, 'the system of a warehouse'), settings.FAULT_DIR, (call) =>
        call === 'tell' ? 'warehouse.tell' : null,
      ),
    ]),
  )
  return {
    at: (endpoint) => {
      const make = SYSTEMS[new URL(endpoint).protocol]
      return make && systems.get(make)
    },
    async close() {
      await Promise.all([...made.values()].map((system) => system.close()))
    },
  }
}

function http({ WEBHOOK_ALLOW_PRIVATE }: Pick<Settings, 'WEBHOOK_ALLOW_PRIVATE'>): WarehouseSystem {
  return new HttpWarehouses({ allowPrivate: WEBHOOK_ALLOW_PRIVATE })
}
