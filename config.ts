import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'

/** The folder that holds package.json, whether this runs from the sources or from dist/. */
export const ROOT = ((): string => {
  let folder = __dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

/** As package.json says. */
export const VERSION: string = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string })
  .version

/** True in what tests run, and in the programs that they start. */
export const IS_TEST = process.env['NODE_ENV'] === 'test'

const port = z.coerce.number().int().min(0).max(65_535)
const milliseconds = z.coerce.number().int().min(1)
const flag = z.enum(['0', '1']).transform((value) => value === '1')
const words = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean),
  )

/** The call has to end, and its answer has to be written down, within the `ONE_TRY` of `workflows/proxies.ts`. */
const PAYMENT_TIMEOUT_MAX_MS = 3_500

const DEVELOPMENT_TOKEN_SECRET = 'holdfast-development-token-secret'
const DEVELOPMENT_TYPESENSE_KEY = 'holdfast'
/** A Standard Webhooks secret (`whsec_` and base64), known to everybody: for the sandbox alone. */
const DEVELOPMENT_WEBHOOK_SECRET = 'whsec_aG9sZGZhc3Qtc2FuZGJveC13ZWJob29rLXNlY3JldA=='

/** Every setting, its default and its meaning. `docs/operations.md` is written from this list. */
export const settingsSchema = z.object({
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .describe(
      '`production` refuses sandbox providers and default secrets; `test` refuses I/O to anything else inside a transaction',
    ),
  DATABASE_URL: z
    .string()
    .min(1)
    .default('postgres://holdfast:holdfast@127.0.0.1:5432/holdfast')
    .describe('Postgres, the truth'),
  DATABASE_POOL_MAX: z.coerce.number().int().min(1).max(200).default(10).describe('connections per process'),
  DATABASE_REPLICA_URL: z
    .string()
    .default('')
    .describe('a streaming replica for the catalog, its pages, and what staff read of orders; empty: none'),
  PAGE_CACHE_MB: z.coerce
    .number()
    .int()
    .min(1)
    .max(4_096)
    .default(64)
    .describe('finished pages kept in each API process'),
  REDIS_URL: z
    .string()
    .min(1)
    .default('redis://127.0.0.1:6379/0')
    .describe('Redis, rebuilt from Postgres at any moment'),
  TEMPORAL_ADDRESS: z.string().min(1).default('127.0.0.1:7233').describe('Temporal, host:port'),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default').describe('Temporal namespace'),
  TEMPORAL_UI_URL: z.string().default('http://127.0.0.1:8233').describe('where links to the Temporal Web UI point'),
  TYPESENSE_URL: z.string().default('').describe('Typesense, http(s)://host:port; empty: Postgres searches'),
  TYPESENSE_API_KEY: z
    .string()
    .min(1)
    .default(DEVELOPMENT_TYPESENSE_KEY)
    .describe('an admin key of Typesense, or one that may do all with collections, aliases, synonym and curation sets'),
  SEARCH_TIMEOUT_MS: milliseconds.default(500).describe('longest wait for Typesense before Postgres answers'),
  API_HOST: z.string().default('127.0.0.1').describe('address the API listens on'),
  API_PORT: port.default(3000).describe('port the API listens on'),
  PUBLIC_URL: z.string().default('').describe('address of the API as callers see it; default: from host and port'),
  WORKER_HOST: z.string().default('127.0.0.1').describe("address of a worker's own /livez, /readyz and /metrics"),
  WORKER_PORT: port.default(0).describe("port of a worker's own /livez, /readyz and /metrics; 0 picks a free one"),
  STORE_NAME: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .default('Holdfast')
    .describe('who sells: the name on invoices and slips'),
  SANDBOX_URL: z.string().default('http://127.0.0.1:4010').describe('the sandbox payment provider'),
  SANDBOX_WEBHOOK_SECRET: z
    .string()
    .min(16)
    .default(DEVELOPMENT_WEBHOOK_SECRET)
    .describe('signs the webhooks of the sandbox (Standard Webhooks, `whsec_…`)'),
  STRIPE_SECRET_KEY: z
    .string()
    .default('')
    .describe('a secret or restricted key of Stripe, `sk_…` or `rk_…`; empty: no payments by Stripe'),
  STRIPE_PUBLISHABLE_KEY: z
    .string()
    .default('')
    .describe('the key with which browsers hand cards to Stripe, `pk_…`; everybody may know it'),
  STRIPE_WEBHOOK_SECRETS: words.describe(
    'comma-separated secrets that sign the webhooks of Stripe, `whsec_…`; two while one is being replaced',
  ),
  STRIPE_API_URL: z
    .url({ protocol: /^https?$/ })
    .default('https://api.stripe.com')
    .describe('where Stripe answers'),
  PAYMENT_TIMEOUT_MS: milliseconds
    .max(PAYMENT_TIMEOUT_MAX_MS, `at most ${PAYMENT_TIMEOUT_MAX_MS}: the first try of a charge is given up after 4 s`)
    .default(2_500)
    .describe(`longest wait for one call to a payment provider, at most ${PAYMENT_TIMEOUT_MAX_MS}`),
  CARRIER_SANDBOX_URL: z.string().default('http://127.0.0.1:4015').describe('the sandbox carrier'),
  CARRIER_SANDBOX_WEBHOOK_SECRET: z
    .string()
    .min(16)
    .default(DEVELOPMENT_WEBHOOK_SECRET)
    .describe('signs the webhooks of the sandbox carrier (Standard Webhooks, `whsec_…`)'),
  EASYPOST_API_KEY: z.string().default('').describe('an API key of EasyPost; empty: no labels by EasyPost'),
  EASYPOST_WEBHOOK_SECRET: z
    .string()
    .default('')
    .describe('the `webhook_secret` with which EasyPost signs its webhooks'),
  EASYPOST_API_URL: z
    .url({ protocol: /^https?$/ })
    .default('https://api.easypost.com')
    .describe('where EasyPost answers'),
  CARRIER_TIMEOUT_MS: milliseconds.max(60_000).default(5_000).describe('longest wait for one call to a carrier'),
  WEBHOOK_ALLOW_PRIVATE: flag
    .default(false)
    .describe('1 lets addresses be called that only our own network can reach, by http too; never in production'),
  TOKEN_SECRET: z
    .string()
    .min(16)
    .default(DEVELOPMENT_TOKEN_SECRET)
    .describe(
      'derives cart tokens and stream tokens and hides who wrote a review; a change ends open checkout streams, and buyers may review once more',
    ),
  CHECKOUT_WAIT_MS: milliseconds
    .default(10_000)
    .describe('how long a checkout call waits for an outcome before it answers 202'),
  CHECKOUT_HOLD_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(900)
    .describe('how long an unpaid order holds its stock; the store settings override it'),
  ATTENTION_AFTER_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(120)
    .describe('how long a payment or an undo may fail before a person is asked'),
  RECONCILIATION_QUIET_SECONDS: z.coerce
    .number()
    .int()
    .min(0)
    .default(600)
    .describe('the reconciliation waits with what changed less than so long ago'),
  CART_HOLD_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .default(900)
    .describe('how long a soft hold of a cart lasts; the store settings override it'),
  REQUEST_TIMEOUT_MS: milliseconds.default(10_000).describe('longest wait for the JSON body of a request to arrive'),
  IMAGE_STORE: z
    .string()
    .min(1)
    .default('.holdfast/images')
    .describe('where pictures are kept: a folder that all API processes share, or the https address of an S3 bucket'),
  S3_REGION: z.string().min(1).default('us-east-1').describe('region that requests to the bucket are signed for'),
  S3_ACCESS_KEY_ID: z.string().default('').describe('who signs requests to the bucket'),
  S3_SECRET_ACCESS_KEY: z.string().default('').describe('what they are signed with'),
  RATE_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).default(1_200).describe('requests per minute and address'),
  RATE_LIMIT_LOOPBACK: flag.default(false).describe('1 counts requests from loopback too'),
  CORS_ORIGINS: words.describe('comma-separated origins that browsers may call from'),
  TRUST_PROXY: z.coerce.number().int().min(0).max(10).default(0).describe('how many proxies stand in front of the API'),
  BUILD_ID: z
    .string()
    .regex(/^[\w.-]{0,100}$/, 'at most 100 letters, digits, `.`, `_` and `-`')
    .default('')
    .describe('names the build of the workers to Temporal; empty: from the compiled workflows'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info').describe('log level'),
  FAULT_DIR: z
    .string()
    .default('')
    .describe('tests only: a folder whose files name the points at which a process kills itself'),
})

