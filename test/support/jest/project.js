'use strict'

const { resolve } = require('node:path')

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

/** What both projects have in common. */
const project = {
  rootDir: resolve(__dirname, '..', '..', '..'),
  roots: ['<rootDir>'],
  transform: {
    '^.+\\.(ts|js|mjs)$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${ESM_PACKAGES.join('|')})/)`, '<rootDir>/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.holdfast/'],
}

module.exports = { project }
