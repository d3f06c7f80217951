import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { computeFirstRecommendations } from '../demo/first-recommendations'
import { sampleSku, seedDemoShop } from '../demo/seed'
import { seconds, type Say } from '../stack/say'
import type { ServiceAddresses } from '../stack/services'
import { logFolder, makeStackFolder, STACK_FOLDER } from '../stack/state'
import { type Stack, startStack } from '../stack/supervisor'
import { stackTable } from '../stack/table'

interface Options {
  readonly detach?: true
  readonly api: number
  readonly worker: number
}

/** What the process in the background tells the command that started it. */
type Message = { line: string } | { done: 'ready' | 'failed' }

const options = new Command('npm start --')
  .description('Starts all of Holdfast on this computer: stores, sandbox, workers and API, with a demo shop.')
  .option('--detach', 'return once all of it serves; `npm stop` ends it')
  .option('--api <number>', 'API processes', processCount, 1)
  .option('--worker <number>', 'worker processes', processCount, 1)
  .parse()
  .opts<Options>()

void (options.detach ? detach() : run())

/** Runs the stack in this process until a signal ends it. */
async function run(): Promise<void> {
  const begun = Date.now()
  const say = process.send === undefined ? console.log : tellParent
  const interrupted = stopOnSignals(say)
  try {
    const stack = await startStack({
      apis: options.api,
      workers: options.worker,
      given: givenServices(),
      ...namespaceSetting(),
      say,
      interrupted: interrupted.signal,
    })
    interrupted.started(stack)
    await seedDemoShop({ api: stack.file.api, adminKey: stack.file.admin_key, onProgress: say })
    say(`Ready in ${seconds(begun)}.\n\n${stackTable(stack.file, sampleSku)}\n`)
    say(process.send === undefined ? 'Ctrl-C stops all of it.' : '`npm stop` ends it.')
    await finish('ready')
    void computeFirstRecommendations(temporalOf(stack))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    await interrupted.stop()
    say(interrupted.signal.aborted ? 'Stopped.' : `Could not start. ${reason}`)
    await finish('failed')
    process.exit(1)
  }
}

/** Starts this program again in the background, shows what it says, and returns once it serves. */
function detach(): void {
  makeStackFolder(STACK_FOLDER)
  mkdirSync(logFolder(STACK_FOLDER), { recursive: true })
  const logFile = join(logFolder(STACK_FOLDER), 'start.log')
  const log = openSync(logFile, 'w')
  const args = [__filename, '--api', String(options.api), '--worker', String(options.worker)]
  const child = spawn(process.execPath, ['--enable-source-maps', ...args], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  child.on('message', (message: Message) => {
    if ('line' in message) return console.log(message.line)
    process.exit(message.done === 'ready' ? 0 : 1)
  })
  child.once('exit', () => {
    console.error(`It ended while it started. Its log:\n${readFileSync(logFile, 'utf8')}`)
    process.exit(1)
  })
}

function tellParent(line: string): void {
  console.log(line)
  if (process.connected) process.send?.({ line } satisfies Message)
}

function finish(done: 'ready' | 'failed'): Promise<void> {
  process.removeAllListeners('disconnect')
  return new Promise((resolve) => {
    if (!process.connected) return resolve()
    process.send?.({ done } satisfies Message, () => {
      process.disconnect()
      resolve()
    })
  })
}

/** A signal ends the stack in order, also one that is still starting. */
function stopOnSignals(say: Say): { signal: AbortSignal; started(stack: Stack): void; stop(): Promise<void> } {
  const controller = new AbortController()
  let running: Stack | undefined
  const stop = async (): Promise<void> => running?.stop()
  const onSignal = (): void => {
    if (controller.signal.aborted) return say('Still stopping …')
    say('Stopping …')
    controller.abort()
    if (running === undefined) return
    void stop().then(() => {
      say('Stopped.')
      process.exit(0)
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  // The command that waits for the background process was interrupted.
  process.once('disconnect', onSignal)
  return { signal: controller.signal, started: (stack) => (running = stack), stop }
}

function givenServices(): Partial<ServiceAddresses> {
  const names = ['DATABASE_URL', 'REDIS_URL', 'TEMPORAL_ADDRESS', 'TEMPORAL_UI_URL'] as const
  const set = names.map((name) => [name, process.env[name]]).filter(([, value]) => Boolean(value))
  return Object.fromEntries(set) as Partial<ServiceAddresses>
}

function namespaceSetting(): { namespace?: string } {
  const namespace = process.env['TEMPORAL_NAMESPACE']
  return namespace ? { namespace } : {}
}

function temporalOf({ services, env }: Stack): { address: string; namespace: string } {
  return { address: services.TEMPORAL_ADDRESS, namespace: env['TEMPORAL_NAMESPACE'] ?? 'default' }
}

function processCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 16)
    throw new InvalidArgumentError('A whole number from 1 to 16.')
  return count
}
