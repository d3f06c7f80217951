import type { Address } from './label'

/** What a word in the recipient's second address line makes the carrier do. What is not set happens as usual. */
export interface Behaviour {
  /** It has no services there. */
  readonly nowhere?: true
  /** It sells no label to there, with this code. */
  readonly refuses?: string
  /** The label is bought at once, but nobody hears of it before this time is over. */
  readonly answerAfterMs?: number
  /** The label is bought, then the connection is dropped; the same key asked again is answered. */
  readonly dropFirstAnswer?: true
  /** So many purchases under the same key fail with 503 before one works. */
  readonly failures?: number
  /** A label to there cannot be voided. */
  readonly keepsLabels?: true
  /** So long it thinks about a label that it is to void. */
  readonly voidsAfterMs?: number
  /** What becomes of the parcel, whatever the rates of `PUT /v1/faults` say. */
  readonly outcome?: Outcome
  /** It sends no webhook, and tells what it knows when it is asked. */
  readonly silent?: true
  /** Each event is sent three times, out of order, a stale one last. */
  readonly shuffledWebhooks?: true
}

/**
 * `found`: lost, and delivered afterwards. `vanished`: accepted by nobody, so nothing is ever told of it. `held`: stands
 * still on its way for a while.
 */
export type Outcome = 'delivered' | 'late' | 'held' | 'lost' | 'found' | 'returned' | 'vanished'

const WORDS: Readonly<Record<string, Behaviour>> = {
  'sandbox:nowhere': { nowhere: true },
  'sandbox:refused': { refuses: 'address_refused' },
  'sandbox:slow': { answerAfterMs: 5_000 },
  'sandbox:dropped': { dropFirstAnswer: true },
  'sandbox:flaky': { failures: 2 },
  'sandbox:keeps': { keepsLabels: true },
  'sandbox:thinks': { voidsAfterMs: 1_500 },
  'sandbox:late': { outcome: 'late' },
  'sandbox:held': { outcome: 'held' },
  'sandbox:lost': { outcome: 'lost' },
  'sandbox:found': { outcome: 'found' },
  'sandbox:returned': { outcome: 'returned' },
  'sandbox:vanished': { outcome: 'vanished' },
  'sandbox:silent': { silent: true },
  'sandbox:shuffled': { shuffledWebhooks: true },
}

const ORDINARY: Behaviour = {}

/** What the words in the second line of this address do, all of them together. */
export function behaviourOf({ line2 }: Address): Behaviour {
  if (line2 === null || !/sandbox:/i.test(line2)) return ORDINARY
  const words = line2.toLowerCase().match(/sandbox:[a-z]+/g) ?? []
  return Object.assign({}, ...words.map((word) => (Object.hasOwn(WORDS, word) ? WORDS[word] : {}))) as Behaviour
}
