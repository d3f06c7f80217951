const { availableParallelism } = require('node:os')

/** @type {import('jest').Config} */
module.exports = {
  projects: ['<rootDir>/test/support/jest/unit.config.js', '<rootDir>/test/support/jest/integration.config.js'],
  testSequencer: '<rootDir>/test/support/jest/sequencer.js',
  testTimeout: 60_000,
  // The slow files wait most of the time, for a process that was killed say: two of them leave two cores idle. Beyond six all
  // wait for the one Temporal server.
  maxWorkers: Math.min(6, Math.max(3, availableParallelism())),
}
