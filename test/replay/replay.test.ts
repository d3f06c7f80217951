import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { BUNDLE_PATH } from '../../workers/bundle'

const HISTORIES = join(__dirname, 'histories')
const NAMES = readdirSync(HISTORIES).map((file) => file.replace(/\.json$/, ''))

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') })
})
afterAll(() => Runtime.instance().shutdown())

function recorded(name: string): unknown {
  return JSON.parse(readFileSync(join(HISTORIES, `${name}.json`), 'utf8'))
}

const replay = (history: unknown, name: string) =>
  Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE_PATH } }, history, name)

describe('workflow code', () => {
  it.each(NAMES)('follows the recorded history of: %s', async (name) => {
    await replay(recorded(name), name)
  })

  it('would be caught doing something else', async () => {
    const text = JSON.stringify(recorded('paid')).replaceAll(/"data":"([^"]+)"/g, (whole, data: string) => {
      const marker = Buffer.from(data, 'base64').toString()
      return marker.includes('"activity_type":"charge"')
        ? `"data":"${Buffer.from(marker.replace('"charge"', '"refund"')).toString('base64')}"`
        : whole
    })
    expect(text).not.toBe(JSON.stringify(recorded('paid')))
    await expect(replay(JSON.parse(text), 'paid')).rejects.toThrow(/[Nn]ondeterminism/)
  })

  it('has been recorded on every path', () => {
    expect(NAMES).toEqual(
      expect.arrayContaining([
        'paid',
        'nothing-due',
        'refused-at-placing',
        'declined-then-paid',
        'declined-then-expired',
        'challenge-approved',
        'challenge-superseded',
        'challenge-cancelled',
        'challenge-expired',
        'unknown-then-settled',
        'deferred-then-paid',
        'late-money',
        'settlement',
        'taken-up-again',
        'case-then-retried',
        'case-then-cancelled-by-force',
        'undo-failed-then-resolved',
        'expiry',
        'captured-in-two-parts-then-refunded',
        'fulfillment-cancelled',
        'cancelled-by-rows',
        'refund-refused-then-retried',
        'capture-refused-then-retried',
        'refund-pending-then-settled',
        'disputed-then-lost',
        'authorization-renewed',
        'release-without-an-answer',
        'sent-by-itself-then-completed',
        'sent-by-people-then-completed',
        'labelled-then-cancelled',
        'capture-refused-then-parcel-cancelled',
        'label-refused-then-cancelled',
        'parcel-lost-then-replaced',
      ]),
    )
  })
})
