import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An HTTP server whose address is known before it can answer. */
export interface OpenServer {
  readonly url: string
  /** Answers by `handle` from now on, those too who came before. */
  serve(handle: RequestListener): void
  stop(): Promise<void>
}

/** How long a stop waits for requests in hand. */
const STOP_PATIENCE_MS = 1_000

/** Throws when the port is taken. Port 0 picks a free one. */
export async function openServer({ host, port }: { host: string; port: number }): Promise<OpenServer> {
  const server = createServer()
  const early: Parameters<RequestListener>[] = []
  const keepForLater: RequestListener = (...call) => early.push(call)
  server.on('request', keepForLater)
  // Longer than callers keep a connection: closing one under a request would look like a lost answer.
  server.keepAliveTimeout = 120_000
  const url = await listen(server, host, port)
  return {
    url,
    serve(handle) {
      server.off('request', keepForLater).on('request', handle)
      for (const call of early) handle(...call)
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      await Promise.race([closed, sleep(STOP_PATIENCE_MS)])
      server.closeAllConnections()
    },
  }
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve(`http://${host}:${(server.address() as AddressInfo).port}`)
    })
  })
}
