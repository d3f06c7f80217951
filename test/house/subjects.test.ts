import { ROOT } from '../../config'
import { filesOf, type Import, importsOf, sourcesOf } from './imports'
import { againstLayers, againstOrder, circles, crowded, type House, misplaced, sharedOnSubjects } from './rules'

/** Later ones find their place: return, customer, seller, flash-sale, notification, webhook. */
const SUBJECTS = [
  'platform',
  'catalog',
  'inventory',
  'pricing',
  'cart',
  'payment',
  'order',
  'fulfillment',
  'search',
  'recommendation',
  'review',
  'import',
  'page',
  'checkout',
  'support',
]

const GROUPED: House['grouped'] = {
  domain: {
    shared: ['money', 'currency', 'ids', 'errors', 'workflow-id', 'words', 'address'],
    assembling: ['events'],
  },
  db: {
    shared: ['pool', 'redis', 'replica', 'migrations', 'schema.sql', 'id', 'sql'],
    assembling: [],
  },
  activities: { shared: ['deps', 'heartbeat'], assembling: ['index'] },
  workflows: {
    shared: ['contract', 'proxies', 'saga', 'patches', 'intervention', 'side-work'],
    assembling: ['index'],
    processes: {
      settlement: 'payment',
      reindex: 'search',
      recommendations: 'recommendation',
      reconciliation: 'payment',
      expiry: 'checkout',
      audit: 'support',
    },
  },
  api: { shared: ['http'], assembling: ['app', 'main', 'deps', 'routes'] },
}

/** `.` is the root: config, log, fault points and the like. Programs that are no part of the product import more. */
const PRODUCT = ['.', 'domain', 'db', 'providers', 'activities', 'workflows', 'workers', 'api', 'sandbox']
const MAY_IMPORT: House['mayImport'] = {
  // Packages that are pure data.
  domain: { values: ['world-countries'] },
  db: { values: ['.', 'domain'] },
  providers: { values: ['.', 'domain'] },
  'providers/search/index.ts': { values: ['.', 'domain'], types: ['db'] },
  'providers/search/postgres': { values: ['.', 'domain', 'db'] },
  activities: { values: ['.', 'domain', 'db', 'providers'] },
  workflows: { values: ['domain'], types: ['activities'] },
  workers: { values: ['.', 'domain', 'db', 'providers', 'activities', 'workflows'] },
  api: {
    values: [
      ...['.', 'domain', 'db', 'workflows/contract.ts'],
      ...['providers/search', 'providers/image-store', 'providers/tax', 'providers/payment', 'providers/carrier'],
      'providers/warehouse',
    ],
    types: ['workflows'],
  },
  web: { values: [] },
  sandbox: { values: [], types: ['domain'] },
  '.': { values: [] },
  scripts: { values: PRODUCT },
  bench: { values: [...PRODUCT, 'scripts'] },
  test: { values: [...PRODUCT, 'scripts', 'bench', 'web'] },
}

const HOUSE: House = { subjects: SUBJECTS, grouped: GROUPED, mayImport: MAY_IMPORT }

describe('this repository', () => {
  const files = filesOf(ROOT)
  const imports = importsOf(sourcesOf(ROOT, files))

  test('was read', () => {
    expect(files.length).toBeGreaterThan(300)
    expect(imports.length).toBeGreaterThan(1_000)
  })

  test('groups its layers by subject', () => {
    expect(misplaced(files, HOUSE)).toEqual([])
  })

  test('has subjects that import only those before them', () => {
    expect(againstOrder(imports, HOUSE)).toEqual([])
  })

  test('has shared files that know no subject', () => {
    expect(sharedOnSubjects(imports, HOUSE)).toEqual([])
  })

  test('has layers that import only what stands in the table', () => {
    expect(againstLayers(imports, HOUSE)).toEqual([])
  })

  test('has no circle of imports', () => {
    expect(circles(imports)).toEqual([])
  })

  test('has few files at the roots of db/ and api/', () => {
    expect(crowded(files, ['db', 'api'], 10)).toEqual([])
  })
})

