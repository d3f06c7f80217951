import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Client, Connection, Submittable } from 'pg'

/** What pg offers of the protocol for COPY, which its types leave out. */
type CopyConnection = Connection & {
  readonly stream: Socket
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** Writes rows into a table by COPY, as fast as Postgres takes them. Values are written as text; null is null. */
export async function copyRows(
  client: Client,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly (string | number | boolean | null)[]>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const copy = {
      submit: (connection: CopyConnection) => connection.query(`copy ${table} (${columns.join(', ')}) from stdin`),
      handleCopyInResponse: (connection: CopyConnection) => {
        send(connection, rows).catch((error: Error) => connection.stream.destroy(error))
      },
      handleError: reject,
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
    }
    client.query(copy as unknown as Submittable)
  })
}

const CHUNK_LENGTH = 256 * 1_024

async function send(
  connection: CopyConnection,
  rows: Iterable<readonly (string | number | boolean | null)[]>,
): Promise<void> {
  let chunk = ''
  const flush = async (): Promise<void> => {
    connection.sendCopyFromChunk(Buffer.from(chunk))
    chunk = ''
    if (connection.stream.writableNeedDrain) await once(connection.stream, 'drain')
  }
  for (const row of rows) {
    chunk += `${row.map(written).join('\t')}\n`
    if (chunk.length > CHUNK_LENGTH) await flush()
  }
  await flush()
  connection.endCopyFrom()
}

function written(value: string | number | boolean | null): string {
  if (value === null) return '\\N'
  return typeof value === 'string' ? value.replace(/[\\\t\n\r]/g, (sign) => `\\${sign}`) : String(value)
}
