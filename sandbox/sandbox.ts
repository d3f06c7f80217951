import { ChargeStore } from './charge-store'
import type { ChargeRecord, ChargeStatus } from './charge'
import { Faults } from './faults'
import { CHARGE_JOURNAL, type ChargeLine, type WebhookNote } from './charge-line'
import { Journal, readJournal } from './journal'
import { behaviourOf } from './methods'
import type { ProgramOptions } from './options'
import { publicCharge } from './public-charge'
import { openServer } from './serve'
import { createHandler } from './server'
import { WebhookSender } from './webhooks'

export interface Sandbox {
  readonly url: string
  stop(): Promise<void>
}

/** Reads the journal, listens, then goes on where the last process stopped: clocks and webhooks too. */
export async function startSandbox(options: ProgramOptions): Promise<Sandbox> {
  const undelivered = new Map<string, JournalledEvent>()
  const store = new ChargeStore()
  const length = await readJournal<ChargeLine>(options.journal, CHARGE_JOURNAL, (line) => {
    store.restore(line)
    trackDelivery(undelivered, line)
  })

  // The port comes before the file is touched: whoever holds it may still be writing there.
  const server = await openServer(options)
  const publicUrl = options.publicUrl ?? server.url
  const journal = await Journal.open<ChargeLine>(options.journal, length, CHARGE_JOURNAL, options.onFailure)
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
  server.serve(createHandler({ store, faults: new Faults(), durable: () => journal.durable(), publicUrl }))

  return {
    url: server.url,
    async stop() {
      await server.stop()
      store.stop()
      await sender.stop()
      await journal.close()
    },
  }
}

interface JournalledEvent {
  readonly charge: ChargeRecord
  readonly note: WebhookNote
}

function trackDelivery(undelivered: Map<string, JournalledEvent>, line: ChargeLine): void {
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