describe('an import is found', () => {
  test.each([
    ["import { x } from './b'", false],
    ["import x from './b'", false],
    ["import * as x from './b'", false],
    ["import './b'", false],
    ["import {\n  x,\n  y,\n} from './b'", false],
    ["import { type X, y } from './b'", false],
    ["import type { X } from './b'", true],
    ["import { type X } from './b'", true],
    ["export { x } from './b'", false],
    ["export * from './b'", false],
    ["export type { X } from './b'", true],
    ["export const b = () => import('./b')", false],
    ["const b = require('./b') as typeof import('./b')", false],
    ["import b = require('./b')", false],
    ["export type B = import('./b').X", true],
    ["import { x } from './../db/b'", false],
    ["import { x } from '../domain/../db/b'", false],
    ["import { x } from './b.js'", false],
  ])('%s', (source, isType) => {
    expect(importsIn({ 'db/a.ts': source, 'db/b.ts': '' })).toContainEqual({ from: 'db/a.ts', to: 'db/b.ts', isType })
  })

  test('of a folder, and of a page of the storefront', () => {
    expect(
      importsIn({
        'db/a.ts': "import { x } from '../activities'",
        'activities/index.ts': '',
        'web/js/pages/a.mjs': "import { x } from '/js/shop.mjs'",
        'web/js/shop.mjs': '',
      }).map(({ to }) => to),
    ).toEqual(['activities/index.ts', 'web/js/shop.mjs'])
  })

  test('but not in a comment or a text', () => {
    expect(importsIn({ 'db/a.ts': "// import './b'\nexport const text = \"import './b'\"", 'db/b.ts': '' })).toEqual([])
  })
})

