import { setTimeout as delay } from 'node:timers/promises'
import { ProviderRejected, ProviderUnavailable } from '../provider'

/** How many are read at the same time: a crowded second must not meet Stripe's limit of requests. */
const READS_AT_ONCE = 10
/** What gave no answer is asked for once more so much later. */
const AGAIN_MS = 250

type Read<Value> = { readonly value: Value } | { readonly error: unknown }

/**
 * What can be read of a page, and the names of what cannot: what Stripe rejects, and what alone gives no answer, twice. Throws
 * when none of several gives one: then Stripe is away.
 */
export async function eachReadable<Item, Value>(
  items: readonly Item[],
  readOne: (item: Item) => Promise<Value>,
  nameOf: (item: Item) => string | null,
): Promise<{ values: Value[]; unreadable: string[] }> {
  const reads = await inLanes(items, (item) => twice(() => readOne(item)))
  const unanswered = reads.filter((read) => 'error' in read && isUnanswered(read.error)).length
  const isAway = unanswered === items.length && items.length > 1
  const values: Value[] = []
  const unreadable: string[] = []
  reads.forEach((read, index) => {
    if ('value' in read) return void values.push(read.value)
    const name = nameOf(items[index] as Item)
    if (isAway || isAboutAll(read.error)) throw read.error
    if (name !== null) unreadable.push(name)
    // What has no name can be looked for by nobody: a rejection stays one, an answer may come yet.
    else if (isUnanswered(read.error)) throw read.error
  })
  return { values, unreadable }
}

/** A few at a time; the answers stand in the order of the items. */
async function inLanes<Item, Value>(items: readonly Item[], act: (item: Item) => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  const left = items.entries()
  const lane = async (): Promise<void> => {
    for (const [index, item] of left) values[index] = await act(item)
  }
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane))
  return values
}

async function twice<Value>(read: () => Promise<Value>): Promise<Read<Value>> {
  const first = await once(read)
  if (!('error' in first) || !isUnanswered(first.error)) return first
  await delay(AGAIN_MS)
  return once(read)
}

async function once<Value>(read: () => Promise<Value>): Promise<Read<Value>> {
  try {
    return { value: await read() }
  } catch (error) {
    return { error }
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof ProviderUnavailable
}

/** A key that is not valid, or a fault of ours, says nothing about one of them. */
function isAboutAll(error: unknown): boolean {
  return error instanceof ProviderRejected ? error.code === 'not_allowed' : !isUnanswered(error)
}
