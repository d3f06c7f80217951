/** Objects of a stretch of time, newest first as Stripe lists them, and whether there are more than it showed. */
export interface Listed<T> {
  readonly data: readonly T[]
  readonly has_more: boolean
}

export interface WindowPage<T> {
  /** Oldest first. */
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** Lists what was created from `gte` to before `lt` (seconds since 1970), newest first, older than the object `after`. */
export type ListCreated<T> = (
  range: { readonly gte: number; readonly lt: number },
  after?: string,
) => Promise<Listed<T>>

/** Six hours, for a start. Each quiet window doubles the next; a crowded one is cut to a quarter. */
const FIRST_SECONDS = 21_600

/**
 * One page of what was created since then, oldest first. Stripe lists newest first and has no cursor for the other way
 * round: so time is cut into windows that one request can show whole. A cursor is `<from>/<seconds>`.
 */
export async function readWindow<T extends { readonly id: string }>(
  since: string,
  cursor: string | null,
  list: ListCreated<T>,
): Promise<WindowPage<T>> {
  const now = Math.floor(Date.now() / 1_000)
  let { from, seconds } = cursor === null ? startAt(since) : readCursor(cursor)
  for (;;) {
    const to = Math.min(from + seconds, now + 1)
    const page = await list({ gte: from, lt: to })
    if (!page.has_more || seconds === 1) {
      const items = [...page.data, ...(page.has_more ? await theRest(list, { gte: from, lt: to }, page) : [])]
      return { items: items.reverse(), nextCursor: to > now ? null : `${to}/${seconds * 2}` }
    }
    seconds = Math.max(1, Math.floor(seconds / 4))
  }
}

/** Of one second: a window that cannot be cut. */
async function theRest<T extends { readonly id: string }>(
  list: ListCreated<T>,
  range: { readonly gte: number; readonly lt: number },
  first: Listed<T>,
): Promise<T[]> {
  const items: T[] = []
  for (let page = first; page.has_more; ) {
    page = await list(range, page.data.at(-1)?.id)
    items.push(...page.data)
  }
  return items
}

function startAt(since: string): { from: number; seconds: number } {
  return { from: Math.floor(Date.parse(since) / 1_000), seconds: FIRST_SECONDS }
}

function readCursor(cursor: string): { from: number; seconds: number } {
  const [from = Number.NaN, seconds = Number.NaN] = cursor.split('/').map(Number)
  if (!Number.isSafeInteger(from) || !(seconds >= 1)) throw new TypeError(`${cursor} is no cursor of Stripe's lists`)
  return { from, seconds }
}
