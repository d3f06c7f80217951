import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

/** A message that a warehouse's own system got. */
export interface HeardMessage {
  readonly headers: IncomingHttpHeaders
  /** It was signed by the secret of the warehouse. */
  readonly isSigned: boolean
  // Tests read what they expect to be there.
  readonly body: any
}

/** Stands for the system of a warehouse: takes messages, and tells what the test wants it to, in any order, twice or never. */
export class WarehouseStub {
  readonly heard: HeardMessage[] = []
  /** What it answers; null: it takes the message, and never answers. */
  status: number | null = 204
  code = 'no_such_goods'
  secret = ''
  readonly #server: Server
  #told = 0

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks)
        this.heard.push({
          headers: request.headers,
          isSigned: this.#isSigned(body, request.headers),
          body: JSON.parse(body.toString()),
        })
        if (this.status === null) return
        response.writeHead(this.status, { 'content-type': 'application/json' })
        response.end(this.status === 204 ? undefined : JSON.stringify({ code: this.code }))
      })
    })
  }

  static async start(): Promise<WarehouseStub> {
    const stub = new WarehouseStub()
    stub.#server.listen(0, '127.0.0.1')
    await once(stub.#server, 'listening')
    return stub
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/shipments`
  }

  /** What it heard about a shipment, a message that came twice once. */
  about(shipmentId: string): string[] {
    const bodies = this.heard.filter(({ body }) => body.shipment_id === shipmentId).map(({ body }) => body)
    return bodies.filter(({ id }, at) => bodies.findIndex((each) => each.id === id) === at).map(({ type }) => type)
  }

  /** An event as it would send it, signed. */
  event(event: object, secret: string = this.secret): { raw: string; headers: Record<string, string> } {
    this.#told += 1
    const raw = JSON.stringify({ id: `told-${this.#told}`, at: new Date().toISOString(), ...event })
    return { raw, headers: this.sign(raw, secret) }
  }

  /** The headers of a webhook with this body. */
  sign(raw: string, secret: string = this.secret): Record<string, string> {
    const now = new Date()
    return {
      'content-type': 'application/json',
      'webhook-id': `webhook-${this.#told}`,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(`webhook-${this.#told}`, now, raw),
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #isSigned(body: Buffer, headers: IncomingHttpHeaders): boolean {
    try {
      new Webhook(this.secret).verify(body, headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  }
}
