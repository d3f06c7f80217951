'use strict'

const { integrationTests } = require('./kind.js')
const { project } = require('./project.js')

const exactly = (path) => `^${path.replace(/[^\w/]/g, '\\$&')}$`

/** @type {import('jest').Config} */
module.exports = {
  ...project,
  displayName: 'unit',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: integrationTests().map(exactly),
  testEnvironment: '<rootDir>/test/support/jest/unit-environment.ts',
}
