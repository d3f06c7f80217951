import { Redis } from 'ioredis'
import { testServices } from './services'

/**
 * The address of an empty logical database of Redis that no other caller of this run was given.
 * Flush it with FLUSHDB, never FLUSHALL: the server is shared.
 */
export async function testRedis(): Promise<{ url: string }> {
  const { redis, redisDatabases } = testServices()
  const client = new Redis(`${redis}/0`, { lazyConnect: true })
  try {
    await client.connect()
    const index = await client.incr('test:last-database')
    if (index >= redisDatabases) throw new Error(`All ${redisDatabases} databases of Redis are given away.`)
    return { url: `${redis}/${index}` }
  } finally {
    client.disconnect()
  }
}
