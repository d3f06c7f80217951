import type { Account, StripeObject } from './account'
import { invalid } from './refusal'

/** How many objects an expanded list shows. */
const SHOWN = 10
const DEPTH_MAX = 4

export interface ListObject {
  readonly object: 'list'
  readonly data: readonly unknown[]
  readonly has_more: boolean
  readonly url: string
}

/** A copy of an object, or of a list, with these fields in place of their ids. */
export function expanded(account: Account, object: StripeObject | ListObject, paths: readonly string[]): unknown {
  const copy = structuredClone(object) as unknown
  for (const path of paths) {
    const names = path.split('.')
    if (names.length > DEPTH_MAX)
      throw invalid('You cannot expand more than 4 levels of a property', { param: 'expand' })
    put(account, copy, names)
  }
  return copy
}

function put(account: Account, at: unknown, [name, ...rest]: readonly string[]): void {
  if (Array.isArray(at)) for (const one of at) put(account, one, [name as string, ...rest])
  if (typeof at !== 'object' || at === null || Array.isArray(at) || name === undefined) return
  const object = at as Record<string, unknown>
  const value = object[name]
  if (name === 'refunds' && object['object'] === 'charge' && value === undefined) {
    const all = account.all('refund').filter((refund) => refund['charge'] === object['id'])
    object[name] = listObject(all, SHOWN, '/v1/refunds')
  } else if (typeof value === 'string' && account.objects.has(value)) {
    object[name] = structuredClone(account.objects.get(value))
  }
  if (rest.length > 0) put(account, object[name], rest)
}

export function listObject(all: readonly StripeObject[], limit: number, url: string): ListObject {
  return { object: 'list', data: structuredClone(all.slice(0, limit)), has_more: all.length > limit, url }
}
