import { unlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Fault points, for tests of what a sudden death leaves behind. With FAULT_DIR set, a process that comes to a point looks
 * for a file of the point's name in that folder. The process that deletes the file kills itself; the others go on.
 * Points are named after what is called: `place.before`, `place.after`.
 */

type Method = (...args: never[]) => unknown

/**
 * Puts a fault point before and after each call that `nameOf` names. Without a folder it returns `target` itself and costs
 * nothing.
 */
export function withFaultPoints<T extends object>(
  target: T,
  folder: string,
  nameOf: (method: string, args: readonly unknown[]) => string | null,
): T {
  if (folder === '') return target
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      return (...args: unknown[]): unknown => {
        const call = (): unknown => (value as Method).apply(object, args as never[])
        const name = nameOf(property, args)
        return name === null ? call() : betweenPoints(join(folder, name), call)
      }
    },
  })
}

interface StatementPool {
  connect(): Promise<object>
}

/** A pool whose statements are fault points by their names (`order.place`), those of its transactions too. */
export function withStatementPoints<P extends StatementPool>(pool: P, folder: string): P {
  if (folder === '') return pool
  const connect = async (): Promise<object> => withFaultPoints(await pool.connect(), folder, statementName)
  return new Proxy(withFaultPoints(pool, folder, statementName), {
    get: (object, property): unknown => (property === 'connect' ? connect : Reflect.get(object, property)),
  })
}

/** The method becomes asynchronous, if it was not. */
async function betweenPoints(path: string, call: () => unknown): Promise<unknown> {
  dieIfArmed(`${path}.before`)
  const result = await call()
  dieIfArmed(`${path}.after`)
  return result
}

function dieIfArmed(file: string): void {
  try {
    unlinkSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  process.kill(process.pid, 'SIGKILL')
}

function statementName(method: string, [statement]: readonly unknown[]): string | null {
  return method === 'query' ? ((statement as { name?: string } | undefined)?.name ?? null) : null
}
