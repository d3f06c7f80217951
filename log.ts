import { isNativeError } from 'node:util/types'
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'

/** Structured lines, on standard output unless a destination is given. Fields are ids, codes, counts and durations, never what a person typed. */
export type Log = Logger

export function createLog(level: string, name: string, destination: DestinationStream = pino.destination(1)): Log {
  const options: LoggerOptions = {
    level,
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // The last net: these names are not logged by any of our lines.
    redact: ['token', 'secret', 'authorization', 'email', '*.token', '*.secret', '*.authorization', '*.email'],
    serializers: { err: describeError },
  }
  return pino(options, destination)
}

/** Class, code, message and stack: never the statement's values or a response's body that an error may carry along. */
function describeError(error: unknown): Record<string, unknown> {
  if (!isNativeError(error)) return { message: String(error) }
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    code,
    message: error.message,
    stack: error.stack,
    ...(error.cause ? { cause: describeError(error.cause) } : {}),
  }
}