export type Settings = z.output<typeof settingsSchema>

/** Says every bad setting at once, in words for the person who starts the program. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

/** Reads and checks the settings. Throws a {@link SettingsError} that names each bad one. */
export function readSettings(environment: Record<string, string | undefined> = process.env): Settings {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = settingsSchema.safeParse(given)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new SettingsError(`These settings are wrong:\n${lines.join('\n')}\nThey are listed in docs/operations.md.`)
  }
  refuseDefaultSecrets(parsed.data)
  refuseUnsignedBucket(parsed.data)
  refuseUnheardStripe(parsed.data)
  refuseMixedStripe(parsed.data)
  refuseUnheardEasyPost(parsed.data)
  const { API_HOST, API_PORT, PUBLIC_URL } = parsed.data
  return { ...parsed.data, PUBLIC_URL: PUBLIC_URL || `http://${API_HOST}:${API_PORT}` }
}

function refuseUnsignedBucket({ IMAGE_STORE, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY }: Settings): void {
  if (!/^https?:/.test(IMAGE_STORE) || (S3_ACCESS_KEY_ID !== '' && S3_SECRET_ACCESS_KEY !== '')) return
  throw new SettingsError('IMAGE_STORE names a bucket: S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are missing.')
}

/** Without them nothing that Stripe tells would be believed: customers who come back from their bank would wait for minutes. */
function refuseUnheardStripe({ STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS }: Settings): void {
  if (STRIPE_SECRET_KEY === '' || STRIPE_WEBHOOK_SECRETS.length > 0) return
  throw new SettingsError('STRIPE_SECRET_KEY is set: STRIPE_WEBHOOK_SECRETS is missing.')
}

