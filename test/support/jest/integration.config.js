'use strict'

const { integrationTests } = require('./kind.js')
const { project } = require('./project.js')

/** @type {import('jest').Config} */
module.exports = {
  ...project,
  displayName: 'integration',
  testMatch: integrationTests(),
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
}
