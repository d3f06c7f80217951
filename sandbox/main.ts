import { parseArgs } from 'node:util'
import { z } from 'zod'
import { startSandbox, type SandboxOptions } from './sandbox'

const USAGE = `The sandbox payment provider: takes no real money, forgets nothing.

  node dist/sandbox/main.js --port <port> --journal <file> --webhook-url <url> --secret <whsec_…>

  --port         port to listen on; 0 picks a free one
  --journal      file that keeps every charge; made when it is not there
  --webhook-url  where changes of charges are sent
  --secret       signs the webhooks (Standard Webhooks, whsec_ and base64)
  --host         address to listen on (127.0.0.1)
  --public-url   where a customer's browser reaches this program (http://<host>:<port>)
`

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

main().catch((error: unknown) => {
  console.error(`sandbox: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
})

async function main(): Promise<void> {
  const options = readOptions()
  const sandbox = await startSandbox(options)
  console.log(`The sandbox payment provider listens on ${sandbox.url}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void sandbox.stop().then(() => process.exit(0))
    })
  }
}

function readOptions(): SandboxOptions {
  const names = ['port', 'journal', 'webhook-url', 'secret', 'host', 'public-url']
  const { values } = parseArgs({
    options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
  })
  const parsed = schema.safeParse(values)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  --${issue.path.join('.')}: ${issue.message}`)
    throw new Error(`These options are wrong:\n${lines.join('\n')}\n\n${USAGE}`)
  }
  const { port, journal, secret, host } = parsed.data
  return {
    port,
    journal,
    secret,
    host,
    webhookUrl: parsed.data['webhook-url'],
    publicUrl: parsed.data['public-url'],
    onFailure(error) {
      console.error(`sandbox: the journal cannot be written: ${String(error)}`)
      process.exit(1)
    },
  }
}
