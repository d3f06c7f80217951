import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as TemporalClient, Connection } from '@temporalio/client'
import { Redis } from 'ioredis'
import { createPool, type Pool } from '../../db/pool'
import { connectionOptions } from '../../temporal'
import { SETTINGS_FRESH_MS } from '../../db/platform/settings'
import { holderOf } from '../stack/claim'
import { removePostgresData } from '../stack/postgres'
import { endLeftovers } from '../stack/programs'
import { lockFile, logFolder, readRecords } from '../stack/state'
import { type Stack, type StackOptions, startStack } from '../stack/supervisor'
import { Client } from './client'

/** A stack of its own to break, and what looks at it from outside. */
export interface Harness {
  readonly stack: Stack
  readonly folder: string
  readonly faultFolder: string
  readonly pool: Pool
  readonly redis: Redis
  readonly temporal: TemporalClient
  readonly admin: Client
  /** In the first two people work, in the third one everything moves on by itself. */
  readonly warehouses: Readonly<Record<Place, string>>
  /** Makes a product with this stock, of the first warehouse unless it says where, and returns its SKU. */
  sell(name: string, stock: number | Partial<Record<Place, number>>): Promise<string>
  setHolds(holds: { checkout: number; cart: number }): Promise<void>
  audit(): Promise<AuditAnswer | null>
  /** Files of logs and histories in which one of these texts stands. */
  search(texts: readonly string[]): string[]
  stop(): Promise<void>
}

export type Place = 'main' | 'spare' | 'automatic'

export interface AuditAnswer {
  readonly ok: boolean
  readonly settled: boolean
  readonly checks: readonly { name: string; holds: string; ok: boolean; violations: number; sample: string[] }[]
}

/** Everything that takes minutes in a shop takes seconds here. */
const QUICK = {
  PAYMENT_TIMEOUT_MS: '1000',
  CHECKOUT_WAIT_MS: '3000',
  CARRIER_TIMEOUT_MS: '1000',
  ATTENTION_AFTER_SECONDS: '3',
  LOG_LEVEL: 'info',
}

export type HarnessOptions = StackOptions & { readonly folder: string }

export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const { folder, apis = 2, workers = 2, env } = options
  await deleteData(folder)
  const faultFolder = join(folder, 'faults')
  const stack = await startStack({
    ...options,
    apis,
    workers,
    durable: false,
    env: { ...QUICK, NODE_ENV: 'test', FAULT_DIR: faultFolder, ...env },
  })
  const { file } = stack
  const pool = createPool({ DATABASE_URL: file.postgres, DATABASE_POOL_MAX: 4 }, { name: 'holdfast-chaos' })
  const redis = new Redis(file.redis, { maxRetriesPerRequest: 1 })
  redis.on('error', () => undefined)
  const connection = Connection.lazy(connectionOptions({ TEMPORAL_ADDRESS: file.temporal }))
  const admin = new Client(file.apis)
  const call = (method: string, path: string, body?: unknown) =>
    admin.send({ method, path, adminKey: file.admin_key, ...(body === undefined ? {} : { body }) })
  const open = async (name: string, priority: number, operation: 'manual' | 'automatic'): Promise<string> => {
    const made = { name: `${name} ${randomUUID()}`, country: 'GB', priority, operation }
    return (await call('POST', '/v1/admin/warehouses', made)).body['id'] as string
  }
  const warehouses = {
    main: await open('Main', 1, 'manual'),
    spare: await open('Spare', 2, 'manual'),
    automatic: await open('Automatic', 3, 'automatic'),
  }

  return {
    stack,
    folder,
    faultFolder,
    pool,
    redis,
    temporal: new TemporalClient({ connection, namespace: options.namespace ?? 'default' }),
    admin,
    warehouses,

    async sell(name, stock) {
      const sku = `${name}-${randomUUID().slice(0, 8)}`.toUpperCase()
      await call('POST', '/v1/admin/products', {
        title: sku,
        variants: [{ sku, prices: [{ amount: 1_250, currency: 'GBP' }] }],
      })
      const places = typeof stock === 'number' ? { main: stock } : stock
      for (const [place, on_hand] of Object.entries(places))
        await call('POST', '/v1/admin/inventory/adjustments', {
          sku,
          warehouse_id: warehouses[place as Place],
          set_on_hand: on_hand,
          reason: 'chaos',
        })
      return sku
    },

    async setHolds({ checkout, cart }) {
      await call('PUT', '/v1/admin/settings', {
        default_currency: 'GBP',
        countries: ['GB'],
        tax_inclusive: true,
        checkout_hold_seconds: checkout,
        cart_hold_seconds: cart,
      })
      // An order placed by what was true before would hold its stock for a quarter of an hour.
      await delay(SETTINGS_FRESH_MS)
    },

    async audit() {
      const response = await fetch(`${file.api}/v1/admin/invariants`, {
        headers: { authorization: `Bearer ${file.admin_key}` },
      }).catch(() => null)
      return response?.ok ? ((await response.json()) as AuditAnswer) : null
    },

    search(texts) {
      const files = [logFolder(folder), join(folder, 'temporal')]
        .filter(existsSync)
        .flatMap((path) => readdirSync(path).map((name) => join(path, name)))
      return files.filter((path) => {
        const content = readFileSync(path)
        return texts.some((text) => content.includes(text))
      })
    },

    async stop() {
      redis.disconnect()
      await Promise.all([pool.end(), connection.close()])
      await stack.stop()
      await deleteData(folder)
    },
  }
}

/** Also what a killed run left behind; one that still runs is left alone, and starting beside it is refused. */
async function deleteData(folder: string): Promise<void> {
  if (holderOf(lockFile(folder)) !== undefined) return
  await endLeftovers(readRecords(folder), () => undefined)
  removePostgresData(folder)
  rmSync(folder, { recursive: true, force: true })
}
