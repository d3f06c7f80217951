import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { VERSION } from '../../config'
import { BUNDLE_PATH } from '../../workers/bundle'
import { WORKFLOWS } from '../../workflows/contract'

/** A folder for each version. Orders that an earlier one began may be under way when this one takes over. */
const HISTORIES = join(__dirname, 'histories')
const VERSIONS = readdirSync(HISTORIES)
const namesOf = (version: string): string[] =>
  readdirSync(join(HISTORIES, version)).map((file) => file.replace(/\.json$/, ''))
const RECORDED = VERSIONS.flatMap((version) => namesOf(version).map((name) => [version, name] as const))

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') })
})
afterAll(() => Runtime.instance().shutdown())

interface History {
  readonly events: readonly {
    readonly workflowExecutionStartedEventAttributes?: { readonly workflowType?: { readonly name?: string } }
  }[]
}

function recorded(version: string, name: string): History {
  return JSON.parse(readFileSync(join(HISTORIES, version, `${name}.json`), 'utf8')) as History
}

const replay = (history: unknown, name: string) =>
  Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE_PATH } }, history, name)

describe('workflow code', () => {
  it.each(RECORDED)('follows the recorded history of %s: %s', async (version, name) => {
    await replay(recorded(version, name), name)
  })

  it('would be caught doing something else', async () => {
    const text = JSON.stringify(recorded(VERSION, 'paid')).replaceAll(/"data":"([^"]+)"/g, (whole, data: string) => {
      const marker = Buffer.from(data, 'base64').toString()
      return marker.includes('"activity_type":"charge"')
        ? `"data":"${Buffer.from(marker.replace('"charge"', '"refund"')).toString('base64')}"`
        : whole
    })
    expect(text).not.toBe(JSON.stringify(recorded(VERSION, 'paid')))
    await expect(replay(JSON.parse(text), 'paid')).rejects.toThrow(/[Nn]ondeterminism/)
  })

  it('has been recorded of every workflow in this version: `npm run record-history`', () => {
    expect(VERSIONS).toContain(VERSION)
    const types = namesOf(VERSION).map(
      (name) => recorded(VERSION, name).events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name,
    )
    expect(new Set(types)).toEqual(new Set(Object.values(WORKFLOWS)))
  })

  it('has been recorded on every path', () => {
    expect(namesOf(VERSION)).toEqual(
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
