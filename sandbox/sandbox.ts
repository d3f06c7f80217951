import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ChargeStore } from './charge-store'
import type { ChargeRecord, ChargeStatus } from './charge'
import { Faults } from './faults'
import { Journal, readJournal, type WebhookNote, type JournalLine } from './journal'
import { behaviourOf } from './methods'
import { publicCharge } from './public-charge'
import { createHandler } from './server'
import { WebhookSender } from './webhooks'

export interface SandboxOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** The journal's file; made when it is not there. */
  readonly journal: string
  readonly webhookUrl: string
  /** Signs the webhooks: `whsec_…` */
  readonly secret: string
  /** Where browsers reach it; default: host and port. */
  readonly publicUrl?: string
  /** Called when the disk refuses the journal: nothing can be promised any more. */
  readonly onFailure: (error: unknown) => void
}

export interface Sandbox {
  readonly url: string
  stop(): Promise<void>
}

/** Reads the journal, listens, then goes on where the last process stopped: clocks and webhooks too. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const undelivered = new Map<string, JournalledEvent>()
  const store = new ChargeStore()
  const length = await readJournal(options.journal, (line) => {
    store.restore(line)
    trackDelivery(undelivered, line)
  })

  // The port comes before the file is touched: whoever holds it may still be writing there.
  const server = createServer()
  const early: Parameters<RequestListener>[] = []
  const keepForLater: RequestListener = (...call) => early.push(call)
  server.on('request', keepForLater)
  // Longer than callers keep a connection: closing one under a request would look like a lost answer.
  server.keepAliveTimeout = 120_000
  const url = await listen(server, options)
  const publicUrl = options.publicUrl ?? url
  const journal = await Journal.open(options.journal, length, options.onFailure)
  const sender = new WebhookSender({
    url: options.webhookUrl,
    secret: options.secret,
    onDelivered: (delivered) => journal.appendLazily({ delivered }),
  })
  store.start({
    now: Date.now,
    record(line) {
      journal.append(line)
      // A webhook, like an answer, tells of nothing that is not on disk.
      if ('charge' in line) void journal.durable().then(() => sendWebhooks(sender, line.charge, line.events, publicUrl))
    },
  })
  for (const { charge, note } of undelivered.values()) sendWebhooks(sender, charge, [note], publicUrl)
  const handle = createHandler({ store, faults: new Faults(), durable: () => journal.durable(), publicUrl })
  server.off('request', keepForLater).on('request', handle)
  for (const call of early) handle(...call)

  return {
    url,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      await Promise.race([closed, sleep(STOP_PATIENCE_MS)])
      server.closeAllConnections()
      store.stop()
      await sender.stop()
      await journal.close()
    },
  }
}

/** How long a stop waits for requests in hand. */
const STOP_PATIENCE_MS = 1_000

interface JournalledEvent {
  readonly charge: ChargeRecord
  readonly note: WebhookNote
}

function trackDelivery(undelivered: Map<string, JournalledEvent>, line: JournalLine): void {
  if ('charge' in line) for (const note of line.events) undelivered.set(note.id, { charge: line.charge, note })
  else if ('delivered' in line) undelivered.delete(line.delivered)
}

function sendWebhooks(
  sender: WebhookSender,
  charge: ChargeRecord,
  notes: readonly WebhookNote[],
  publicUrl: string,
): void {
  const shuffled = behaviourOf(charge.method).shuffledWebhooks
  notes.forEach((note, index) => {
    const shown = publicCharge(note.status === undefined ? charge : earlier(charge, note.status), publicUrl)
    const turn = charge.events - notes.length + index
    sender.send({
      id: note.id,
      body: JSON.stringify({ id: note.id, type: 'charge.updated', charge: shown }),
      copiesAfterMs: shuffled ? SHUFFLED_COPIES_MS[turn % 2 === 0 ? 'even' : 'odd'] : AT_ONCE,
    })
  })
}

/** A charge as it was before it was paid. */
function earlier(charge: ChargeRecord, status: ChargeStatus): ChargeRecord {
  return { ...charge, status, captured: 0, captures: [], capture_before: null }
}

const AT_ONCE = [0]
/** Every other event overtakes the one before it, and the last copy to arrive is of the older one. */
const SHUFFLED_COPIES_MS = { even: [60, 160, 600], odd: [30, 120, 400] }

/** The address it listens at. Throws when the port is taken. */
function listen(server: Server, { host, port }: SandboxOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve(`http://${host}:${(server.address() as AddressInfo).port}`)
    })
  })
}
