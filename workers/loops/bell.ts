import { Client } from 'pg'
import type { Settings } from '../../config'

const AGAIN_MS = 1_000

/** What wakes a loop before its time. */
export interface Bell {
  /** Ends when the bell rings, has rung since the last wait, or after `ms`. */
  wait(ms: number): Promise<void>
}

/**
 * Listens on a channel of Postgres, on a connection of its own, until `signal` is aborted. While that is broken nothing rings:
 * whoever waits looks after its time, as without a bell.
 */
export function listen(settings: Pick<Settings, 'DATABASE_URL'>, channel: string, signal: AbortSignal): Bell {
  const bell = new Ringing(signal)
  void keepListening(settings, channel, bell, signal)
  return bell
}

async function keepListening(
  { DATABASE_URL }: Pick<Settings, 'DATABASE_URL'>,
  channel: string,
  bell: Ringing,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const client = new Client({
      connectionString: DATABASE_URL,
      application_name: `holdfast-bell-${channel}`,
      connectionTimeoutMillis: 3_000,
      keepAlive: true,
    })
    try {
      const broken = new Promise<void>((resolve) => client.once('error', () => resolve()).once('end', () => resolve()))
      client.on('notification', () => bell.ring())
      await client.connect()
      await client.query(`listen ${client.escapeIdentifier(channel)}`)
      await Promise.race([broken, aborted(signal)])
    } catch {
      // It is tried again; the loop looks by itself meanwhile.
    }
    await client.end().catch(() => undefined)
    await bell.wait(AGAIN_MS)
  }
}

class Ringing implements Bell {
  private hasRung = false
  private wakeUp: (() => void)[] = []
  private readonly signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.signal = signal
    signal.addEventListener('abort', () => this.ring(), { once: true })
  }

  ring(): void {
    this.hasRung = true
    for (const wake of this.wakeUp.splice(0)) wake()
  }

  async wait(ms: number): Promise<void> {
    if (!this.hasRung && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, ms)
        function done(): void {
          clearTimeout(timer)
          resolve()
        }
        this.wakeUp.push(done)
      })
    }
    this.hasRung = false
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
