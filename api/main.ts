import type { AddressInfo } from 'node:net'
import { readSettings, SettingsError } from '../config'
import { createPool } from '../db/pool'
import { RecentCatalog } from '../db/recent-catalog'
import { createRedis } from '../db/redis'
import { statementName, withFaultPoints } from '../fault-point'
import { noTaxProvider } from '../providers/tax'
import { createImageStore } from '../providers/image-store'
import { createPaymentProviders } from '../providers/payment'
import { createApp } from './app'
import { Crowd } from './checkout/crowd'
import { EventBuffer, writeEvents } from './event-buffer'
import { createLog } from '../log'
import { createMetrics } from './metrics'
import type { ApiDeps } from './route'
import { closeServer, createHttpServer } from './server'
import { closeTemporalClient, createTemporalClient } from './temporal'

/** How long a stopping process waits for the requests in hand: a checkout may wait for its outcome. */
const STOP_DEADLINE_MS = 15_000

async function main(): Promise<void> {
  const settings = readSettings()
  const deps: ApiDeps = {
    settings,
    pool: withFaultPoints(createPool(settings, { name: 'holdfast-api' }), settings.FAULT_DIR, statementName),
    redis: createRedis(settings),
    temporal: createTemporalClient(settings),
    tax: noTaxProvider,
    providers: createPaymentProviders(settings),
    log: createLog(settings.LOG_LEVEL, 'api'),
    metrics: createMetrics(),
    crowd: new Crowd(),
    recentCatalog: new RecentCatalog(),
    images: createImageStore(settings),
    events: new EventBuffer(),
    lifecycle: { stopping: false },
  }
  const stopping = new AbortController()
  const writing = writeEvents(deps, stopping.signal)
  const server = createHttpServer(createApp(deps))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.API_PORT, settings.API_HOST, resolve)
  })
  const { address, port } = server.address() as AddressInfo
  deps.log.info({ address, port }, 'listening')

  async function stop(signal: string): Promise<void> {
    if (deps.lifecycle.stopping) return
    deps.lifecycle.stopping = true
    deps.log.info({ signal }, 'stopping')
    await closeServer(server, STOP_DEADLINE_MS)
    stopping.abort()
    await writing
    deps.redis.disconnect()
    await Promise.allSettled([deps.pool.end(), closeTemporalClient(deps.temporal), deps.providers.close()])
    deps.log.info('stopped')
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))
}

main().catch((error: unknown) => {
  console.error(error instanceof SettingsError ? error.message : error)
  process.exitCode = 1
})
