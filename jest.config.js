const { availableParallelism } = require('node:os')
const { integrationTests } = require('./test/support/jest/kind.js')

/** Published as ES modules only, which jest on Node 20 cannot require: swc turns them into CommonJS. */
const ESM_PACKAGES = [
  'node-pg-migrate',
  'uuid',
  'typeid-js',
  'uuidv7',
  'glob',
  'minimatch',
  'path-scurry',
  'lru-cache',
  'minipass',
  'brace-expansion',
  'balanced-match',
]

const integration = integrationTests()

const common = {
  rootDir: __dirname,
  roots: ['<rootDir>'],
  testEnvironment: 'node',
  transform: {
    '^.+\\.(ts|js|mjs)$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${ESM_PACKAGES.join('|')})/)`, '<rootDir>/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.holdfast/'],
}

/** @type {import('jest').Config} */
module.exports = {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: integration.map((file) => `^${file.replace(/[^\w/]/g, '\\$&')}$`),
      testEnvironment: '<rootDir>/test/support/jest/unit-environment.ts',
    },
    {
      ...common,
      displayName: 'integration',
      testMatch: integration,
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
    },
  ],
  testSequencer: '<rootDir>/test/support/jest/sequencer.js',
  testTimeout: 60_000,
  // Most integration tests wait more than they compute. Beyond six the one Temporal server is what they wait for.
  maxWorkers: Math.min(6, availableParallelism() + 1),
}
