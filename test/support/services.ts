/** The services that `global-setup` started for this run, as every test file finds them. */
export interface TestServices {
  /** Belongs to this run alone. */
  readonly folder: string
  /** Of the role that owns the template and may make databases. */
  readonly postgres: string
  /** A migrated database that is only ever copied. */
  readonly template: string
  /** Without a logical database. */
  readonly redis: string
  readonly redisDatabases: number
  /** host:port */
  readonly temporal: string
  readonly temporalUi: string
}

const VARIABLE = 'HOLDFAST_TEST_SERVICES'

export function publishServices(services: TestServices): void {
  process.env[VARIABLE] = JSON.stringify(services)
}

export function testServices(): TestServices {
  const published = process.env[VARIABLE]
  if (published === undefined) throw new Error('Run the tests with `npm test`: jest.config.js starts the services.')
  return JSON.parse(published) as TestServices
}
