import { type Redis, runScript, script } from '../redis'

/** Counts one hit in the key's window; the first opens it. Throws when Redis is away: the caller counts by itself then. */
export async function countHit(
  redis: Redis,
  key: string,
  windowMs: number,
): Promise<{ hits: number; resetsInMs: number }> {
  const [hits, resetsInMs] = (await runScript(redis, COUNT, [`rate:{${key}}`], [windowMs])) as [number, number]
  return { hits, resetsInMs }
}

const COUNT = script(`
local hits = redis.call('incr', KEYS[1])
if hits == 1 then redis.call('pexpire', KEYS[1], ARGV[1]) end
return {hits, redis.call('pttl', KEYS[1])}
`)
