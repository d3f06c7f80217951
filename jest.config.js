const { availableParallelism } = require('node:os')

/** @type {import('jest').Config} */
module.exports = {
  projects: ['<rootDir>/test/support/jest/unit.config.js', '<rootDir>/test/support/jest/integration.config.js'],
  testSequencer: '<rootDir>/test/support/jest/sequencer.js',
  testTimeout: 60_000,
  // Most integration tests wait more than they compute. Beyond six the one Temporal server is what they wait for.
  maxWorkers: Math.min(6, availableParallelism() + 1),
}
