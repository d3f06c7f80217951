import type { OutboxEvent } from '../../db/platform/outbox'

/**
 * Somebody to whom the relay gives every event of the outbox, in order per aggregate. An event may come again: each consumer
 * drops what it has already seen, or does no harm by doing it twice.
 */
export interface Consumer {
  /** For logs and fault points. */
  readonly name: string
  /** Takes all of them, in this order, or throws. Types that it does not know it passes over. */
  consume(events: readonly OutboxEvent[]): Promise<void>
}
