import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { IS_TEST } from './config'

/**
 * The guard of one rule: no lock and no pooled connection is held across I/O to anything else. A transaction that asks the
 * pool for a second connection can wait for ever, as all others may do the same; one that waits for Redis, Temporal or a
 * store keeps its locks and its connection for as long as these take. In tests such a call throws, and so does the
 * transaction, whoever catches that. Elsewhere nothing is watched, and it costs nothing.
 */

/** I/O to something else was begun inside a transaction, or by what a transaction left running. */
export class TransactionGuardError extends Error {
  override readonly name = 'TransactionGuardError'

  constructor(what: string) {
    super(`No connection is held across I/O to anything else: ${what} was used inside a transaction.`)
  }
}

/** Kept for all that a transaction starts, even what outlives it. */
interface Transaction {
  fault: TransactionGuardError | null
}

const transactions = IS_TEST ? new AsyncLocalStorage<Transaction>() : null
if (transactions) watchHttp(transactions)

/** Runs the work of a transaction. Throws a {@link TransactionGuardError} after any I/O that the guard has seen in it. */
export async function insideTransaction<T>(work: () => Promise<T>): Promise<T> {
  if (!transactions) return work()
  const transaction: Transaction = { fault: null }
  try {
    return await transactions.run(transaction, work)
  } finally {
    throwFault(transaction)
  }
}

/**
 * `target` itself, or in tests one whose methods throw inside a transaction, but for `pure` ones, which ask nobody. `what` names
 * it in the error.
 */
export function guarded<T extends object>(target: T, what: string, pure: readonly (keyof T)[] = []): T {
  if (!transactions) return target
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string' || isMock(value)) return value
      if (pure.includes(property as keyof T)) return value.bind(object)
      return (...args: unknown[]): unknown => {
        refuse(transactions, what)
        return Reflect.apply(value, object, args)
      }
    },
  })
}

function throwFault({ fault }: Transaction): void {
  if (fault) throw fault
}

function refuse(storage: AsyncLocalStorage<Transaction>, what: string): void {
  const transaction = storage.getStore()
  if (!transaction) return
  transaction.fault ??= new TransactionGuardError(what)
  throw transaction.fault
}

/** Whatever sends it: `fetch`, undici, `node:http`. It is sent, as a subscriber cannot stop it; the transaction fails. */
function watchHttp(storage: AsyncLocalStorage<Transaction>): void {
  const note = (): void => {
    const transaction = storage.getStore()
    if (transaction) transaction.fault ??= new TransactionGuardError('HTTP')
  }
  for (const channel of ['undici:request:create', 'http.client.request.start']) subscribe(channel, note)
}

/** Tests that spy on a method are given back what they put there. */
function isMock(method: object): boolean {
  return 'mock' in method
}