describe('a fault is found', () => {
  test.each([
    ['domain/tax.ts', 'domain/tax.ts is no subject, and not shared by all of domain/'],
    ['db/orders/place.ts', 'db/orders is no subject, and not shared by all of db/'],
    ['api/helpers.ts', 'api/helpers.ts is no subject, and not shared by all of api/'],
    ['activities/pool.ts', 'activities/pool.ts is no subject, and not shared by all of activities/'],
    ['workflows/refund.ts', 'workflows/refund.ts is no subject, and not shared by all of workflows/'],
  ])('%s', (file, fault) => {
    expect(
      misplaced(
        [
          file,
          'db/pool.ts',
          'db/order/read.ts',
          'api/http/auth.ts',
          'workflows/audit.ts',
          'workflows/checkout-state.ts',
        ],
        HOUSE,
      ),
    ).toEqual([fault])
  })

  test('a subject that is a file and a folder', () => {
    expect(misplaced(['db/order.ts', 'db/order/place.ts'], HOUSE)).toEqual(['db/order.ts stands beside db/order/'])
  })

  test.each([
    ['domain/cart.ts', 'domain/order.ts', false],
    ['domain/catalog/product.ts', 'domain/search.ts', true],
    ['db/order/read.ts', 'db/support/attention.ts', true],
    ['activities/payment/charge.ts', 'activities/checkout/place.ts', false],
    ['api/page/home.ts', 'api/checkout/answer.ts', true],
    ['workflows/settlement.ts', 'workflows/checkout.ts', false],
    ['workflows/settlement.ts', 'workflows/checkout-attempt.ts', false],
  ])('%s imports %s, a later subject', (from, to, isType) => {
    expect(againstOrder([{ from, to, isType }], HOUSE)).toEqual([expect.stringContaining(`${from} (`)])
    expect(againstOrder([{ from: to, to: from, isType }], HOUSE)).toEqual([])
  })

  test('a later subject of a lower layer is none', () => {
    expect(againstOrder([value('api/cart/routes.ts', 'db/support/attention.ts')], HOUSE)).toEqual([])
  })

  test.each([
    ['domain/money.ts', 'domain/pricing.ts'],
    ['db/pool.ts', 'db/platform/settings.ts'],
    ['activities/heartbeat.ts', 'activities/import.ts'],
    ['workflows/saga.ts', 'workflows/settlement.ts'],
    ['api/http/auth.ts', 'api/platform/api-key-routes.ts'],
  ])('%s is shared and imports %s', (from, to) => {
    expect(sharedOnSubjects([type(from, to)], HOUSE)).toHaveLength(1)
    expect(sharedOnSubjects([type(to, from)], HOUSE)).toEqual([])
  })

  test('what puts the subjects together imports them', () => {
    expect(sharedOnSubjects([value('api/routes.ts', 'api/cart/routes.ts')], HOUSE)).toEqual([])
  })

  test.each([
    value('domain/cart.ts', 'db/pool.ts'),
    type('domain/cart.ts', 'db/pool.ts'),
    value('domain/cart.ts', 'config.ts'),
    value('domain/cart.ts', 'node:fs'),
    value('domain/cart.ts', 'zod'),
    type('db/pool.ts', 'providers/payment/provider.ts'),
    value('providers/payment/sandbox.ts', 'db/pool.ts'),
    value('providers/search/index.ts', 'db/pool.ts'),
    type('providers/search/typesense/engine.ts', 'db/pool.ts'),
    type('activities/search.ts', 'workflows/contract.ts'),
    value('workflows/checkout.ts', 'activities/index.ts'),
    type('workflows/checkout.ts', 'db/pool.ts'),
    value('workflows/checkout.ts', 'config.ts'),
    value('workers/loops/relay.ts', 'api/deps.ts'),
    type('workers/main.ts', 'scripts/stack/state.ts'),
    value('api/order/routes.ts', 'workflows/checkout.ts'),
    type('api/order/routes.ts', 'activities/deps.ts'),
    value('api/order/routes.ts', 'providers/mail/index.ts'),
    value('sandbox/main.ts', 'domain/money.ts'),
    value('sandbox/main.ts', 'config.ts'),
    value('web/js/shop.mjs', 'domain/money.ts'),
    value('log.ts', 'domain/errors.ts'),
    value('scripts/dev/start.ts', 'bench/main.ts'),
    value('bench/main.ts', 'test/support/http.ts'),
  ])('$from may not import $to (a type: $isType)', (one) => {
    expect(againstLayers([one], HOUSE)).toHaveLength(1)
  })

  test.each([
    value('db/pool.ts', 'config.ts'),
    value('db/order/read.ts', 'domain/support.ts'),
    value('providers/search/postgres/engine.ts', 'db/pool.ts'),
    type('providers/search/index.ts', 'db/pool.ts'),
    type('workflows/proxies.ts', 'activities/index.ts'),
    value('workers/main.ts', 'activities/index.ts'),
    value('api/order/routes.ts', 'workflows/contract.ts'),
    type('api/order/routes.ts', 'workflows/checkout.ts'),
    value('api/main.ts', 'express'),
    type('sandbox/charge.ts', 'domain/money.ts'),
    value('log.ts', 'config.ts'),
    value('test/api/app.test.ts', 'activities/index.ts'),
  ])('$from imports $to (a type: $isType) without one', (one) => {
    expect(againstLayers([one], HOUSE)).toEqual([])
  })

  test('a circle, of types, of values, and of one file', () => {
    const sources = {
      'db/a.ts': "import type { B } from './b'",
      'db/b.ts': "import { c } from './c'",
      'db/c.ts': "export type { A } from './a'",
      'db/d.ts': "import { a } from './a'\nexport * from './d'",
    }
    expect(circles(importsIn(sources))).toEqual(['db/a.ts ⇄ db/b.ts ⇄ db/c.ts', 'db/d.ts'])
  })

  test('too many files at a root', () => {
    const files = ['db/a.ts', 'db/b.ts', 'db/c.sql', 'db/order/a.ts', 'api/a.ts']
    expect(crowded(files, ['db', 'api'], 3)).toEqual([])
    expect(crowded(files, ['db', 'api'], 2)).toEqual(['db/ holds 3 files, more than 2'])
  })
})

function importsIn(sources: Record<string, string>): Import[] {
  return importsOf(new Map(Object.entries(sources)))
}

function value(from: string, to: string): Import {
  return { from, to, isType: false }
}

function type(from: string, to: string): Import {
  return { from, to, isType: true }
}
