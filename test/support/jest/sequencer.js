// Plain JavaScript: jest loads it without compiling it.
'use strict'

const { join, relative } = require('node:path')
const Sequencer = require('@jest/test-sequencer').default

const TEST = join(__dirname, '..', '..')

/** Seconds that the slowest files take, for computers where jest has not measured them yet. */
const SECONDS = {}

/** Begins with the slowest files, so that all workers end at about the same time. */
class SlowestFirst extends Sequencer {
  sort(tests) {
    // It notes in each test how long the last run of its file took.
    return super.sort(tests).sort((one, other) => secondsOf(other) - secondsOf(one))
  }
}

function secondsOf({ path, duration }) {
  return duration === undefined ? (SECONDS[relative(TEST, path)] ?? 1) : duration / 1_000
}

module.exports = SlowestFirst
