// Plain JavaScript: jest loads it without compiling it.
'use strict'

const { join, relative } = require('node:path')
const Sequencer = require('@jest/test-sequencer').default
/** What the slowest files below test/ take, for computers where jest has not measured them yet. */
const SECONDS = require('./seconds.json')

const TEST = join(__dirname, '..', '..')

/** Begins with the slowest files, so that all workers end at about the same time. */
class SlowestFirst extends Sequencer {
  sort(tests) {
    // It notes in each test how long the last run of its file took.
    return super.sort(tests).sort((one, other) => secondsOf(other) - secondsOf(one))
  }
}

function secondsOf({ path, duration }) {
  return duration === undefined ? (SECONDS[relative(TEST, path).replace('.test.ts', '')] ?? 1) : duration / 1_000
}

module.exports = SlowestFirst
