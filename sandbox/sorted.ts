/** In a list where `isReached` is false up to somewhere and true from there on: where that is. Its length: nowhere. */
export function firstReached<T>(list: readonly T[], isReached: (item: T) => boolean): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isReached(list[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
}
