const { availableParallelism } = require('node:os')

/** @type {import('jest').Config} */
module.exports = {
  projects: ['<rootDir>/test/support/jest/unit.config.js', '<rootDir>/test/support/jest/integration.config.js'],
  testSequencer: '<rootDir>/test/support/jest/sequencer.js',
  testTimeout: 60_000,
  // A stack of a test is several processes. With more workers than cores, answers come later than some tests wait for them;
  // beyond six all wait for the one Temporal server.
  maxWorkers: Math.min(6, Math.max(2, availableParallelism())),
}
