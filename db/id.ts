import { typeid } from 'typeid-js'
import { ID_PREFIXES, type Id, type Noun } from '../domain/ids'

/** A new TypeID of this noun (`newId('order')` → `order_01h…`). It sorts by time of creation. */
export function newId<N extends Noun>(noun: N): Id<N> {
  return typeid(ID_PREFIXES[noun]).toString() as Id<N>
}
