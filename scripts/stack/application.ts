import { join } from 'node:path'
import { ROOT } from '../../config'
import type { Program } from './programs'

export interface ApplicationOptions {
  readonly folder: string
  /** Settings of `config.ts`, without the ports of the process itself. */
  readonly env: Record<string, string>
  /** The folder of the compiled programs. */
  readonly programs: string
}

/** The sandbox payment provider, its journal beside the other data. */
export function sandboxProgram({ folder, env, programs }: ApplicationOptions, port: number, apiPort: number): Program {
  const args = [
    ...['--port', String(port), '--journal', join(folder, 'sandbox.journal')],
    ...['--webhook-url', `http://127.0.0.1:${apiPort}/webhooks/payments/sandbox`],
    ...['--secret', env['SANDBOX_WEBHOOK_SECRET'] ?? ''],
  ]
  return nodeProgram('sandbox', 'sandbox/main.js', args, { env, programs, ready: `http://127.0.0.1:${port}/livez` })
}

/** The sandbox carrier, its journal beside the other data. */
export function carrierProgram({ folder, env, programs }: ApplicationOptions, port: number, apiPort: number): Program {
  const args = [
    ...['--port', String(port), '--journal', join(folder, 'carrier.journal')],
    ...['--webhook-url', `http://127.0.0.1:${apiPort}/webhooks/carriers/sandbox`],
    ...['--secret', env['CARRIER_SANDBOX_WEBHOOK_SECRET'] ?? ''],
  ]
  const ready = `http://127.0.0.1:${port}/livez`
  return nodeProgram('carrier', 'sandbox/carrier/main.js', args, { env, programs, ready })
}

export function workerProgram({ env, programs }: ApplicationOptions, name: string, port: number): Program {
  const ready = `http://127.0.0.1:${port}/readyz`
  const settings = { ...env, WORKER_PORT: String(port) }
  return nodeProgram(name, 'workers/main.js', ['--queues', 'checkout,fulfillment,platform'], {
    env: settings,
    programs,
    ready,
  })
}

export function apiProgram({ env, programs }: ApplicationOptions, name: string, port: number): Program {
  const ready = `http://127.0.0.1:${port}/readyz`
  return nodeProgram(name, 'api/main.js', [], { env: { ...env, API_PORT: String(port) }, programs, ready })
}

function nodeProgram(
  name: string,
  file: string,
  args: readonly string[],
  { env, programs, ready }: Pick<ApplicationOptions, 'env' | 'programs'> & { ready: string },
): Program {
  return {
    name,
    command: process.execPath,
    args: ['--enable-source-maps', join(programs, file), ...args],
    cwd: ROOT,
    env,
    isReady: () => answersOk(ready),
    stopSignal: 'SIGTERM',
    stopMs: 15_000,
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}
