import { RequestFaults } from '../faults'
import { Journal, readJournal } from '../journal'
import type { ProgramOptions } from '../options'
import { openServer } from '../serve'
import { WebhookSender } from '../webhooks'
import { hashOf } from './journey'
import { type LabelRecord, publicTracking } from './label'
import { LABEL_JOURNAL, type LabelLine } from './label-line'
import { LabelStore } from './label-store'
import type { CarrierFaultSettings } from './requests'
import { createHandler } from './server'
import { behaviourOf } from './words'

export interface SandboxCarrier {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Reads the journal, listens, then goes on where the last process stopped: parcels travel on, webhooks are sent.
 *
 * A parcel begins its way when somebody says that the carrier has it (`POST /v1/labels/:id/handover`), and not by itself
 * after a time: a parcel that is held back, because its money is not there or its order was cancelled, must not be told as
 * travelling. So the shop says so for each parcel that leaves, by people or by itself.
 */
export async function startCarrier(options: ProgramOptions): Promise<SandboxCarrier> {
  /** Ids of the labels of events that nobody has taken. */
  const undelivered = new Map<string, string>()
  const store = new LabelStore()
  const length = await readJournal<LabelLine>(options.journal, LABEL_JOURNAL, (line) => {
    store.restore(line)
    if ('change' in line) for (const { id } of line.change.happened ?? []) undelivered.set(id, line.change.id)
    else if ('delivered' in line) undelivered.delete(line.delivered)
  })

  // The port comes before the file is touched: whoever holds it may still be writing there.
  const server = await openServer(options)
  const journal = await Journal.open<LabelLine>(options.journal, length, LABEL_JOURNAL, options.onFailure)
  const sender = new WebhookSender({
    url: options.webhookUrl,
    secret: options.secret,
    onDelivered: (delivered) => journal.appendLazily({ delivered }),
  })
  store.start({
    now: Date.now,
    record(line, label) {
      journal.append(line)
      const happened = ('change' in line && line.change.happened) || []
      // A webhook, like an answer, tells of nothing that is not on disk.
      if (label && happened.length > 0) void journal.durable().then(() => sendWebhooks(sender, label, happened))
    },
  })
  for (const [id, labelId] of undelivered) {
    const label = store.get(labelId)
    if (label) sendWebhooks(sender, label, [{ id }])
  }
  const faults = new RequestFaults<CarrierFaultSettings>()
  const publicUrl = options.publicUrl ?? server.url
  server.serve(createHandler({ store, faults, durable: () => journal.durable(), publicUrl }))

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

function sendWebhooks(sender: WebhookSender, label: LabelRecord, happened: readonly { readonly id: string }[]): void {
  const { silent, shuffledWebhooks } = behaviourOf(label.request.to)
  if (silent) return
  for (const { id } of happened) {
    const turn = label.events.findIndex((event) => event.id === id)
    const event = label.events[turn]
    if (!event) continue
    sender.send({
      id,
      body: JSON.stringify({ id, type: 'tracking.updated', tracking: publicTracking(label, event) }),
      copiesAfterMs: shuffledWebhooks ? SHUFFLED_COPIES_MS[turn % 2 === 0 ? 'even' : 'odd'] : copiesOf(id),
    })
  }
}

/** Every other event overtakes the one before it, and the last copy to arrive is of the older one. */
const SHUFFLED_COPIES_MS = { even: [60, 160, 600], odd: [30, 120, 400] }

/** Now and then one comes twice, or so late that the next ones overtake it. */
function copiesOf(id: string): readonly number[] {
  const chance = (hashOf(id) >>> 0) % 16
  if (chance === 0) return [0, 250]
  return chance === 1 ? [800] : [0]
}