/** Without it nothing that EasyPost tells of a parcel would be believed. */
function refuseUnheardEasyPost({ EASYPOST_API_KEY, EASYPOST_WEBHOOK_SECRET }: Settings): void {
  if (EASYPOST_API_KEY === '' || EASYPOST_WEBHOOK_SECRET !== '') return
  throw new SettingsError('EASYPOST_API_KEY is set: EASYPOST_WEBHOOK_SECRET is missing.')
}

const STRIPE_TEST_KEY = /^(sk|rk|pk)_test_/
const STRIPE_LIVE_KEY = /^(sk|rk|pk)_live_/

/** A card that the browser hands over by a key of the other mode is unknown to ours. */
function refuseMixedStripe({ STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY }: Settings): void {
  const keys = [STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY]
  if (!keys.some((key) => STRIPE_TEST_KEY.test(key)) || !keys.some((key) => STRIPE_LIVE_KEY.test(key))) return
  throw new SettingsError(
    'STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of two modes: one is live, one is a test key.',
  )
}

/** What may be meant, and must not go unseen. */
export function warningsOf({ NODE_ENV, STRIPE_SECRET_KEY }: Settings): string[] {
  if (NODE_ENV !== 'production' || !STRIPE_TEST_KEY.test(STRIPE_SECRET_KEY)) return []
  return ['NODE_ENV=production with a test key of Stripe: no money is real, and anybody can buy with a test card']
}

function refuseDefaultSecrets(settings: Settings): void {
  if (settings.NODE_ENV !== 'production') return
  const bad = [
    settings.TOKEN_SECRET === DEVELOPMENT_TOKEN_SECRET && 'TOKEN_SECRET has its public default',
    settings.TYPESENSE_URL !== '' &&
      settings.TYPESENSE_API_KEY === DEVELOPMENT_TYPESENSE_KEY &&
      'TYPESENSE_API_KEY has its public default',
    settings.WEBHOOK_ALLOW_PRIVATE && 'WEBHOOK_ALLOW_PRIVATE lets strangers reach our own network',
    settings.FAULT_DIR !== '' && 'FAULT_DIR is for tests only',
  ].filter((line) => line !== false)
  if (bad.length > 0) throw new SettingsError(`Refused with NODE_ENV=production:\n  ${bad.join('\n  ')}`)
}
