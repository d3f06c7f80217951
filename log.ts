import { type Logger, pino } from 'pino'

/** Structured lines on standard output. Fields are ids, codes, counts and durations, never what a person typed. */
export type Log = Logger

export function createLog(level: string, name: string): Log {
  return pino({
    level,
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // The last net: these names are not logged by any of our lines.
    redact: ['token', 'secret', 'authorization', 'email', '*.token', '*.secret', '*.authorization', '*.email'],
    serializers: { err: describeError },
  })
}

/** Class, code, message and stack: never the statement's values or a response's body that an error may carry along. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    code,
    message: error.message,
    stack: error.stack,
    ...(error.cause ? { cause: describeError(error.cause) } : {}),
  }
}
