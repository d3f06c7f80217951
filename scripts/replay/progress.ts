import { SingleBar } from 'cli-progress'

interface Counts {
  readonly done: number
  readonly lines: number
  readonly refused: number
}

export interface Progress {
  update(counts: Counts): void
  stop(): void
}

const LINE_EVERY_MS = 5_000

/** A bar on a terminal, elsewhere a line every few seconds. */
export function showProgress(total: number): Progress {
  return process.stderr.isTTY ? bar(total) : linesOf(total)
}

function bar(total: number): Progress {
  const single = new SingleBar({
    format:
      '{bar} {percentage} % | {value} of {total} invoices | {rate}/s | {refused} lines refused | {eta_formatted} left',
    etaBuffer: 200,
    hideCursor: true,
  })
  const begun = Date.now()
  single.start(total, 0, { rate: '0.0', refused: 0 })
  return {
    update: ({ done, refused }) => single.update(done, { rate: rateOf(done, begun), refused }),
    stop: () => single.stop(),
  }
}

function linesOf(total: number): Progress {
  const begun = Date.now()
  let latest: Counts = { done: 0, lines: 0, refused: 0 }
  const say = (): void => {
    const { done, lines, refused } = latest
    const share = Math.floor((100 * done) / Math.max(1, total))
    console.error(
      `${share} %, ${done} of ${total} invoices, ${rateOf(done, begun)}/s (${rateOf(lines, begun)} lines/s), ${refused} lines refused`,
    )
  }
  const timer = setInterval(say, LINE_EVERY_MS)
  return {
    update: (counts) => {
      latest = { ...counts }
    },
    stop: () => {
      clearInterval(timer)
      say()
    },
  }
}

function rateOf(count: number, since: number): string {
  return (count / Math.max(0.001, (Date.now() - since) / 1000)).toFixed(1)
}
