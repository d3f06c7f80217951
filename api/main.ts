import type { AddressInfo } from 'node:net'
import { readSettings, SettingsError } from '../config'
import { CATALOG_EPOCH_KEY } from '../db/catalog/epoch'
import { createPool, createReplicaPool } from '../db/pool'
import { CatalogEntryCache } from '../db/cart/recent'
import { createRedis } from '../db/redis'
import { ReplicaRouter } from '../db/replica'
import { withFaultPoints, withStatementPoints } from '../fault-point'
import { createSearch } from '../providers/search'
import { noTaxProvider } from '../providers/tax'
import { createImageStore } from '../providers/image-store'
import { createCarriers } from '../providers/carrier'
import { createPaymentProviders } from '../providers/payment'
import { createApp } from './app'
import { AdmissionGate } from './checkout/admission'
import { InteractionBuffer, writeInteractions } from './recommendation/interaction-buffer'
import { createLog } from '../log'
import { LoadMeter } from './http/load-shedding'
import { createMetrics } from './platform/metrics'
import { PageServer } from './page/serve'
import type { ApiDeps } from './deps'
import { closeServer, createHttpServer } from './http/server'
import { closeTemporalClient, createTemporalClient } from './http/temporal'

/** How long a stopping process waits for the requests in hand: a checkout may wait for its outcome. */
const STOP_DEADLINE_MS = 15_000

async function main(): Promise<void> {
  const settings = readSettings()
  // First of all: a shop in which nobody can pay, or nothing be sent, opens nothing.
  const providers = createPaymentProviders(settings)
  const carriers = createCarriers(settings)
  const pool = withStatementPoints(createPool(settings, { name: 'holdfast-api' }), settings.FAULT_DIR)
  const redis = withFaultPoints(createRedis(settings), settings.FAULT_DIR, catalogFaultPoint)
  const metrics = createMetrics()
  const replica = createReplicaPool(settings)
  const deps: ApiDeps = {
    settings,
    pool,
    redis,
    temporal: createTemporalClient(settings),
    tax: noTaxProvider,
    providers,
    carriers,
    search: createSearch(settings, pool),
    log: createLog(settings.LOG_LEVEL, 'api'),
    metrics,
    admissionGate: new AdmissionGate(),
    catalogEntryCache: new CatalogEntryCache(),
    reads: new ReplicaRouter(pool, replica),
    pages: new PageServer({
      redis,
      metrics,
      maxBytes: settings.PAGE_CACHE_MB * 2 ** 20,
      origins: settings.CORS_ORIGINS,
    }),
    load: new LoadMeter(pool),
    images: withFaultPoints(createImageStore(settings), settings.FAULT_DIR, imageFaultPoint),
    interactions: new InteractionBuffer(),
    lifecycle: { stopping: false },
  }
  const stopping = new AbortController()
  const writing = writeInteractions(deps, stopping.signal)
  const server = createHttpServer(createApp(deps), deps.pages)
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
    deps.pages.close()
    deps.reads.stop()
    deps.load.stop()
    stopping.abort()
    await writing
    deps.redis.disconnect()
    await Promise.allSettled([
      deps.search.close(),
      deps.pool.end(),
      replica?.end(),
      closeTemporalClient(deps.temporal),
      deps.providers.close(),
      deps.carriers.close(),
    ])
    deps.log.info('stopped')
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))
}

/** Names the Redis commands that tell other processes of a change of the catalog. */
function catalogFaultPoint(command: string, [key]: readonly unknown[]): string | null {
  if (command === 'publish') return 'pages.drop'
  return command === 'incr' && key === CATALOG_EPOCH_KEY ? 'catalog.epoch' : null
}

function imageFaultPoint(call: string): string | null {
  return call === 'put' ? 'images.put' : null
}

main().catch((error: unknown) => {
  console.error(error instanceof SettingsError ? error.message : error)
  process.exitCode = 1
})
