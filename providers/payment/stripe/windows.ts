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
 * round: so time is cut into windows that one request can show whole. One second cannot be cut: what is more than a page is
 * told from its newest on. A cursor is `<from>/<seconds>`, and inside such a second `<from>/1/<id>`, of the last one told.
 */
export async function readWindow<T extends { readonly id: string }>(
  since: string,
  cursor: string | null,
  list: ListCreated<T>,
): Promise<WindowPage<T>> {
  const now = Math.floor(Date.now() / 1_000)
  const { from, after, ...window } = cursor === null ? startAt(since) : readCursor(cursor)
  for (let { seconds } = window; ; seconds = Math.max(1, Math.floor(seconds / 4))) {
    const to = Math.min(from + seconds, now + 1)
    const { data, has_more: hasMore } = await list({ gte: from, lt: to }, after)
    if (hasMore && seconds > 1) continue
    const items = data.toReversed()
    if (hasMore) return { items, nextCursor: `${from}/1/${data.at(-1)?.id ?? ''}` }
    return { items, nextCursor: to > now ? null : `${to}/${seconds * 2}` }
  }
}

interface Window {
  readonly from: number
  readonly seconds: number
  readonly after?: string
}

function startAt(since: string): Window {
  return { from: Math.floor(Date.parse(since) / 1_000), seconds: FIRST_SECONDS }
}

function readCursor(cursor: string): Window {
  const [from, seconds, after] = cursor.split('/')
  const window = { from: Number(from), seconds: Number(seconds), ...(after !== undefined && { after }) }
  if (!Number.isSafeInteger(window.from) || !(window.seconds >= 1))
    throw new TypeError(`${cursor} is no cursor of Stripe's lists`)
  return window
}
