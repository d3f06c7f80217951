import childProcess from 'node:child_process'
import { type AddressInfo, Server, Socket } from 'node:net'
import { TestEnvironment } from 'jest-environment-node'

const REFUSED =
  'A unit test starts no process and connects only to servers of its own. ' +
  'Import test/support/services.ts or one of its users: that makes it an integration test.'

/** Where unit tests run: starting a process throws, and no connection leaves the process. */
class UnitEnvironment extends TestEnvironment {
  private readonly restore: (() => void)[] = []

  override async setup(): Promise<void> {
    await super.setup()
    const own = new Set<number>()
    const { listen } = Server.prototype
    this.replace(Server.prototype, 'listen', function (this: Server, ...args: unknown[]) {
      this.once('listening', () => own.add((this.address() as AddressInfo).port))
      return Reflect.apply(listen, this, args)
    })
    const { connect } = Socket.prototype
    this.replace(Socket.prototype, 'connect', function (this: Socket, ...args: unknown[]) {
      return own.has(portOf(args)) ? Reflect.apply(connect, this, args) : this.destroy(new Error(REFUSED))
    })
    this.replace(childProcess.ChildProcess.prototype, 'spawn', refuse)
    for (const name of ['spawnSync', 'execSync', 'execFileSync']) this.replace(childProcess, name, refuse)
  }

  /** Workers of jest run files of the other project next: they get back what was replaced. */
  override async teardown(): Promise<void> {
    for (const restore of this.restore.splice(0)) restore()
    await super.teardown()
  }

  private replace(owner: object, name: string, by: unknown): void {
    const original: unknown = Reflect.get(owner, name)
    Reflect.set(owner, name, by)
    this.restore.push(() => Reflect.set(owner, name, original))
  }
}

export default UnitEnvironment

function refuse(): never {
  throw new Error(REFUSED)
}

/** Of `connect(port)`, `connect({ port })`, and of both in the list that `net.connect` hands on. */
function portOf(args: readonly unknown[]): number {
  const [first] = args.flat()
  const port = typeof first === 'object' && first !== null && 'port' in first ? first.port : first
  return Number(port)
}
