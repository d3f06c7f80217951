import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'

/**
 * Loaded into a process before all else (`node --require`), and so into each of its threads. Counts how often every
 * function is called. On SIGHUP each thread writes its counts since the last time into the folder COVERAGE_DIR.
 */
const folder = process.env['COVERAGE_DIR'] ?? ''
const name = `${process.pid}-${threadId}`
let written = 0

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
writeFileSync(join(folder, `${name}.thread`), '')

// Signals reach the main thread alone. SIGUSR2 would end a worker: Temporal takes it for a request to shut down.
const threads = new BroadcastChannel('coverage')
threads.onmessage = writeCounts
threads.unref()
if (isMainThread) {
  process.on('SIGHUP', () => {
    threads.postMessage(null)
    writeCounts()
  })
}

function writeCounts(): void {
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error
    const file = join(folder, `${name}-${written++}.json`)
    writeFileSync(`${file}.part`, JSON.stringify(coverage.result))
    renameSync(`${file}.part`, file)
  })
}
