import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PublicCharge } from '../../sandbox/charge'

export interface ReceivedWebhook {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly event: { id: string; type: string; charge: PublicCharge }
}

/** Stands for the shop: takes webhooks, answers with `status`, and can go away and come back at the same address. */
export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = []
  /** What it answers. */
  status = 204
  #server: Server | null = null
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}/webhooks/payments/sandbox`
  }

  /** Listens, at the same port as before. */
  async start(): Promise<this> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks)
        this.received.push({ headers: request.headers, body, event: JSON.parse(body.toString()) })
        response.writeHead(this.status).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    server?.closeAllConnections()
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)))
  }

  /** The webhooks about the charge of this key, in order of arrival. */
  about(key: string): ReceivedWebhook[] {
    return this.received.filter(({ event }) => event.charge.key === key)
  }
}
