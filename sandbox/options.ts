import { parseArgs } from 'node:util'
import { z } from 'zod'

/** What a program of the sandbox is told on its command line. */
export interface ProgramOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** The journal's file; made when it is not there. */
  readonly journal: string
  readonly webhookUrl: string
  /** Signs the webhooks: `whsec_…` */
  readonly secret: string
  /** Where browsers reach it; default: host and port. */
  readonly publicUrl?: string
  /** Called when the disk refuses the journal: nothing can be promised any more. */
  readonly onFailure: (error: unknown) => void
}

const schema = z.object({
  port: z.coerce.number().int().min(0).max(65_535),
  journal: z.string().min(1),
  'webhook-url': z.url({ protocol: /^https?$/ }),
  secret: z.string().regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'must be whsec_ and base64'),
  host: z.string().min(1).default('127.0.0.1'),
  'public-url': z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
})

/** Runs a program until a signal ends it. What is wrong with its options, or its start, is said in words. */
export async function runProgram(
  { name, usage }: { name: string; usage: string },
  start: (options: ProgramOptions) => Promise<{ readonly url: string; stop(): Promise<void> }>,
): Promise<void> {
  try {
    const program = await start(readOptions(name, usage))
    console.log(`The sandbox listens on ${program.url}`)
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => void program.stop().then(() => process.exit(0)))
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}

function readOptions(name: string, usage: string): ProgramOptions {
  const options = Object.fromEntries(Object.keys(schema.shape).map((option) => [option, { type: 'string' as const }]))
  const { values } = parseArgs({ options })
  const parsed = schema.safeParse(values)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  --${issue.path.join('.')}: ${issue.message}`)
    throw new Error(`These options are wrong:\n${lines.join('\n')}\n\n${usage}`)
  }
  const { port, journal, secret, host, 'public-url': publicUrl } = parsed.data
  return {
    port,
    journal,
    secret,
    host,
    webhookUrl: parsed.data['webhook-url'],
    ...(publicUrl === undefined ? {} : { publicUrl }),
    onFailure(error) {
      console.error(`${name}: the journal cannot be written: ${String(error)}`)
      process.exit(1)
    },
  }
}
