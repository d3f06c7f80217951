import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow'

/** Calls `fired` after `ms`, unless the scope that it returns is cancelled first. Support sees the summary. */
export function startTimer(ms: number, summary: string, fired: () => void): CancellationScope {
  const scope = new CancellationScope()
  void scope.run(() => sleep(ms, { summary })).then(fired, ignoreCancellation)
  return scope
}

function ignoreCancellation(error: unknown): void {
  if (!isCancellation(error)) throw error
}

/** How long an order's stock is held. Its timer exists only while something is waited for: most orders never have one. */
export class HoldTimer {
  /** Milliseconds since the epoch. */
  endsAt = 0
  isOver = false
  private timer: CancellationScope | null = null

  /** The hold ends in `holdMs`. */
  reset(holdMs: number): void {
    this.endsAt = Date.now() + Math.max(0, holdMs)
    this.isOver = false
    if (this.timer === null) return
    this.stop()
    this.start()
  }

  start(): void {
    this.timer ??= startTimer(Math.max(1, this.endsAt - Date.now()), 'The stock is held until then', () => {
      this.isOver = true
    })
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }
}
